"""The Chat dialect under the real loop and the real client: every request keeps the rules."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import pytest

from inkernel.agent.conversation.history import Entry
from inkernel.agent.conversation.resume import resume
from inkernel.agent.dialects.chat import Chat
from inkernel.agent.dialects.dialect import SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.errors import AnswerRefusedError, RequestRefusedError, StreamBrokenError
from inkernel.agent.protocol.events import AnswerWithdrawn, Event, Notice, Retrying, SampleEnded
from inkernel.agent.protocol.items import image_part, text_part
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.session import Session
from inkernel.agent.tools.schema import FieldsOf
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, always
from inkernel.agent.transport import retry

from .chat_rules import check, open_part
from .chat_streams import Chunk, call, chunk, piece, usage
from .messages_wire import Look
from .test_chat import PLOT, chat_of, user

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]

SPEAKS = Capabilities(encrypted=False, dialect="chat")


async def look(_call: ToolCall, arguments: Look) -> ToolOutput:
    """A plot, if it is asked for."""
    images = [image_part(PLOT)] if arguments.what == "plot" else []
    return ToolOutput((text_part(f"Saw {arguments.what}."), *images))


TOOL = Tool("look", "Looks at a thing.", FieldsOf(Look), look, always("look"))


def calls(*whats: str, thought: str = "Hm.") -> list[Chunk]:
    """An answer that looks at some things."""
    arguments = [json.dumps({"what": what}) for what in whats]
    made = [{"index": n, **call(f"{what}-{n}", arguments[n])} for n, what in enumerate(whats)]
    return [
        *(chunk({"reasoning_content": thought}), chunk({"tool_calls": made})),
        chunk({}, "tool_calls", usage=usage()),
    ]


def says(text: str, reason: str = "stop") -> list[Chunk]:
    """An answer of words."""
    return [chunk({"reasoning_content": ""}), chunk({"content": text}), chunk({}, reason)]


TURN = (calls("a"), calls("plot", "b"), says("Done."))
NEXT = (calls("c", thought=""), says("That is all."))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0)
    monkeypatch.setattr(retry, "QUICK_WAIT", 0)


class Server:
    """Answers requests in the words of Chat Completions, and checks each."""

    def __init__(self, *answers: list[Chunk]) -> None:
        self.answers = iter(answers)
        self.by: Chat = chat_of()
        self.bodies: list[bytes] = []

    async def sample(self, request: Request) -> AsyncGenerator[SamplePart]:
        reader, body = self.by.reader(), self.by.body(request)
        check(body)
        self.bodies.append(body)
        data = [json.dumps(it).encode() for it in next(self.answers)]
        for part in chain(reader.read_all([*data, b"[DONE]"]), reader.closed()):
            yield part
        if not reader.finished:
            raise StreamBrokenError("The stream broke.")

    def messages(self, at: int = -1) -> list[dict[str, Any]]:
        """The messages of a request."""
        return json.loads(self.bodies[at])["messages"]


@pytest.fixture
def session_with(session_for: Callable[..., Session]) -> Callable[[Server], Session]:
    def make(server: Server) -> Session:
        target = Target("own", "http://localhost:1/v1", "tiny", traits=SPEAKS)
        return session_for(server.sample, TOOL, target=target)

    return make


def grows(bodies: list[bytes]) -> bool:
    return all(later.startswith(open_part(one)) for one, later in pairwise(bodies))


async def test_a_session_grows_byte_for_byte_and_keeps_every_thought(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(*TURN, *NEXT)
    session = session_with(server)
    for _ in range(2):
        assert (await run(session))[1] is None
    assert grows(server.bodies) and len(server.bodies) == 5
    told = server.messages()[1:]
    assert [it["role"] for it in told] == [
        *("user", "assistant", "tool"),
        *("assistant", "tool", "tool", "user", "assistant"),
        *("user", "assistant", "tool"),
    ]
    thoughts = [it["reasoning_content"] for it in told if it["role"] == "assistant"]
    assert thoughts == ["Hm.", "Hm.", "", ""]


async def test_a_resumed_session_sends_what_the_live_one_would(
    session_with: Callable[[Server], Session], run: Run
):
    first = Server(*TURN)
    session = session_with(first)
    await run(session)
    found = resume(session.journal.record.path)
    second, third = Server(*NEXT), Server(*NEXT)
    third.by = first.by
    journal = replace(session.journal, conversation=found.conversation)
    again = replace(session, seams=replace(session.seams, sample=second.sample), journal=journal)
    live = replace(session, seams=replace(session.seams, sample=third.sample))
    await run(live)
    await run(again)
    assert second.bodies == third.bodies


async def test_a_session_goes_on_after_its_window_was_rewritten(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(*TURN, *NEXT, *NEXT)
    session = session_with(server)
    await run(session)
    entries = session.conversation.history.entries
    first = next(at for at, entry in enumerate(entries) if entry.item.type == "function_call")
    for kept in (
        entries[first:],
        [Entry(user("(A digest.)"), 1, None, "digest"), *entries[first:]],
    ):
        session.journal.rewrite(kept, "test", None)
        assert (await run(session))[1] is None
    assert grows(server.bodies[3:5]) and grows(server.bodies[5:])


async def test_a_session_that_changes_its_server_goes_on(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(*TURN, *NEXT)
    session = session_with(server)
    await run(session)
    session.journal.hand_over("elsewhere", "chat")
    assert not any(entry.item.native for entry in session.conversation.history.entries)
    assert (await run(session))[1] is None
    thoughts = [
        it.get("reasoning_content") for it in server.messages() if it["role"] == "assistant"
    ]
    assert thoughts == [None, None, None, ""]


async def test_an_answer_that_failed_or_broke_is_asked_for_again(
    session_with: Callable[[Server], Session], run: Run
):
    failed = [
        chunk({"content": "I begin"}),
        chunk({}, "function_call_filter: MALFORMED_FUNCTION_CALL"),
    ]
    server = Server(failed, [{"choices": []}], *TURN)
    events, error = await run(session_with(server))
    assert error is None and sum(isinstance(it, Retrying) for it in events) == 2
    assert server.bodies[0] == server.bodies[1] == server.bodies[2]


async def test_an_answer_of_white_space_is_asked_for_again_and_not_sent(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(says(" \n"), *TURN)
    events, error = await run(session_with(server))
    assert error is None and any(isinstance(it, Notice) for it in events)
    assert grows(server.bodies)


async def test_a_filtered_answer_leaves_nothing_behind(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(says("First, take", "content_filter"), *NEXT)
    session = session_with(server)
    assert isinstance((await run(session))[1], AnswerRefusedError)
    assert (await run(session))[1] is None
    assert b"First, take" not in server.bodies[-1] and grows(server.bodies)


async def test_an_answer_that_was_cut_off_is_kept_and_the_person_goes_on(
    session_with: Callable[[Server], Session], run: Run
):
    server = Server(says("It begins", "length"), *NEXT)
    session = session_with(server)
    assert (await run(session))[1] is not None
    assert (await run(session, "Go on."))[1] is None
    assert server.messages(1)[2]["content"] == "It begins" and grows(server.bodies)


Answer = tuple[bytes, bytes]
"""Content type and body of an answer over HTTP."""


@pytest.fixture
async def http_server() -> AsyncIterator[Callable[..., Awaitable[tuple[Target, list[bytes]]]]]:
    """Starts a server that gives these answers, one each. The list gets heads and bodies."""
    servers: list[asyncio.Server] = []

    async def start(*answers: Answer, status: bytes = b"200 OK") -> tuple[Target, list[bytes]]:
        asked, rest = list[bytes](), iter(answers)

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split()[0]
            asked.extend((head, await reader.readexactly(int(length))))
            kind, body = next(rest)
            about = b"content-type: %b\r\nconnection: close" % kind
            writer.write(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, about, body))
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(converse, "127.0.0.1", 0))
        port = servers[-1].sockets[0].getsockname()[1]
        return Target("own", f"http://127.0.0.1:{port}/v1", "tiny", traits=SPEAKS), asked

    yield start
    for server in servers:
        server.close()


def streamed(chunks: list[Chunk], end: bytes = b"") -> Answer:
    data = b"".join(b"data: %b\n\n" % json.dumps(it).encode() for it in chunks)
    return b"text/event-stream", data + end


async def test_a_turn_over_http_whether_the_answer_is_streamed_or_whole(
    http_server, client_for, session_for: Callable[..., Session], run: Run
):
    message = {"role": "assistant", "content": None, "tool_calls": [call("b-0", '{"what":"b"}')]}
    whole = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": usage()}
    target, asked = await http_server(
        streamed(calls("a"), b"data: [DONE]\n\n"),
        (b"application/json", json.dumps(whole, indent=1).encode()),
        streamed(says("Done.")),
    )
    session = session_for(client_for(target).sample, TOOL, target=target)
    events, error = await run(session)
    assert error is None
    assert [it.usage is not None for it in events if isinstance(it, SampleEnded)] == [
        *(True, True, False)
    ]
    assert all(head.startswith(b"POST /v1/chat/completions HTTP/1.1") for head in asked[::2])
    for body in asked[1::2]:
        check(body)
    assert grows(asked[1::2])


async def test_a_stream_that_breaks_off_over_http_is_broken_and_runs_no_call(
    http_server, client_for, session_for: Callable[..., Session], run: Run
):
    half = [piece(0, "a", "look", '{"what": "a"}')]
    target, _ = await http_server(streamed(half), streamed(says("Done.")))
    session = session_for(client_for(target).sample, TOOL, target=target)
    events, error = await run(session)
    assert error is None and any(isinstance(it, Retrying) for it in events)
    assert not any(isinstance(it, AnswerWithdrawn) for it in events)
    assert "function_call" not in [it.item.type for it in session.conversation.history.entries]


async def test_an_error_over_http_says_what_the_server_says(
    http_server, client_for, session_for, run
):
    error = [{"error": {"code": 400, "message": "No such field.", "status": "INVALID_ARGUMENT"}}]
    answer = (b"application/json", json.dumps(error).encode())
    target, _ = await http_server(answer, status=b"400 Bad Request")
    _, raised = await run(session_for(client_for(target).sample, TOOL, target=target))
    assert isinstance(raised, RequestRefusedError) and "No such field." in str(raised)
