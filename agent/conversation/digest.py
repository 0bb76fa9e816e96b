"""The digest: one readable item that replaces the earlier part of a conversation.

Pure. Only its notes need a model. A person may edit it, and the edited text is read back.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from ..text.tokens import cut_middle, estimate
from .notes import NO_NOTES, Cited, Notes, PlanStep
from .references import HANDLE

SAID_SHARE, NOTED_SHARE, CELLS_SHARE, NAMES_SHARE = 0.25, 0.20, 0.15, 0.08
"""Most of a window's tokens that the parts of a digest take, as shares."""

MIN_SECTION_TOKENS = 200
"""Tokens that each part may have at least."""

_LABEL = 12
"""Tokens of the label above a turn's words."""

HEAD = (
    "The earlier conversation, shortened. `recall` gives any of it whole: a run by its handle, a "
    "range, a turn, or what you search for. Values may have changed since."
)
SECTIONS = ("State", "Plan", "Decisions", "Facts")
"""Sections that the model writes. In an edited digest they are read back."""
MADE = ("What the person said", "Cells", "Variables now")
"""Sections that are made anew for every digest."""

_SECTION = re.compile(r"^## (.+?)\s*$", re.MULTILINE)
_STEP = re.compile(r"\[([ xX])\] (.*)")
_SOURCES = re.compile(r"\s*\(((?:out-\d+[^,()]*(?:, )?)+)\)$")


class SaidTurn(BaseModel):
    """The person's words in a turn, and the start of the answer."""

    model_config = ConfigDict(frozen=True)

    turn: int
    label: str
    text: str
    answer: str = ""


class Digest(BaseModel):
    """A digest as it is sent (`text`), and the parts that the next one takes over.

    `said`: the turns in it, in order. `left`: how many turns before them it leaves out. `more`:
    sections that the person added, as they wrote them. `upto`: how many runs it lists.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    notes: Notes = NO_NOTES
    said: tuple[SaidTurn, ...] = ()
    left: int = 0
    more: str = ""
    upto: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a digest. `cells`, `names`: lines. `upto`: how many runs `cells` cover.

    `mark`: returns the remark on a handle. `superseded`: turns, each with the later turn.
    """

    notes: Notes
    said: Sequence[SaidTurn]
    left: int
    more: str
    cells: Sequence[str]
    upto: int
    names: Sequence[str]
    mark: Callable[[str], str]
    superseded: Mapping[int, int]


def make_digest(parts: Parts, room: int) -> Digest:
    """The digest for a window of `room` tokens."""
    said = _fitting_turns(parts.said, share(room, SAID_SHARE))
    left = parts.left + len(parts.said) - len(said.turns)
    lines = ["<digest>", HEAD]
    if parts.said or parts.left:
        lines += ["", f"## {MADE[0]}", *_said_lines(said, left, parts.superseded)]
    lines += _notes_lines(parts.notes, parts.mark, share(room, NOTED_SHARE))
    if parts.more:
        lines += ["", parts.more]
    for title, listed in ((MADE[1], parts.cells), (MADE[2], parts.names)):
        if listed:
            lines += ["", f"## {title}", *listed]
    text = "\n".join([*lines, "</digest>"])
    return Digest(
        text=text,
        notes=parts.notes,
        said=tuple(said.turns),
        left=left,
        more=parts.more,
        upto=parts.upto,
    )


def share(room: int, part: float) -> int:
    """Most tokens of a part of a digest."""
    return max(MIN_SECTION_TOKENS, int(room * part))


def edited_digest(digest: Digest, text: str) -> Digest:
    """The digest as a person rewrote it. Their text is sent, and the next digest takes it over."""
    inner = text.strip().removeprefix("<digest>").removesuffix("</digest>").strip("\n")
    found = _sections(inner)
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
    text = f"<digest>\n{inner}\n</digest>"
    return digest.model_copy(update={"text": text, "notes": notes, "more": more})


class _Fitting(NamedTuple):
    """The newest turns that fit, in order.

    `cut`: tokens that the first is cut to, or 0. `answered`: turns whose answers fit.
    """

    turns: list[SaidTurn]
    cut: int
    answered: frozenset[int]


def _fitting_turns(said: Sequence[SaidTurn], budget: int) -> _Fitting:
    """Fill the budget first with the person's words, then with answers, the newest first."""
    kept: list[SaidTurn] = []
    cut = 0
    for turn in reversed(said):
        cost = estimate(turn.text) + _LABEL
        if cost > budget:
            if budget >= MIN_SECTION_TOKENS or not kept:
                kept.insert(0, turn)
                cut, budget = max(budget, MIN_SECTION_TOKENS), 0
            break
        budget -= cost
        kept.insert(0, turn)
    answered: set[int] = set()
    for turn in reversed(kept):
        budget -= estimate(turn.answer)
        if budget < 0:
            break
        answered.add(turn.turn)
    return _Fitting(kept, cut, frozenset(answered))


def _said_lines(fitting: _Fitting, left: int, superseded: Mapping[int, int]) -> Iterator[str]:
    if left:
        yield f"({left:,} earlier turn(s) are left out: `recall` gives any, such as turn 1.)"
    for number, turn in enumerate(fitting.turns):
        text = cut_middle(turn.text, fitting.cut) if fitting.cut and not number else turn.text
        if text != turn.text:
            text += f"\n(recall {turn.label.partition(',')[0]} has all of it)"
        later = superseded.get(turn.turn)
        yield f"### {turn.label}" + (f", superseded by turn {later}" if later else "")
        yield from (f"> {line}" for line in text.splitlines())
        if turn.answer and turn.turn in fitting.answered:
            yield f"answered then: {turn.answer}"


def _notes_lines(notes: Notes, mark: Callable[[str], str], budget: int) -> Iterator[str]:
    """The model's sections. Lines that do not fit are counted at the end of each."""

    def sources(cited: Cited) -> str:
        told = ", ".join(f"{handle}{mark(handle)}" for handle in cited.sources)
        return f" ({told})" if told else ""

    sections = (
        [notes.state] if notes.state else [],
        [f"- [{'x' if step.done else ' '}] {step.text}" for step in notes.plan],
        [f"- {it.text}{sources(it)}" for it in notes.decisions],
        [f"- {it.text}{sources(it)}" for it in notes.facts],
    )
    for title, lines in zip(SECTIONS, sections, strict=True):
        fitting: list[str] = []
        for line in lines:
            budget -= estimate(line)
            if budget >= 0 or title == SECTIONS[0]:
                fitting.append(line)
        if lines:
            left = len(lines) - len(fitting)
            yield from ("", f"## {title}", *fitting)
            yield from [f"({left} more did not fit)"] if left else []


def _sections(text: str) -> list[tuple[str, str]]:
    """Titles and bodies. The person's words are quoted, so that no line of them is a title."""
    found = list(_SECTION.finditer(text))
    ends = [it.start() for it in found[1:]] + [len(text)]
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
