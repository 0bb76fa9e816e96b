"""A made-up session of data-science cells, with planted facts. Pure: same size, same story.

It is about towns, gauges and years. Cells around a planted fact have similar names and numbers.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from inkernel.agent.protocol.cells import CellRun

from .cells_made import (
    TOWNS,
    a_cell,
    a_deep_value,
    a_load,
    a_mean,
    a_name,
    an_error,
    an_offset,
    drawn,
)

Kind = Literal[
    "value printed",
    "value deep in a long output",
    "value of a superseded run",
    "variable name",
    "error",
    "path in a source",
    "rule of the person",
    "decision of the person",
    "decision of the model",
    "open plan item",
    "task",
]

COUNTS: dict[Kind, int] = {
    "value printed": 10,
    "value deep in a long output": 6,
    "value of a superseded run": 5,
    "variable name": 8,
    "error": 8,
    "path in a source": 6,
    "rule of the person": 10,
    "decision of the person": 12,
    "decision of the model": 12,
    "open plan item": 4,
}
"""The number of planted facts of each kind, besides the task."""

OF_TURNS: frozenset[Kind] = frozenset(
    {
        *("rule of the person", "decision of the person", "decision of the model"),
        *("open plan item", "task"),
    }
)
"""Kinds that are planted in prompts or answers."""

LATER = 12
"""Turns after which a cell runs again."""

TASK = (
    "Task: find out which of the forty gauges drifted between 2001 and 2019, and by how much,"
    " and never touch the raw files"
)


RULES = (
    "Never write to /data/{town}/{year}, not even to repair a single row of it",
    "Depths are in millimetres, always, with the number of days behind them in brackets",
    "Do not install anything for {town}: the machine is shared, and the lock file is not ours",
    "Times of {town} are UTC in every table and every plot",
    "Use polars for {town}, and leave the old pandas frames as they are until I say otherwise",
    "From now on leave the gauge of {town} out of all means, since it was moved in {year}",
    "Ask me before anything about {town} that takes longer than ten minutes, whatever it is",
    "Round the sums of {town} at the very end only, and to three decimals",
    "No figure of {town} without its unit, and never a pie",
    "You must not use the radar of {year} for {town}: its antenna was bent, and nobody knows when",
)
"""Ten rules, as people say them."""


@dataclass(frozen=True)
class Cell:
    """A user's cell run. `cell`: its notebook id, which runs of one cell share."""

    cell: str
    run: CellRun


@dataclass(frozen=True)
class Turn:
    """The user's cells and prompt, the model's steps and its answer."""

    cells: tuple[Cell, ...]
    said: str
    steps: tuple[CellRun, ...]
    answer: str


@dataclass(frozen=True)
class Needle:
    """A planted fact. `text`: the exact text to find. `query`: words that a searcher would know.

    `turn`: from 1. `run`: number of the turn's run, steps after cells. None: in prompt or answer.
    """

    kind: Kind
    text: str
    query: str
    turn: int
    run: int | None = None


@dataclass(frozen=True)
class Story:
    """All turns, and what is planted."""

    turns: tuple[Turn, ...]
    needles: tuple[Needle, ...]

    @property
    def cells(self) -> int:
        """How many cell runs there are."""
        return sum(len(turn.cells) + len(turn.steps) for turn in self.turns)


@dataclass
class _Draft:
    """The needles of one turn, before the rest of it is filled."""

    runs: list[tuple[str, CellRun, Needle | None]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)


def make_story(turns: int, cells: int, figures: bool = True, planted: bool = True) -> Story:
    """So many turns, each with so many cells of the user and one step of the model.

    `figures`: some cells show one. `planted`: the story has needles.
    """
    chance = Random(turns * 1_000 + cells)
    drafts: dict[int, _Draft] = defaultdict(_Draft)
    needles = list(_plant(drafts, turns, chance)) if planted else []
    told: list[Turn] = []
    for number in range(1, turns + 1):
        turn, found = _filled(number, drafts[number], cells, figures, chance)
        told.append(turn)
        needles += found
    return Story(tuple(told), tuple(sorted(needles, key=lambda needle: needle.turn)))


def _plant(drafts: dict[int, _Draft], turns: int, chance: Random) -> Iterator[Needle]:
    """Put needles into drafts: those of runs beside their run. Yields those of turns."""
    places = iter(chance.sample([(town, year) for town in TOWNS for year in range(2001, 2020)], 99))
    makers: dict[Kind, Callable[[str, int, Random], tuple[CellRun, str, str]]] = {
        "value printed": a_mean,
        "value deep in a long output": a_deep_value,
        "variable name": a_name,
        "error": an_error,
        "path in a source": a_load,
    }
    for kind, make in makers.items():
        for number in _spread(COUNTS[kind], turns):
            town, year = next(places)
            run, text, query = make(town, year, chance)
            drafts[number].runs.append(("", run, Needle(kind, text, query, number)))
    for number in _spread(COUNTS["value of a superseded run"], turns - LATER):
        town, year = next(places)
        run, text, query = an_offset(town, year, chance)
        cell, again = f"offset-{town}-{year}", an_offset(town, year, chance)[0]
        needle = Needle("value of a superseded run", text, query, number)
        drafts[number].runs.append((cell, run, needle))
        drafts[number + LATER].runs.append((cell, again, None))
    yield from _planted_words(drafts, turns, places)


