"""How long a server asks us to wait, from its answer, and in words. Knows no error."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil

_AGAIN_IN = re.compile(
    r"(?:try again in |retry in |\"retryDelay\": ?\")(?:(\d+)h)?(?:(\d+)m(?!s))?"
    r"(?:(\d+(?:\.\d+)?) ?(ms|s))?"
)
"""OpenAI, Groq (`7m12.5s`), and Gemini in words and in details."""
_HOURS = 100
"""Minutes. A longer wait is put in hours."""


def retry_after(headers: Mapping[str, str], text: str = "") -> float | None:
    """Seconds that the server asks us to wait.

    They come from `retry-after-ms`, from `retry-after` (seconds, or a date), or from words such as
    OpenAI's "try again in 1.3s". A date counts from the answer's own `date`, or else from now.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * scale)
        except (LookupError, ValueError):
            continue
    if (until := _date(headers, "retry-after")) is not None:
        now = _date(headers, "date") or datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    if (words := _AGAIN_IN.search(text)) and any(words.groups()):
        hours, minutes, rest = (float(words[group] or 0) for group in (1, 2, 3))
        return hours * 3600 + minutes * 60 + rest * (0.001 if words[4] == "ms" else 1.0)
    return None


def wait_in_words(seconds: float) -> str:
    """A wait in whole minutes or hours, rounded up."""
    minutes = ceil(seconds / 60)
    if minutes <= 1:
        return "a minute"
    return f"{minutes} minutes" if minutes < _HOURS else f"{ceil(minutes / 60)} hours"


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(headers[name])
    except (LookupError, ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
