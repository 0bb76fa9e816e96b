"""The answers of a scripted server: a response, a refusal, an HTTP answer. Does no I/O."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from ..frozen import frozen
from ..protocol.verbatim_json import dumps
from .deviations import Frame
from .profiles import Chunk, error_body, framed
from .request import AskedRequest, RequestError
from .script import NO_FAULT, Fault
from .state import KeptResponse

_ERROR_TYPES = {404: "not_found", 429: "too_many_requests"}
_STATUSES = {"context_length_exceeded": 400, "insufficient_quota": 429, "rate_limit_exceeded": 429}
"""The status of an error by its code, where an API answers it with no status of the script."""


@frozen
class Api:
    """The form of an API's answers.

    `error`: the body of an HTTP error, from its status and the error of `error_object`. `torn`: the
    type and text of an event that is no JSON. `named`: events have `event:` lines. `done`: a stream
    ends with `[DONE]`.
    """

    error: Callable[[int, dict[str, Any]], dict[str, Any]]
    torn: tuple[str, bytes]
    named: bool = True
    done: bool = True


RESPONSES_API = Api(
    lambda _, error: {"error": error},
    ("response.output_text.delta", b'{"type":"response.output_text.delta","delta":"cut '),
)


@frozen
class Asked:
    """An HTTP request. `headers`: by their lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@frozen
class HttpAnswer:
    """An HTTP answer. `pieces`: of its body, each written whole.

    `cut`: the connection breaks after them. `about`: the played part of the script, for a log.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterable[Chunk]
    fault: Fault = NO_FAULT
    cut: bool = False
    about: str = ""


@frozen
class Refusal:
    """An error instead of a response. `fault`: the script's own answer in place of that."""

    status: int
    error: dict[str, Any]
    fault: Fault = NO_FAULT
    about: str = ""


@frozen
class PlayedResponse:
    """A response about to be sent. `kept`: what later requests may go on from."""

    request: AskedRequest
    events: list[Frame]
    fault: Fault
    about: str
    kept: KeptResponse | None = None
    api: Api = RESPONSES_API

    @property
    def response(self) -> dict[str, Any]:
        """The whole response, as it is sent without streaming."""
        sent = (data["response"] for _, data in reversed(self.events) if "response" in data)
        return next(sent, dict[str, Any]())

    @property
    def cut(self) -> bool:
        """True if the connection breaks before the end."""
        return self.fault.cut is not None and self.fault.cut <= len(self.events)

    def data(self) -> list[tuple[str, bytes]]:
        """Type and JSON of each event up to a cut."""
        told = [(kind, dumps(it)) for kind, it in islice(self.events, self.fault.cut)]
        if self.fault.event == "malformed":
            at = len(told) - 1 if self.fault.after is None else self.fault.after
            told.insert(at, self.api.torn)
        return told


def error_object(
    status: int, message: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """An error in the API's form."""
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": message, "type": kind, "param": param, "code": code}


def refusal_of(error: RequestError) -> Refusal:
    """The refusal for an error of the request."""
    return Refusal(
        error.status, error_object(error.status, str(error), error.code, error.param), about="error"
    )


def failure_of(events: list[Frame], fault: Fault, about: str) -> Refusal | None:
    """The refusal for Responses' events that end as failed, for an API that says it by a status."""
    error = events[-1][1]["response"]["error"]
    if error is None:
        return None
    status = _STATUSES.get(error["code"], 500)
    return Refusal(status, error_object(status, error["message"], error["code"]), fault, about)


def json_answer(value: object, fault: Fault = NO_FAULT, about: str = "") -> HttpAnswer:
    """An answer with one JSON value."""
    return _whole(200, fault.content_type, dumps(value), fault, about)


def refused(refusal: Refusal, ways: frozenset[str], api: Api = RESPONSES_API) -> HttpAnswer:
    """The HTTP answer for a refusal."""
    fault = refusal.fault
    if fault.body is None:
        told = api.error(refusal.status, refusal.error)
        kind, body = error_body(refusal.status, told, ways)
    else:
        kind, body = fault.content_type, fault.body.encode()
    return _whole(refusal.status, kind, body, fault, refusal.about)


def streamed(played: PlayedResponse, pace: float, ways: frozenset[str]) -> HttpAnswer:
    """The HTTP answer for a streamed response, with one frame a piece."""
    api = played.api
    pieces: list[Chunk] = [
        (
            b"%bdata: %b\n\n" % (b"event: %b\n" % kind.encode() if api.named else b"", data),
            pace if "delta" in kind else 0,
        )
        for kind, data in played.data()
    ]
    if api.done and not played.cut:
        pieces.append((b"data: [DONE]\n\n", 0))
    headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
    headers |= played.fault.headers
    return HttpAnswer(200, headers, framed(pieces, ways), played.fault, played.cut, played.about)


def _whole(status: int, kind: str, body: bytes, fault: Fault, about: str) -> HttpAnswer:
    headers = {"content-type": kind, "content-length": str(len(body))} | fault.headers
    cut = fault.cut == 0
    return HttpAnswer(status, headers, [] if cut else [(body, 0)], fault, cut, about)
