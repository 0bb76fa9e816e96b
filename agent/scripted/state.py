"""The state of a scripted server between requests: responses, and a prompt cache.

Knows no script and no network. The state is bounded, in memory, and gone with the server.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

from ..frozen import frozen
from .request import Items, RequestError

MAX_KEPT = 1000
"""Most responses, and most prompts, that are kept."""

_PAGE = 20
_LONGEST_PAGE = 100

BLOCK_TOKENS = 128
"""Tokens in one block of the prompt cache."""

TOKEN_BYTES = 4
"""Bytes of JSON that count as one token."""

_BLOCKS = 200_000
"""Most blocks that the cache knows for one key."""

LOOKBACK_BLOCKS = 20
"""Blocks of a prompt that a cache mark looks at, its own among them."""

MIN_CACHED_TOKENS = 1024
"""Fewest tokens of a prompt's beginning that a cache mark keeps."""

V = TypeVar("V")


class Recent(OrderedDict[str, V]):
    """A dict of the last `MAX_KEPT` entries that were set."""

    def __setitem__(self, key: str, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > MAX_KEPT:
            self.popitem(last=False)


class PromptCache:
    """The beginnings of all prompts that were read, in blocks, like a provider's cache."""

    def __init__(self) -> None:
        self._known: Recent[set[bytes]] = Recent()

    def read(self, key: str, prompt: bytes) -> int:
        """How many tokens of the prompt's beginning are known. From now on all of it is known."""
        known, cached = self._known.get(key, set()), 0
        self._known[key] = known
        if len(known) > _BLOCKS:
            known.clear()
        chain, size = blake2b(digest_size=12), BLOCK_TOKENS * TOKEN_BYTES
        for at in range(0, len(prompt) - size + 1, size):
            chain.update(prompt[at : at + size])
            if (digest := chain.digest()) in known:
                cached += BLOCK_TOKENS
            known.add(digest)
        return cached


class PromptBlock(NamedTuple):
    """A block of a prompt. `ttl`: it has a cache mark of this time to live."""

    text: bytes
    ttl: str | None = None


@frozen
class CacheUse:
    """A prompt's tokens: read from a cache, written to it by time to live, and the rest."""

    read: int
    written: Counter[str]
    rest: int


class MarkedCache:
    """The beginnings of prompts that end in a cache mark, like Anthropic's cache.

    A mark looks back for a beginning that an earlier mark kept. A short beginning is not kept, and
    nothing expires. Read in 2026-11:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching.
    """

    def __init__(self) -> None:
        self._known: Recent[bool] = Recent()

    def read(self, blocks: Sequence[PromptBlock]) -> CacheUse:
        """How the tokens of a prompt are counted. From now on its marked beginnings are known."""
        chain, digests = blake2b(digest_size=12), list[str]()
        for block in blocks:
            chain.update(block.text)
            digests.append(chain.hexdigest())
        sizes = [size // TOKEN_BYTES for size in accumulate(len(block.text) for block in blocks)]
        marks = [at for at, block in enumerate(blocks) if block.ttl]
        seen = {at for mark in marks for at in range(mark, max(mark - LOOKBACK_BLOCKS, -1), -1)}
        hit = max((at for at in seen if digests[at] in self._known), default=-1)
        read = end = sizes[hit] if hit >= 0 else 0
        written: Counter[str] = Counter()
        for mark in marks:
            if sizes[mark] < MIN_CACHED_TOKENS:
                continue
            self._known[digests[mark]] = True
            written[str(blocks[mark].ttl)] += max(sizes[mark] - end, 0)
            end = max(end, sizes[mark])
        return CacheUse(read, written, (sizes[-1] if sizes else 0) - end)


@frozen
class KeptResponse:
    """A response that a later request may go on from. `input`: of its own request."""

    response: dict[str, Any]
    input: Items
    previous: "KeptResponse | None"

    @property
    def read(self) -> Items:
        """The input of this response: the whole conversation before it, in order."""
        return [*(self.previous.whole if self.previous else []), *self.input]

    @property
    def whole(self) -> Items:
        """The conversation up to this response, with it."""
        parts: list[Items] = []
        kept: KeptResponse | None = self
        while kept:
            parts += [kept.response["output"], kept.input]
            kept = kept.previous
        return [item for part in reversed(parts) for item in part]


class Lane:
    """The state of one WebSocket connection: its last response, stored or not."""

    def __init__(self) -> None:
        self.last: KeptResponse | None = None

    def find(self, name: str) -> KeptResponse | None:
        """The response of that id, if it is the last one."""
        return self.last if self.last and self.last.response["id"] == name else None

    def settle(self, named: object, kept: KeptResponse | None) -> None:
        """Keep the response to a request. If that failed, forget the response that it named."""
        if kept and kept.response["status"] != "failed":
            self.last = kept
        elif self.last and self.last.response["id"] == named:
            self.last = None


def page(items: Items, query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the list of `items`, newest first unless asked otherwise. Raises RequestError."""
    order, after = query.get("order", "desc"), query.get("after")
    if order not in ("asc", "desc"):
        raise RequestError("order must be asc or desc.", "order")
    limit = query.get("limit", str(_PAGE))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _LONGEST_PAGE):
        raise RequestError(f"limit must be from 1 to {_LONGEST_PAGE}.", "limit")
    listed = items if order == "asc" else items[::-1]
    if after is not None:
        ids = [item["id"] for item in listed]
        if after not in ids:
            raise RequestError(f"No item with id '{after}' is in this list.", "after")
        listed = listed[ids.index(after) + 1 :]
    shown = listed[: int(limit)]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(shown) < len(listed),
    }
