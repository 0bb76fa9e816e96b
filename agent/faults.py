"""Which error a failed answer is, and what to do about it. Does no I/O, knows no HTTP library."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from .errors import (
    AuthError,
    ContextLengthError,
    ModelError,
    ModelNotFoundError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    ServerFaultError,
)

_OVERFLOW = ("context_length_exceeded", "exceed_context_size_error")
_QUOTA = ("insufficient_quota", "usage_limit_reached", "usage_not_included")
_BUSY = ("rate_limit_exceeded", "server_is_overloaded", "slow_down", "too_many_requests")
_SAID = 300
"""Most characters of a server's own words in a message."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came instead of a stream. `server`: host and port; `key_env`: where the key is from."""

    server: str
    model: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    key_env: str | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    code: str
    text: str


def error_of(answer: Answer) -> ModelError:
    """The error that an HTTP answer other than a stream is."""
    said = _read(answer)
    if said is None or (answer.status < 400 and said == _Said("", "")):
        return _not_the_api(answer)
    words = f" It says: {said.text}" if said.text else ""
    return _by_code(said, answer) or _by_status(answer, words)


def error_in_stream(error: object, server: str, model: str) -> ModelError:
    """The error in a `response.failed`, or in an `error` event of either shape."""
    said = _of(error)
    answer = Answer(server, model, 500, {}, b"")
    return _by_code(said, answer) or ServerFaultError(
        f"{server} ended the response as failed: {_reason(said)}.",
        "Run the cell again; the conversation so far is kept.",
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asked to wait, from `retry-after-ms` or `retry-after` (seconds only)."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * scale)
        except (KeyError, ValueError):
            continue
    return None


def _reason(said: _Said) -> str:
    return (said.text or said.code or "no reason given").rstrip(".")


def _by_code(said: _Said, answer: Answer) -> ModelError | None:
    if said.code in _OVERFLOW:
        return ContextLengthError(
            f"The conversation no longer fits the window of {answer.model}: {said.text}",
            "Start afresh with `%agent new`, or choose a model with a larger window.",
        )
    if said.code in _QUOTA:
        return QuotaError(
            f"{answer.server} refuses: the account has no quota left. {said.text}".strip(),
            "Look at the account's plan and billing, or choose another model: `%agent model`.",
        )
    if said.code in _BUSY:
        return _rate_limit(answer, said.text)
    return None


def _by_status(answer: Answer, words: str) -> ModelError:
    server, status = answer.server, answer.status
    if status in (401, 403):
        source = f"the key in {answer.key_env}" if answer.key_env else "the request: it had no key"
        return AuthError(
            f"{server} refused {source} (HTTP {status}).{words}",
            "Set a valid key in that variable"
            if answer.key_env
            else "Name the variable that holds the key: `%agent config api_key_env NAME`.",
        )
    if status == 404:
        return ModelNotFoundError(
            f"{server} knows no model {answer.model!r}, or has no /responses there (404).{words}",
            "Choose another with `%agent model NAME`, or check base_url.",
        )
    if status == 429:
        return _rate_limit(answer, words.removeprefix(" It says: "))
    if status >= 500 or status in (408, 409):
        return ServerFaultError(
            f"{server} failed (HTTP {status}).{words}",
            "Run the cell again later; the conversation is kept.",
            retry_after(answer.headers),
        )
    return RequestRefusedError(
        f"{server} refused the request (HTTP {status}).{words}",
        "`%agent config` shows the settings it was made with.",
    )


def _rate_limit(answer: Answer, text: str) -> RateLimitError:
    return RateLimitError(
        f"{answer.server} has too many requests just now. {text}".strip(),
        "Run the cell again in a minute; the conversation is kept.",
        retry_after(answer.headers),
    )


def _not_the_api(answer: Answer) -> ModelError:
    if answer.status >= 500 or answer.status in (401, 403, 404, 429):
        return _by_status(answer, "")
    kind = answer.headers.get("content-type", "no content type").partition(";")[0]
    return ProtocolError(
        f"{answer.server} answered HTTP {answer.status} with {kind}, not with a response.",
        "base_url must be that of a Responses API, up to and with its /v1.",
    )


def _read(answer: Answer) -> _Said | None:
    """What the body says in JSON; None when it is not JSON at all."""
    body = _parsed(answer.body)
    match = re.search(rb"data: *(\{.*\})", answer.body)  # an SSE body with an HTTP error status
    if body is None and match:
        body = _parsed(match[1])
    if not isinstance(body, dict):
        return None
    fields = cast("dict[str, Any]", body)
    return _of(fields.get("error", fields))


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of(error: object) -> _Said:
    """Code and words of an error in any of the shapes servers use."""
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        if isinstance(fields.get("error"), dict):
            return _of(fields["error"])
        text = str(fields.get("message") or fields.get("detail") or "")
        code = str(fields.get("code") or "")
        if not code or code.isdigit():
            code = str(fields.get("type") or "")
        return _Said(code, text[:_SAID])
    return _Said("", str(error or "")[:_SAID])
