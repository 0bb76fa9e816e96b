"""The journal: one change, the same in the conversation and in its record."""

from dataclasses import fields
from pathlib import Path

import pytest

from inkernel.agent.context.cells import run_text
from inkernel.agent.conversation.digest import Digest, SaidTurn
from inkernel.agent.conversation.history import Entry, OpaqueStart
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.splices import MOST
from inkernel.agent.conversation.state import Conversation, KnownContext
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.cells import StreamOutput
from inkernel.agent.protocol.items import NATIVE, message, parse_item, text_part
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.agent.protocol.record_lines import MarkLine, NotesLine, SampleLine, TurnLine
from inkernel.agent.text.masking import Mask

ANSWER = {"type": "output_text", "text": "Rain.", "annotations": [{"type": "file_citation"}]}
OPEN = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(Record(tmp_path / "s.jsonl"), Conversation())
    journal.write(TurnLine(turn=1, cell="a", count=3, said="Go."))
    journal.commit(message("user", text_part("Go.")), "said")
    return journal


def assert_recorded(journal: Journal) -> None:
    """A session that resumes has the very same conversation."""
    live, read = journal.conversation, resume(journal.record.path).conversation
    for field in fields(Conversation):
        if field.name != "history":
            assert getattr(read, field.name) == getattr(live, field.name), field.name
    for name in ("wire", "numbers", "made", "tokens", "seal", "entries", "open_calls"):
        assert getattr(read.history, name) == getattr(live.history, name), name


def test_each_change_is_in_the_record(journal: Journal):
    assert_recorded(journal)
    journal.write(SampleLine(sample=1, usage={"input": 5, "output": 2}))
    journal.write(NotesLine(usage={"input": 7}))
    journal.write(MarkLine(mark="pin", key="turn:1"))
    assert_recorded(journal)
    assert journal.conversation.usage.input == 12
    journal.know(KnownContext(facts={"cwd": "/rain"}, kernel="k", names={"rain": "digest"}))
    assert_recorded(journal)
    journal.commit(parse_item(OPEN))
    journal.close_open_calls()
    assert_recorded(journal)
    assert journal.conversation.history.open_calls == ()


def test_a_window_that_one_provider_can_read_is_unsealed_for_another(journal: Journal):
    local = list(journal.conversation.history.entries)
    sealed = Entry(parse_item({"type": "compaction", "encrypted_content": "x"}), 1, None, "digest")
    journal.rewrite([sealed], "full", Digest(text="all"), OpaqueStart("openai", 1, local))
    assert_recorded(journal)
    journal.hand_over("openai")
    assert journal.conversation.history.entries == [sealed]
    journal.hand_over("another")
    assert journal.conversation.history.entries == local
    assert_recorded(journal)


def test_a_server_s_own_words_go_to_no_server_of_another_dialect(journal: Journal):
    thought = {"type": "thinking", "thinking": "Rain?", "signature": "s"}
    said = {"type": "text", "text": "Rain."}
    journal.write(TurnLine(turn=2, provider="here:1234"))
    for item, own in (
        ({"type": "reasoning", "id": "a", "summary": []}, thought),
        ({"type": "message", "id": "b", "role": "assistant", "content": [ANSWER]}, said),
    ):
        journal.commit(parse_item({**item, NATIVE: {"messages": own}}))
    before = bytes(journal.conversation.history.wire)
    journal.hand_over("here:1234", "messages")
    assert journal.conversation.history.wire == before
    journal.hand_over("here:1234", "responses")
    wire = bytes(journal.conversation.history.wire)
    assert NATIVE.encode() not in wire
    assert b"Rain." in wire
    assert b"reasoning" not in wire
    assert_recorded(journal)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_withdrawn_answer_is_in_the_record_and_in_no_window(journal: Journal, sealed: bool):
    if sealed:
        local = list(journal.conversation.history.entries)
        seal = parse_item({"type": "compaction", "encrypted_content": "x"})
        opaque = OpaqueStart("openai", 1, local)
        journal.rewrite([Entry(seal, 1, None, "digest")], "full", Digest(text="all"), opaque)
    kept = len(journal.conversation.history.entries)
    before = bytes(journal.conversation.history.wire)
    journal.commit(parse_item({"type": "message", "role": "assistant", "content": [ANSWER]}))
    journal.withdraw(kept)
    assert journal.conversation.history.wire == before
    assert_recorded(journal)
    assert b"Rain." in journal.record.path.read_bytes()


