"""What the model is told of the person's cells and variables, in a real kernel."""

import json
import os
import re
import time

import pytest
from pydantic_core import from_json

pytestmark = pytest.mark.kernel

LOAD = "%load_ext inkernel"
TURN = '[[turn]]\n[[turn.response]]\nsay = "Yes."\n'
SCRIPT = TURN * 5


def told(body: bytes, tag: str) -> list[str]:
    """The text of each item of the request that begins with `<tag>`."""
    texts = [
        part.get("text", "")
        for item in json.loads(body)["input"]
        if isinstance(item.get("content"), list)
        for part in item["content"]
    ]
    return [text for text in texts if text.startswith(f"<{tag}>")]


def test_what_the_person_ran_is_told_once_with_what_it_showed_and_did(agent):
    kernel, server = agent()
    kernel.run("xs = [1, 2]\nprint('hello')\nlen(xs)", cell_id="c1")
    kernel.run("# agent: hide\nprivate = 1", cell_id="c2")
    kernel.run("1 / 0", cell_id="c3")
    kernel.run("%%agent\nOne.")
    kernel.run("xs.append(3)", cell_id="c4")
    kernel.run("%%agent\nTwo.")
    items = told(server.requests[0], "cells")
    assert len(items) == 3  # two cells that ran, and what is hidden
    first = "\n".join(items)
    assert "print('hello')" in first and "hello" in first and "\n2\n" in first
    assert "ok · bound: xs" in first
    assert "ZeroDivisionError" in first
    assert "private" not in first and "1 run(s) hidden" in first
    *again, second = told(server.requests[1], "cells")
    assert again == items
    assert "xs.append(3)" in second and "changed xs" in second
    assert "hello" not in second
    assert "read xs, changed since" not in first


RICH = """
from IPython.display import HTML, SVG, display
spec = {"mark": "bar", "encoding": {"x": {"field": "WHO"}}, "data": {"values": [{"WHO": 1}] * 9}}
display({"application/vnd.vegalite.v5+json": spec, "text/plain": "alt.Chart(...)"}, raw=True)
display(SVG("<svg xmlns='http://www.w3.org/2000/svg'><path/><text>of WHO</text></svg>"))
HTML("<table><tr><td>the</td><td>WHO</td></tr></table>")
"""


def test_charts_figures_and_tables_of_html_are_told_of_cells_and_of_steps(agent):
    step = RICH.replace("WHO", "agent")
    call = '[[turn]]\n[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
    call += f"arguments = {{ title = 'show', code = '''{step}''' }}\n"
    call += '[[turn.response]]\nsay = "Yes."\n'
    kernel, server = agent(call, INKERNEL_TRANSPORT="http")
    kernel.run(RICH.replace("WHO", "person"))
    assert kernel.run("%%agent\nShow it.").status == "ok"
    for told, who in ((server.requests[0], "person"), (server.requests[1], "agent")):
        text = told.decode()
        assert f"Vega-Lite chart\\nmark bar; x: {who}\\ndata: 9 rows of {who}" in text
        assert f"SVG figure, with the texts: of {who}" in text
        assert f"\\nthe | {who}" in text
        assert "[image/svg+xml not sent to you" in text


def test_what_is_cut_of_a_cells_output_can_be_read_by_its_handle(agent):
    look = '[[turn]]\n[[turn.response]]\n[[turn.response.call]]\nname = "output"\n'
    look += 'arguments = { handle = "out-1", grep = "^row 1500 " }\n'
    kernel, server = agent(f'{look}[[turn.response]]\nexpect = "row 1500 x"\nsay = "Yes."\n')
    kernel.run("for n in range(3000): print('row', n, 'x')")
    assert kernel.run("%%agent\nOne.").status == "ok"
    (text,) = told(server.requests[0], "cells")
    assert "row 0 x" in text and "row 2999 x" in text and "row 1500 x" not in text
    assert "of out-1 left out" in text


def test_a_rerun_supersedes_and_what_read_it_is_stale(agent):
    kernel, server = agent()
    kernel.run("a = 1", cell_id="c1")
    kernel.run("b = a + 1\nb", cell_id="c2")
    kernel.run("%%agent\nOne.")
    kernel.run("a = 10", cell_id="c1")
    kernel.run("%%agent\nTwo.")
    *_, again, text = told(server.requests[1], "cells")
    assert re.search(r"· out-\d+; supersedes out-\d+\n", again)
    assert "stale: run 2" in text and "read a, changed since" in text


