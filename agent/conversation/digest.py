"""The digest: one readable item that replaces the earlier part of a conversation.

Pure. Only its notes need a model. A person may edit it, and the edited text is read back.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from ..frozen import frozen
from ..text.blocks import block
from ..text.tokens import estimate
from .notes import NO_NOTES, Cited, Notes, PlanStep
from .references import HANDLE

SAID_SHARE, NOTED_SHARE, CELLS_SHARE, NAMES_SHARE = 0.25, 0.25, 0.15, 0.08
"""Most of a window's tokens that the parts of a digest take, as shares."""

MIN_SECTION_TOKENS = 200
"""Tokens that each part may have at least."""

MIN_FACTS_SHARE = 0.4
"""Part of the notes that facts have for sure, however many decisions there are."""

HEAD = (
    "The earlier conversation, shortened. `recall` gives any of it whole: a run by its handle, a "
    "range, a turn, or what you search for. Values may have changed since."
)
SECTIONS = ("State", "Plan", "Decisions", "Facts")
"""Sections that the model writes. In an edited digest they are read back."""
MADE = ("What the person said", "Cells", "Variables now")
"""Sections that are made anew for every digest."""

LOOSE = "Remarks"
"""The title of words that a person wrote above all sections."""
_SECTION = re.compile(r"^## (.+?)\s*$", re.MULTILINE)
_STEP = re.compile(r"\[([ xX])\] (.*)")
_SOURCES = re.compile(r"\s*\(((?:out-\d+[^,()]*(?:, )?)+)\)$")


class SaidTurn(BaseModel):
    """The person's words in a turn, and the start of the answer.

    `short`: `text` is a line in place of them. `shown`: the part of them that is shown, if not all.
    """

    model_config = ConfigDict(frozen=True)

    turn: int
    label: str
    text: str
    answer: str = ""
    short: bool = False
    shown: str = ""


class Digest(BaseModel):
    """A digest as it is sent (`text`), and the parts that the next one takes over.

    `said`: the turns in it, in order. `left`: how many others it leaves out. `more`: sections that
    the person added, as they wrote them. `upto`: how many runs it lists.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    notes: Notes = NO_NOTES
    said: tuple[SaidTurn, ...] = ()
    left: int = 0
    more: str = ""
    upto: int = 0


@frozen
class Parts:
    """The parts of a digest. `cells`, `names`: lines. `upto`: how many runs `cells` cover.

    `left`: how many turns are not in `said`. `answered`: turns whose answers are shown. `mark`:
    returns the remark on a handle. `superseded`: turns, each with the later turn.
    """

    notes: Notes
    said: Sequence[SaidTurn]
    left: int
    answered: Collection[int]
    more: str
    cells: Sequence[str]
    upto: int
    names: Sequence[str]
    mark: Callable[[str], str]
    superseded: Mapping[int, int]


def make_digest(parts: Parts, room: int) -> Digest:
    """The digest for a window of `room` tokens."""
    lines = [HEAD]
    if parts.said or parts.left:
        lines += ["", f"## {MADE[0]}", *_said(parts)]
    lines += _notes_lines(parts.notes, parts.mark, share(room, NOTED_SHARE))
    if parts.more:
        lines += ["", parts.more]
    for title, listed in ((MADE[1], parts.cells), (MADE[2], parts.names)):
        if listed:
            lines += ["", f"## {title}", *listed]
    text = block("digest", "\n".join(lines))
    return Digest(
        text=text,
        notes=parts.notes,
        said=tuple(parts.said),
        left=parts.left,
        more=parts.more,
        upto=parts.upto,
    )


def taken_over(digest: Digest) -> list[str]:
    """The titles of the sections that the next digest takes over."""
    notes = [title for title in SECTIONS if getattr(digest.notes, title.lower())]
    return [*notes, *(title for title, _ in _sections(digest.more))]


def share(room: int, part: float) -> int:
    """Most tokens of a part of a digest."""
    return max(MIN_SECTION_TOKENS, int(room * part))


def edited_digest(digest: Digest, text: str) -> Digest:
    """The digest as a person rewrote it. Their text is sent, and the next digest takes it over."""
    inner = text.strip().removeprefix("<digest>").removesuffix("</digest>").strip("\n")
    found = _sections(inner)
    if loose := _SECTION.split(inner, 1)[0].replace(HEAD, "").strip():
        found.append((LOOSE, loose))
    more = "\n\n".join(
        f"## {title}\n{body}" for title, body in found if title not in (*SECTIONS, *MADE)
    )
    known = dict(found)
    notes = Notes(
        state=known.get("State", ""),
        plan=tuple(map(_step, _bullets(known.get("Plan", "")))),
        decisions=tuple(map(_cited, _bullets(known.get("Decisions", "")))),
        facts=tuple(map(_cited, _bullets(known.get("Facts", "")))),
    )
    text = block("digest", inner)
    return digest.model_copy(update={"text": text, "notes": notes, "more": more})


def said_lines(turn: SaidTurn, later: int | None = None) -> Iterator[str]:
    """The person's words in a turn. `later`: the turn that superseded it."""
    name = turn.label.partition(",")[0]
    superseded = f", superseded by turn {later}" if later else ""
    if turn.short:
        yield f"- {name}{superseded}: {turn.text}"
        return
    yield f"### {turn.label}{superseded}"
    lines = (turn.shown or turn.text).splitlines(keepends=True)  # with any line end, as it was
    yield from ["".join(f"> {line}" for line in lines).removesuffix("\n")] if lines else ()
    if turn.shown:
        yield f"(recall {name} has all of it)"