@pytest.mark.parametrize("sealed", [False, True])
def test_the_text_of_a_digest_is_in_the_record_once(journal: Journal, sealed: bool):
    digest = Digest(text="<digest>\nIt rained.\n</digest>", upto=7)
    ours = Entry(message("user", text_part(digest.text)), 1, None, "digest")
    theirs = Entry(parse_item({"type": "compaction", "encrypted_content": "x"}), 1, None, "digest")
    if sealed:
        journal.rewrite([theirs], "full", digest, OpaqueStart("openai", 1, [ours]))
    else:
        journal.rewrite([ours], "full", digest)
    assert journal.record.path.read_text().count("It rained.") == 1
    assert_recorded(journal)


def test_a_digest_whose_item_is_lost_still_has_its_other_parts(journal: Journal):
    digest = Digest(text="<digest>\nIt rained.\n</digest>", upto=7)
    journal.rewrite(
        [Entry(message("user", text_part(digest.text)), 1, None, "digest")], "full", digest
    )
    path = journal.record.path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join("{}\n" if "It rained." in line else line for line in lines))
    found = resume(path).conversation.digest
    assert found == Digest(text="", upto=7)


def digest_of(*texts: str) -> Digest:
    said = [SaidTurn(turn=n, label=f"turn {n}", text=it) for n, it in enumerate(texts, 1)]
    return Digest(text=f"<digest>\n{len(said)}\n</digest>", said=tuple(said))


def rewritten(journal: Journal, digest: Digest) -> None:
    entry = Entry(message("user", text_part(digest.text)), 1, None, "digest")
    journal.rewrite([entry], "full", digest)


def test_what_a_person_said_is_in_the_digests_of_a_record_once(journal: Journal):
    journal.write(TurnLine(turn=2, cell="b", count=4, said="Go on."))
    rewritten(journal, digest_of("Never touch it."))
    rewritten(journal, digest_of("Never touch it.", "Millimetres."))
    assert_recorded(journal)
    rewritten(journal, digest_of("Never touch it.", "Inches."))
    rewritten(journal, digest_of("Never touch it.", "Inches."))
    text = journal.record.path.read_text()
    assert [text.count(it) for it in ("Never touch it.", "Millimetres.", "Inches.")] == [1, 1, 1]
    assert_recorded(journal)


def test_a_turn_whose_window_line_is_lost_is_whole_in_the_digest_of_a_resumed_session(
    journal: Journal,
):
    task = "Clean the rain.\nNever drop a row of station 7."
    journal.write(TurnLine(turn=2, cell="b", count=4, said=task))
    said = SaidTurn(turn=2, label="turn 2, In [4]", text=task)
    unknown = SaidTurn(turn=9, label="turn 9", text="Of no known turn.")
    rewritten(journal, Digest(text="<digest>\n1\n</digest>", said=(said, unknown)))
    rewritten(journal, Digest(text="<digest>\n2\n</digest>", said=(said, unknown)))
    path = journal.record.path
    lines = path.read_text().splitlines(keepends=True)
    lost = next(at for at, line in enumerate(lines) if '"kind":"window"' in line)
    path.write_text("".join([*lines[:lost], "{}\n", *lines[lost + 1 :]]))
    found = resume(path).conversation.digest
    assert found is not None
    assert (found.said, found.left) == ((said,), 1)


def test_a_full_disk_in_a_compaction_costs_the_next_digest_no_words(journal: Journal):
    first, later = digest_of("Go."), digest_of("Go.", "Inches.")
    record = journal.record
    record.close()
    with pytest.raises(RecordError):
        rewritten(journal, first)
    assert journal.conversation.digest == first
    again = Journal(Record(record.path), journal.conversation)
    again.write(TurnLine(turn=2, cell="b", count=4, said="Inches."))
    rewritten(again, later)
    found = resume(record.path).conversation.digest
    assert found is not None
    assert [turn.text for turn in found.said] == ["Go.", "Inches."]


