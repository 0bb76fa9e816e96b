"""Chooses the frames of a traceback that fit a budget. Knows the formats of shells, and no shell.

It reads IPython's (Context, Verbose, Plain; versions 7 to 9) and Python's own, without colours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .lines import MARK_TOKENS, Span, ends
from .tokens import estimate

_FRAME = re.compile(
    r"""[ |]*(?: (?:Cell|Input)\ In\ ?\[ .*\]
               | File\ ".*",\ line\ \d+
               | File\ \S.*:\d+(?:,?\ in\ .*)?$
               | (?:<ipython-input-[^>]+>|\S.*\.py)\ in\ [\w<].*$ )""",
    re.VERBOSE,
)
_CODE = re.compile(r"[ \t|]|-*> ?\d|$")
_MESSAGE = re.compile(r"[A-Za-z_][\w.]*(?::|$)")
_LIBRARY = re.compile(
    r"[\\/](?:site|dist)-packages[\\/]|[\\/]lib[\\/]python\d|[\\/]Lib[\\/]|<frozen |\.p(?:yx|xi)\b"
)


@dataclass(frozen=True, slots=True)
class _Part:
    """A frame with its code, or the text between frames: a head, a message, a link."""

    start: int
    end: int
    frame: bool = False
    library: bool = False


def kept(text: str, limit: int) -> list[Span]:
    """The parts of a traceback to show in about `limit` tokens, in the order of the text.

    The message is chosen first, then the last and the first frame, then messages of earlier
    exceptions, then the user's frames, then libraries' frames. Within a kind the nearest to the
    error comes first. Only the messages, the last and the first frame may be cut.
    """
    if estimate(text) <= limit:
        return [(0, len(text))]
    parts = list(_parts(text))
    order = sorted((rank, -at) for at, rank in enumerate(_ranks(parts)))
    left = limit - MARK_TOKENS
    spans: list[Span] = []
    told = {-1, len(parts)}
    for rank, minus in order:
        part, beside = parts[-minus], {-minus - 1, -minus + 1}
        marks = MARK_TOKENS * (1 - len(beside & told))  # the gap becomes two, or it is closed
        cost = estimate(text[part.start : part.end]) + marks
        share = (left // 2, left * 2 // 3, left, left // 3)[rank] if rank < _WHOLE else 0
        if cost <= (share if rank == 0 else left):
            spans.append((part.start, part.end))
        elif share > 3 * MARK_TOKENS:
            spans += ends(text, part.start, part.end, share - 2 * MARK_TOKENS)
            cost = share
        else:
            continue
        told.add(-minus)
        left -= cost
    return sorted(spans)


_WHOLE = 4
"""From this rank on, a part is shown whole or not at all."""


def _ranks(parts: list[_Part]) -> list[int]:
    last = max((at for at, part in enumerate(parts) if part.frame), default=-1)
    first = last
    while first > 0 and parts[first - 1].frame:
        first -= 1
    ranks: list[int] = []
    for at, part in enumerate(parts):
        inner = part.frame and all(other.frame for other in parts[at - 1 : at + 2])
        if not part.frame:
            ranks.append(0 if at == len(parts) - 1 else 3)
        elif at in (first, last):
            ranks.append(1 if at == last else 2)
        else:
            ranks.append(4 if not part.library else 6 if inner and at else 5)
    return ranks


def _parts(text: str) -> Iterator[_Part]:
    """The text in parts, without gaps."""
    at, part, blank = 0, _Part(0, 0), False
    for line in text.splitlines(keepends=True):
        head = _FRAME.match(line.rstrip("\n"))
        # A variable's value, which IPython may show in a frame, has lines of any form.
        ended = not _CODE.match(line) and (blank or _MESSAGE.match(line))
        if head or (part.frame and ended):
            if at:
                yield _Part(part.start, at, part.frame, part.library)
            part = _Part(at, at, bool(head), bool(head and _LIBRARY.search(line)))
        at += len(line)
        blank = not line.strip()
    yield _Part(part.start, at, part.frame, part.library)
