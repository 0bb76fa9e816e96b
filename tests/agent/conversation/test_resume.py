"""A session goes on from its record alone, as if it had never stopped, wherever it was cut off."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.conversation.history import History
from inkernel.agent.conversation.journal import INTERRUPTED, Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import StreamOutput
from inkernel.agent.protocol.items import FunctionCall, call_output, message, parse_item, text_part
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.agent.protocol.record_lines import OtherLine
from inkernel.agent.protocol.verbatim_json import loads, whole_text
from inkernel.agent.providers.resolve import Target
from inkernel.agent.seams import Seams
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import answer, play

TEXT = st.text(max_size=40) | st.sampled_from(
    ['a\ud800b ,"item":{"type":"x"}', "雨\u2028\r\n\x00\x7f", '"},{"kind":"turn"', '\\u0041 "']
)
NAMES = st.sampled_from(["c1", "c2", "c3"])
WIRE = st.sampled_from(
    [
        b'{ "type" : "message", "role":"assistant", "content":[{"type":"output_text","text":""}]}',
        b'{"type":"acme:x","n":1e0,"s":"\\u0041\\ud83d","item":{"item":[{"type":"y"}]},"n":2}',
        b'{"type":"reasoning","id":"r","summary":[],"encrypted_content":"gAAA\\/"}',
        b'{"type":"function_call","call_id":"c4","name":"t","arguments":"not json"}',
    ]
)
SOURCE = st.lists(TEXT | st.just("rain = read('gauge \\\\ 1') # \"the first\"\n"), max_size=9).map(
    "".join
)
OP = st.one_of(
    st.tuples(st.just("turn"), TEXT, st.none() | TEXT.map(whole_text), st.just("/rain") | TEXT),
    st.tuples(st.just("text"), TEXT),
    st.tuples(st.just("wire"), WIRE),
    st.tuples(st.just("call"), NAMES, TEXT),
    st.tuples(st.just("answer"), NAMES, TEXT),
    st.tuples(st.just("sample"), st.integers(0, 9)),
    st.tuples(st.just("keep"), TEXT),
    st.tuples(st.just("ran"), SOURCE, SOURCE),
    st.tuples(st.just("unknown"), TEXT),
    st.tuples(st.just("close")),
)
OPS = st.lists(OP, max_size=25)
PLACE = Environment("/home/ada/rain", "2026-03-01", "Europe/Berlin", "3.12.4")
NOBODY = answer(Verdict(decision="deny", reason="nobody", by="nobody"))


def session_on(record: Record) -> Session:
    """A session that writes to `record`."""
    return Session(
        id="65f1c000-0123456789",
        settings=Settings(),
        target=Target("fake", "http://127.0.0.1:9/v1", "fake-1"),
        tools=(),
        seams=Seams(play([]), NOBODY),
        journal=Journal(record, Conversation()),
        outputs=OutputStore(record),
    )


def resumed_session(session: Session) -> Session:
    """The session as its record tells it."""
    found = resume(session.journal.record.path)
    outputs = OutputStore(session.journal.record, found.outputs, RunLog(found.runs, found.ended))
    return replace(
        session, journal=replace(session.journal, conversation=found.conversation), outputs=outputs
    )


@contextmanager
def new_session() -> Iterator[tuple[Session, OutputStore]]:
    """A session with a record of its own, its first line written."""
    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder) / "s.jsonl")
        record.append(OtherLine("session", {"session": "65f1c000-0123456789", "cwd": "/"}))
        session = session_on(record)
        yield session, session.outputs
        with suppress(OSError):
            record.close()


def commit(session: Session, wire: bytes) -> None:
    """An item of the model's. A thought is never committed alone."""
    session.journal.commit(parse_item(loads(wire), wire))
    if b"reasoning" in wire:
        session.journal.commit(message("assistant", {"type": "output_text", "text": "so"}))