def _said(parts: Parts) -> Iterator[str]:
    if parts.left:
        yield f"({parts.left:,} more turn(s) are left out: `recall` gives any, such as turn 2.)"
    for turn in parts.said:
        yield from said_lines(turn, parts.superseded.get(turn.turn))
        if turn.answer and turn.turn in parts.answered:
            yield f"answered then: {turn.answer}"


def _notes_lines(notes: Notes, mark: Callable[[str], str], budget: int) -> Iterator[str]:
    """The model's sections. Lines that do not fit are counted at the end of each."""

    def sources(cited: Cited) -> str:
        told = ", ".join(f"{handle}{mark(handle)}" for handle in cited.sources)
        return f" ({told})" if told else ""

    facts = [f"- {it.text}{sources(it)}" for it in notes.facts]
    safe = min(sum(map(estimate, facts)), int(budget * MIN_FACTS_SHARE))
    sections = (
        [notes.state] if notes.state else [],
        [f"- [{'x' if step.done else ' '}] {step.text}" for step in notes.plan],
        [f"- {it.text}{sources(it)}" for it in notes.decisions],
        facts,
    )
    for title, lines in zip(SECTIONS, sections, strict=True):
        fitting: list[str] = []
        least = safe if lines is not facts else 0
        for line in lines:
            if budget - estimate(line) >= least or title == SECTIONS[0]:
                budget -= estimate(line)
                fitting.append(line)
        if lines:
            left = len(lines) - len(fitting)
            yield from ("", f"## {title}", *fitting)
            yield from [f"({left} more did not fit)"] if left else []


def _sections(text: str) -> list[tuple[str, str]]:
    """Titles and bodies. The person's words are quoted, so that no line of them is a title."""
    found = list(_SECTION.finditer(text))
    ends = [*(it.start() for it in found), len(text)][1:]
    return [(it[1], text[it.end() : end].strip()) for it, end in zip(found, ends, strict=True)]


def _bullets(body: str) -> list[str]:
    """Each bullet, with its continuation lines."""
    bullets: list[str] = []
    for line in body.splitlines():
        if line.startswith(("- ", "* ")):
            bullets.append(line[2:].strip())
        elif line.strip() and bullets and not line.startswith("("):
            bullets[-1] += f" {line.strip()}"
        elif line.strip() and not line.startswith("("):
            bullets.append(line.strip())
    return bullets


def _step(text: str) -> PlanStep:
    match = _STEP.fullmatch(text)
    return PlanStep(text=match[2], done=match[1] != " ") if match else PlanStep(text=text)


def _cited(text: str) -> Cited:
    match = _SOURCES.search(text)
    if match is None:
        return Cited(text=text, sources=())
    return Cited(text=text[: match.start()], sources=tuple(HANDLE.findall(match[1])))