def test_what_the_agent_changed_makes_the_persons_cells_stale(agent):
    step = json.dumps("a = 99")
    kernel, server = agent(
        '[[turn]]\n[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
        f'[turn.response.call.arguments]\ntitle = "x"\ncode = {step}\n'
        f'[[turn.response]]\nsay = "Done."\n{TURN}'
    )
    kernel.run("a = 1")
    kernel.run("print(a)")
    kernel.run("%%agent\nOne.")
    kernel.run("%%agent\nTwo.")
    assert "read a, changed since" in told(server.requests[-1], "cells")[-1]


def test_variables_are_told_as_they_become_new_change_and_go(agent):
    kernel, server = agent()
    kernel.run("xs = [1, 2]\nn = 5")
    kernel.run("%%agent\nOne.")
    kernel.run("xs.append(3)\ndel n\nnew = 'text'")
    kernel.run("%%agent\nTwo.")
    kernel.run("%%agent\nThree.")
    first = told(server.requests[0], "names")
    assert first[0].splitlines()[1:4] == ["new:", "  xs: [1, 2]", "  n: 5"]
    second = told(server.requests[1], "names")[1]
    assert "new:\n  new: 'text'" in second
    assert "changed in place:\n  xs: [1, 2, 3]" in second
    assert "gone: n" in second
    assert len(told(server.requests[2], "names")) == 2


def test_a_session_goes_on_in_another_kernel_from_its_record(agent, kernel, tmp_path):
    running, server = agent()
    running.run("xs = [1, 2]")
    running.run("%%agent\nOne.")
    address = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
    other = kernel(**address)
    other.run(LOAD)
    refused = other.run("%agent resume")
    (record,) = tmp_path.glob("**/sessions/*/*.jsonl")
    assert refused.evalue.startswith(f"Session {record.stem} is open in another kernel.")
    assert f"`%agent resume {record.stem}` takes it here" in refused.evalue
    running.run("%agent new")
    assert "1 turn," in other.run("%agent resume").text
    for again in ("%agent resume", f"%agent resume {record.stem}"):
        assert f"Session {record.stem} is open here already." in other.run(again).evalue
    other.run("ys = 3")
    assert other.run("%%agent\nTwo.").status == "ok"
    first, second = server.requests
    assert second.startswith(first[: -len(b"]}")])
    assert "This is a new kernel" in told(second, "names")[-1]
    assert "ys = 3" in told(second, "cells")[-1]
    assert len(told(second, "environment")) == 1
    listed = other.run("%agent history").text
    assert "One." in listed and "Two." in listed


AGAIN = """
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = { title = "mean", code = "mean = sum(rain)\\nprint('row 1.5 2.5\\\\n' * 900)" }
[[turn.response]]
say = "Done."
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "recall"
arguments = { cells = ["In [2]"] }
[[turn.response]]
expect = "ran in a kernel that is gone"
say = "Yes."
[[turn]]
[[turn.response]]
say = "Yes."
[[turn]]
on = "about to be shortened"
[[turn.response]]
say = "No notes."
"""


def test_after_a_restart_the_model_knows_what_must_be_run_again(agent, kernel):
    running, server = agent(AGAIN, INKERNEL_TRANSPORT="http")
    running.run("import statistics\nrain = [1, 2]")
    running.run("%%agent\nThe mean?")
    running.close()
    address = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
    other = kernel(**address, INKERNEL_TRANSPORT="http")
    other.run(LOAD)
    assert "1 turn," in other.run("%agent resume").text
    other.run("statistics = 1")
    assert other.run("%%agent\nTwo.").status == "ok"
    news = told(server.requests[-1], "names")[-1]
    assert "  out-1: rain `import statistics`\n  out-2: mean `mean = sum(rain)`" in news
    assert other.run("%agent compact").status == "ok"
    other.run("%%agent\nThree.")
    (digest,) = told(server.requests[-1], "digest")
    assert "(out-1–out-2, up to turn 1, ran in a kernel that is gone." in digest
    assert "Gone with it: rain (out-1), mean (out-2).)" in digest


