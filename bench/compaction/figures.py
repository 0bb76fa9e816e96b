"""Measures what a compaction keeps and costs. No model is involved: all ways get one session."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .cache import measure_cache
from .growth import measure_growth
from .memory import measure_memory
from .needles import WAYS, measure_needles

TURNS, QUICK_TURNS = 1_000, 60
CACHE_TURNS, QUICK_CACHE_TURNS = 300, 60
OF_INTENT = (
    "task",
    "rule of the person",
    "decision of the person",
    "decision of the model",
    "open plan item",
)

Found = Mapping[str, Any]
Figures = dict[str, float]


def measure(quick: bool) -> Figures:
    """Facts that are left, the work of a long session, and the input that misses the cache."""
    return figures_of(run(quick))


def figures_of(found: Found) -> Figures:
    """The figures, by the names that the rows of the page use."""
    return {
        **needle_figures(found["needles"]),
        **memory_figures(found["memory"]),
        **growth_figures(found["growth"]),
        **cache_figures(found["cache"]),
    }


def run(quick: bool) -> dict[str, Any]:
    """All that was seen, one after the other."""
    ways = [("http", False), ("http", True), ("websocket", False), ("websocket", True)]
    turns = QUICK_CACHE_TURNS if quick else CACHE_TURNS
    return {
        "needles": measure_needles(),
        "memory": measure_memory(quick),
        "growth": measure_growth(QUICK_TURNS if quick else TURNS),
        "cache": [measure_cache(turns, way, background) for way, background in ways],
    }


def needle_figures(found: Found) -> Figures:
    """The planted facts of each kind, of intent and of all, and the compactions."""
    facts: Sequence[Found] = found["needles"]
    groups = {"all": facts, "intent": [it for it in facts if it["kind"] in OF_INTENT]}
    for kind in {fact["kind"] for fact in facts}:
        groups[kind] = [it for it in facts if it["kind"] == kind]
    befores, afters, *_ = zip(*found["compactions"], strict=True)
    return {
        "cells": found["cells"],
        "told": found["told tokens"],
        "window": found["window"],
        "compactions": len(found["compactions"]),
        "before": median(befores),
        "after": median(afters),
        "largest": found["largest request"],
        **{f"tokens {way}": found["window tokens"][way] for way in WAYS},
        **{f"{name} {it}": n for name, some in groups.items() for it, n in _counted(some).items()},
    }


def _counted(facts: Sequence[Found]) -> Figures:
    """Facts in the window of each way, facts there as current, and the tokens to recall one."""
    costs = [cost for fact in facts if (cost := _cheapest(fact)) is not None]
    return {
        "number": len(facts),
        **{way: sum(fact["whole"][way] for fact in facts) for way in WAYS},
        **{f"current {way}": sum(fact["current"][way] for fact in facts) for way in WAYS},
        "back": len(costs),
        "tokens": median(costs),
        "most": max(costs),
    }


def _cheapest(fact: Found) -> int | None:
    """The tokens to recall it, by name where the window names it, else by query. None: lost."""
    tried = [fact["by_name"], fact["by_query"]]
    costs = [back["tokens"] for back in tried if back and back["tokens"] is not None]
    return costs[0] if costs else None


def memory_figures(found: Found) -> Figures:
    """The shares that are left, for each window and kind of notes."""
    parts = ("compactions", "binding", "binding summary", "binding truncation", "decisions ours")
    facts = ("facts ours", "facts summary", "facts truncation")
    return {
        "memory facts": found["facts"],
        **{
            f"memory {it['size']} {it['notes']} {part}": it[part]
            for it in found["runs"]
            for part in (*parts, *facts)
        },
    }


def growth_figures(found: Found) -> Figures:
    """A session of thousands of cells."""
    ms, search = found["ms of a turn"], found["search ms"]
    names = ("turns", "names", "record MB", "resume s")
    return {
        **{f"grown {name}": found[name] for name in names},
        **{f"grown {part}": ms[f"{part} tenth, median"] for part in ("first", "last")},
        **{
            f"grown {part} mean": ms[f"{part} tenth, mean with compactions"]
            for part in ("first", "last")
        },
        "grown cells": found["cells"],
        "grown largest": found["largest request"],
        "grown compactions": len(found["compactions"]),
        "grown digest kB": found["digest bytes"] / 1e3,
        **{f"search {name}": it for name, it in search.items()},
    }


def cache_figures(found: Sequence[Found]) -> Figures:
    """Input that missed the cache, beside the least possible."""
    ratios = [it["ratio"] for it in found]
    return {
        "cache turns": found[0]["turns"],
        "least ratio": min(ratios),
        "most ratio": max(ratios),
        **{
            f"{it['transport']} {'behind' if it['background'] else 'asked'} {name}": it[name]
            for it in found
            for name in ("compactions", "read", "uncached", "least", "ratio")
        },
    }
