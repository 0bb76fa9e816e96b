"""Which failure is tried again, and after how long. Does no I/O and draws no lots of its own."""

from ..errors import ModelError, ResponseGoneError, StreamBrokenError, UnreachableError

QUICK_WAIT = 0.15
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_ASKED = 120.0
"""Seconds. A server that asks for a longer wait is not waited for: the user is told instead."""
UNREACHABLE_ATTEMPTS = 3
"""A server that is not there seldom comes back while one waits."""


def wait_before(error: ModelError, attempt: int, attempts: int, draw: float) -> float | None:
    """Seconds to wait after the `attempt`-th try (from 1) failed with `error`; None to give up.

    Doubles from half a second to half a minute, ±25 % by `draw` (0 to 1), and is never shorter
    than the server asked for. After a broken connection it begins with 0.15 s: that is seldom the
    server's trouble.
    """
    if isinstance(error, UnreachableError):
        attempts = min(attempts, UNREACHABLE_ATTEMPTS)
    if not error.retryable or attempt >= attempts:
        return None
    asked = error.after or 0.0
    if asked > LONGEST_ASKED:
        return None
    quick = isinstance(error, StreamBrokenError | ResponseGoneError)
    first = QUICK_WAIT if quick else FIRST_WAIT
    own = min(first * 2 ** (attempt - 1), LONGEST_WAIT) * (0.75 + draw / 2)
    return max(own, asked)
