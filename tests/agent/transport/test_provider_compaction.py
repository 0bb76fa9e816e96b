"""The provider's own compaction: a setting; ours is kept beside it, so that nothing hangs on it."""

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.compaction.compact import compact_now
from inkernel.agent.conversation.history import History
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import ProtocolError
from inkernel.agent.protocol.events import Compacted, Event, Notice
from inkernel.agent.protocol.items import message, text_part
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.session import Session
from inkernel.agent.tools.tool import Tool
from inkernel.agent.transport.client import Client
from inkernel.agent.transport.provider_compaction import compact_body, read_sealed

TURN = """
[[turn]]
[[turn.response]]
reasoning = "hm"
[[turn.response.call]]
name = "look"
[[turn.response]]
say = "It is so, in many words: {0}"
"""
SCRIPT = "".join(TURN.format(f"word {n} " * 350) for n in range(12))
Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]


@pytest.fixture
def live(
    session_for: Callable[..., Session],
    scripted: Callable[[str], ScriptedServer],
    client_for: Callable[..., Client],
    tool: Callable[..., Tool[Any]],
) -> Callable[..., tuple[Session, ScriptedServer]]:
    """A session against a scripted server that can compact."""

    def start(script: str = SCRIPT, **choices: Any) -> tuple[Session, ScriptedServer]:
        server = scripted(script)
        target = Target("openai", server.base_url, "scripted", traits=Capabilities(compact=True))
        client = client_for(target, **choices)
        look = tool("look", reads_only=True)
        session = session_for(client.sample, look, target=target, **choices)
        seams = replace(session.seams, aside=client.aside, compact=client.compact)
        return replace(session, seams=seams), server

    return start


def kinds(body: bytes) -> list[str]:
    return [item.get("type", "message") for item in json.loads(body)["input"]]


def answers(server: ScriptedServer) -> list[bytes]:
    """Requests for an answer: not those for notes or a compaction."""
    return [
        body
        for body in server.requests
        if b"about to be shortened" not in body and b'"tools"' in body
    ]


async def test_the_provider_compacts_when_it_is_asked_to(live, run: Run):
    session, server = live(compaction="provider", window=5_000, transport="http")
    seen: list[Event] = []
    for n in range(6):
        events, error = await run(session, f"Question {n}?")
        assert error is None
        seen += events
    done = [event for event in seen if isinstance(event, Compacted)]
    assert done and all("provider" in event.dropped for event in done)
    assert all(event.after < event.before for event in done)
    assert "compaction" in kinds(answers(server)[-1])
    conversation = session.conversation
    assert conversation.history.seal is not None and conversation.history.seal.by == "openai"
    assert conversation.digest is not None and "Question 0?" in conversation.digest.text
    assert not any(b"The earlier conversation, shortened" in body for body in answers(server))


async def test_another_provider_is_sent_our_digest_in_its_place(live, run: Run):
    session, _ = live(compaction="provider", window=5_000, transport="http")
    for n in range(6):
        await run(session, f"Question {n}?")
    history: History = session.conversation.history
    assert any(entry.item.type == "compaction" for entry in history.entries)
    elsewhere = replace(session, target=replace(session.target, provider="vllm"))
    await run(elsewhere, "And now?")
    assert not any(entry.item.type == "compaction" for entry in history.entries)
    (digest,) = [entry for entry in history.entries if entry.kind == "digest"]
    assert b"Question 0?" in digest.item.wire
    assert history.seal is None


async def test_a_resumed_session_has_both(live, run: Run):
    session, _ = live(compaction="provider", window=5_000, transport="http")
    for n in range(6):
        await run(session, f"Question {n}?")
    lived, found = session.conversation.history, resume(session.journal.record.path)
    assert bytes(found.conversation.history.wire) == bytes(lived.wire)
    assert found.conversation.history.seal == lived.seal
    assert found.conversation.history.local == lived.local
    assert found.conversation.usage == session.conversation.usage
    outputs = OutputStore(session.journal.record, found.outputs, RunLog(found.runs, found.ended))
    again = replace(
        session, journal=replace(session.journal, conversation=found.conversation), outputs=outputs
    )
    assert (await run(again, "Go on?"))[1] is None
    assert bytes(resume(session.journal.record.path).conversation.history.wire) == bytes(
        again.conversation.history.wire
    )


async def test_when_the_provider_fails_ours_takes_its_place_and_says_so(live, run: Run):
    session, server = live(
        f'deviations = ["only_responses"]\n{SCRIPT}',
        compaction="provider",
        window=5_000,
        transport="http",
    )
    seen: list[Event] = []
    for n in range(6):
        events, error = await run(session, f"Question {n}?")
        assert error is None
        seen += events
    said = [event.text for event in seen if isinstance(event, Notice)]
    assert any("The provider's compaction failed" in text for text in said)
    assert any(b"The earlier conversation, shortened" in body for body in answers(server))


async def test_the_server_compacts_within_a_response(live, run: Run):
    session, server = live(compaction="server", window=5_000, transport="http")
    for n in range(8):
        assert (await run(session, f"Question {n}?"))[1] is None
    bodies = answers(server)
    asked = json.loads(bodies[-1])["context_management"]
    assert asked == [{"type": "compaction", "compact_threshold": 4_000}]
    assert kinds(bodies[-1])[0] == "compaction"  # what it stands for is not sent again
    assert not any(b"about to be shortened" in body for body in server.requests)
    conversation = session.conversation
    assert conversation.history.seal is not None and conversation.history.seal.count == 1
    assert conversation.digest is not None and "Question 0?" in conversation.digest.text
    assert bytes(resume(session.journal.record.path).conversation.history.wire) == bytes(
        conversation.history.wire
    )


async def test_a_compaction_of_ours_on_top_of_one_of_the_provider_stands_for_both(live, run: Run):
    session, _ = live(compaction="provider", window=5_000, transport="http")
    for n in range(6):
        await run(session, f"Question {n}?")
    ours = replace(session, settings=session.settings.model_copy(update={"compaction": "cells"}))
    async with aclosing(compact_now(ours, ours.fields())) as events:
        assert [event async for event in events]
    history = session.conversation.history
    assert history.seal is None
    assert not any(entry.item.type == "compaction" for entry in history.entries)
    digest = session.conversation.digest
    assert digest is not None and digest.left + len(digest.said) == 5


def test_only_what_the_endpoint_takes_is_sent():
    items = bytearray(message("user", text_part("a")).wire)
    fields = b'"model":"m","instructions":"i","tools":[],"prompt_cache_key":"k","store":false'
    assert json.loads(compact_body(Request.of(fields, items))) == {
        "model": "m",
        "instructions": "i",
        "prompt_cache_key": "k",
        "input": [{"type": "message", "role": "user", "content": [text_part("a")]}],
    }


def test_items_come_back_to_the_byte():
    wire = '{"type":"compaction", "id":"c","encrypted_content":"\\u0041"}'
    body = f'{{"object":"response.compaction","output":[{wire}],"usage":null}}'
    (item,) = read_sealed(body.encode(), "server").items
    assert item.wire == wire.encode()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output":3}', b'{"output":[]}', b'{"output":[{}]}']
)
def test_what_is_no_compaction_is_said(body: bytes):
    with pytest.raises(ProtocolError, match="server"):
        read_sealed(body, "server")
