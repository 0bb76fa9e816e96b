"""From a failed answer to an error, and what to do about it. Does no I/O, knows no HTTP library."""

import json
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from ..errors import (
    AuthError,
    ContextLengthError,
    ModelError,
    ModelNotFoundError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    ResponseGoneError,
    ServerFaultError,
    StreamBrokenError,
    TlsError,
    UnreachableError,
)
from ..frozen import frozen
from .waits import retry_after, wait_in_words

_LOCAL = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?")
"""Host and port of a server on this machine."""

_OVERFLOW = ("context_length_exceeded", "exceed_context_size_error")
_OVERFLOW_WORDS = re.compile(
    r"(maximum|max) (context|model|sequence|input) length|context (window|size|length)|"
    r"(prompt|input) is too long|too many (input )?tokens|exceed context limit|"
    r"exceeds the maximum number of tokens",
    re.IGNORECASE,
)
"""The words of servers that have no code for it: vLLM, LiteLLM, LM Studio, transformers; Anthropic;
Gemini."""
_AUTH = ("invalid_api_key", "no_db_connection", "authentication_error", "permission_error")
"""LiteLLM without a database of keys answers the second to any key but its own."""
_AUTH_WORDS = re.compile("api key not valid", re.IGNORECASE)
"""Gemini says so, with the status of a bad request."""
_REFUSING = (400, 413, 422)
_REFUSED = (
    *("invalid_prompt", "invalid_request", "invalid_request_error"),
    *("bio_policy", "cyber_policy", "misalignment_policy_violation"),
)
"""Codes in a stream for which another try does not help."""
_GONE = ("previous_response_not_found", "websocket_connection_limit_reached")
_QUOTA = ("insufficient_quota", "usage_limit_reached", "usage_not_included", "billing_error")
_QUOTA_WORDS = re.compile("credit balance is too low", re.IGNORECASE)
"""Anthropic says so, with the status of a bad request."""
_SPENT_WORDS = re.compile("exceeded your current quota", re.IGNORECASE)
_SPENT_FOR_LONG = re.compile(r"PerDay|\blimit: 0\b")
"""Gemini's words for each limit. That of a minute has a wait. That of a day has one, too, which
does not help: google-gemini/gemini-cli#5377, continuedev/continue#10062.
"""
_BUSY = (
    *("rate_limit_exceeded", "server_is_overloaded", "slow_down", "too_many_requests"),
    *("rate_limit_error", "overloaded_error"),
)
_SAYS_ENOUGH = (401, 402, 403, 404, 405, 407, 408, 413, 429)
"""Statuses that say what is wrong without a body."""
_ALONE = {"Chat Completions API": ("responses", "Responses")}
"""The dialect to try where a server does not have the API. Most have Chat Completions."""
_VERSION = re.compile(r"/v\d")
_SAID = 300
"""Most characters of a server's own words in a message."""


Hide = Callable[[str], str]
"""Takes the key out of a text, because some servers repeat it."""


@frozen
class ServerAnswer:
    """An answer without a stream.

    `server`: host and port. `key_source`: of the key sent. `api`: the one that was asked. `path`:
    the one that was asked for.
    """

    server: str
    model: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    key_source: str | None = None
    hide: Hide = str
    api: str = "Responses API"
    path: str = ""


@frozen
class _Said:
    code: str
    text: str


def error_of(answer: ServerAnswer) -> ModelError:
    """The error for an HTTP answer that is no stream."""
    if 300 <= answer.status < 400:
        return _redirect(answer)
    said = _read(answer)
    if said is None or (answer.status < 400 and said == _Said("", "")):
        return _not_the_api(answer)
    return _by_code(said, answer) or _by_status(answer, _words(said))


def error_in_stream(error: object, server: str, model: str, hide: Hide = str) -> ModelError:
    """The error in a `response.failed`, or in an `error` event of any shape.

    A WebSocket's error has the status that its HTTP answer would have. Some servers send that as
    the code.
    """
    said = _of(error, hide)
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    status = _status(fields.get("status")) or _status(fields.get("code"))
    # Without a status it may be any error. Its code or its words show a refusal.
    answer = ServerAnswer(server, model, status or 400, _headers(fields), b"")
    if known := _by_code(said, answer):
        return known
    if status or said.code in _REFUSED:
        return _by_status(answer, _words(said))
    return ServerFaultError(
        f"{server} ended the response as failed: {_reason(said)}.",
        "Run the cell again. The conversation so far is kept.",
    )


def broken(server: str, heard: bool) -> StreamBrokenError:
    """The error for a broken connection. `heard`: it broke in the middle of an answer."""
    if heard:
        return StreamBrokenError(
            f"The connection to {server} broke in the middle of the answer.",
            "Run the cell again. The complete parts are kept.",
        )
    return StreamBrokenError(
        f"{server} closed the connection without an answer.",
        "Run the cell again. If that does not help, check base_url: http or https?",
    )


