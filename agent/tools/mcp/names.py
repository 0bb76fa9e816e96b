"""The names of servers' tools in a request. Knows no server."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from itertools import count

from ...conversation.history import OF_SERVERS, base_namespace

MAX_TOOL_NAME = 64
"""Most characters of a tool's name, the limit of several providers."""
_HASHED, _DIGITS = 51, 12

ToolKey = tuple[str, str]
"""A server's name in the configuration, and the tool's own name."""


def tool_names(pairs: Iterable[ToolKey], taken: Collection[str] = ()) -> dict[ToolKey, str]:
    """A name for each pair of server and tool, sorted: `mcp__SERVER__TOOL`.

    Other characters than ASCII letters, digits, `_` and `-` become `_`. If that makes a name too
    long, or the same as another or one in `taken`, it ends in a hash of the pair. The order of the
    pairs makes no difference.
    """
    plain = {pair: _plain_name(*pair) for pair in sorted(set(pairs))}
    counts, used = Counter(plain.values()), set(taken)
    found: dict[ToolKey, str] = {}
    for pair, name in plain.items():
        if counts[name] > 1 or len(name) > MAX_TOOL_NAME or name in used:
            hashed = (_hashed_name(name, pair, again) for again in count())
            name = next(it for it in hashed if it not in used and it not in counts)
        used.add(name)
        found[pair] = name
    return found


def namespace_name(server: str) -> str:
    """The namespace of a server's tools where the model has loaded them: `mcp__SERVER`.

    No other server has it, and it never ends as `again_namespace` does.
    """
    return _own_name(f"{OF_SERVERS}{server}")


def again_namespace(namespace: str, n: int) -> str:
    """The namespace of tools that are loaded for the nth time from their server."""
    return namespace if n == 1 else f"{namespace}__{n}"


def function_name(tool: str) -> str:
    """The name of a tool in its namespace. No other tool of its server has it."""
    return _own_name(tool)


def _own_name(text: str) -> str:
    """The text if a request takes it as a name, or else a name of its own with a hash."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    if safe == text and 0 < len(text) <= MAX_TOOL_NAME and base_namespace(text) == text:
        return text
    return _hashed(safe, text)


def _plain_name(server: str, tool: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{OF_SERVERS}{server}__{tool}")


def _hashed_name(name: str, pair: ToolKey, again: int) -> str:
    return _hashed(name, "\0".join((*pair, *[str(again)] * bool(again))))


def _hashed(name: str, text: str) -> str:
    digest = hashlib.sha1(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{name[:_HASHED]}_{digest[:_DIGITS]}"
