"""What was cut can be read again: any slice, in bounded answers, also after a resume."""

import re
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunSummary
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.agent.protocol.verbatim_json import whole_text
from inkernel.agent.text import search
from inkernel.agent.text.lines import Lines
from inkernel.agent.text.tokens import estimate
from inkernel.agent.text.truncation import run_parts_of, whole
from inkernel.agent.tools import output
from inkernel.agent.tools.output import output_tool
from inkernel.agent.tools.run_cell import tell
from inkernel.agent.tools.tool import ToolCall, ToolOutput, read_arguments

TEXT = "\n".join(f"row {n}: {n * n}" for n in range(1, 5_001))
SPECIAL = "a\ud800b 雨\x1b[31m\r\n\x00"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """An open record."""
    opened = Record(tmp_path / "s.jsonl")
    yield opened
    opened.close()


def seen(number: int) -> UserCellRun:
    """The person's run of one cell, with that number."""
    return UserCellRun(
        number=number, cell="c", count=number, source="x", status="ok", outputs=(), bound=()
    )


@pytest.fixture
def ask(record: Record) -> Callable[..., Any]:
    """Asks the tool for a slice of TEXT, which is kept as out-1."""
    outputs = OutputStore(record)
    outputs.keep(TEXT)
    return asker(outputs)


def shown(_head: RunSummary) -> bool:
    """The person hides nothing."""
    return False


def asker(
    outputs: OutputStore, output_tokens: int = 1_000, hidden: Container[str] = ()
) -> Callable[..., Any]:
    """Asks the tool with the given arguments."""
    tool = output_tool(outputs, output_tokens, lambda head: head.handle in hidden)

    async def ask(**given: Any) -> ToolOutput:
        return await tool.run(ToolCall("call_1"), tool.arguments.take({"handle": "out-1", **given}))

    return ask


def run_with(*outputs: Any) -> CellRun:
    return CellRun(source="code", status="ok", outputs=outputs)


RUN = run_with(
    StreamOutput(name="stdout", text=f"{SPECIAL}{TEXT}"),
    DisplayOutput(data={"text/plain": "<Figure>", "image/png": "aGk="}, metadata={"a": 1}),
    ErrorOutput(ename="E", evalue="no", traceback=("\x1b[31mE\x1b[0m", "no")),
)


def test_handles_count_what_was_kept(record: Record):
    outputs = OutputStore(record)
    assert [outputs.keep("a"), outputs.keep_run("c", RUN), outputs.keep("b")] == [
        *("out-1", "out-2", "out-3"),
    ]
    assert outputs.handles == ("out-1", "out-2", "out-3")


def test_the_full_form_is_the_text_that_was_cut(record: Record):
    outputs = OutputStore(record)
    outputs.keep(SPECIAL)
    outputs.keep_run("c", RUN)
    assert outputs.lines("out-1").text == whole_text(SPECIAL)
    assert outputs.lines("out-2").text == whole_text(f"{whole(run_parts_of(RUN))}\nsource:\ncode")


def test_the_lines_that_a_cut_names_are_those_of_the_full_form(record: Record):
    outputs = OutputStore(record)
    told = tell(RUN, 300, outputs.keep_run("c", RUN)).text
    (first, last), *_ = re.findall(r"lines (\d+)–(\d+) of out-1", told)
    before, after = told.split(f"[… lines {first}–{last}")[0].rsplit("\n", 2)[-2:]
    lines = outputs.lines("out-1")
    assert not after and lines.cut(int(first) - 1, int(first) - 1) == f"{before}\n"


def test_after_a_resume_handles_and_texts_are_the_same(record: Record):
    outputs = OutputStore(record)
    outputs.keep(SPECIAL)
    outputs.keep_run("c", RUN)
    again = OutputStore(record, resume(record.path).outputs)
    assert again.handles == outputs.handles
    for handle in again.handles:
        assert again.lines(handle).text == outputs.lines(handle).text
    assert again.keep("new") == "out-3"


def test_a_record_that_was_changed_under_us_is_an_error(record: Record):
    outputs = OutputStore(record)
    outputs.keep("a")
    outputs.keep("b")
    swapped = record.path.read_bytes().replace(b'"out-1"', b'"out-9"')
    record.path.write_bytes(swapped)
    with pytest.raises(RecordError, match="was changed: it no longer has out-1"):
        outputs.lines("out-1")


