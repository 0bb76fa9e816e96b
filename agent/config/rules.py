"""Which settings a place that others may write can set, and in which direction. Knows no file.

Such places are a project's file, and variables that changed after a session began.
"""

from collections.abc import Callable
from typing import Any

from ..frozen import frozen
from ..protocol.policy import read_policy

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_USUAL = "medium"
"""The effort of a server that is asked for none."""


@frozen
class Rule:
    """`words`: for the person. `allows`: of their value, and yours of the setting `beside`.

    `limits`: the setting has a direction, so of two values one is stricter.
    """

    words: str
    allows: Callable[[Any, Any], bool]
    beside: str = ""
    limits: bool = False


def _thriftier(theirs: str, ours: str | None) -> bool:
    return EFFORTS.index(theirs) <= EFFORTS.index(ours or _USUAL)


YOURS = Rule("only you may set it", lambda _theirs, _ours: False)
ANY = Rule("it may set it", lambda _theirs, _ours: True)
LISTED = Rule(
    "it may only choose among the names in your project_models",
    lambda theirs, ours: theirs in ours and not theirs.startswith("scripted:"),
    "project_models",
)
LOWER = Rule(
    "it may only lower it",
    lambda theirs, ours: theirs is not None and (ours is None or theirs < ours),
    limits=True,
)
THRIFTIER = Rule("it may only lower it", _thriftier, limits=True)
OFF = Rule("it may only turn it off", lambda theirs, ours: theirs < ours, limits=True)
ON = Rule("it may only turn it on", lambda theirs, ours: theirs > ours, limits=True)
_TRIALS = ("never", "effects", "always")
STRICTER = Rule(
    "it may only make it stricter",
    lambda theirs, ours: read_policy(theirs).is_stricter(read_policy(ours)),
    limits=True,
)
MORE_TRIALS = Rule(
    "it may only have more tried",
    lambda theirs, ours: _TRIALS.index(theirs) > _TRIALS.index(ours),
    limits=True,
)

RULES = {
    "model": LISTED,
    "project_models": YOURS,
    "base_url": YOURS,
    "provider": YOURS,
    "dialect": YOURS,
    "api_key_env": YOURS,
    "api_key_command": YOURS,
    "transport": YOURS,
    "tool_search": YOURS,
    "store": OFF,
    "cache_ttl": YOURS,
    "omit": YOURS,
    "compress": YOURS,
    "effort": THRIFTIER,
    "summary": YOURS,
    "policy": STRICTER,
    "trial": MORE_TRIALS,
    "approve": YOURS,
    "max_samples": LOWER,
    "response_calls": LOWER,
    "turn_tokens": LOWER,
    "turn_cost": LOWER,
    "turn_steps": LOWER,
    "turn_seconds": LOWER,
    "turn_sent": LOWER,
    "session_tokens": LOWER,
    "session_cost": LOWER,
    "session_steps": LOWER,
    "session_seconds": LOWER,
    "session_sent": LOWER,
    "max_attempts": LOWER,
    "connect_timeout": YOURS,
    "first_event_timeout": YOURS,
    "idle_timeout": YOURS,
    "step_timeout": LOWER,
    "step_timeout_max": LOWER,
    "undo": ON,
    "output_tokens": LOWER,
    "cells_tokens": LOWER,
    "names_tokens": LOWER,
    "docs_bytes": LOWER,
    "window": YOURS,
    "compact_at": YOURS,
    "compaction": YOURS,
    "compact_to": YOURS,
    "price_input": YOURS,
    "price_cached": YOURS,
    "price_written": YOURS,
    "price_output": YOURS,
    "view": YOURS,
    "timing": ANY,
    "data_dir": YOURS,
    "events": YOURS,
    "mcp_files": YOURS,
}
"""Every setting. One without a rule of its own would be open to whoever plants a file."""
