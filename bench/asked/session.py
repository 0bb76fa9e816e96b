"""Writes the record of a session with facts among hundreds of other cells. Pure but for the record.

The other cells have names and words of the facts' cells, as work on one thing takes many cells.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput
from inkernel.agent.protocol.items import parse_item
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.agent.protocol.record_lines import ItemLine, TurnLine

from ..compaction.cells_made import a_cell
from .facts import Fact

CELLS_A_TURN = 5
_NAME = re.compile(r"[a-z_][a-z_0-9]{2,}")
_CELLS = (
    ("{a}.head()", "{n} rows × 4 columns"),
    ("len({a}), len({b})", "({n}, {m})"),
    ("{a} = {a}.copy()\n{a}.info()", "<class 'DataFrame'>\n{n} entries\nmemory usage: {m} KB"),
    ("# check {a} against {b}\nassert len({a}) == len({b})", ""),
    ("plt.plot({a}, label='{b}')\nplt.title('{a} by {c}')", "<Figure size 640x480 with 1 Axes>"),
    ("print('{a}', {a}.mean(), {b}.max())", "{a} {n}.{m} 0.{n}"),
    ("for {c} in {a}:\n    print({c}, score({c}, {b}))", "{c} {n}\n{c} {m}"),
    ("{a} = load('{b}.csv')\n{a}.describe()", "count {n}\nmean {m}\nstd 3.{n}\nmin 0\nmax {n}"),
    ("from tools import {a}, {b}\n{a}({b}, verbose={n})", "done in {n} ms"),
)
_SAID = (
    "Look at {a} and tell me what is odd.",
    "Compare {a} with {b}, in one table.",
    "Why did {a} change? Check {b} first.",
    "Plot {a}, please, and keep the colours of the {c} figure.",
    "Go on with {a}.",
)
_ANSWERED = (
    "`{a}` has {n} rows; the mean is {m}. Nothing is missing in `{b}`.",
    "I compared `{a}` with `{b}`: they agree but for {n} of {m} rows.",
    "The figure shows `{a}` by `{c}`. The highest value is {n}.{m}.",
    "Done. `{a}` is loaded, {n} files were read.",
)


@dataclass(frozen=True)
class Asked:
    """A fact and the name by which `recall` gives it whole. `age`: 0 for the oldest, below 1."""

    fact: Fact
    name: str
    age: float


def write_session(
    record: Record, outputs: OutputStore, facts: Sequence[Fact], cells: int, seed: int
) -> list[Asked]:
    """So many cells, with the facts at even distances, in an order that `seed` draws."""
    chance = Random(seed)
    order = chance.sample(facts, len(facts))
    at = {int((number + 0.5) * cells / len(order)): fact for number, fact in enumerate(order)}
    words = sorted({name for fact in facts for name in _NAME.findall(fact.source)})
    made: list[Asked] = []
    for number in range(cells):
        fact = at.get(number)
        turn = 1 + number // CELLS_A_TURN
        if number % CELLS_A_TURN == 0:
            in_turn = [at[n] for n in range(number, number + CELLS_A_TURN) if n in at]
            said = [it.source for it in in_turn if it.where == "said"]
            text = " ".join([*said, _filled(chance.choice(_SAID), words, chance)])
            record.append(TurnLine(turn=turn, cell=f"ask-{turn}", count=None, said=text))
            outputs.begin(turn, f"ask-{turn}")
        if fact and fact.where == "answer":
            _answer(record, turn, fact.source)
        if fact and fact.where in ("said", "answer"):
            made.append(Asked(fact, f"turn {turn}", number / cells))
        run = _run_of(fact) if fact and fact.where in ("run", "error") else _other(words, chance)
        seen = UserCellRun(number, f"cell-{number}", number, run.source, run.status, run.outputs)
        handle = outputs.keep_seen(seen, "kernel").handle
        if fact and fact.where in ("run", "error"):
            made.append(Asked(fact, handle, number / cells))
        if number % CELLS_A_TURN == CELLS_A_TURN - 1:
            _answer(record, turn, _filled(chance.choice(_ANSWERED), words, chance))
    return made


def _run_of(fact: Fact) -> CellRun:
    if fact.where == "error":
        name, _, value = fact.output.partition(": ")
        error = ErrorOutput(ename=name, evalue=value, traceback=(fact.output,))
        return CellRun(source=fact.source, status="error", outputs=(error,))
    return CellRun(source=fact.source, status="ok", outputs=tuple(_outputs(fact.output)))


def _other(words: Sequence[str], chance: Random) -> CellRun:
    if chance.random() < 0.4:
        return a_cell(chance)
    source, output = chance.choice(_CELLS)
    filled = _filled(f"{source}\0{output}", words, chance).partition("\0")
    return CellRun(source=filled[0], status="ok", outputs=tuple(_outputs(filled[2])))


def _filled(text: str, words: Sequence[str], chance: Random) -> str:
    a, b, c = chance.sample(words, 3)
    return text.format(a=a, b=b, c=c, n=chance.randrange(2, 999), m=chance.randrange(2, 999))


def _outputs(text: str) -> Iterator[Output]:
    if "\n" in text:
        yield StreamOutput(name="stdout", text=text + "\n")
    elif text:
        yield DisplayOutput(data={"text/plain": text}, result=True)


def _answer(record: Record, turn: int, text: str) -> None:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = parse_item({"type": "message", "role": "assistant", "content": [part]})
    record.append(ItemLine(n=0, turn=turn, cell=None, about="model", wire=item.wire))