def _planted_words(
    drafts: dict[int, _Draft], turns: int, places: Iterator[tuple[str, int]]
) -> Iterator[Needle]:
    """The prompts and answers with needles."""
    drafts[1].said.append(f"{TASK}.")
    yield Needle("task", TASK, "task gauges drifted", 1)
    for number, rule in zip(_spread(len(RULES), turns), RULES, strict=True):
        town, year = next(places)
        text = rule.format(town=town.title(), year=year)
        drafts[number].said.append(f"{text}.")
        yield Needle("rule of the person", text, f"{text.partition(' {')[0]} {town}", number)
    for number in _spread(COUNTS["decision of the person"], turns):
        town, year = next(places)
        text = (
            f"Decision: for {town.title()} we take the median of {number % 20 + 11} days, not the"
            f" mean, since its gauge was moved in {year}"
        )
        drafts[number].said.append(f"{text}.")
        yield Needle("decision of the person", text, f"decision {town} median mean", number)
    for number in _spread(COUNTS["decision of the model"], turns):
        town, year = next(places)
        text = (
            f"Decision: I leave out the first {number % 25 + 3} days of {town.title()} in {year},"
            " since the logger restarted twice"
        )
        drafts[number].answer.append(f"{text}.")
        yield Needle("decision of the model", text, f"decision leave out {town} logger", number)
    for number in _spread(COUNTS["open plan item"], turns):
        town, year = next(places)
        text = f"Plan: hold {town.title()} {year} against the radar before anything is reported"
        drafts[number].answer.append(f"{text}.")
        yield Needle("open plan item", text, f"plan {town} radar", number)


def _filled(
    number: int, draft: _Draft, cells: int, figures: bool, chance: Random
) -> tuple[Turn, list[Needle]]:
    """A turn with as many cells as it should have, and the needles in its runs."""
    chance.shuffle(draft.runs)
    runs = list(draft.runs)
    while len(runs) < cells + 1:
        again = f"cell-{chance.randrange(number)}" if chance.random() < 0.2 else ""
        at = chance.randrange(len(runs) + 1)
        runs.insert(at, (again, a_cell(chance, figures and chance.random() < 0.05), None))
    *mine, (_, step, _) = _with_the_step_last(runs)
    told = [Cell(cell or f"cell-{number}-{at}", run) for at, (cell, run, _) in enumerate(mine)]
    found = [
        Needle(needle.kind, needle.text, needle.query, number, at)
        for at, (_, _, needle) in enumerate(_with_the_step_last(runs))
        if needle
    ]
    said = " ".join([*draft.said, _asked(number, chance)])
    answer = " ".join([_answered(number, chance), *draft.answer])
    return Turn(tuple(told), said, (step,), answer), found


def _with_the_step_last(
    runs: Sequence[tuple[str, CellRun, Needle | None]],
) -> list[tuple[str, CellRun, Needle | None]]:
    """Put a run that is no cell of the notebook last, as the model's step."""
    free = (at for at, (cell, _, _) in enumerate(runs) if not cell)
    last = max(free, default=len(runs) - 1)
    return [*runs[:last], *runs[last + 1 :], runs[last]]


def _spread(count: int, turns: int) -> list[int]:
    """Turns as far from each other as can be, from 1."""
    return [1 + int((at + 0.5) * turns / count) for at in range(count)]


def _asked(number: int, chance: Random) -> str:
    town, year = drawn(chance)
    asked = (
        f"Look at the months of {town.title()} in {year} and tell me which was the wettest.",
        f"Is there anything odd in {town.title()} {year}? A jump, a gap, a value that repeats.",
        f"Compare {town.title()} with its neighbours in {year}, by month, in one table.",
        f"Redo that for {year}, please, but leave out days on which nothing was measured.",
    )
    more = (
        "The last table was good, keep that form.",
        "I ran the cells above by hand; take them as they are and do not load anything again.",
        "If two gauges disagree by more than a tenth, say so and stop there, I want to look first.",
        "Short, please.",
    )
    done = f"Done: checked week {number - 5}." if number % 10 == 5 and number > 5 else ""
    words = [f"Turn {number}.", chance.choice(asked), *chance.sample(more, chance.randrange(4))]
    return " ".join([*words, done]).strip()


def _answered(number: int, chance: Random) -> str:
    town, year = drawn(chance)
    high, low = chance.uniform(60, 240), chance.uniform(0, 20)
    plan = f" Plan: checked week {number}." if number % 10 == 0 else ""
    text = (
        f"November was the wettest month of {town.title()} in {year}, with {high:.1f} mm; July had"
        f" {low:.1f} mm. The table is in `monthly_{town}_{year}`."
    )
    more = (
        " Two days are missing, both in March, and I filled neither.",
        " The gauge agrees with its neighbours within 4 % but for one week in autumn, where it"
        " shows half of what they show; that is likely a blocked funnel, so I would not use it.",
        "",
    )
    return text + chance.choice(more) + plan