@pytest.mark.parametrize(
    ("there", "here", "after"),
    [
        ("policy deny", "view plain", "policy = deny"),
        ("policy ask", "policy deny", None),
        ("policy auto", "policy ask", None),
        ("max_samples 3", "max_samples 5", "max_samples = 3"),
        ("undo false", "view plain", None),
    ],
)
def test_a_limit_that_was_typed_holds_again_after_a_resume(agent, kernel, there, here, after):
    first, server = agent()
    first.run("%%agent\nOne.")
    first.run(f"%agent config {there}")
    first.close()
    other = kernel(INKERNEL_BASE_URL=server.base_url, INKERNEL_MODEL="scripted/test")
    other.run(LOAD)
    other.run(f"%agent config {here}")
    said = other.run("%agent resume").text
    assert (f"{after}: you typed it there" in said) if after else ("you typed it there" not in said)
    key, value = (after.replace(" =", "") if after else here).split()
    assert f"{value}  (typed in this session" in other.run(f"%agent config {key}").text


def test_a_limit_typed_before_the_first_turn_is_in_the_record_and_may_be_lifted(agent, kernel):
    first, server = agent()
    first.run("%agent config policy deny")
    first.run("%%agent\nOne.")
    first.close()
    other = kernel(INKERNEL_BASE_URL=server.base_url, INKERNEL_MODEL="scripted/test")
    other.run(LOAD)
    assert "policy = deny: you typed it there" in other.run("%agent resume").text
    other.run("%%agent\nTwo.")
    assert "policy: deny" in told(server.requests[1], "environment")[-1]
    other.run("%agent config policy auto")
    other.run("%%agent\nThree.")
    assert "policy: auto" in told(server.requests[2], "environment")[-1]


def test_a_file_of_instructions_that_changes_while_a_turn_runs_is_told(agent, tmp_path):
    call = (
        '[[turn.response.call]]\nname = "run_cell"\n'
        '[turn.response.call.arguments]\ntitle = "x"\ncode = "1"\n'
    )
    kernel, server = agent(
        f"[[turn]]\n[[turn.response]]\n{call}"
        f"[[turn.response]]\nfault = {{ first = 2 }}\n{call}"
        '[[turn.response]]\nsay = "Done."\n'
    )
    cell = kernel.start("%%agent\nOne.")
    while len(server.requests) < 2:
        time.sleep(0.01)
    (tmp_path / "AGENTS.md").write_text("Round to one digit.")
    kernel.finish(cell)
    assert told(server.requests[1], "project_instructions") == []
    assert "Round to one digit." in told(server.requests[2], "project_instructions")[0]


def test_instructions_that_a_step_writes_are_not_told_in_its_turn(agent, tmp_path):
    step = json.dumps("open('AGENTS.md', 'w').write('Round to one digit.')")
    kernel, server = agent(
        '[[turn]]\n[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
        f'[turn.response.call.arguments]\ntitle = "x"\ncode = {step}\n'
        '[[turn.response]]\nsay = "Done."\n'
    )
    kernel.run("%%agent --policy full\nOne.")
    assert told(server.requests[1], "project_instructions") == []


@pytest.mark.parametrize("target", ["/proc/self/environ", "/dev/zero", None])
def test_planted_instructions_are_named_once_and_reach_no_request(agent, tmp_path, target):
    path = tmp_path / "AGENTS.md"
    path.symlink_to(target) if target else os.mkfifo(path)
    kernel, server = agent()
    notice = f"{path} is not read: "
    assert notice in kernel.run("%%agent\nOne.").text
    assert notice in kernel.run("%agent").text
    assert notice not in kernel.run("%%agent\nTwo.").text
    assert told(server.requests[1], "project_instructions") == []
    assert b"INKERNEL_BASE_URL" not in server.requests[1]


def test_the_policy_is_told_and_told_again_when_it_changes(agent):
    kernel, server = agent()
    kernel.run("%%agent\nOne.")
    kernel.run("%%agent --policy deny\nTwo.")
    first, second = told(server.requests[1], "environment")
    assert "policy: auto" in first
    (line,) = second.splitlines()[1:-1]
    assert line.startswith("policy: deny: you may look at variables")


def test_the_window_is_shown_by_kind_and_by_turn_and_the_request_as_it_is(agent):
    kernel, server = agent()
    assert "no request yet" in kernel.run("%agent context --raw").evalue
    kernel.run("xs = [1, 2]")
    kernel.run("%%agent\nHow many?")
    shown = kernel.run("%agent context").text
    for words in ("instructions and tools", "your cells", "your variables", "turn 1", "How many?"):
        assert words in shown
    raw = json.loads(kernel.run("%agent context --raw").text)
    sent = json.loads(server.requests[0])
    assert raw["input"][: len(sent["input"])] == sent["input"]
    assert raw["tools"] == sent["tools"]


