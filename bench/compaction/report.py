"""Writes the figures as Markdown, each beside its target."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.wire.report import table

from .needles import WAYS

TITLES = {"ours": "inkernel", "codex": "Codex's local way", "truncation": "truncation"}
OF_INTENT = ("task", "decision of the person", "decision of the model", "open plan item")


def needles(found: Mapping[str, Any]) -> str:
    """The table of the planted facts."""
    facts: Sequence[Mapping[str, Any]] = found["needles"]
    kinds = list(dict.fromkeys(fact["kind"] for fact in facts))
    lines = [_line(kind, [it for it in facts if it["kind"] == kind]) for kind in kinds]
    columns = [
        "planted",
        "number",
        *(f"in the window: {TITLES[way]}" for way in WAYS),
        "brought back: inkernel",
        "tokens, median",
        "most",
    ]
    intent = [fact for fact in facts if fact["kind"] in OF_INTENT]
    answered = ", ".join(f"{TITLES[way]} {sum(it['whole'][way] for it in intent)}" for way in WAYS)
    old = [fact for fact in facts if fact["kind"] == "value of a superseded run"]
    stale = ", ".join(f"{TITLES[way]} {sum(it['current'][way] for it in old)}" for way in WAYS)
    compactions = found["compactions"]
    return "\n\n".join(
        [
            f"{found['cells']} cells, {found['told tokens']:,} tokens told, window"
            f" {found['window']:,}: {len(compactions)} compactions, from"
            f" {_middle([it[0] for it in compactions]):,} to"
            f" {_middle([it[1] for it in compactions]):,} tokens in the median; the largest request"
            f" has {found['largest request']:,}.",
            table(columns, [*lines, _line("all", facts)]),
            f"Questions about task, plan and decisions that the window alone answers, of"
            f" {len(intent)}: {answered}. Tokens of the window at the end: "
            + ", ".join(f"{TITLES[way]} {found['window tokens'][way]:,}" for way in WAYS)
            + ".",
            f"Of {len(old)} values that a later run of the cell replaced, the window presents as"
            f" current: {stale}.",
        ]
    )


def growth(found: Mapping[str, Any]) -> str:
    """The table of a session of thousands of cells."""
    ms, search = found["ms of a turn"], found["search ms"]
    first, last = ms["first tenth, median"], ms["last tenth, median"]
    many, more = (ms[f"{part} tenth, mean with compactions"] for part in ("first", "last"))
    lines = [
        ["largest request, tokens", f"{found['largest request']:,}", f"≤ {found['window']:,}"],
        ["ms of a turn, first and last tenth", f"{first:.1f}, {last:.1f}", "the same"],
        ["the same, mean, compactions included", f"{many:.1f}, {more:.1f}", "the same"],
        ["compactions", f"{len(found['compactions'])}", ""],
        ["digest at the end, kB", f"{found['digest bytes'] / 1e3:.1f}", ""],
        ["recall by query, median and worst, ms", _pair(search), "< 10"],
        ["building the search index, s", f"{search['build s']:.1f}", ""],
        [f"resume, {found['record MB']:.0f} MB, s", f"{found['resume s']:.2f}", "< 1"],
    ]
    title = f"{found['cells']:,} cells in {found['turns']:,} turns, {found['names']:,} live names:"
    return f"{title}\n\n{table(['', 'measured', 'target'], lines)}"


def cache(found: Sequence[Mapping[str, Any]]) -> str:
    """The table of input that missed the cache, beside the least possible."""
    lines = [
        [
            it["transport"],
            "in the background" if it["background"] else "when needed",
            f"{it['compactions']}",
            f"{it['read']:,}",
            f"{it['uncached']:,}",
            f"{it['least']:,}",
            f"{it['ratio']:.4f}",
        ]
        for it in found
    ]
    columns = ["transport", "notes", "compactions", "read", "uncached", "least", "ratio (≤ 1.05)"]
    return f"{found[0]['turns']} turns:\n\n{table(columns, lines)}"


def _line(title: str, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    backs = [_cheapest(fact) for fact in facts]
    tokens = [back for back in backs if back is not None]
    return [
        title,
        str(len(facts)),
        *(str(sum(fact["whole"][way] for fact in facts)) for way in WAYS),
        f"{len(tokens)}",
        f"{_middle(tokens):,}" if tokens else "–",
        f"{max(tokens):,}" if tokens else "–",
    ]


def _cheapest(fact: Mapping[str, Any]) -> int | None:
    """The tokens to recall it, by name where the window names it, else by query. None: lost."""
    tried = [fact["by_name"], fact["by_query"]]
    costs = [back["tokens"] for back in tried if back and back["tokens"] is not None]
    return costs[0] if costs else None


def _pair(search: Mapping[str, float]) -> str:
    return f"{search['median']:.1f}, {search['worst']:.1f}"


def _middle(numbers: Sequence[int]) -> int:
    return round(statistics.median(numbers))
