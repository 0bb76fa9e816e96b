"""What searches for tools have loaded, and what of it goes where it may not be read."""

from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.conversation.history import loaded_name
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.protocol.items import parse_item
from inkernel.agent.protocol.record_lines import TurnLine
from inkernel.agent.protocol.verbatim_json import loads

LOG = {"type": "function", "name": "log", "parameters": {}}
GIT = {"type": "namespace", "name": "mcp__git__2", "description": "git", "tools": [LOG]}
SEARCH = {"type": "tool_search_call", "call_id": "a", "execution": "client", "arguments": {}}
ANSWER = {"type": "tool_search_output", "call_id": "a", "execution": "client", "tools": [GIT]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "b", "name": "log", "arguments": "{}"}
CALL |= {"namespace": "mcp__git__2"}
OUTPUT = {"type": "function_call_output", "call_id": "b", "output": "c0ffee"}
PLAIN = {**CALL, "name": "mcp__git__log"}
del PLAIN["namespace"]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A turn at openai that has searched, and called what it found."""
    journal = Journal(Record(tmp_path / "s.jsonl"), Conversation())
    journal.write(TurnLine(turn=1, provider="openai"))
    for item in (SEARCH, ANSWER, CALL, OUTPUT):
        journal.commit(parse_item(item))
    return journal


def window(journal: Journal) -> list[dict[str, Any]]:
    """Its items, which a resumed session has, too."""
    live, read = journal.conversation.history, resume(journal.record.path).conversation.history
    assert (read.wire, read.loaded, read.searched) == (live.wire, live.loaded, live.searched)
    return [loads(it.item.wire) for it in live.entries]


def test_the_window_knows_what_is_loaded_and_sends_it_as_it_came(journal: Journal):
    assert window(journal) == [SEARCH, ANSWER, CALL, OUTPUT]
    assert journal.conversation.history.loaded == {("mcp__git__2", "log"): LOG}
    journal.hand_over("openai")
    assert journal.conversation.history.rewrites == 0


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({"provider": "openai", "searches": False}, [PLAIN, OUTPUT]),
        ({"provider": "openai", "dialect": "chat", "searches": False}, [PLAIN, OUTPUT]),
        (
            {"provider": "azure"},
            [{it: PLAIN[it] for it in ("type", "call_id", "name", "arguments")}, OUTPUT],
        ),
    ],
)
def test_what_another_model_cannot_read_does_not_go_there(
    journal: Journal, how: dict[str, Any], kept: list[dict[str, Any]]
):
    journal.hand_over(**how)
    assert window(journal) == kept
    assert not journal.conversation.history.searched
    assert journal.conversation.history.loaded == {}


def test_thoughts_before_a_search_leave_with_it_and_others_stay(tmp_path: Path):
    thoughts = [
        {"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": "x"}
        for n in range(3)
    ]
    journal = Journal(Record(tmp_path / "s.jsonl"), Conversation())
    both = [thoughts[0], {**SEARCH, "call_id": "y"}, {**CALL, "call_id": "x"}]
    for item in (*both, thoughts[1], SEARCH, ANSWER, thoughts[2], CALL, OUTPUT):
        journal.commit(parse_item(item))
    journal.hand_over("", searches=False)
    assert window(journal) == [thoughts[0], {**PLAIN, "call_id": "x"}, thoughts[2], PLAIN, OUTPUT]


def test_a_call_whose_loading_left_the_window_is_in_no_namespace(journal: Journal):
    entries = journal.conversation.history.entries
    journal.rewrite(entries[2:], "cells", None)
    assert window(journal) == [PLAIN, OUTPUT]


def test_a_call_in_a_namespace_of_another_stays_as_it_came(journal: Journal):
    """Gateways name a default namespace."""
    other = {**CALL, "namespace": "functions", "call_id": "f"}
    journal.commit(parse_item(other))
    journal.rewrite(journal.conversation.history.entries[4:], "cells", None)
    journal.hand_over("openai", searches=False)
    assert window(journal) == [other]


def test_a_search_at_the_server_stays_where_it_is(tmp_path: Path):
    journal = Journal(Record(tmp_path / "s.jsonl"), Conversation())
    theirs = {"type": "tool_search_call", "id": "t", "execution": "server", "call_id": None}
    journal.commit(parse_item(theirs))
    journal.hand_over("", searches=False)
    assert window(journal) == [theirs]
    assert journal.conversation.history.open_calls == ()


def test_an_open_search_is_answered_with_no_tools(journal: Journal):
    journal.commit(parse_item({**SEARCH, "call_id": "z"}))
    journal.close_open_calls()
    last = window(journal)[-1]
    assert (last["type"], last["call_id"], last["tools"]) == ("tool_search_output", "z", [])


def test_a_loaded_tool_has_a_name_without_its_namespace():
    assert loaded_name("mcp__git", "log") == loaded_name("mcp__git__12", "log") == "mcp__git__log"
    assert loaded_name("log", "log") == loaded_name(None, "log") == "log"
    assert len(loaded_name("mcp__git", "x" * 64)) == 64
