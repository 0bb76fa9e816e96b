"""Writes figures as text: the table for a terminal and for the page, and the page's numbers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .cases import PEER_STEPS, STREAM
from .figures import TITLES, Figures, Row, megabytes, sent, thousands

COLUMNS = ("ratio", "ours", "floor, or beside it", "value", "target", "")
NAMES = {"sdk": "`openai` SDK loop", "agents": "`openai-agents`"}
MARKS = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded to be readable as text."""
    widths = [max(len(line[i]) for line in (columns, *lines)) for i in range(len(columns))]
    rule = ["-" * width for width in widths]
    padded = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in (columns, rule, *lines)
    ]
    return "\n".join(padded)


def targets(rows: Sequence[Row]) -> str:
    """Our ratios against their targets."""
    lines = [
        [row.what, row.ours, row.other, f"{row.value:.2f}", row.target, row.verdict] for row in rows
    ]
    return table(COLUMNS, lines)


def peers(figures: Figures) -> str:
    """The peers beside us."""
    columns = ["peer", *(f"ms at N={n}" for n in PEER_STEPS), f"sent, N={PEER_STEPS[-1]}"]
    lines = [[NAMES[name], *rest] for name, *rest in figures.peer_lines()]
    ours = [
        [f"inkernel, {TITLES[transport]}", *_turns(figures, transport), *_rest(figures, transport)]
        for transport in TITLES
    ]
    return table([*columns, "reads a stream at"], [*ours, *lines])


def _turns(figures: Figures, transport: str) -> list[str]:
    found = [figures.turnaround("ours turn", transport, steps) for steps in PEER_STEPS]
    return [f"{ms:.2f}" if ms is not None else "–" for ms in found]


def _rest(figures: Figures, transport: str) -> list[str]:
    bytes_sent = figures.of(f"ours turn {transport} steps.{PEER_STEPS[-1]}", sent)
    key = f"ours read {transport} stream.{STREAM}"
    read = figures.of(key, lambda run: STREAM / run["seconds"])
    return [megabytes(bytes_sent) if bytes_sent else "–", thousands(read) if read else "–"]


def lines_of(figures: Figures, steps: Sequence[int]) -> Mapping[str, list[tuple[int, float]]]:
    """The lines of the picture."""
    names = {f"inkernel, {title}": ("ours turn", t) for t, title in TITLES.items()}
    names |= {f"floor, {title}": ("floor turn", t) for t, title in TITLES.items()}
    names |= {"openai SDK loop": ("peers sdk", "http"), "openai-agents": ("peers agents", "http")}
    found = {
        name: [(n, ms) for n in steps if (ms := figures.turnaround(client, transport, n))]
        for name, (client, transport) in names.items()
    }
    return {name: line for name, line in found.items() if line}


def put_into(page: Path, text: str) -> None:
    """Replace the text between the page's marks."""
    old = page.read_text(encoding="utf-8")
    page.write_text(MARKS.sub(lambda mark: f"{mark[1]}{text}\n{mark[2]}", old), encoding="utf-8")