LONE = """
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = { title = "t", code = '''
import sys
from IPython.display import Markdown, display
print("out \\ud83d"); print("\\ude00 err", file=sys.stderr)
display(Markdown("**\\udcff**"))
lone = {"\\ud83d": ["\\ud83d"]}
lone
''' }
[[turn.response]]
expect = "out \ufffd"
[[turn.response.call]]
name = "inspect"
arguments = { names = ["lone"] }
[[turn.response.call]]
name = "run_cell"
arguments = { title = "t", code = 'raise ValueError("bad \\ud83d")' }
[[turn.response]]
expect = "bad \ufffd"
say = "Yes."
[[turn]]
[[turn.response]]
say = "Still yes."
"""


def test_half_a_character_in_any_output_is_told_as_one_that_every_server_reads(agent):
    kernel, server = agent(LONE)
    kernel.run("mine = '\\udfff'\nmine")
    ran = kernel.run("%%agent\nOne: \ufffd $`mine`.")
    assert ran.status == "ok", ran.traceback
    assert kernel.run("raise KeyError('\\udfff')").status == "error"
    assert kernel.run("%%agent\nTwo.").status == "ok"
    assert len(server.requests) == 4
    for body in server.requests:
        from_json(body)


def test_an_update_of_an_earlier_steps_display_is_shown_and_told(agent):
    call = '[[turn]]\n[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
    codes = ("from IPython.display import display\\nd = display('one', display_id=True)",)
    codes += ("d.update('two')\\nd.update('three')",)
    script = "".join(
        f'{call}arguments = {{ title = "show", code = "{code}" }}\n'
        '[[turn.response]]\nsay = "Yes."\n'
        for code in codes
    )
    kernel, server = agent(script, INKERNEL_TRANSPORT="http")
    assert "'one'" in kernel.run("%%agent\nShow.").text
    later = kernel.run("%%agent\nUpdate.").text
    assert "\n'three'" in later and "\n'two'" not in later
    assert b"display:\\n'three'" in server.requests[-1]


RECALLS = """
[[turn]]
[[turn.response]]
say = "Yes."
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "recall"
arguments = { query = "precious value" }
[[turn.response]]
say = "I see."
"""


def test_what_ran_between_turns_survives_a_kill_and_is_in_the_record_once(agent, kernel, tmp_path):
    data = {"INKERNEL_DATA_DIR": str(tmp_path / "data"), "INKERNEL_TRANSPORT": "http"}
    running, server = agent(RECALLS, **data)
    key = "sk-proj-Zk81u9Ve0tQmGh7cXy2LwR"
    running.run("before = 'the first turn'")
    assert not list(tmp_path.glob("data/sessions/*/*.jsonl"))
    running.run("%%agent\nOne.")
    running.run("print('the precious value is', 6 * 7)", cell_id="c1")
    running.run("# agent: hide\nprivate = 'sesame'", cell_id="c2")
    running.run(f"import os\nos.environ['OPENAI_API_KEY'] = {key!r}\nprint({key!r})", cell_id="c3")
    (record,) = tmp_path.glob("data/sessions/*/*.jsonl")
    until = time.monotonic() + 60
    while "[key]" not in (written := record.read_text()):  # a moment after the cell's answer
        assert time.monotonic() < until
        time.sleep(0.01)
    assert written.count("the precious value is 42") == 1
    assert "sesame" not in written and key not in written and "[key]" in written
    running.close()
    address = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
    other = kernel(**address, **data)
    other.run(LOAD)
    other.run("before = 'the resume'")
    assert "1 turn," in other.run("%agent resume").text
    other.run("after = 'the resume'")
    assert other.run("%%agent\nTwo.").status == "ok"
    recalled = json.loads(server.requests[-1])["input"][-1]["output"]
    assert "the precious value is 42" in str(recalled)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    runs = [(it["handle"], it["turn"], it["number"]) for it in lines if it["kind"] == "cell_run"]
    first, second = [("out-1", 1, 1), ("out-2", 2, 2), ("out-3", 2, 4)], [("out-4", 2, 1)]
    assert runs == [*first, *second, ("out-5", 2, 2)]
    assert "'the resume'" in "".join(told(server.requests[-1], "cells"))
