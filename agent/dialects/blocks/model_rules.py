"""How each model of the Messages API is asked to think, and how much it may say: data. No I/O.

Read in 2026-11 under platform.claude.com/docs/en. The kinds that a model refuses:
build-with-claude/thinking-troubleshooting. Levels: build-with-claude/effort. Models that bind
thoughts: build-with-claude/preserved-thinking/prefix-checks. Most output: models/…/overview.
`between_tools`: models/sonnet-5-5/whats-new-sonnet-5-5, and the same page of Opus 5.5 and Haiku
5.5. DeepSeek: api-docs.deepseek.com/guides/thinking_mode.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from ...frozen import frozen

_LEVELS = ("low", "medium", "high", "xhigh", "max")
_BUDGETS = {"low": 4_000, "medium": 10_000, "high": 16_000, "xhigh": 24_000, "max": 24_000}
_SURELY_TAKEN = 32_000
"""Most tokens of an answer, where the limit is not known. Claude 4.1 and older ones have more or as
much, but refuse a request that does not leave room for them all in its window."""
_LEAST_BUDGET = 1_024
"""Fewest tokens that the API takes as a budget."""


@frozen
class ModelRules:
    """The fields that the API accepts of one model.

    `thinks`: the type that asks it to think. `unasked`: it is asked even when no effort is set.
    `off`: the type that has it think less, or None if its least effort must do. `efforts`: the
    levels that it takes. `binds`: a thought of it is refused once something before it has changed.
    `most_output`: most tokens of an answer.
    """

    thinks: Literal["adaptive", "enabled"] | None = "adaptive"
    unasked: bool = True
    off: Literal["disabled", "between_tools"] | None = None
    efforts: tuple[str, ...] = _LEVELS
    binds: bool = True
    most_output: int = 128_000

    def level(self, effort: str) -> str | None:
        """The level nearest to `effort`, of those that are no higher. None if it takes none."""
        wanted = _LEVELS.index(effort) if effort in _LEVELS else 0
        return next((it for it in reversed(_LEVELS[: wanted + 1]) if it in self.efforts), None)

    def fields(self, reasoning: Mapping[str, Any], most: int) -> dict[str, Any]:
        """The request's fields for a `reasoning` field of the Responses API.

        `most`: most tokens of the answer, in which thoughts count.
        """
        effort = reasoning.get("effort")
        if effort == "none":
            return self._without_thinking()
        level = self.level(effort) if effort else None
        made: dict[str, Any] = {"output_config": {"effort": level}} if level else {}
        budget = min(_BUDGETS.get(effort or "high", _BUDGETS["low"]), most * 3 // 4)
        if self.thinks == "adaptive":
            display = "summarized" if reasoning.get("summary") else "omitted"
            made["thinking"] = {"type": "adaptive", "display": display}
        elif self.thinks and (effort or self.unasked) and budget >= _LEAST_BUDGET:
            made["thinking"] = {"type": "enabled", "budget_tokens": budget}
        return made

    def _without_thinking(self) -> dict[str, Any]:
        if self.off:
            return {"thinking": {"type": self.off}}
        return {"output_config": {"effort": "low"}} if "low" in self.efforts else {}


_NEWEST = ModelRules()
_BEFORE_BINDING = ModelRules(off="disabled", binds=False)
_BUDGETED = ModelRules(
    "enabled", off="disabled", efforts=(), binds=False, most_output=_SURELY_TAKEN
)
_ELSEWHERE = replace(_BUDGETED, unasked=False)
"""Of a server that only speaks Anthropic's API. A budget is the form that all of them know."""

_RULES = (
    (r"claude-3-(?!7)", ModelRules(None, efforts=(), binds=False, most_output=4_096)),
    (r"claude-(3-7|(opus|sonnet)-4(?!-[5-9]\b))", _BUDGETED),
    (r"claude-opus-4-5", replace(_BUDGETED, efforts=_LEVELS[:3], most_output=64_000)),
    (r"claude-(sonnet|haiku)-4-5", replace(_BUDGETED, most_output=64_000)),
    (
        r"claude-(opus|sonnet)-4-6",
        ModelRules(off="disabled", efforts=(*_LEVELS[:3], "max"), binds=False),
    ),
    (r"claude-opus-4-|claude-(opus|sonnet)-5(?!-\d\b)", _BEFORE_BINDING),
    (r"claude-mythos-preview", ModelRules(efforts=(*_LEVELS[:3], "max"), binds=False)),
    (r"claude-(fable|mythos)-5(?!-\d\b)", ModelRules(binds=False)),
    (r"claude-sonnet-", ModelRules(off="between_tools")),
    (r"claude-haiku-", ModelRules(off="disabled")),
    (r"claude-", _NEWEST),
    (r"deepseek", replace(_ELSEWHERE, efforts=("low", "high", "max"))),
)
"""The rules by what the name of a model has. The first that fits counts."""


def rules_of(model: str) -> ModelRules:
    """The rules for a model, however its provider writes the name."""
    name = model.lower().replace(".", "-")
    return next((rules for pattern, rules in _RULES if re.search(pattern, name)), _ELSEWHERE)
