"""What is sent over a WebSocket: only what is new, and the whole where that is not enough."""

from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from inkernel.agent import errors
from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.events import Notice
from inkernel.agent.transport import websocket as websocket_module

from .socket_server import Make, Talk, answer, event, gone, message


async def test_only_what_is_new_is_sent_over_one_connection(socket_server: Make, client_for: Make):
    server = await socket_server()
    conversation = Talk(client_for(server.target("sk-1")))
    for text in ("One", "Two", "Three"):
        assert isinstance((await conversation.ask(text))[-1], ResponseDone)
    first, second, third = server.sent
    assert first == {
        "type": "response.create",
        "model": "m",
        "store": False,
        "input": [{"role": "user", "content": "One"}],
    }
    assert second["previous_response_id"] == "resp_1"
    assert second["input"] == [{"role": "user", "content": "Two"}]
    assert third["previous_response_id"] == "resp_2"
    assert third["input"] == [{"role": "user", "content": "Three"}]
    assert server.connections == 1
    assert server.headers["authorization"] == "Bearer sk-1"


async def test_after_a_change_of_the_fields_the_request_is_whole(
    socket_server: Make, client_for: Make
):
    server = await socket_server()
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    conversation.add({"role": "user", "content": "Two"})
    async for _ in conversation.client.sample(Request.of(b'"model":"n"', conversation.items)):
        pass
    assert "previous_response_id" not in server.sent[1]
    assert len(server.sent[1]["input"]) == 3


@pytest.mark.parametrize(
    "code", ["previous_response_not_found", "websocket_connection_limit_reached"]
)
async def test_when_the_server_has_let_go_the_request_is_sent_whole_at_once(
    socket_server: Make, client_for: Make, code: str
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            frame = await server.read(connection)
            if "previous_response_id" in frame:
                await connection.send(gone(code))
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    parts = await conversation.ask("Two")
    assert [part for part in parts if isinstance(part, Notice)] == []
    assert isinstance(parts[-1], ResponseDone)
    assert len(server.sent[2]["input"]) == 3
    assert [part.text for part in parts if hasattr(part, "text")] == ["Answer 3."]


async def test_when_a_resting_connection_was_closed_a_new_one_gets_the_whole(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        await server.read(connection)
        await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    for text in ("One", "Two", "Three"):
        assert isinstance((await conversation.ask(text))[-1], ResponseDone)
    assert server.connections == 3
    assert [len(frame["input"]) for frame in server.sent] == [1, 3, 5]


async def test_a_connection_that_breaks_in_an_answer_is_a_broken_stream_then_the_whole_is_sent(
    socket_server: Make, client_for: Make
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            if len(server.sent) == 2:
                await connection.send(event("response.output_text.delta", delta="Half "))
                connection.transport.abort()
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    with pytest.raises(errors.StreamBrokenError, match="in the middle"):
        await conversation.ask("Two")
    assert isinstance((await conversation.ask("Three"))[-1], ResponseDone)
    assert "previous_response_id" in server.sent[1]
    assert len(server.sent[2]["input"]) == 4


async def test_an_error_is_followed_by_a_whole_request(socket_server: Make, client_for: Make):
    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            if len(server.sent) == 2:
                error = {"code": "server_error", "message": "It broke."}
                await connection.send(event("response.failed", response={"error": error}))
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    with pytest.raises(errors.ServerFaultError, match="It broke"):
        await conversation.ask("Two")
    await conversation.ask("Three")
    assert "previous_response_id" not in server.sent[2]


async def test_a_stored_response_is_gone_on_from_on_a_new_connection(
    socket_server: Make, client_for: Make, monkeypatch: pytest.MonkeyPatch
):
    server = await socket_server()
    conversation = Talk(client_for(server.target(), store=True))
    await conversation.ask("One")
    monkeypatch.setattr(websocket_module, "_LONGEST", 0)
    await conversation.ask("Two")
    assert server.connections == 2
    assert server.sent[1]["previous_response_id"] == "resp_1"


async def test_an_answer_of_which_items_were_left_out_is_not_built_on(
    socket_server: Make, client_for: Make
):
    other = {**message(1), "content": [{"type": "output_text", "text": "Other words."}]}

    async def peer(connection: ServerConnection) -> None:
        while True:
            await server.read(connection)
            response = {"id": "resp_1", "output": [message(1), other]}
            await connection.send(event("response.completed", response=response))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    await conversation.ask("Two")
    assert "previous_response_id" not in server.sent[1]
    assert server.connections == 1


@pytest.mark.parametrize("error", [{"status": 400}, {"status": 404}, {"code": "invalid_prompt"}])
async def test_what_is_refused_as_a_continuation_is_asked_whole(
    socket_server: Make, client_for: Make, error: dict[str, Any]
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            frame = await server.read(connection)
            if "previous_response_id" in frame:
                code = {"code": error.get("code"), "message": "No."}
                await connection.send(event("error", status=error.get("status"), error=code))
            else:
                await answer(connection, len(server.sent))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target()))
    await conversation.ask("One")
    assert isinstance((await conversation.ask("Two"))[-1], ResponseDone)
    assert len(server.sent[2]["input"]) == 3


@pytest.mark.parametrize("begun", [True, False])
async def test_a_continuation_is_not_asked_whole_when_it_had_begun_or_is_too_long(
    socket_server: Make, client_for: Make, begun: bool
):
    async def peer(connection: ServerConnection) -> None:
        while True:
            frame = await server.read(connection)
            if "previous_response_id" not in frame:
                await answer(connection, len(server.sent))
                continue
            if begun:
                await connection.send(event("response.output_text.delta", delta="Half "))
            code = "invalid_prompt" if begun else "context_length_exceeded"
            await connection.send(event("error", error={"code": code, "message": "No."}))

    server = await socket_server(peer)
    conversation = Talk(client_for(server.target(), store=True))
    await conversation.ask("One")
    kind = errors.RequestRefusedError if begun else errors.ContextLengthError
    with pytest.raises(kind):
        await conversation.ask("Two")
    assert len(server.sent) == 2
    await conversation.ask("Three")  # nor is the response before the failure gone on from
    assert "previous_response_id" not in server.sent[2]
