"""Which words of the person stay in the digest as they were said, and which become a line. Pure.

They stay as long as they fit. Then turns become lines: first turns that order nothing, then the
others, each time the oldest first. A line keeps the sentences that order something, whole. The
first turn and pinned ones become no line. If they are too long, they keep head, tail and rules.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, takewhile
from typing import Literal, NamedTuple

from ..conversation.digest import SaidTurn, said_lines
from ..conversation.runs import first_line
from ..text.orders import Order, order, sentences
from ..text.tokens import cut_middle, estimate

Form = Literal["whole", "orders", "rules", "first line", "out"]
"""As it was said, its first line with all orders or with the rules among them, that alone, none."""

MAX_SENTENCE_TOKENS = 120
"""Most tokens of a sentence in a line."""

MAX_REASON_TOKENS = 40
"""Most tokens of a sentence that stays only because it follows a rule."""

MIN_CUT_TOKENS = 100
"""Least tokens of a turn that keeps head and tail."""

LONG_SHARE, LEAST_SHARE = 0.8, 0.5
"""Parts of all words that the first turn and pinned ones have for sure, at first and in need."""

_STEPS: tuple[tuple[int, Form] | float, ...] = (
    *((-1, "first line"), (-1, "out"), LONG_SHARE, (0, "first line"), (1, "orders"), (2, "orders")),
    *((0, "out"), (2, "rules"), (1, "first line"), LEAST_SHARE, (1, "out")),
    *((2, "first line"), (2, "out")),
)
"""The steps in order. Either turns that order so much take a form, or long turns are cut.

