"""The scripted model's server: HTTP, the faults a script may ask for, and its life."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkernel.agent.scripted import server as scripted
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

ASK: dict[str, Any] = {"model": "m", "input": "Hello", "stream": True}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with serving() as running:
        yield running


def serving(key: str | None = None, pace: float = 0, **response: Any) -> ScriptedServer:
    """A server of one response."""
    script = {"pace": pace, "turn": [{"response": [{"say": "one two three", **response}]}]}
    return ScriptedServer(Script.model_validate(script), key)


def post(server: ScriptedServer, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.base_url}/responses", json=ASK, timeout=30, **options)


class TestHttp:
    def test_each_chunk_is_one_whole_frame(self, server: ScriptedServer):
        with asked(server) as raw:
            rest = drained(raw, until=b"0\r\n\r\n").partition(b"\r\n\r\n")[2]
        chunks: list[bytes] = []
        while rest != b"0\r\n\r\n":
            size, _, rest = rest.partition(b"\r\n")
            chunks.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        assert len(chunks) == b"".join(chunks).count(b"\n\n") > 10
        assert all(chunk.endswith(b"\n\n") for chunk in chunks)

    def test_the_bodies_of_the_requests_are_kept(self):
        with serving() as server:
            post(server)
            httpx.post(f"{server.base_url}/responses", content=b"nonsense")
            assert server.requests == [httpx.Request("POST", "x:", json=ASK).content, b"nonsense"]

    def test_the_models_are_listed(self, client: httpx.Client):
        assert client.get("/models").json()["data"][0]["id"] == "scripted"

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/responses"), ("POST", "/models"), ("DELETE", "/x")]
    )
    def test_any_other_route_is_not_found(self, client: httpx.Client, method: str, path: str):
        answer = client.request(method, path)
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "not_found"

    def test_head_is_answered_without_a_body_and_the_connection_lives(self, client: httpx.Client):
        assert client.head("/models").status_code == 404
        assert client.get("/models?x=1").status_code == 200

    def test_two_requests_use_one_connection(self, server: ScriptedServer):
        opened: list[str] = []
        with httpx.Client(base_url=server.base_url) as client:
            for _ in range(2):
                trace = {"trace": lambda name, _: opened.append(name)}
                client.post("/responses", json=ASK, extensions=trace)
        assert opened.count("connection.connect_tcp.complete") == 1

    @pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic secret"])
    def test_a_wrong_or_missing_key_is_refused(self, given: str | None):
        with serving(key="secret") as server:
            answer = post(server, headers={"authorization": given} if given else {})
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert "secret" not in answer.text

    def test_the_right_key_is_accepted(self):
        with serving(key="secret") as server:
            answer = post(server, headers={"authorization": "Bearer secret"})
            assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"NONSENSE\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400),
            (b"GET /" + b"x" * 100_000, 431),
        ],
    )
    def test_malformed_http_is_answered_and_the_connection_closed(
        self, server: ScriptedServer, sent: bytes, status: int
    ):
        with connected(server) as raw:
            raw.sendall(sent)
            answer = drained(raw)
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert b'"invalid_request_error"' in answer

    def test_a_body_above_the_bound_is_refused(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(scripted, "MAX_REQUEST_BYTES", 10)
        with serving() as server:
            assert post(server).status_code == 413
            assert server.requests == []

    def test_a_deeply_nested_body_is_refused(self, client: httpx.Client):
        for depth in (200, *range(900, 1000), 100_000):
            nested = b"[" * depth + b"]" * depth
            body = b'{"model": "m", "input": [], "tools": [{"x": %b}]}' % nested
            assert client.post("/responses", content=body).status_code in (200, 400)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(body=st.binary())
    def test_any_bytes_as_a_body_give_a_json_error(self, client: httpx.Client, body: bytes):
        answer = client.post("/responses", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(sent=st.binary(min_size=1))
    def test_any_bytes_as_http_never_hang(self, server: ScriptedServer, sent: bytes):
        with connected(server) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            assert drained(raw)[:9] in (b"", b"HTTP/1.1 ")


def connected(server: ScriptedServer) -> socket.socket:
    url = httpx.URL(server.base_url)
    return socket.create_connection((url.host, url.port or 0), timeout=30)


def asked(server: ScriptedServer) -> socket.socket:
    """A connection on which `ASK` was sent."""
    raw = connected(server)
    body = json.dumps(ASK).encode()
    head = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(
        body
    )
    raw.sendall(head + body)
    return raw


def drained(raw: socket.socket, until: bytes | None = None) -> bytes:
    """What comes, up to the end of the connection or until it ends in `until`."""
    received = b""
    while not (until and received.endswith(until)):
        try:
            received += (read := raw.recv(65536))
        except ConnectionError:  # closed while some of what we sent was not read yet
            break
        if not read:
            break
    return received


def check_silent(raw: socket.socket) -> None:
    """Check that nothing more comes, not even the end."""
    raw.settimeout(0.2)
    with pytest.raises(TimeoutError):
        raw.recv(1)


class TestFaults:
    def test_a_status_comes_with_the_apis_error_and_the_scripts_headers(self):
        fault = {"status": 429, "code": "slow_down", "message": "Wait.", "headers": {"x-a": "b"}}
        with serving(fault=fault) as server:
            answer = post(server)
        assert (answer.status_code, answer.headers["x-a"]) == (429, "b")
        error = {"message": "Wait.", "type": "too_many_requests", "param": None}
        assert answer.json()["error"] == {**error, "code": "slow_down"}

    def test_a_body_of_another_kind_comes_as_it_is(self):
        fault = {"body": "<p>Bad gateway", "content_type": "text/html"}
        for status in (200, 502):
            with serving(fault={**fault, "status": status}) as server:
                answer = post(server)
            assert (answer.status_code, answer.text) == (status, "<p>Bad gateway")
            assert answer.headers["content-type"] == "text/html"

    @pytest.mark.parametrize("after", [0, 1, 6])
    def test_the_connection_breaks_after_so_many_frames(self, after: int):
        with serving(fault={"after": after}) as server:
            received = broken_off(server)
        assert received.count("\n\n") == after

    def test_a_response_that_is_not_streamed_breaks_before_its_body(self):
        with (
            serving(fault={"after": 0}) as server,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            httpx.post(f"{server.base_url}/responses", json={**ASK, "stream": False})

    def test_a_stalled_stream_is_silent_and_open(self):
        with serving(fault={"after": 3, "stall": 600}) as server, asked(server) as raw:
            received = b""
            while received.count(b"\n\n") < 3:
                received += raw.recv(65536)
            check_silent(raw)

    def test_a_stall_ends_in_a_broken_connection(self):
        with serving(fault={"stall": 0.01}) as server:
            assert broken_off(server) == ""

    def test_silence_before_the_headers(self):
        with serving(fault={"first": 600}) as server, asked(server) as raw:
            check_silent(raw)

    def test_only_so_many_attempts_go_wrong(self):
        with serving(fault={"status": 500, "times": 2}) as server:
            assert [post(server).status_code for _ in range(4)] == [500, 500, 200, 200]

    def test_headers_that_contradict_the_body_break_the_connection(self):
        with (
            serving(fault={"body": "abc", "headers": {"content-length": "9"}}) as server,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            post(server)


def broken_off(server: ScriptedServer) -> str:
    """What came of a stream before its connection broke."""
    received: list[str] = []
    with (
        httpx.stream("POST", f"{server.base_url}/responses", json=ASK, timeout=30) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        received.extend(answer.iter_text())
    return "".join(received)


class TestItsLife:
    def test_a_client_that_leaves_in_mid_stream_disturbs_nobody(self):
        with serving(pace=0.01, say="word " * 2000) as server:
            for _ in range(3):
                with httpx.stream("POST", f"{server.base_url}/responses", json=ASK) as answer:
                    next(answer.iter_text())
            assert httpx.get(f"{server.base_url}/models").status_code == 200

    def test_close_does_not_wait_for_a_stalled_response(self):
        server = serving(fault={"after": 2, "stall": 600}).start()
        with httpx.stream("POST", f"{server.base_url}/responses", json=ASK) as answer:
            frames = answer.iter_text()
            next(frames)
            server.close()
            with pytest.raises(httpx.HTTPError):
                list(frames)

    def test_close_does_not_wait_for_a_client_that_does_not_read(self):
        server = serving(say="x" * 8_000_000).start()
        with asked(server) as raw:
            raw.recv(1)
            server.close()

    def test_close_leaves_no_thread_and_no_port(self):
        before = threading.enumerate()
        server = serving().start()
        post(server)
        assert threading.enumerate() != before
        server.close()
        server.close()
        assert threading.enumerate() == before
        with pytest.raises(httpx.ConnectError):
            post(server)