async def test_lines_are_given_as_they_are(ask: Callable[..., Any]):
    told = await ask(start=12, end=14)
    assert told.text == "[lines 12–14 of 5000 in out-1]\nrow 12: 144\nrow 13: 169\nrow 14: 196"
    assert told.status == "ok"


async def test_a_long_slice_is_bounded_and_says_how_to_go_on(ask: Callable[..., Any]):
    told = await ask(start=100)
    assert estimate(told.text) <= 1_000
    last, after, start = re.findall(r"(\d+): \d+\n\[lines (\d+)–5000 .* start=(\d+)\]", told.text)[
        0
    ]
    assert int(last) + 1 == int(after) == int(start)


@given(text=st.text(max_size=3_000) | st.integers(0, 3_000).map(lambda n: "7" * n))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_going_on_as_told_gives_the_whole_text(tmp_path: Path, text: str):
    record = Record(tmp_path / "s.jsonl")
    outputs = OutputStore(record)
    ask = asker(outputs, 100)
    handle = outputs.keep(text)
    start, got = 1, 0
    while start:
        told = await ask(handle=handle, start=start)
        first, last = map(int, re.findall(r"^\[lines (\d+)–(\d+) of", told.text)[0])
        assert outputs.lines(handle).cut(first, last).removesuffix("\n") in told.text
        assert first == start
        start, got = (last + 1 if "go on with start=" in told.text[-40:] else 0), last
    assert got == len(Lines(text))
    record.close()


async def test_one_endless_line_is_read_in_parts(record: Record):
    outputs = OutputStore(record)
    outputs.keep("x" * 2_000_000 + "needle" + "y" * 2_000_000)
    told = await asker(outputs)(grep="needle")
    (number,) = re.findall(r"^(\d+):", told.text, re.MULTILINE)
    assert estimate(told.text) < 1_000
    assert "needle" in (await asker(outputs)(start=int(number), end=int(number))).text


async def test_a_search_gives_lines_with_numbers_and_what_is_around(ask: Callable[..., Any]):
    told = await ask(grep=r"^row (7|9|40):")
    assert told.text.splitlines() == [
        "[3 matching lines in out-1]",
        *("5-row 5: 25", "6-row 6: 36", "7:row 7: 49", "8-row 8: 64", "9:row 9: 81"),
        *("10-row 10: 100", "11-row 11: 121", "--", "38-row 38: 1444", "39-row 39: 1521"),
        *("40:row 40: 1600", "41-row 41: 1681", "42-row 42: 1764"),
    ]


async def test_a_search_with_many_matches_is_bounded_and_says_how_to_go_on(ask: Callable[..., Any]):
    told = await ask(grep="row")
    assert estimate(told.text) <= 1_000
    more, start = re.findall(r"\[(\d+) more matching lines: go on with start=(\d+)\]$", told.text)[
        0
    ]
    assert int(more) == 5_001 - int(start)
    again = await ask(grep="row", start=int(start))
    assert again.text.startswith(f"[{more} matching lines in out-1]")
    assert f"\n{start}:row {start}:" in again.text


async def test_a_search_within_lines_and_one_that_finds_nothing(ask: Callable[..., Any]):
    assert (await ask(grep="row 40:", end=39)).text == "[0 matching lines in out-1]"
    assert "40:row 40:" in (await ask(grep="row 40:", start=40, end=40)).text


async def test_matches_beyond_the_most_that_are_found_are_reached_from_a_later_start(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "MAX_MATCHES", 100)
    monkeypatch.setattr(output, "MAX_MATCHES", 100)
    outputs = OutputStore(record)
    outputs.keep(TEXT)
    for pattern in ("row", "ro[w]"):
        told = await asker(outputs)(grep=pattern)
        assert told.text.startswith("[the first 100 matching lines in out-1]")
        assert "\n4001:row 4001" in (await asker(outputs)(grep=pattern, start=4_001)).text


