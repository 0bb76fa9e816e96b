"""The client against real sockets: every way a server can fail, and what the turn makes of it."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent import errors
from inkernel.agent.dialects.dialect import ResponseDone
from inkernel.agent.dialects.request import Request
from inkernel.agent.protocol.events import Event, Retrying, TextDelta, TurnEnded
from inkernel.agent.protocol.items import Message
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.session import Session
from inkernel.agent.transport import retry
from inkernel.agent.transport.client import Client
from inkernel.agent.transport.http import list_models

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

REQUEST = Request.of(b'"model":"m"', bytearray(b'{"role":"user","content":"Hello"}'))
LONG = 3600
"""Seconds no test ever waits."""
YES = '[[turn]]\n[[turn.response]]\nsay = "Yes, it is."\n'


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0)
    monkeypatch.setattr(retry, "QUICK_WAIT", 0)


@pytest.fixture
def session_at(scripted: Make, client_for: Make, session_for: Make) -> Callable[..., Session]:
    """Builds a session with the server of a script; keywords are settings."""

    def build(text: str, **choices: Any) -> Session:
        target = target_of(scripted(text))
        return session_for(client_for(target, **choices).sample, target=target, **choices)

    return build


def target_of(server: ScriptedServer, key: str | None = None) -> Target:
    return Target("scripted", server.base_url, "m", key, "THE_KEY" if key else None)


async def parts_of(client: Client) -> list[Any]:
    return [part async for part in client.sample(REQUEST)]


async def failure(client: Client) -> errors.ModelError:
    """The error a request ends in, which says what happened and what to do."""
    with pytest.raises(errors.ModelError) as raised:
        await parts_of(client)
    assert client.target.server in raised.value.message
    assert raised.value.message.endswith(".")
    assert raised.value.hint
    return raised.value


async def test_a_response_is_streamed_in_parts(scripted: Make, client_for: Make):
    parts = await parts_of(client_for(target_of(scripted(YES))))
    assert "".join(part.text for part in parts if isinstance(part, TextDelta)) == "Yes, it is."
    assert [part.text for part in parts if isinstance(part, Message)] == ["Yes, it is."]
    assert isinstance(parts[-1], ResponseDone)
    assert parts[-1].usage is not None


async def test_the_bytes_given_are_the_bytes_sent(scripted: Make, client_for: Make):
    server = scripted(YES)
    fields, items = b'"model" : "m"', b'{"role":"user",  "content":"gr\xc3\xbcn"}'
    async for _ in client_for(target_of(server)).sample(Request.of(fields, bytearray(items))):
        pass
    assert server.requests == [b'{"stream":true,' + fields + b',"input":[' + items + b"]}"]


async def test_a_wrong_key_is_refused_and_never_shown(scripted: Make, client_for: Make):
    server = scripted(YES, key="sk-right")
    error = await failure(client_for(target_of(server, "sk-wrong")))
    assert isinstance(error, errors.AuthError)
    assert "THE_KEY" in error.message
    assert "sk-wrong" not in str(error)
    assert isinstance(await failure(client_for(target_of(server))), errors.AuthError)
    assert await parts_of(client_for(target_of(server, "sk-right")))


@pytest.mark.parametrize("where", ["status = 400", 'event = "failed"', 'event = "error"'])
async def test_a_key_the_server_repeats_is_blotted_out(
    scripted: Make, client_for: Make, where: str
):
    fault = f'fault = {{ {where}, message = "You sent sk-wrong, really." }}'
    error = await failure(client_for(target_of(scripted(YES + fault), "sk-wrong")))
    assert "You sent [key], really" in error.message


async def test_a_port_nobody_listens_on(client_for: Make):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        error = await failure(client_for(Target("none", address, "m")))
    assert isinstance(error, errors.UnreachableError)
    assert "cannot be reached" in error.message


async def test_tls_to_a_plain_port(scripted: Make, client_for: Make):
    address = scripted(YES).base_url.replace("http:", "https:")
    error = await failure(client_for(Target("none", address, "m")))
    assert isinstance(error, errors.TlsError)
    assert "http or https?" in error.hint


BEGIN = {"first_event_timeout": 0.1, "connect_timeout": 1}
"""Settings for servers that do not begin; one that falls silent has had time to begin."""
SSE = 'content_type = "text/event-stream"'


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("status = 401", errors.AuthError, "HTTP 401"),
        ("status = 404", errors.ModelNotFoundError, "or no model 'm'"),
        ('status = 429, headers = { retry-after = "999" }', errors.RateLimitError, "too many"),
        ('status = 429, code = "insufficient_quota"', errors.QuotaError, "no quota"),
        ('status = 400, code = "context_length_exceeded"', errors.ContextLengthError, "window"),
        ("status = 400", errors.RequestRefusedError, "The script asks for this fault."),
        ("status = 500", errors.ServerFaultError, "HTTP 500"),
        ('status = 502, body = "<html>"', errors.ServerFaultError, "HTTP 502"),
        ('body = "<html>", content_type = "text/html"', errors.ProtocolError, "with a web page"),
        ('body = "{}"', errors.ProtocolError, "with application/json"),
        (f'body = "data: {{nope\\n\\n", {SSE}', errors.ProtocolError, "not a JSON object"),
        (f'body = "<html>", {SSE}', errors.StreamBrokenError, "ended the stream before"),
        (f'body = "data: [DONE]\\n\\n", {SSE}', errors.StreamBrokenError, "ended the stream"),
        ("after = 0", errors.StreamBrokenError, "without an answer"),
        ("after = 5", errors.StreamBrokenError, "broke in the middle"),
        (f"after = 5, stall = {LONG}", errors.StreamBrokenError, "fell silent for 0.1 s"),
        (f"after = 0, stall = {LONG}", errors.StreamBrokenError, "did not begin to answer within"),
        (f"first = {LONG}", errors.StreamBrokenError, "did not begin to answer within 0.1 s"),
        ('event = "failed", after = 2', errors.ServerFaultError, "The script asks for this fault."),
        ('event = "error", after = 2', errors.ServerFaultError, "The script asks for this fault."),
        ('event = "error", code = "rate_limit_exceeded"', errors.RateLimitError, "too many"),
        ('event = "incomplete"', errors.IncompleteError, "max_output_tokens"),
        ('event = "incomplete", after = 2', errors.IncompleteError, "max_output_tokens"),
    ],
)
async def test_a_turn_that_meets_a_fault_says_so_and_the_next_goes_on(
    session_at: Make,
    client_for: Make,
    run: Run,
    fault: str,
    kind: type[errors.ModelError],
    words: str,
):
    server = f"{YES}fault = {{ times = 1, {fault} }}\n{YES}"
    times = BEGIN if "begin" in words else {"idle_timeout": 0.1} if "silent" in words else {}
    session: Session = session_at(server, max_attempts=1, **times)
    events, error = await run(session, "Is it?")
    assert type(error) is kind
    assert words in error.message
    assert error.hint
    assert isinstance(events[-1], TurnEnded)
    assert (events[-1].status, events[-1].error) == ("failed", error.message)
    kept = bytes(session.conversation.history.wire)
    patient = replace(
        session, seams=replace(session.seams, sample=client_for(session.target).sample)
    )
    events, error = await run(patient, "Is it now?")
    assert error is None
    assert isinstance(events[-1], TurnEnded)
    assert events[-1].answer == "Yes, it is."
    assert session.conversation.history.wire.startswith(kept)


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ("status = 500", 0),
        ("after = 4", 0),
        ('status = 429, headers = { retry-after-ms = "2" }', 0.002),
        ('status = 503, headers = { retry-after = "0.003" }', 0.003),
    ],
)
async def test_a_fault_that_passes_is_tried_again(
    session_at: Make, run: Run, fault: str, wait: float
):
    session = session_at(f"{YES}fault = {{ times = 2, {fault} }}", max_attempts=3)
    events, error = await run(session)
    assert error is None
    assert [event.wait for event in events if isinstance(event, Retrying)] == [wait, wait]


async def test_a_key_in_an_errors_hint_is_blotted_out_and_the_wait_it_asks_for_is_kept(
    scripted: Make, client_for: Make
):
    headers = '{ retry-after = "7" }'
    fault = f'fault = {{ status = 429, headers = {headers}, message = "No sk-wrong." }}'
    error = await failure(client_for(target_of(scripted(YES + fault), "sk-wrong")))
    assert "sk-wrong" not in str(error)
    assert error.after == 7


@pytest.mark.parametrize("host", ["a..b", "exa mple.com", "a" * 70 + ".com"])
@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_an_address_no_host_can_have_is_unreachable(
    client_for: Make, transport: str, host: str
):
    target = Target("odd", f"http://{host}/v1", "m")
    with pytest.raises(errors.UnreachableError, match="cannot be reached"):
        await parts_of(client_for(target, transport=transport, connect_timeout=2))


@pytest.mark.parametrize("proxy", ["socks5://me:secret@127.0.0.1:9", "ftp://me:secret@127.0.0.1:9"])
@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    client_for: Make, monkeypatch: pytest.MonkeyPatch, transport: str, proxy: str
):
    for module in ("socksio", "python_socks"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    target = Target("far", "http://192.0.2.1/v1", "m")
    with pytest.raises(errors.SettingsError, match="proxy of the environment") as raised:
        await parts_of(client_for(target, transport=transport))
    assert "secret" not in str(raised.value)
    assert "HTTPS_PROXY" in raised.value.hint
    with pytest.raises(errors.SettingsError, match="proxy of the environment"):
        await list_models(target, 1)


async def test_certificates_that_cannot_be_read_are_told(
    client_for: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    with pytest.raises(errors.SettingsError, match="certificates") as raised:
        await parts_of(client_for(Target("far", "https://192.0.2.1/v1", "m")))
    assert "SSL_CERT_FILE" in raised.value.hint


WHOLE = (
    '{"id":"r","status":"completed","output":[{"type":"message","id":"m","role":"assistant",'
    '"content":[{"type":"output_text","text":"Whole."}]}]}'
)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "text/plain"]
)
async def test_a_response_that_comes_whole_is_read(scripted: Make, client_for: Make, kind: str):
    fault = f"fault = {{ body = '''{WHOLE}''', content_type = '{kind}' }}"
    parts = await parts_of(client_for(target_of(scripted(YES + fault))))
    assert [part.text for part in parts[:-1]] == ["Whole."]
    assert isinstance(parts[-1], ResponseDone)


async def test_the_type_of_a_stream_may_be_written_in_capitals(scripted: Make, client_for: Make):
    data = '{"type":"response.completed","response":' + WHOLE + "}"
    body = f"fault = {{ body = '''data: {data}\n\n''', content_type = 'Text/Event-Stream' }}"
    parts = await parts_of(client_for(target_of(scripted(YES + body))))
    assert [part.text for part in parts[:-1]] == ["Whole."]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    client_for: Make, monkeypatch: pytest.MonkeyPatch, variable: str
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv(variable, f"http://me:secret@{proxy}")
        error = await failure(client_for(Target("none", "http://api.example/v1", "m")))
    assert isinstance(error, errors.UnreachableError)
    assert error.message.startswith(f"The proxy {proxy} opens no way to api.example")
    assert "secret" not in str(error)


async def test_a_proxy_that_asks_for_a_password_is_named(
    client_for: Make, monkeypatch: pytest.MonkeyPatch
):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        for scheme in ("http", "https"):
            error = await failure(client_for(Target("none", f"{scheme}://api.example/v1", "m")))
            assert isinstance(error, errors.AuthError)
            assert "HTTP 407" in error.message
            assert "HTTPS_PROXY=" in error.hint