def do(session: Session, outputs: OutputStore, op: tuple[Any, ...]) -> None:
    """One step of a conversation, through the session as the loop takes it."""
    match op:
        case ("turn", said, cell, cwd):
            session.begin(Prompt(said, Snapshot(replace(PLACE, cwd=cwd)), cell=cell))
        case ("text", text):
            session.journal.commit(message("assistant", {"type": "output_text", "text": text}))
        case ("wire", wire):
            commit(session, wire)
        case ("call", call_id, text):
            arguments = json.dumps({"code": text})
            fields = {"type": "function_call", "call_id": call_id, "name": "t"}
            session.journal.commit(parse_item({**fields, "arguments": arguments}))
        case ("answer", call_id, text):
            session.journal.commit(call_output(call_id, [text_part(text)]))
        case ("sample", tokens):
            usage = {"input": tokens, "cached": 1, "output": 2, "reasoning": 0}
            session.journal.record.append(OtherLine("sample", {"sample": 1, "usage": usage}))
        case ("keep", text):
            outputs.keep(text)
        case ("ran", source, shown):
            number = len(outputs.runs.heads) + 1
            showed = (StreamOutput(name="stdout", text=shown),)
            run = UserCellRun(number, "cell", number, source, "ok", showed)
            session.begin(Prompt("so", Snapshot(PLACE, "k", cells=(run,), last=number)))
        case ("unknown", text):
            session.journal.record.append(
                OtherLine("later", {"to": text, "item": {"type": "message"}})
            )
        case _:
            session.journal.close_open_calls()


def same(resumed: History, lived: History) -> None:
    """Two histories, to the byte."""
    assert bytes(resumed.wire) == bytes(lived.wire)
    assert resumed.tokens == lived.tokens
    assert resumed.open_calls == lived.open_calls
    for one, other in zip(resumed.entries, lived.entries, strict=True):
        assert type(one.item) is type(other.item)
        assert (one.turn, one.cell, one.kind) == (other.turn, other.cell, other.kind)


@given(OPS)
@settings(max_examples=200)
def test_what_is_resumed_is_what_was_lived(ops: list[tuple[Any, ...]]):
    with new_session() as (session, outputs):
        for op in ops:
            do(session, outputs, op)
        resumed = resume(session.journal.record.path)
        lived = session.conversation
        same(resumed.conversation.history, lived.history)
        assert (resumed.session, resumed.conversation.turns, resumed.conversation.cell) == (
            session.id,
            lived.turns,
            lived.cell,
        )
        assert resumed.conversation.usage.input == sum(op[1] for op in ops if op[0] == "sample")
        assert (resumed.conversation.last is None) == (not any(op[0] == "sample" for op in ops))
        again = OutputStore(session.journal.record, resumed.outputs, RunLog(resumed.runs))
        kept = [again.lines(it).text for it in again.handles if not again.runs.get(it)]
        assert kept == [whole_text(op[1]) for op in ops if op[0] == "keep"]


@given(OPS, OPS)
def test_a_session_may_be_resumed_at_any_point_and_go_on(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
):
    with new_session() as (session, outputs), new_session() as (unbroken, its_outputs):
        for op in before:
            do(session, outputs, op)
        session = resumed_session(session)
        outputs = session.outputs
        for op in after:
            do(session, outputs, op)
        for op in (*before, *after):
            do(unbroken, its_outputs, op)
        same(
            resume(session.journal.record.path).conversation.history, unbroken.conversation.history
        )
        assert outputs.handles == its_outputs.handles


@given(OPS, st.floats(0, 1))
def test_cut_off_at_any_byte_it_is_a_beginning_that_can_go_on(
    ops: list[tuple[Any, ...]], part: float
):
    with new_session() as (session, outputs):
        for op in ops:
            do(session, outputs, op)
        whole, path = session.journal.record.path.read_bytes(), session.journal.record.path
        size = int(len(whole) * part)
        path.write_bytes(whole[:size])
        session.journal.record.close()
        resumed = resume(path)
        wire = bytes(resumed.conversation.history.wire)
        lived = bytes(session.conversation.history.wire)
        assert not wire or f"{lived.decode()},".startswith(f"{wire.decode()},")
        record = Record(path)
        going_on = replace(session, journal=Journal(record, resumed.conversation))
        going_on.journal.close_open_calls()
        going_on.begin(Prompt("go on", Snapshot(PLACE)))
        same(resume(path).conversation.history, going_on.conversation.history)
        assert going_on.conversation.history.open_calls == ()
        record.close()


