"""Chooses the frames of a traceback that fit a budget. Knows the formats of shells, and no shell.

It reads IPython's (Context, Verbose, Plain; versions 7 to 9) and Python's own, without colours.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise

from ..frozen import frozen
from .lines import MARK_TOKENS, Span, ends
from .tokens import estimate, without_ansi

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


@frozen
class _Part:
    """A frame with its code, or the text between frames: a head, a message, a link."""

    start: int
    end: int
    frame: bool = False
    library: bool = False


MAX_CYCLE, MIN_REPEATS = 3, 3
"""Frames of a cycle that is folded, at most, and how often it is there, at least."""
MAX_FOLDED_CHARS = 2_000_000
"""Characters of a traceback whose frames are compared, at most."""

_PLACE = re.compile(r'[ |]*File "?(.+?)(?:", line \d|:\d)')
_ARGUMENTS = re.compile(r"( in [\w.<>]+)\(.*")
_NUMBERED = re.compile(r"\s*(?:-+> ?)?\d+ ")
_BREAKS = re.compile(r"[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def folded(traceback: Sequence[str]) -> tuple[str, ...]:
    """The traceback with each cycle of frames that repeats shown once, and counted.

    Its lines may have colours. Frames are equal at the same line of the same code, whatever their
    arguments. If nothing repeats, it is as it was.
    """
    lines = "\n".join(traceback).split("\n")
    if sum(map(len, lines)) > MAX_FOLDED_CHARS:
        return tuple(traceback)
    parts, edges = _pieces(lines)
    keys = [_key(text) if frame else None for text, frame in parts]
    shown, at = list[str](), 0
    while at < len(parts):
        size, times = _cycle(keys, at)
        shown += lines[edges[at] : edges[at + size]]
        if times > 1:
            last = "The last frame repeats" if size == 1 else f"The last {size} frames repeat"
            shown += [f"[… {last} {times - 1:,} more times …]", *[""] * (not shown[-1].strip())]
        at += size * times
    return tuple(shown) if len(shown) < len(lines) else tuple(traceback)


def without_frames(traceback: Sequence[str], of: Callable[[str], bool]) -> tuple[str, ...]:
    """The traceback without its frames in files whose path, as it is written, is `of` some kind."""
    lines = "\n".join(traceback).split("\n")
    if sum(map(len, lines)) > MAX_FOLDED_CHARS:
        return tuple(traceback)
    parts, edges = _pieces(lines)
    shown = list[str]()
    for (text, frame), (start, end) in zip(parts, pairwise(edges), strict=True):
        place = _PLACE.match(text) if frame else None
        shown += [] if place and of(place[1]) else lines[start:end]
    return tuple(shown) if len(shown) < len(lines) else tuple(traceback)


def _pieces(lines: Sequence[str]) -> tuple[list[tuple[str, bool]], list[int]]:
    """The parts without colours, and whether each is a frame; and the numbers of the lines between
    which they are."""
    text = "\n".join(_BREAKS.sub(" ", without_ansi(line)) for line in lines)
    parts = list(_parts(text))
    edges = [0, *accumulate(text.count("\n", part.start, part.end) for part in parts)]
    edges[-1] = len(lines)
    return [(text[part.start : part.end], part.frame) for part in parts], edges


def _cycle(keys: Sequence[str | None], at: int) -> tuple[int, int]:
    """How many frames from `at` on make a cycle, and how often it comes in a row."""
    best = 1, 1
    for size in range(1, MAX_CYCLE + 1):
        cycle, times = keys[at : at + size], 1
        while keys[at + times * size : at + (times + 1) * size] == cycle and None not in cycle:
            times += 1
        if times >= MIN_REPEATS and size * times > best[0] * best[1]:
            best = size, times
    return best


def _key(frame: str) -> str:
    """The place of a frame: its first line without arguments, and its code without values."""
    head, *lines = frame.split("\n")
    code = [line for line in lines if _NUMBERED.match(line)] or lines
    return "\n".join([_ARGUMENTS.sub(r"\1", head), *code]).rstrip()


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
