"""What a tool call would touch, what a policy is, and what a verdict says. Values only.

Knows neither how a verdict is reached nor who is asked.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Policy = Literal["auto", "ask", "deny"]
"""`auto`: run. `ask`: a person decides each step. `deny`: look, but run nothing."""

MEANING: dict[Policy, str] = {
    "auto": "auto: each step runs as you make it; the person watches and can stop you",
    "ask": "ask: the person is asked before each step, and may say no",
    "deny": "deny: no code runs; you may look at variables",
}
"""What the model is told of each."""

STRICTNESS: tuple[Policy, ...] = ("auto", "ask", "deny")


Effect = Literal[
    "look",
    "run_code",
    "edit_notebook",
    "read_files",
    "write_files",
    "run_command",
    "network",
    "spawn",
    "control_computer",
]
"""One kind of thing that a call does. `look`: it changes nothing and runs no user code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """The effects of a call; paths, hosts and the command where they are known beforehand."""

    effects: frozenset[Effect]
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    command: str | None = None

    @property
    def reads_only(self) -> bool:
        """It needs no approval and may run beside others."""
        return self.effects <= {"look"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Touches):
    """A tool call as policy and person see it."""

    tool: str
    arguments: dict[str, Any]


class Verdict(BaseModel):
    """Allow, ask or deny, for one action: why, and who said so (`policy`, `user`, `nobody`)."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["allow", "ask", "deny"]
    reason: str
    by: Literal["policy", "user", "nobody"] = "policy"
