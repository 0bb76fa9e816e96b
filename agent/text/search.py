"""Finds a pattern in a text in bounded time, whatever the pattern. Knows no tool.

Python's `re` cannot be stopped, and a pattern may take for ever. So a regular expression is
matched in a process of its own, which can be stopped. Plain text needs no process.
"""

import asyncio
import json
import subprocess
import sys
from typing import Any, cast

SEARCH_SECONDS = 3.0
"""How long a regular expression may take, the start of its process included."""

MAX_MATCHES = 10_000
"""Most matches that a search returns."""

_CHILD = """
import json, re, sys, warnings
warnings.simplefilter("ignore")
text, pattern, most = json.load(sys.stdin)
try:
    find = re.compile(pattern).finditer
except (re.error, OverflowError, RecursionError) as error:
    json.dump({"error": str(error)}, sys.stdout)
    sys.exit()
found, at = [], 0
for line in text.split("\\n"):
    found += [at + match.start() for match in find(line)]
    at += len(line) + 1
    if len(found) >= most:
        break
json.dump({"found": found[:most]}, sys.stdout)
"""


class SearchError(Exception):
    """The pattern cannot be searched for. The message tells the model why."""


async def find_matches(text: str, pattern: str) -> list[int]:
    """The positions in `text` where matches of a regular expression start. Each is in one line.

    Raises SearchError.
    """
    if not set(pattern) & set(r"\.^$*+?{}[]()|"):
        return _find_plain(text, pattern)
    found = await asyncio.to_thread(_ask_child, text, pattern)
    if "error" in found:
        raise SearchError(f"{pattern!r} is no regular expression: {found['error']}.")
    return found["found"]


def _find_plain(text: str, pattern: str) -> list[int]:
    found: list[int] = []
    at = text.find(pattern) if pattern else -1
    while at >= 0 and len(found) < MAX_MATCHES:
        found.append(at)
        at = text.find(pattern, at + len(pattern))
    return found


def _ask_child(text: str, pattern: str) -> dict[str, Any]:
    try:
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD],
            input=json.dumps([text, pattern, MAX_MATCHES]).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SEARCH_SECONDS,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        raise SearchError(
            f"{pattern!r} takes too long: search for a simpler pattern, or plain text."
        ) from None
    except (OSError, subprocess.CalledProcessError):
        raise SearchError("Only text without special characters can be searched here.") from None
    return cast("dict[str, Any]", json.loads(ran.stdout))