def test_a_key_that_was_learned_later_is_in_no_digest_that_resumes(journal: Journal):
    key = "sk-1234567890abcdef"
    rewritten(journal, digest_of(f"Use {key}."))
    journal.record.mask = Mask(frozenset((key,)))
    rewritten(journal, digest_of(f"Use {key}."))
    found = resume(journal.record.path).conversation.digest
    assert found is not None and key not in found.said[0].text


SOURCE = 'rain = read("the gauge of the first year, without the last months")  # é\nrain.head(40)'
SHOWN = 'the 雨 of a "month", in millimetres and from all its gauges\n' * 3


def with_a_run(journal: Journal, shown: str = SHOWN) -> None:
    """The journal after an item that shows a run of the person's."""
    outputs = OutputStore(journal.record)
    ran = UserCellRun(1, "c", 1, SOURCE, "ok", (StreamOutput(name="stdout", text=shown),))
    kept = outputs.keep_seen(ran, "k")
    journal.commit(message("user", text_part(run_text(kept))), "cells", kept.handle)


def test_a_run_of_the_persons_is_in_the_record_once(journal: Journal):
    with_a_run(journal)
    text = journal.record.path.read_text()
    assert [text.count(it) for it in ("without the last months", "雨")] == [1, 3]
    assert_recorded(journal)


def test_of_a_long_run_only_the_start_is_searched(journal: Journal):
    with_a_run(
        journal, "雨" * MOST + "\nand the last line of all, long enough to be a part of its own\n"
    )
    text = journal.record.path.read_text()
    assert [text.count(it) for it in ("without the last months", "long enough")] == [1, 2]
    assert_recorded(journal)


def test_an_item_whose_run_is_lost_is_lost_and_the_conversation_goes_on(journal: Journal):
    with_a_run(journal)
    path = journal.record.path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join("{}\n" if '"cell_run"' in line else line for line in lines))
    found = resume(path)
    assert [read.number for read in found.lost] == [3, 4]
    assert [entry.kind for entry in found.conversation.history.entries] == ["said"]


def test_a_run_that_was_moved_to_another_byte_is_found_all_the_same(journal: Journal):
    with_a_run(journal)
    path = journal.record.path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "{}\n", *lines[1:]]))
    found = resume(path).conversation.history
    assert found.entries == journal.conversation.history.entries


def test_a_line_that_says_the_context_is_known_is_written_once(journal: Journal):
    size = journal.record.path.stat().st_size
    journal.know(journal.conversation.told)
    assert journal.record.path.stat().st_size == size


def test_when_the_record_cannot_be_written_every_call_is_answered_all_the_same(journal: Journal):
    journal.record.close()
    with pytest.raises(RecordError):
        journal.commit(parse_item(OPEN))
    with pytest.raises(RecordError):
        journal.close_open_calls()
    assert journal.conversation.history.open_calls == ()


FIRSTS = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    OPEN | {"id": "fc_1", "status": "completed"},
    {"type": "function_call_output", "call_id": "c", "output": "3"},
    {"type": "custom_tool_call", "call_id": "d", "name": "x", "input": ""},
    {"type": "custom_tool_call_output", "call_id": "d", "output": "none"},
    {"type": "message", "id": "m_1", "role": "assistant", "phase": "p", "content": [ANSWER]},
]


def test_to_another_provider_only_messages_calls_and_outputs_go_over(journal: Journal):
    journal.write(TurnLine(turn=2, provider="openai"))
    for item in FIRSTS:
        journal.commit(parse_item(item))
    before = bytes(journal.conversation.history.wire)
    journal.hand_over("openai")
    assert journal.conversation.history.wire == before
    journal.hand_over("ollama")
    items = [entry.item for entry in journal.conversation.history.entries]
    assert [item.type for item in items] == [
        *("message", "function_call", "function_call_output", "message")
    ]
    assert [item.id for item in items] == [None] * 4
    wire = bytes(journal.conversation.history.wire)
    assert b"Rain." in wire
    assert b"citation" not in wire
    assert_recorded(journal)
    journal.write(TurnLine(turn=3, provider="ollama"))
    rewrites = journal.conversation.history.rewrites
    for provider in ("ollama", "openai"):  # back again, all that there is can be read
        journal.hand_over(provider)
        assert journal.conversation.history.wire == wire
    assert journal.conversation.history.rewrites == rewrites
