"""The failures that a user sees, as one tree. Knows nothing of where they are shown.

    AgentError
    ├── UsageError          the typed line cannot be understood
    ├── SettingsError       a setting is wrong; names the place it came from
    ├── RecordError         a session's log cannot be read or written
    ├── TurnInterrupted     the user stopped the turn
    ├── LineInterrupted     the user stopped an `%agent` line
    ├── TurnLimited         the turn reached its limit of samples, or a budget's
    ├── TamperedError       code changed parts of ours
    └── ModelError          the model's server did not give a whole response
        ├── NoModelError            none is configured and none was found
        ├── UnreachableError        no connection, or no answer in time
        ├── TlsError                the connection is not trusted
        ├── AuthError               the key was refused
        ├── ModelNotFoundError      the server does not have this model
        ├── RequestRefusedError     any other 4xx: the request is at fault
        ├── ContextLengthError      the conversation does not fit the window
        ├── RateLimitError          429, to be tried again
        ├── QuotaError              429 that waiting does not cure
        ├── ServerFaultError        5xx, or a response that failed
        ├── ProtocolError           the answer is not of the Responses API
        ├── StreamBrokenError       the stream stopped before its end, or fell silent
        ├── ResponseGoneError       the server no longer holds the response to go on from
        ├── NoWebSocketError        there is only HTTP
        └── IncompleteError         the model's answer was cut off at its own limit

Any other exception is a bug and travels unchanged.
"""

from collections.abc import Callable


class AgentError(Exception):
    """A failure with its cause in one sentence, and what to do about it.

    Both may quote a server or a file. They lose what acts on a terminal.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        from .printable import printable  # at the first failure: loading the extension loads few

        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(self.message)

    def mask(self, masked: Callable[[str], str]) -> None:
        """Replace its texts with the masked ones."""
        self.message, self.hint = masked(self.message), masked(self.hint)
        self.args = (self.message,)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def _render_traceback_(self) -> list[str]:
        """The lines a shell prints instead of our frames (a protocol of `InteractiveShell`)."""
        lines = [f"{type(self).__name__}: {self.message}"]
        return [*lines, f"→ {self.hint}"] if self.hint else lines


class UsageError(AgentError):
    """The typed line cannot be understood."""


class SettingsError(AgentError):
    """A setting is wrong. The message names the place it came from."""


class RecordError(AgentError):
    """A session's log cannot be read or written. The message names file and line."""


class TurnInterrupted(AgentError):
    """The user stopped the turn: a key, a button, or the answer to a question."""

    def __init__(self, message: str = "You interrupted the turn.") -> None:
        super().__init__(message, "The next %%agent goes on from here.")


class LineInterrupted(AgentError):
    """The user stopped an `%agent` line: a key, or a button."""

    def __init__(self) -> None:
        super().__init__("You interrupted the %agent line.", "Run it again to have it done.")


class TurnLimited(AgentError):
    """The turn reached its limit of samples, or a budget's, before it was complete."""


class TamperedError(AgentError):
    """Code in this process changed what only the person or we may change. The message names it."""


class ModelError(AgentError):
    """The model's server did not give a whole response.

    `retryable`: the same request may succeed later. `after`: seconds the server asked us to wait.
    """

    retryable = False

    def __init__(self, message: str, hint: str = "", after: float | None = None) -> None:
        super().__init__(message, hint)
        self.after = after


class NoModelError(ModelError):
    """No model is configured and none was found."""


class UnreachableError(ModelError):
    """No connection, or no answer in time."""

    retryable = True


class TlsError(ModelError):
    """The server's certificate is not trusted, or it does not speak TLS."""


class AuthError(ModelError):
    """The key was refused, or is missing."""


class ModelNotFoundError(ModelError):
    """The server does not have this model, or not at this address."""


class RequestRefusedError(ModelError):
    """A 4xx that waiting does not cure: the request is at fault."""


class AnswerRefusedError(RequestRefusedError):
    """The server refuses while it answers. The answer so far must not stay in the conversation."""


class ContextLengthError(RequestRefusedError):
    """The conversation does not fit the model's window."""


class RateLimitError(ModelError):
    """Too many requests just now."""

    retryable = True


class QuotaError(ModelError):
    """The account has no quota left. Waiting does not help."""


class ServerFaultError(ModelError):
    """The server failed (5xx), or it ended the response as failed."""

    retryable = True


class ProtocolError(ModelError):
    """The answer is not of the API that the server should speak."""


class StreamBrokenError(ModelError):
    """The stream stopped before its end, or fell silent."""

    retryable = True


class ResponseGoneError(ModelError):
    """The server no longer holds the response that a request goes on from."""

    retryable = True


class NoWebSocketError(ModelError):
    """The server offers no WebSocket. HTTP takes its place, and a notice says so."""


class IncompleteError(ModelError):
    """The server ended the response as incomplete: an output limit, or a filter."""