def test_calls_that_a_crash_left_open_are_named_and_can_be_answered(tmp_path: Path):
    session = session_on(Record(tmp_path / "s.jsonl"))
    outputs = session.outputs
    for op in (("turn", "go", "cell-1", "/rain"), ("call", "c1", "a"), ("call", "c2", "b")):
        do(session, outputs, op)
    do(session, outputs, ("answer", "c1", "done"))
    resumed = resume(session.journal.record.path)
    assert [call.call_id for call in resumed.conversation.history.open_calls] == ["c2"]
    session = replace(session, journal=replace(session.journal, conversation=resumed.conversation))
    session.journal.close_open_calls()
    last = resume(session.journal.record.path).conversation.history.entries[-1]
    assert last.item.model_dump()["output"] == INTERRUPTED
    assert (last.turn, last.cell, last.kind) == (1, "cell-1", "output")


def test_reasoning_that_a_crash_cut_off_from_what_followed_is_left_out_for_good(tmp_path: Path):
    session = session_on(Record(tmp_path / "s.jsonl"))
    outputs = session.outputs
    thought = parse_item({"type": "reasoning", "id": "r", "summary": []})
    for op in (("turn", "go", None, "/rain"), ("call", "c1", "a")):
        do(session, outputs, op)
    before = bytes(session.conversation.history.wire)
    session.journal.commit(thought)
    resumed = resume(session.journal.record.path)
    assert bytes(resumed.conversation.history.wire) == before
    session = replace(session, journal=replace(session.journal, conversation=resumed.conversation))
    for op in (("close",), ("turn", "again", None, "/rain")):
        do(session, outputs, op)
    same(resume(session.journal.record.path).conversation.history, session.conversation.history)
    assert thought not in [entry.item for entry in session.conversation.history.entries]


def test_what_was_told_is_not_told_again_after_a_resume(tmp_path: Path):
    session = session_on(Record(tmp_path / "s.jsonl"))
    session.begin(Prompt("one", Snapshot(PLACE)))
    resumed = resume(session.journal.record.path)
    session = replace(session, journal=replace(session.journal, conversation=resumed.conversation))
    before = len(session.conversation.history.entries)
    session.begin(Prompt("two", Snapshot(PLACE)))
    assert [entry.kind for entry in session.conversation.history.entries[before:]] == ["said"]


def test_a_record_without_cells_and_handles_is_read_as_one_of_its_time(tmp_path: Path):
    lines = [
        {"kind": "session", "session": "s", "cwd": "/"},
        {"kind": "turn", "turn": 1, "cell": "cell-1", "said": "go"},
        {"kind": "item", "turn": 1, "item": {"type": "message", "role": "user", "content": "go"}},
        {"kind": "cell_run", "call_id": "c", "source": "1", "status": "ok", "outputs": []},
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    resumed = resume(path)
    (entry,) = resumed.conversation.history.entries
    assert (entry.turn, entry.cell) == (1, "cell-1")
    assert resumed.outputs == {}


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"item","turn":1,"item":{"role":"user"}}',
        '{"kind":"item","turn":1,"item":3}',
        '{"kind":"item","item":{"type":"message","role":"user","content":"a"}}',
        '{"kind":"item","turn":1}',
        '{"kind":"item","v":1,"item":{"type":"message","role":"user","content":"a"}}',
        '{"kind":"turn"}',
        '{"kind":"output","v":1,"text":"a"}',
        '{"kind":"cell_run","v":1,"by":"agent","source":"1","status":"ok","outputs":[]}',
        '{"kind":"window","v":1,"digest":null}',
        '{"kind":"window","v":1,"entries":[],"digest":{"text":3}}',
        '{"kind":"rewind","v":1}',
        '{"kind":"mark","v":1,"mark":"pin"}',
        '{"kind":"sample","usage":[]}',
        '{"kind":"sample","usage":{"input":"many"}}',
    ],
)
def test_a_line_that_cannot_be_read_is_left_out_and_named_with_its_number(
    tmp_path: Path, line: str
):
    path = tmp_path / "s.jsonl"
    path.write_text(f'{{"kind":"session","session":"s"}}\n{line}\n{{"kind":"ended"}}\n')
    resumed = resume(path)
    assert resumed.session == "s"
    assert [(it.number, it.kind) for it in resumed.lost] == [(2, json.loads(line)["kind"])]


def test_a_session_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(RecordError, match="cannot be read: No such file"):
        resume(tmp_path / "s.jsonl")


def test_a_call_is_a_call_again(tmp_path: Path):
    session = session_on(Record(tmp_path / "s.jsonl"))
    do(session, session.outputs, ("call", "c1", "\ud800"))
    (entry,) = resume(session.journal.record.path).conversation.history.entries
    assert isinstance(entry.item, FunctionCall) and entry.item.call_id == "c1"
