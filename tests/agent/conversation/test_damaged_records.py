"""A record that is damaged anywhere is resumed without the lost lines, and these are named."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from inkernel.agent.conversation.history import Entry
from inkernel.agent.conversation.journal import INTERRUPTED, Journal
from inkernel.agent.conversation.mend import LOST
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record, read_record
from inkernel.agent.conversation.resume import Resumed, resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.conversation.session_files import lost_words
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.items import (
    FunctionCall,
    FunctionCallOutput,
    Message,
    Reasoning,
    message,
    text_part,
)
from inkernel.agent.search.index import Index
from inkernel.kernel_ext.commands.last_turn import last_turn
from inkernel.kernel_ext.commands.sessions import turn_rows

OLD = sorted((Path(__file__).parent / "data").glob("*.jsonl"))

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"\n",
    "no JSON": lambda line: line[: len(line) // 2] + b"\n",
    "torn, and run into the next": lambda line: line[: len(line) // 2],
    "run into the next": lambda line: line[:-1],
    "zeros": lambda line: b"\0" * (len(line) - 1) + b"\n",
    "bad UTF-8": lambda line: line.replace(b'","', b'\xff","', 1)[:-3] + b"\n",
    "another type": lambda line: line.replace(b'"turn":', b'"turn":"x","was":').replace(
        b'"kind":"', b'"kind":"x'
    ),
    "there twice": lambda line: line * 2,
    "gone": lambda _: b"",
}
SOUND = {"run into the next", "there twice"}


def sendable(entries: list[Entry]) -> None:
    """No call without one output behind it, no output without its call, no reasoning alone."""
    calls: set[str] = set()
    for at, entry in enumerate(entries):
        item = entry.item
        if isinstance(item, FunctionCall):
            assert item.call_id not in calls
            calls.add(item.call_id)
        elif isinstance(item, FunctionCallOutput):
            calls.remove(item.call_id)
        elif isinstance(item, Reasoning):
            after = entries[at + 1].item
            assert not isinstance(after, FunctionCallOutput)
            assert not (isinstance(after, Message) and after.role != "assistant")
    assert not calls


def gone_on(path: Path) -> Resumed:
    """The session as it is resumed, after it has begun another turn."""
    resumed = resume(path)
    with closing(Record(path)) as record:
        journal = Journal(record, resumed.conversation)
        journal.close_open_calls()
        sendable(resumed.conversation.history.entries)
        store = OutputStore(
            record, resumed.outputs, RunLog(resumed.runs, resumed.ended), len(resumed.lost)
        )
        assert store.keep("more") not in resumed.outputs
        for handle in resumed.outputs:
            assert store.lines(handle).text
    again = resume(path)
    sendable(again.conversation.history.entries)
    assert bytes(again.conversation.history.wire) == bytes(resumed.conversation.history.wire)
    return resumed


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_wherever_a_line_is_damaged_all_readers_go_on_without_it(
    old: Path, how: str, tmp_path: Path
):
    lines = old.read_bytes().splitlines(keepends=True)
    for at in range(list(DAMAGE).index(how) % 3, len(lines) - 1, 3):
        line = lines[at]
        path = tmp_path / f"{at}.jsonl"
        path.write_bytes(b"".join([*lines[:at], DAMAGE[how](line), *lines[at + 1 :]]))
        lost = [it.number for it in gone_on(path).lost]
        assert how in SOUND or lost == ([] if how in ("gone", "another type") else [at + 1])
        assert turn_rows(path) and last_turn(path)
    assert Index(path).search("april", lambda row: str(row.at), 20)


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_lines_that_ran_together_are_all_read(old: Path, tmp_path: Path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(old.read_bytes().replace(b"\n", b"") + b"\n")
    whole, resumed = resume(old), resume(path)
    assert resumed.lost == []
    assert bytes(resumed.conversation.history.wire) == bytes(whole.conversation.history.wire)
    assert turn_rows(path) == turn_rows(old)
    with closing(Record(path)) as record:
        store = OutputStore(record, resumed.outputs)
        assert all(store.lines(handle).text for handle in store.handles)


def line(kind: str, **values: object) -> str:
    """A line as it is written."""
    return json.dumps({"at": 1795941032.6, "kind": kind, "v": 1, **values}, separators=(",", ":"))


def item(n: int, turn: int, about: str = "model", **fields: object) -> str:
    """The line of an item."""
    return line("item", n=n, turn=turn, cell=None, about=about, item=fields)


def said(n: int, turn: int, text: str) -> str:
    """The line of a prompt."""
    return item(n, turn, "said", type="message", role="user", content=text)


TURNS = [
    line("session", session="s", cwd="/"),
    line("turn", turn=1, said="one"),
    said(0, 1, "one"),
    item(1, 1, type="reasoning", id="rs", summary=[], encrypted_content="x"),
    item(2, 1, type="function_call", id="fc", call_id="c1", name="t", arguments="{}"),
    item(3, 1, "output", type="function_call_output", call_id="c1", output="1"),
    item(4, 1, type="message", id="m", role="assistant", content="done"),
    line("ended", status="completed"),
    line("turn", turn=2, said="two"),
    said(5, 2, "two"),
    line("ended", status="failed"),
]


def without(tmp_path: Path, *numbers: int) -> Path:
    """A record in which the lines with these numbers are broken."""
    path = tmp_path / "s.jsonl"
    texts = ["{" if at in numbers else text for at, text in enumerate(TURNS, 1)]
    path.write_text("\n".join([*texts, ""]))
    return path


def kinds(resumed: Resumed) -> list[str]:
    """The window: kinds of items."""
    return [it.item.type for it in resumed.conversation.history.entries]


def test_a_call_whose_output_was_lost_says_so_at_its_place(tmp_path: Path):
    found = resume(without(tmp_path, 6)).conversation.history
    assert found.entries[3].item.model_dump()["output"] == LOST and not found.open_calls
    assert INTERRUPTED not in bytes(found.wire).decode()


def test_an_output_whose_call_was_lost_is_left_out_and_so_is_the_thought_before_it(tmp_path: Path):
    assert kinds(resume(without(tmp_path, 5))) == ["message"] * 3


def test_a_call_whose_thought_was_lost_is_sent_without_the_id_that_ties_them(tmp_path: Path):
    found = resume(without(tmp_path, 4)).conversation.history.entries
    assert "id" not in found[1].item.model_dump() and found[3].item.id == "m"


def test_the_context_is_told_anew_because_its_item_may_be_lost(tmp_path: Path):
    path = without(tmp_path)
    with path.open("a") as file:
        file.write(line("told", facts={"cwd": "/rain"}) + "\n")
    assert resume(path).conversation.told.facts
    path.write_text(path.read_text().replace(TURNS[2], "{"))
    assert not resume(path).conversation.told.facts


def test_a_turn_whose_line_was_lost_is_a_turn_all_the_same(tmp_path: Path):
    path = without(tmp_path, 9)
    assert resume(path).conversation.turns == 2
    rows = dict(turn_rows(path))
    assert rows["1"].startswith("one\ncompleted") and rows["2"].startswith("\nfailed")
    assert (turn := last_turn(path)) and turn.opening.turn == 2


@pytest.mark.parametrize("lost", [2, 9])
def test_a_turn_that_was_taken_back_stays_so_if_its_line_is_lost(tmp_path: Path, lost: int):
    path = without(tmp_path, lost)
    with path.open("a") as file:
        file.write(line("rewind", turn=1 if lost == 2 else 2) + "\n")
    assert len(kinds(resume(path))) == (0 if lost == 2 else 4 + 1)


def test_the_number_of_an_item_that_is_lost_is_not_given_again(tmp_path: Path):
    path = tmp_path / "s.jsonl"
    with closing(Record(path)) as record:
        journal = Journal(record, Conversation())
        journal.commit(message("user", text_part("one")), "said")
        cut = Entry(message("user", text_part("cut")), 1, None, "cells")
        journal.rewrite([*journal.conversation.history.entries, cut], "asked", None)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join("{\n" if '"cut"' in line else line for line in lines))
    resumed = resume(path)
    with closing(Record(path)) as record:
        Journal(record, resumed.conversation).commit(message("user", text_part("new")), "said")
    again = resume(path).conversation.history
    assert bytes(again.wire) == bytes(resumed.conversation.history.wire)
    assert bytes(again.wire).count(b'"new"') == 1


def test_the_lost_lines_are_named_with_their_numbers_and_kinds(tmp_path: Path):
    path = without(tmp_path, 3, 6)
    path.write_text(path.read_text().replace(TURNS[7], TURNS[7][:-1]))
    resumed = resume(path)
    assert lost_words(resumed.lost) == "line 3, line 6, line 8 (ended)"
    many = [resumed.lost[0]] * 30
    assert lost_words(many).endswith("line 3, 10 more")


def test_a_file_without_any_line_of_ours_is_refused(tmp_path: Path):
    path = tmp_path / "s.jsonl"
    path.write_text("no\nrecord\n")
    with pytest.raises(RecordError, match="none of its lines can be read"):
        resume(path)
    assert [read.line for read in read_record(path)] == [None, None]


def test_opening_a_record_whose_last_lines_ran_together_keeps_what_is_whole(tmp_path: Path):
    path = tmp_path / "s.jsonl"
    path.write_text(f"{TURNS[0]}\n{TURNS[1]}{TURNS[2][:40]}")
    Record(path).close()
    assert path.read_text() == f"{TURNS[0]}\n{TURNS[1]}\n"


def test_a_start_that_only_the_provider_can_read_gives_way_to_ours_if_it_is_lost(tmp_path: Path):
    path = tmp_path / "s.jsonl"
    sealed = item(6, 2, type="compaction", encrypted_content="x")
    window = line(
        "window", entries=[[6, 6], [5, 5]], digest=None, by="fake", sealed=1, local=[[0, 0]]
    )
    for text, shape in ((sealed, ["compaction", "message"]), ("{", ["message", "message"])):
        path.write_text("\n".join([*TURNS, text, window, ""]))
        assert kinds(resume(path)) == shape
    assert resume(path).conversation.history.seal is None


def test_a_damaged_window_cannot_name_more_items_than_there_are(tmp_path: Path):
    path = without(tmp_path)
    with path.open("a") as file:
        file.write(line("window", entries=[[0, 10**15]], digest=None) + "\n")
    assert len(kinds(resume(path))) == 6


def test_the_session_goes_on_after_it(tmp_path: Path):
    resumed = gone_on(without(tmp_path, 1, 6))
    assert resumed.session == "s" and resumed.conversation.turns == 2
