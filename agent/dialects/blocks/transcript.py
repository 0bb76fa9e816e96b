"""The messages of a request to the Messages API, as bytes that only grow. Knows no item.

Neighbouring blocks of one role are one message. Marks of the cache are put in as a body is joined.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

RoleBlock = tuple[str, bytes]
"""A role and a block as JSON."""

_DIGEST_BYTES = 12


def digest_of(*values: bytes) -> bytes:
    """A digest of some texts, in this order."""
    found = blake2b(digest_size=_DIGEST_BYTES)
    for value in values:
        found.update(b"%d:" % len(value))
        found.update(value)
    return found.digest()


def grown_digest(digest: bytes, role: str, block: bytes) -> bytes:
    """The digest of some blocks and one more."""
    return digest_of(digest, role.encode(), block)


class Transcript:
    """Messages that only grow. The last one is open: its closing brackets are missing.

    `role`: of the last message, or empty. `end`: where a mark of the last block that takes one
    goes, or -1. `digest`: of `seed` and all blocks. `seed`: the digest of all before them.
    """

    def __init__(self, seed: bytes = b"") -> None:
        self.role = ""
        self.end = -1
        self.digest = seed
        self._wire = bytearray()
        self._thoughts: list[bytes] = []
        self._ahead = seed  # the digest with these thoughts

    def add(self, role: str, block: bytes, markable: bool = True) -> None:
        """Add one block, a JSON object, after the thoughts of the model before it."""
        if role != "assistant":
            self.forget_thoughts()
        for added in (*self._thoughts, block):
            self._wire += _continued(self.role, role, added)
            self.role = role
        self.digest = self._ahead = grown_digest(self._ahead, role, block)
        self._thoughts = []
        if markable:
            self.end = len(self._wire) - 1

    def think(self, block: bytes) -> None:
        """Add a thought once another block of the model follows, because it cannot be the last."""
        self._thoughts.append(block)
        self._ahead = self.digest_with(block)

    def forget_thoughts(self) -> None:
        """Leave out the thoughts that nothing followed."""
        self._thoughts, self._ahead = [], self.digest

    def digest_with(self, thought: bytes) -> bytes:
        """The digest as it would be with one more thought."""
        return grown_digest(self._ahead, "assistant", thought)

    def body(
        self, head: bytes, tail: Sequence[RoleBlock], places: Iterable[int], mark: bytes
    ) -> bytes:
        """The JSON object of a request: `head`, its first members, and then the messages.

        `tail`: blocks at the end of this request alone. `places`: where `mark` is put in.
        """
        with memoryview(self._wire) as wire:
            parts = [b'{%b,"messages":[' % head, *_cut(wire, places, mark)]
            role = self.role
            for next_role, block in tail:
                parts.append(_continued(role, next_role, block))
                role = next_role
            parts.append(b"]}]}")
            body = b"".join(parts)
            parts.clear()  # a bytearray that is still seen cannot grow
        return body


def _cut(wire: memoryview, places: Iterable[int], mark: bytes) -> Iterator[bytes | memoryview]:
    start = 0
    for place in sorted({place for place in places if place >= 0}):
        yield wire[start:place]
        yield mark
        start = place
    yield wire[start:]


def _continued(before: str, role: str, block: bytes) -> bytes:
    """A block as it follows a message of the role `before`, which is open."""
    if role == before:
        return b"," + block
    return b'%b{"role":"%b","content":[%b' % (b"]}," if before else b"", role.encode(), block)