def not_connected(server: str, cause: BaseException, proxy: str | None = None) -> ModelError:
    """The error for a connection that could not be opened. `proxy`: host and port of one."""
    why = f": {cause}" if str(cause) else ""
    if isinstance(cause, ssl.SSLError):
        return TlsError(
            f"The connection to {server} is not trusted{why}.",
            "Check base_url (http or https?), the server's certificate, and SSL_CERT_FILE.",
        )
    if proxy:
        return UnreachableError(
            f"The proxy {proxy} opens no way to {server}{why}.",
            "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY. NO_PROXY names servers to reach without"
            " a proxy.",
        )
    return unreachable(server, f"cannot be reached{why}")


def unreachable(server: str, what: str) -> UnreachableError:
    """The error for a server that does not answer. `what` completes a sentence on it."""
    advice = "Start it" if _LOCAL.fullmatch(server) else "Check your network"
    hint = f"{advice}, or choose another model: `%agent model`."
    return UnreachableError(f"{server} {what}.", hint)


def proxy_refused(server: str) -> AuthError:
    """The error for a proxy that asks for a name and a password."""
    return AuthError(
        f"The proxy on the way to {server} asks for a name and a password (HTTP 407).",
        "Put them into its address: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT.",
    )


def _status(value: object) -> int | None:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    return number if isinstance(number, int) and 400 <= number < 600 else None


def _headers(error: dict[str, Any]) -> dict[str, str]:
    """The headers that Open Responses lets an error event carry, in the error or beside it."""
    inner = error.get("error")
    beside = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    given = beside.get("headers") or error.get("headers")
    if not isinstance(given, dict):
        return {}
    return {str(name).lower(): str(value) for name, value in cast("dict[Any, Any]", given).items()}


def _words(said: _Said) -> str:
    return f" It says: {as_sentence(said.text)}" if said.text else ""


def as_sentence(text: str) -> str:
    """A server's words with a full stop, as advice may follow."""
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def _reason(said: _Said) -> str:
    return (said.text or said.code or "no reason given").rstrip(".")


def _by_code(said: _Said, answer: ServerAnswer) -> ModelError | None:
    if said.code in _QUOTA or _QUOTA_WORDS.search(said.text) or _is_spent(said, answer):
        return _quota(answer, as_sentence(said.text))
    if said.code in _BUSY:
        return _rate_limit(answer, as_sentence(said.text))
    if said.code in _AUTH or _AUTH_WORDS.search(said.text):
        return _auth(answer, _words(said))
    if said.code == "model_not_found":
        return _no_model(answer, _words(said))
    if said.code in _GONE:
        return ResponseGoneError(
            f"{answer.server} no longer holds the response that this request goes on from.",
            "Run the cell again. It sends the whole conversation.",
        )
    if said.code in _OVERFLOW or (answer.status in _REFUSING and _OVERFLOW_WORDS.search(said.text)):
        return ContextLengthError(
            f"The conversation no longer fits the window of {answer.model}:"
            f" {as_sentence(said.text)}",
            "Start a new session with `%agent new`, or choose a model with a larger window.",
        )
    return None


def _is_spent(said: _Said, answer: ServerAnswer) -> bool:
    """True for a quota that is used up, and that a wait of minutes does not give back."""
    told = f"{said.text} {answer.body.decode(errors='replace')}"
    waits = retry_after(answer.headers, told) is not None
    return bool(_SPENT_WORDS.search(said.text)) and (
        not waits or bool(_SPENT_FOR_LONG.search(told))
    )


def _by_status(answer: ServerAnswer, words: str) -> ModelError:
    server, status = answer.server, answer.status
    if status in (401, 403):
        return _auth(answer, words)
    if status == 402:
        return _quota(answer, words.removeprefix(" It says: "))
    if status in (404, 405) and answer.path and not _is_of_model(answer, words):
        return _nothing_there(answer, words)
    if status == 404:
        return _no_model(answer, words)
    if status == 407:
        return proxy_refused(server)
    if status == 413:
        return ContextLengthError(
            f"{server} refuses a request of this size (HTTP 413).{words}",
            "Start a new session with `%agent new`, or attach smaller images.",
        )
    if status == 429:
        return _rate_limit(answer, words.removeprefix(" It says: "))
    if status >= 500 or status in (408, 409):
        return ServerFaultError(
            f"{server} failed (HTTP {status}).{words}",
            "Run the cell again later. The conversation is kept.",
            retry_after(answer.headers),
        )
    return RequestRefusedError(
        f"{server} refused the request (HTTP {status}).{words}",
        "`%agent config` shows the settings of the request.",
    )


def _quota(answer: ServerAnswer, text: str) -> QuotaError:
    return QuotaError(
        f"{answer.server} refuses: the account has no quota left. {text}".strip(),
        "Check the account's plan and billing, or choose another model: `%agent model`.",
    )


