"""Which failure is tried again, and after how long. Does no I/O and makes no random numbers."""

from ..errors import ModelError, ResponseGoneError, StreamBrokenError, UnreachableError

QUICK_WAIT = 0.15
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_ASKED = 120.0
"""Seconds. If a server asks for a longer wait, the turn ends with an error instead."""
UNREACHABLE_ATTEMPTS = 3
"""Fewer than usual, because such a server seldom comes back while you wait."""


def attempts_at(error: ModelError, most: int) -> int:
    """Tries of a request that failed with `error`, of at most `most`."""
    return min(most, UNREACHABLE_ATTEMPTS) if isinstance(error, UnreachableError) else most


def wait_before(error: ModelError, attempt: int, attempts: int, draw: float) -> float | None:
    """Seconds to wait after try number `attempt` (from 1) failed with `error`, or None to give up.

    The wait doubles from half a second to half a minute, ±25 % by `draw` (0 to 1). It is never
    shorter than the server asked for. After a broken connection it begins with 0.15 s, because the
    server is seldom the cause.
    """
    if not error.retryable or attempt >= attempts:
        return None
    asked = error.after or 0.0
    if asked > LONGEST_ASKED:
        return None
    quick = isinstance(error, StreamBrokenError | ResponseGoneError)
    first = QUICK_WAIT if quick else FIRST_WAIT
    own = min(first * 2 ** (attempt - 1), LONGEST_WAIT) * (0.75 + draw / 2)
    return max(own, asked)
