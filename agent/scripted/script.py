"""A script file: what a scripted model reasons, says and calls. Knows no request and no network.

It is TOML: turns, each with its responses, in order. docs/scripted-model.md describes all of it.

    model = "scripted/quickstart"        # the name shown
    pace = 0.02                          # seconds between streamed words

    [[turn]]
    on = "wettest"                       # plays when the user's message contains this
    [[turn.response]]
    reasoning = "I look at the frame before I write code."
    say = "First I look."
    [[turn.response.call]]
    name = "inspect"
    arguments = { names = ["weather"] }
    [[turn.response]]
    expect = "weather: DataFrame"        # the last tool output must contain this
    say = "April was the wettest month."
"""

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from ..config.planted import read_planted_text
from ..config.project import project_folders
from ..errors import SettingsError
from .profiles import DEVIATION_NAMES

_MOST_BYTES = 1 << 24
"""Most bytes of a script file."""

HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[!-~]([ -~]*[!-~])?$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _known(name: str) -> str:
    if name not in DEVIATION_NAMES:
        near = get_close_matches(name, DEVIATION_NAMES, n=3)
        raise ValueError(f"there is no deviation {name!r}; near it: {', '.join(near) or 'none'}")
    return name


def _sendable(code: int) -> int:
    if code in (1004, 1005, 1006) or 1014 < code < 3000:
        raise ValueError("no WebSocket is closed with this code")
    return code


CloseCode = Annotated[int, Field(ge=1000, le=4999), AfterValidator(_sendable)]
Deviation = Annotated[str, AfterValidator(_known)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Frozen):
    """A failure of a response.

    `first`: seconds of silence before anything is sent. `status` or `body`: this HTTP answer comes
    instead of the response. Without `body` it is the API's error with `code` and `message`.
    `event`: the response ends with this event, with `code` and `message`. It ends after `after`
    events, or after all of them. `malformed` is one more event, not JSON, and the response goes on.
    `pause` ends it whole, and Messages says `pause_turn`.
    `after` without `event`: the connection is closed after so many events. `stall`: seconds of
    silence before that. `close`: a WebSocket is closed with this code, after the error if there is
    one. `times`: only the first so many attempts fail. `over`: only those over this transport.
    """

    status: int | None = Field(default=None, ge=200, le=599)
    body: str | None = None
    content_type: HeaderValue = "application/json"
    headers: dict[HeaderName, HeaderValue] = {}
    after: int | None = Field(default=None, ge=0)
    stall: Seconds = 0
    first: Seconds = 0
    event: Literal["failed", "incomplete", "error", "malformed", "pause"] | None = None
    code: str | None = None
    message: str = "The script asks for this fault."
    close: CloseCode | None = None
    times: int | None = Field(default=None, ge=1)
    over: Literal["http", "websocket"] | None = None

    @property
    def cut(self) -> int | None:
        """The number of events after which the connection is closed."""
        if self.event:
            return None
        return (self.after or 0) if self.stall or self.close else self.after


NO_FAULT = Fault()


class ScriptedCall(_Frozen):
    """A function call. A string as `arguments` is sent as it is, even if it is broken JSON.

    `namespace`: of a function that a search has loaded. A call of `tool_search` is such a search,
    if the request offers it.
    """

    name: str
    namespace: str | None = None
    arguments: JsonValue = {}


class Response(_Frozen):
    """One answer to one request: reasoning, then a message, then calls, each of them optional.

    `redacted`: the reasoning is sent encrypted only. `expect`: a text that the last tool output in
    the request must contain.
    """

    reasoning: str | None = None
    redacted: bool = False
    say: str | None = None
    call: tuple[ScriptedCall, ...] = ()
    expect: str | None = Field(default=None, min_length=1)
    fault: Fault = NO_FAULT

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        empty = self.reasoning is None and self.say is None and not self.call
        if empty and self.fault == NO_FAULT:
            raise ValueError("it needs reasoning, say, a call or a fault")
        return self


class Turn(_Frozen):
    """The responses from a user message to the answer. The message contains `on`, in any case."""

    on: str | None = Field(default=None, min_length=1)
    response: tuple[Response, ...] = Field(min_length=1)


class WebSocketScript(_Frozen):
    """The behaviour of WebSockets.

    `status`: refuses handshakes, the first `times` of them or all. `lifetime`: seconds after which
    a connection takes no more requests.
    """

    status: int | None = Field(default=None, ge=300, le=599)
    times: int | None = Field(default=None, ge=1)
    lifetime: Seconds = 3600


class Script(_Frozen):
    """A whole script. `pace`: seconds between streamed words.

    `deviations`: names of deviations from the protocol, and of servers that have some.
    """

    model: str = "scripted"
    pace: Seconds = 0
    deviations: tuple[Deviation, ...] = ()
    websocket: WebSocketScript = WebSocketScript()
    turn: tuple[Turn, ...] = Field(min_length=1)


def load_script(path: Path) -> Script:
    """The script in a TOML file. Raises SettingsError naming the file and the place in it."""
    try:
        return Script.model_validate(tomllib.loads(_text(path)))
    except ValidationError as error:
        problems = "; ".join(_problem(found) for found in error.errors())
        hint = "Turns, responses and calls count from 0."
        raise SettingsError(f"{path}: {problems}.", hint) from None
    except OSError as error:
        raise SettingsError(
            f"The script {path} cannot be read: {error.strerror or error}.", "Check its path."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", "A script is TOML.") from None


def _text(path: Path) -> str:
    folder = Path(os.path.abspath(path)).parent  # without `..`, whose parents are none of it
    return read_planted_text(path, _MOST_BYTES, project_folders(folder)[0])


def _problem(found: ErrorDetails) -> str:
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in found["loc"])
    unknown = found["type"] == "extra_forbidden"
    what = "there is no such key" if unknown else found["msg"].removeprefix("Value error, ")
    return f"{place[1:]}: {what}"