-1: turns whose cell ran again."""


@dataclass(frozen=True)
class Saying:
    """The person's words in a turn. They are counted and read once, when that is needed.

    `lines`: the lines that were tried in their place, with their costs.
    """

    turn: SaidTurn
    lines: dict[str, tuple[SaidTurn, int]] = field(default_factory=dict[str, tuple[SaidTurn, int]])

    @cached_property
    def cost(self) -> int:
        """Tokens as they are."""
        return words_cost(self.turn)

    @cached_property
    def sentences(self) -> list[tuple[str, Order]]:
        """Its sentences, and how far each orders something."""
        return [(sentence, order(sentence)) for sentence in sentences(self.turn.text)]

    def as_line(self, line: str) -> tuple[SaidTurn, int]:
        """The turn with that line in place of the words, and its cost."""
        if line not in self.lines:
            turn = self.turn.model_copy(update={"text": line, "answer": "", "short": True})
            self.lines[line] = turn, words_cost(turn)
        return self.lines[line]


class Fitting(NamedTuple):
    """The turns that stay, in order. `left`: how many do not. `answered`: turns with answers."""

    turns: list[SaidTurn]
    left: int
    answered: frozenset[int]


def words_cost(turn: SaidTurn) -> int:
    """Tokens of a turn without its answer."""
    return estimate("\n".join(said_lines(turn)))


def fitting(
    said: Sequence[Saying],
    budget: int,
    answers: int = 0,
    safe: Collection[int] = (),
    superseded: Mapping[int, int] | None = None,
) -> Fitting:
    """The words in at most about `budget` tokens. `safe`: turns that become no line.

    `answers`: tokens up to which answers are added, the newest first.
    """
    work = _Work(said, budget, safe, superseded or {})
    work.give_up()
    kept = [turn for turn in work.turns if turn]
    answered: set[int] = set()
    answers -= work.cost
    for turn in reversed(kept):
        answers -= estimate(turn.answer) if turn.answer else 0
        if answers < 0:
            break
        answered.add(turn.turn)
    return Fitting(kept, len(said) - len(kept), frozenset(answered))


class _Work:
    """Turns while they are shortened. `turns`: their forms now, None where one is left out."""

    def __init__(
        self,
        said: Sequence[Saying],
        budget: int,
        safe: Collection[int],
        superseded: Mapping[int, int],
    ) -> None:
        self._said = said
        self._budget = budget
        self._safe = safe
        self._superseded = superseded
        self.turns: list[SaidTurn | None] = [saying.turn for saying in said]
        self._costs = [saying.cost for saying in said]
        self._over = sum(self._costs) - budget

    @property
    def cost(self) -> int:
        """Tokens of all turns as they are now."""
        return self._budget + self._over

    def give_up(self) -> None:
        """Shorten step by step until all fit."""
        for step in _STEPS:
            if self._over <= 0:
                return
            if isinstance(step, tuple):
                self._shorten(*step)
            else:
                self._cut_long(int(self._budget * step))

    def _shorten(self, grade: int, form: Form) -> None:
        for at, saying in enumerate(self._said):
            if self._over <= 0:
                return
            if self._grades[at] != grade or saying.turn.turn in self._safe:
                continue
            if form == "out":
                self._change(at, None, 0)
            else:
                turn, cost = saying.as_line(self._line(at, form))
                if cost < self._costs[at]:
                    self._change(at, turn, cost)

    @cached_property
    def _orders(self) -> list[list[tuple[str, Order]]]:
        """The sentences of each turn. If a later turn repeats one, the earlier orders nothing."""
        later: set[str] = set()
        found: list[list[tuple[str, Order]]] = []
        for saying in reversed(self._said):
            said = saying.sentences
            found.append([(it, 0 if it in later else grade) for it, grade in said])
            if saying.turn.turn not in self._superseded:
                later.update(it for it, _ in said)
        return found[::-1]

    @cached_property
    def _grades(self) -> list[int]:
        """How far each turn orders something, or -1 if its cell ran again."""
        return [
            -1
            if saying.turn.turn in self._superseded
            else max((grade for _, grade in orders), default=0)
            for saying, orders in zip(self._said, self._orders, strict=True)
        ]

    def _line(self, at: int, form: Form) -> str:
        if form == "first line":
            return first_line(self._said[at].turn.text)
        return _gist(list(_kept(self._orders[at], 1 if form == "orders" else 2)))

    def _cut_long(self, least: int) -> None:
        """Cut the safe turns to head and tail, so that they take what is left, or `least`."""
        safe = [at for at, saying in enumerate(self._said) if saying.turn.turn in self._safe]
        left = max(least, sum(self._costs[at] for at in safe) - self._over)
        for count, at in enumerate(sorted(safe, key=lambda at: self._costs[at])):
            most = max(MIN_CUT_TOKENS, left // (len(safe) - count))
            if self._costs[at] > most:
                turn = _head_and_tail(self._said[at], most)
                self._change(at, turn, words_cost(turn))
            left -= self._costs[at]

    def _change(self, at: int, turn: SaidTurn | None, cost: int) -> None:
        self._over += cost - self._costs[at]
        self.turns[at], self._costs[at] = turn, cost


def _head_and_tail(saying: Saying, tokens: int) -> SaidTurn:
    """Long words as head and tail, which cost at most `tokens` with heading and quote marks."""
    turn, aim = _cut(saying, tokens), tokens
    while (cost := words_cost(turn)) > tokens and aim > 2:
        aim = min(aim - 1, aim * tokens // cost)
        turn = _cut(saying, aim)
    return turn


def _cut(saying: Saying, tokens: int) -> SaidTurn:
    """Head and tail in about `tokens` tokens, and the rules between them that fit as well."""
    text = saying.turn.text
    rules = [sentence for sentence, grade in saying.sentences if grade == 2]
    some = cut_middle(text, tokens)
    left = tokens // 2
    missing: list[str] = []
    for rule in [_one_line(rule) for rule in rules if rule not in some]:
        if estimate(rule) <= left:
            left -= estimate(rule) + 1
            missing.append(f"[…] {rule}")
    if missing:
        some = "\n".join([cut_middle(text, tokens // 2 + left), *missing])
    return saying.turn.model_copy(update={"shown": some})


def _kept(orders: Sequence[tuple[str, Order]], least: int) -> Iterator[tuple[str, bool]]:
    """Each sentence, and whether it stays: an order does, and so does a reason behind a rule."""
    before = 0
    for sentence, grade in orders:
        is_reason = before == 2 and estimate(sentence) <= MAX_REASON_TOKENS
        yield sentence, grade >= least or is_reason
        before = grade


def _gist(parts: Sequence[tuple[str, bool]]) -> str:
    """The sentences to keep, in one line, after the start of any that come before them."""
    before = " ".join(it for it, _ in takewhile(lambda part: not part[1], parts))
    rows = ([it for it, _ in row] for keep, row in groupby(parts, lambda part: part[1]) if keep)
    kept = (" ".join(_one_line(sentence) for sentence in row) for row in rows)
    return " … ".join([*([first_line(before)] if before else []), *kept])


def _one_line(sentence: str) -> str:
    return " ".join(cut_middle(sentence, MAX_SENTENCE_TOKENS).split())
