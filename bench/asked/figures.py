"""Measures what `recall` finds: by a sentence, by keywords and by name, and how many tokens it is.

A fact is found when the answer names its run or turn, and told when the answer has its text.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.validity import Validity
from inkernel.agent.protocol.verbatim_json import dumps
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.recall import Recall, recall_tool
from inkernel.agent.tools.tool import Tool, ToolCall

from .facts import FACTS, Fact
from .session import Asked, write_session
from .unseen import UNSEEN

CELLS, SEEDS, OUTPUT_TOKENS = 500, (1, 2, 3), 10_000
OLDEST = 0.25


@dataclass(frozen=True)
class Answer:
    """One question and its result."""

    how: str
    question: str
    age: float
    found: bool
    told: bool
    tokens: int


def measure(quick: bool) -> dict[str, float]:
    """Shares of facts, overall and in the oldest quarter of the session, and tokens of a call.

    The questions that were written when the search was done have figures of their own.
    """
    seeds = SEEDS[:1] if quick else SEEDS
    unseen = figures_of(ask_all(UNSEEN, seeds)).items()
    return {
        "cells": CELLS,
        "facts": len(FACTS) + len(UNSEEN),
        "sessions": 2 * len(seeds),
        **figures_of(ask_all(FACTS, seeds)),
        **{f"unseen {name}": figure for name, figure in unseen},
    }


def ask_all(facts: Sequence[Fact], seeds: Sequence[int]) -> list[Answer]:
    """Ask for each fact in each way, in a session for each seed."""
    return [answer for seed in seeds for answer in asyncio.run(_ask_session(facts, seed))]


async def _ask_session(facts: Sequence[Fact], seed: int) -> list[Answer]:
    with tempfile.TemporaryDirectory(prefix="ink") as folder:
        record = Record(Path(folder) / "session.jsonl")
        outputs = OutputStore(record)
        asked = write_session(record, outputs, facts, CELLS, seed)
        tool = recall_tool(outputs, record, OUTPUT_TOKENS, lambda: Validity(outputs.runs))
        answers = [
            await _ask(tool, it, how, question) for it in asked for how, question in _questions(it)
        ]
        record.close()
    return answers


def _questions(asked: Asked) -> list[tuple[str, dict[str, Any]]]:
    fact = asked.fact
    return [
        *(("sentence", {"query": sentence}) for sentence in fact.sentences),
        ("keywords", {"query": fact.keywords}),
        ("name", {"cells": [asked.name]}),
    ]


async def _ask(tool: Tool[Recall], asked: Asked, how: str, question: dict[str, Any]) -> Answer:
    text = (await tool.run(ToolCall("call"), Recall.model_validate(question))).text
    told = asked.fact.fact in text
    named = any(f"{asked.name}{sign}" in text for sign in (",", " ·", "\n", ":", ";"))
    tokens = estimate(text) + estimate(dumps(question))
    return Answer(how, str(question), asked.age, told or named, told, tokens)


def figures_of(answers: Sequence[Answer]) -> dict[str, float]:
    """Shares and tokens of each way of asking."""
    figures: dict[str, float] = {}
    for how in ("sentence", "keywords", "name"):
        mine = [it for it in answers if it.how == how]
        old = [it for it in mine if it.age < OLDEST]
        figures |= {
            f"{how} found": fmean(it.found for it in mine),
            f"{how} old": fmean(it.found for it in old),
            f"{how} told": fmean(it.told for it in mine),
            f"{how} tokens": median(it.tokens for it in mine),
            f"{how} most": max(it.tokens for it in mine),
        }
    return figures