def _auth(answer: ServerAnswer, words: str) -> AuthError:
    own = answer.key_source
    source = f"the key from {own}" if own else "the request: it had no key"
    return AuthError(
        f"{answer.server} refused {source} (HTTP {answer.status}).{words}",
        _other_key(own),
    )


def _other_key(source: str | None) -> str:
    if source is None:
        return (
            "`%agent key` asks for one and keeps it. Or name the variable that holds it:"
            " `%agent config api_key_env NAME`."
        )
    if source == "the keyring":
        return "`%agent key` asks for a valid one and keeps it."
    if source == "api_key_command":
        return "The command must print a valid one."
    return f"Set a valid one for this kernel alone: `%env {source}=KEY`."


def _no_model(answer: ServerAnswer, words: str) -> ModelNotFoundError:
    server, model = answer.server, answer.model
    return ModelNotFoundError(
        f"{server} knows no model {model!r}.{words}",
        "`%agent models` lists those that it has, and `%agent model NAME` chooses one.",
    )


def _is_of_model(answer: ServerAnswer, words: str) -> bool:
    """True if the server's words are of the model, and not of the path that was asked for."""
    named = rf"\bmodel\b|(?<!\w){re.escape(answer.model)}(?!\w)" if answer.model else "$^"
    return bool(re.search(named, words, re.IGNORECASE))


def _nothing_there(answer: ServerAnswer, words: str) -> ModelNotFoundError:
    """The error for a path that a server does not have, or a model that it does not name."""
    server, path, model = answer.server, answer.path, answer.model
    address = "most addresses end in /v1: `%agent config base_url URL`"
    if path.endswith("/models"):
        return ModelNotFoundError(
            f"{server} lists no models at {path}.{words}",
            f"Name the model: `%agent model NAME`. Or check base_url, since {address}.",
        )
    dialect, api = _ALONE.get(answer.api, ("chat", "Chat Completions"))
    other = f"it has {api} alone: `%agent config dialect {dialect}`"
    return ModelNotFoundError(
        f"{server} has no {answer.api} at {path}, or no model {model!r}.{words}",
        f"Perhaps {other}. Or check base_url and the model: `%agent model NAME`."
        if _VERSION.search(path)
        else f"Check base_url, since {address}. Or perhaps {other}.",
    )


def _rate_limit(answer: ServerAnswer, text: str) -> RateLimitError:
    after = retry_after(answer.headers, f"{text} {answer.body.decode(errors='replace')}")
    return RateLimitError(
        f"{answer.server} has too many requests just now. {text}".strip(),
        f"Run the cell again in {wait_in_words(after or 0)}. The conversation is kept.",
        after,
    )


def _redirect(answer: ServerAnswer) -> ProtocolError:
    where = urlsplit(answer.headers.get("location", ""))
    place = f"{where.netloc}{where.path}"[:_SAID]
    return ProtocolError(
        f"{answer.server} sends us on{f' to {place}' if place else ''} (HTTP {answer.status}),"
        " where we do not go, since your key would go there, too.",
        "If that is the API's right address, set it: `%agent config base_url URL`. A sign-in page"
        " of your network or proxy wants a browser first.",
    )


def _not_the_api(answer: ServerAnswer) -> ModelError:
    if answer.status >= 500 or answer.status in _SAYS_ENOUGH:
        return _by_status(answer, "")
    kind = answer.headers.get("content-type", "no content type").partition(";")[0].strip()
    if kind.lower() in ("text/html", "application/xhtml+xml"):
        return ProtocolError(
            f"{answer.server} answered with a web page (HTTP {answer.status}), not a response.",
            "It may be the sign-in page of a network or proxy: open it in a browser. Else"
            f" base_url must be the address of a {answer.api}, with its /v1.",
        )
    return ProtocolError(
        f"{answer.server} answered HTTP {answer.status} with {kind}, not with a response.",
        f"base_url must be the address of a {answer.api}, with its /v1.",
    )


def _read(answer: ServerAnswer) -> _Said | None:
    """Code and words of a JSON body, or None when it is no JSON."""
    body = _parsed(answer.body)
    match = re.search(rb"data: *(\{.*\})", answer.body)  # an SSE body with an HTTP error status
    if body is None and match:
        body = _parsed(match[1])
    if isinstance(body, list) and body:  # Gemini's errors are in a list
        body = cast("list[object]", body)[0]
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, Any]", body)
    return _of(fields.get("error", fields), answer.hide)


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of(error: object, hide: Hide) -> _Said:
    """Code and words of an error, in any of the shapes that servers use."""
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        if isinstance(fields.get("error"), dict):
            return _of(fields["error"], hide)
        text = str(fields.get("message") or fields.get("detail") or "")
        code = str(fields.get("code") or "")
        if not code or code.isdigit():
            code = str(fields.get("type") or "")
        return _Said(code, hide(text)[:_SAID])
    return _Said("", hide(str(error or ""))[:_SAID])
