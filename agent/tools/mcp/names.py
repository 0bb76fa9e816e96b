"""The names of servers' tools in a request. Knows no server."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from itertools import count

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


def _plain_name(server: str, tool: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"mcp__{server}__{tool}")


def _hashed_name(name: str, pair: ToolKey, again: int) -> str:
    text = "\0".join((*pair, *[str(again)] * bool(again)))
    digest = hashlib.sha1(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{name[:_HASHED]}_{digest[:_DIGITS]}"
