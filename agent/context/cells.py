"""The items that tell the model of the person's cell runs. Pure.

The latest runs are whole, an item each, within a budget. Runs before them get a line each, and
those before these are only counted.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..conversation.output_store import KeptRun
from ..conversation.runs import RunSummary, first_line
from ..protocol.cells import CellRun, Output
from ..protocol.items import Message, message, text_part
from ..protocol.observed import Stale, UserCellRun
from ..text.blocks import block
from ..text.cell_output import images_of
from ..text.images import image_or_words
from ..text.lines import fenced
from ..text.tokens import cut_middle, estimate
from ..text.truncation import fit, run_parts_of

MAX_SOURCE_TOKENS, MAX_OUTPUT_TOKENS = 1_000, 1_000
"""Most tokens of one cell's source, and of its outputs."""

MAX_FIGURES = 2
"""Most figures that are sent, the latest. An image costs about as much as a page of text."""


class HiddenRuns(NamedTuple):
    """Runs that the person hides: their number, and the handles of runs that they superseded."""

    runs: int = 0
    superseded: tuple[str, ...] = ()


class ToldCells(NamedTuple):
    """An item about cell runs. `run`: the handle, if it shows one run whole."""

    item: Message
    run: str | None = None


def tell_cells(
    runs: Sequence[KeptRun], hidden: HiddenRuns, stale: Stale, budget: int
) -> list[ToldCells]:
    """Items in at most about `budget` tokens of text, with the latest figures."""
    whole, figures = list[ToldCells](), MAX_FIGURES
    for kept in reversed(runs):
        text = run_text(kept)
        budget -= estimate(text)
        if budget < 0:
            break
        images = _images(kept.run.outputs, figures)
        figures -= len(images)
        whole.append(ToldCells(_item(text, images), kept.handle))
    before = list(_briefly(runs[: len(runs) - len(whole)], max(budget, 0) + 200))
    after = list(_besides(hidden, stale))
    told = [ToldCells(_item("\n".join(before)))] if before else []
    told += reversed(whole)
    return told + ([ToldCells(_item("\n".join(after)))] if after else [])


def told_again(head: RunSummary, run: CellRun, superseded: str | None) -> Message:
    """An item with a run that the person brought back, whole, with its latest figures."""
    title = f"## {head.label} · {head.handle}, brought back by the person"
    title += f"; superseded by {superseded}: what follows is old" if superseded else ""
    text = _run_text(title, head.handle, run)
    return _item(text, _images(run.outputs, MAX_FIGURES))


def run_text(kept: KeptRun) -> str:
    """One run as text: its title, its source, its outcome and outputs."""
    run = kept.run
    title = f"## {run.label} · {kept.handle}"
    title += f"; supersedes {kept.supersedes}" if kept.supersedes else ""
    title += f"; changed {_listed(run.changed)}" if run.changed else ""
    return _run_text(title, kept.handle, run)


def _run_text(title: str, handle: str, run: CellRun | UserCellRun) -> str:
    source = cut_middle(run.source.strip("\n"), MAX_SOURCE_TOKENS)
    parts = [title, fenced(source, "python")]
    if source != run.source.strip("\n"):
        parts.append(f"(the whole source is at the end of {handle})")
    showed = fit(run_parts_of(run), MAX_OUTPUT_TOKENS, handle)
    return "\n".join([*parts, fenced(showed) if run.outputs else showed])


def _item(text: str, images: Sequence[dict[str, str]] = ()) -> Message:
    return message("user", text_part(block("cells", text)), *images)


def _images(outputs: Sequence[Output], most: int) -> list[dict[str, str]]:
    found = images_of(outputs)
    return [image_or_words(*image) for image in found[len(found) - min(most, len(found)) :]]


def _besides(hidden: HiddenRuns, stale: Stale) -> Iterator[str]:
    if hidden.runs:
        yield f"{hidden.runs} run(s) hidden from you by the person."
    for handle in hidden.superseded:
        yield f"{handle} is superseded by one of these."
    for run, names in stale:
        yield f"stale: {run} read {', '.join(names)}, changed since"


def _briefly(runs: Sequence[KeptRun], budget: int) -> Iterator[str]:
    lines = list[str]()
    for kept in reversed(runs):
        line = f"- {kept.handle}, {kept.run.label}, {kept.run.status}: {_brief(kept.run)}"
        line += f"; supersedes {kept.supersedes}" if kept.supersedes else ""
        budget -= estimate(line)
        if budget < 0:
            break
        lines.insert(0, line)
    if left := len(runs) - len(lines):
        yield f"{left:,} earlier run(s) are left out: {runs[0].handle} to {runs[left - 1].handle}."
    yield from lines


def _brief(run: UserCellRun) -> str:
    groups = (("bound", run.bound), ("changed", run.changed), ("deleted", run.deleted))
    told = "; ".join(f"{what} {_listed(names)}" for what, names in groups if names)
    return first_line(run.source) + (f"; {told}" if told else "")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20])
