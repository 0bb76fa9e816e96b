"""The effects of a tool call, the policies, and the verdict. Values only.

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
"""The words for the model about each policy."""

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
"""One kind of thing that a call does. `look`: it changes nothing and runs no code of yours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """The effects of a call, and paths, hosts and command if they are known beforehand."""

    effects: frozenset[Effect]
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    command: str | None = None

    @property
    def reads_only(self) -> bool:
        """True if the call needs no approval and may run beside others."""
        return self.effects <= {"look"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Touches):
    """A tool call, as the policy and the person see it."""

    tool: str
    arguments: dict[str, Any]


class Verdict(BaseModel):
    """Allow, ask or deny one action: the reason, and who decided (`policy`, `user`, `nobody`)."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["allow", "ask", "deny"]
    reason: str
    by: Literal["policy", "user", "nobody"] = "policy"
