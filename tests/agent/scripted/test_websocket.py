"""The scripted model over a WebSocket: its frames, its memory, and how it ends."""

import contextlib
import json
import tomllib
from collections.abc import Callable, Iterator
from socket import SHUT_WR, create_connection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from inkernel.agent.scripted import websocket as scripted_socket
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

Make = Callable[..., ScriptedServer]

SCRIPT = """
model = "m"
[[turn]]
[[turn.response]]
say = "First turn."
[[turn]]
[[turn.response]]
say = "Second turn."
[[turn]]
on = "break"
[[turn.response]]
say = "Broken turn."
fault = { FAULT }
"""


def opened(
    server: ScriptedServer, key: str | None = None
) -> contextlib.AbstractContextManager[ClientConnection]:
    headers = {"authorization": f"Bearer {key}"} if key else None
    url = f"ws{server.base_url.removeprefix('http')}/responses"
    return connect(url, additional_headers=headers, open_timeout=30, proxy=None)


def send(socket: ClientConnection, given: object = "Hello", **fields: Any) -> None:
    asked = {"type": "response.create", "model": "m", "input": given, "store": False, **fields}
    socket.send(json.dumps(asked))


def receive(socket: ClientConnection) -> list[dict[str, Any]]:
    """The events of one response, or the error that came instead."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ENDS:
        events.append(json.loads(socket.recv(timeout=30)))
    return events


def ask(socket: ClientConnection, given: object = "Hello", **fields: Any) -> list[dict[str, Any]]:
    send(socket, given, **fields)
    return receive(socket)


ENDS = ("response.completed", "response.failed", "response.incomplete", "error")


def said(events: list[dict[str, Any]]) -> str:
    return events[-1]["response"]["output"][-1]["content"][0]["text"]


def code(events: list[dict[str, Any]]) -> str:
    (event,) = events
    assert event["type"] == "error"
    return event["error"]["code"]


def script(fault: str = "first = 0") -> str:
    return SCRIPT.replace("FAULT", fault)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(Script.model_validate(tomllib.loads(script()))) as running:
        yield running


class TestAConversation:
    def test_the_events_are_those_of_the_stream(self, scripted: Make):
        with opened(scripted(script())) as socket:
            events = ask(socket)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[0]["type"] == "response.created"
        assert said(events) == "First turn."

    def test_only_new_items_are_sent_though_nothing_is_stored(self, scripted: Make):
        server = scripted(script())
        with opened(server) as socket:
            first = ask(socket)[-1]["response"]["id"]
            assert said(ask(socket, "More", previous_response_id=first)) == "Second turn."
        assert json.loads(server.requests[-1])["input"] == "More"

    def test_only_the_last_response_is_kept(self, scripted: Make):
        with opened(scripted(script())) as socket:
            first = ask(socket)[-1]["response"]["id"]
            ask(socket, "Something else")
            lost = ask(socket, "More", previous_response_id=first)
        assert code(lost) == "previous_response_not_found"
        assert (lost[0]["status"], lost[0]["error"]["param"]) == (400, "previous_response_id")

    @pytest.mark.parametrize("store", [True, False])
    def test_another_connection_knows_stored_responses_only(self, scripted: Make, store: bool):
        server = scripted(script())
        with opened(server) as socket:
            first = ask(socket, store=store)[-1]["response"]["id"]
        with opened(server) as socket:
            events = ask(socket, "More", previous_response_id=first)
        assert (events[-1]["type"] == "response.completed") == store

    @pytest.mark.parametrize("bad", [1, [{"type": "function_call_output", "call_id": "no_call"}]])
    def test_a_turn_that_fails_drops_the_response_it_named(self, scripted: Make, bad: object):
        with opened(scripted(script())) as socket:
            first = ask(socket)[-1]["response"]["id"]
            ask(socket, bad, previous_response_id=first)
            lost = ask(socket, "More", previous_response_id=first)
        assert code(lost) == "previous_response_not_found"

    def test_a_response_that_failed_is_not_gone_on_from(self, scripted: Make):
        with opened(scripted(script('event = "failed"'))) as socket:
            failed = ask(socket, "break")[-1]["response"]["id"]
            lost = ask(socket, "More", previous_response_id=failed)
        assert code(lost) == "previous_response_not_found"

    def test_a_request_that_generates_nothing_warms_up(self, scripted: Make):
        with opened(scripted(script())) as socket:
            warm = ask(socket, "Hello", generate=False)[-1]["response"]
            assert warm["output"] == []
            assert said(ask(socket, [], previous_response_id=warm["id"])) == "First turn."

    def test_requests_sent_at_once_are_answered_in_order(self, scripted: Make):
        with opened(scripted(script())) as socket:
            for text in ("Hello", "break", "Hello"):
                send(socket, text)
            assert [said(receive(socket)) for _ in range(3)] == [
                "First turn.",
                "Broken turn.",
                "First turn.",
            ]

    def test_the_prompt_cache_counts_here_too(self, scripted: Make):
        fields = {"instructions": "Be kind. " * 500, "prompt_cache_key": "a"}
        with opened(scripted(script())) as socket:
            ask(socket, **fields)
            usage = ask(socket, **fields)[-1]["response"]["usage"]
        assert usage["input_tokens_details"]["cached_tokens"] > 1000

    @pytest.mark.parametrize(
        "sent", ["", "[]", "{}", '{"type": "response.cancel"}', "\ud800", b"\xff"]
    )
    def test_what_is_no_request_is_an_error_and_the_connection_lives(
        self, scripted: Make, sent: str | bytes
    ):
        with opened(scripted(script())) as socket:
            socket.send(sent if isinstance(sent, bytes) else sent.encode(errors="replace"))
            assert code(receive(socket)) == "invalid_request_error"
            assert said(ask(socket)) == "First turn."

    def test_a_message_in_fragments_is_one_message(self, scripted: Make):
        text = json.dumps({"type": "response.create", "model": "m", "input": "Hello"})
        with opened(scripted(script())) as socket:
            socket.send(iter([text[:10], text[10:40], text[40:]]))
            assert said(receive(socket)) == "First turn."

    def test_a_ping_is_answered_while_a_response_is_on_its_way(self, scripted: Make):
        with opened(scripted(script("first = 600"))) as socket:
            send(socket, "break")
            assert socket.ping().wait(timeout=30)


class TestHowItEnds:
    def test_a_wrong_key_is_refused_in_the_handshake(self, scripted: Make):
        server = scripted(script(), "sk-right")
        with pytest.raises(InvalidStatus) as refused, opened(server, "sk-wrong"):
            pass
        assert refused.value.response.status_code == 401
        with opened(server, "sk-right") as socket:
            assert said(ask(socket)) == "First turn."

    def test_a_server_without_websockets_says_so(self, scripted: Make):
        server = scripted("websocket = { status = 426, times = 1 }\n" + script())
        with pytest.raises(InvalidStatus) as refused, opened(server):
            pass
        assert refused.value.response.status_code == 426
        with opened(server) as socket:
            assert said(ask(socket)) == "First turn."

    def test_a_connection_has_its_time(self, scripted: Make):
        with opened(scripted("websocket = { lifetime = 0 }\n" + script())) as socket:
            assert code(ask(socket)) == "websocket_connection_limit_reached"
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=30)

    @pytest.mark.parametrize(("fault", "ended"), [("close = 1011", 1011), ("after = 3", 1006)])
    def test_it_breaks_in_the_middle_of_a_response(self, scripted: Make, fault: str, ended: int):
        fault = fault if "after" in fault else f"{fault}, after = 3"
        with opened(scripted(script(fault))) as socket:
            send(socket, "break")
            for _ in range(3):
                socket.recv(timeout=30)
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=30)
            assert socket.close_code == ended

    def test_a_scripted_refusal_is_an_error_frame(self, scripted: Make):
        fault = 'status = 429, code = "slow_down", headers = { retry-after = "7" }, times = 1'
        with opened(scripted(script(fault))) as socket:
            (event,) = ask(socket, "break")
            assert (event["status"], event["error"]["code"]) == (429, "slow_down")
            assert event["error"]["headers"] == {"retry-after": "7"}
            assert said(ask(socket, "break")) == "Broken turn."

    def test_a_fault_may_be_of_one_transport_only(self, scripted: Make):
        with opened(scripted(script('status = 500, over = "http"'))) as socket:
            assert said(ask(socket, "break")) == "Broken turn."

    def test_a_malformed_event_is_sent_between_the_others(self, scripted: Make):
        with opened(scripted(script('event = "malformed", after = 1'))) as socket:
            send(socket, "break")
            assert json.loads(socket.recv(timeout=30))["type"] == "response.created"
            with pytest.raises(ValueError):
                json.loads(socket.recv(timeout=30))
            assert said(receive(socket)) == "Broken turn."

    def test_a_message_above_the_bound_ends_the_connection(
        self, scripted: Make, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(scripted_socket, "MAX_MESSAGE_BYTES", 100)
        with opened(scripted(script())) as socket:
            send(socket, "x" * 200)
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=30)
            assert socket.close_code == 1009

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
    @given(sent=st.binary(min_size=1))
    def test_any_bytes_end_it_without_a_hang(self, server: ScriptedServer, sent: bytes):
        with opened(server) as socket, contextlib.suppress(ConnectionClosed, OSError):
            socket.socket.sendall(sent)
            socket.socket.shutdown(SHUT_WR)
            while True:
                socket.recv(timeout=30)

    def test_what_is_no_handshake_is_refused(self, server: ScriptedServer):
        for more in ("", "content-length: 1\r\n", "x: y\r\n" * 300):
            with create_connection(("127.0.0.1", int(server.base_url[17:-3])), 30) as raw:
                head = f"GET /v1/responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n{more}\r\nx"
                raw.sendall(head.encode())
                assert b" 101 " not in raw.recv(65536)

    def test_the_server_closes_though_a_response_is_on_its_way(self, scripted: Make):
        server = scripted(script("first = 600"))
        with opened(server) as socket:
            send(socket, "break")
            server.close()
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=30)

    def test_clients_that_leave_disturb_nobody(self, scripted: Make):
        server = scripted("pace = 0.01\n" + script())
        for _ in range(3):
            socket = opened(server).__enter__()  # it leaves without a word
            send(socket)
            socket.recv(timeout=30)
            socket.socket.close()
        with opened(server) as socket:
            assert said(ask(socket)) == "First turn."