@given(st.sets(st.integers(1, 200), min_size=1), st.integers(1, 600))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_following_a_search_shows_every_match_once_as_a_match(
    tmp_path: Path, matching: set[int], width: int
):
    record = Record(tmp_path / "s.jsonl")
    outputs = OutputStore(record)
    words = ["needle" if n in matching else "hay" for n in range(1, 201)]
    handle = outputs.keep("\n".join(f"{word} {'x ' * (width // 4)}" for word in words))
    start, seen = 1, set[int]()
    while start:
        told = await asker(outputs, 460)(handle=handle, grep="needle", start=start)
        found = {int(n) for n in re.findall(r"^(\d+):", told.text, re.MULTILINE)}
        seen |= {n for n in found if n >= start}
        more = re.search(r"go on with start=(\d+)\]$", told.text)
        start = int(more[1]) if more else 0
    assert seen == matching
    record.close()


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(.*,){20}x", r"(\w+\s?)+!"])
async def test_a_pattern_that_takes_for_ever_is_given_up(
    record: Record, pattern: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "SEARCH_SECONDS", 1.0)
    outputs = OutputStore(record)
    outputs.keep("a" * 5_000 + "a,1" * 3_000)
    told = await asker(outputs)(grep=pattern)
    assert told.status == "error" and "takes too long" in told.text


async def test_what_is_no_regular_expression_is_said(ask: Callable[..., Any]):
    told = await ask(grep="row (")
    assert told.status == "error"
    assert told.text.startswith("'row (' is no regular expression: missing )")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"handle": "out-9"}, "There is no output 'out-9'. The last is out-1."),
        ({"start": 5_001}, "out-1 has 5000 lines; 5001 to 5000 is none."),
        ({"start": 9, "end": 3}, "out-1 has 5000 lines; 9 to 3 is none."),
    ],
)
async def test_what_is_not_there_is_said(ask: Callable[..., Any], given: Any, said: str):
    told = await ask(**given)
    assert (told.text, told.status) == (said, "error")


async def test_a_record_that_is_gone_is_told_to_the_model(record: Record, ask: Callable[..., Any]):
    record.path.unlink()
    told = await ask(start=1)
    assert told.status == "error" and "cannot be read" in told.text


def test_the_tool_reads_only_and_checks_its_arguments(record: Record, call: Callable[..., Any]):
    tool = output_tool(OutputStore(record), 1_000, shown)
    wrong = read_arguments(tool, call("output", "c", {"handle": "out-1", "start": 0}))
    assert isinstance(wrong, ToolOutput) and "start" in wrong.text


async def test_what_the_person_hides_is_not_read(record: Record):
    outputs = OutputStore(record)
    handle = outputs.keep_run("call", RUN)
    told = await asker(outputs, hidden=(handle,))(handle=handle)
    assert told.text == "out-1 is hidden from you by the person." and told.status == "error"


@pytest.mark.parametrize("depth", [300, 100_000])
def test_a_display_that_is_nested_too_deep_for_json_is_kept_as_text(
    record: Record, depth: int
) -> None:
    nested: Any = "core"
    for _ in range(depth):
        nested = [nested]
    deep = DisplayOutput(data={"application/json": nested, "text/plain": "plain"})
    outputs = OutputStore(record)
    handle = outputs.keep_run("c", CellRun(source="deep", status="ok", outputs=(deep, deep)))
    kept = outputs.line(handle).run["outputs"]
    assert [each["data"]["text/plain"] for each in kept] == ["plain", "plain"]
    text = kept[0]["data"]["application/json"]
    assert text == ("[" * 300 + '"core"' + "]" * 300 if depth == 300 else "(nested too deeply)")
    assert "plain" in outputs.lines(handle).cut(1, 3)


def test_a_hidden_run_supersedes_an_earlier_run_of_its_cell_and_never_itself(record: Record):
    outputs = OutputStore(record)
    first, second = (outputs.keep_seen(seen(number), "k").handle for number in (1, 2))
    for number in (1, 2):  # told again, after a rewind
        assert outputs.supersede(seen(number), "k") is None
    assert outputs.runs.superseded_by(second) is None
    assert outputs.supersede(seen(3), "k") == second
    assert outputs.supersede(seen(1), "another") is None
    assert (outputs.runs.superseded_by(first), outputs.runs.superseded_by(second)) == (
        second,
        "a run hidden from you",
    )
