"""What a tool call would do, what a policy is, and what a verdict on an action says. Values only.

Knows neither how a verdict is reached nor who is asked.
"""

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


class Action(BaseModel):
    """What a tool call would do. `reads_only`: it changes nothing and runs no user code."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    tool: str
    arguments: dict[str, Any]
    reads_only: bool


class Verdict(BaseModel):
    """Allow, ask or deny, for one action: why, and who said so (`policy`, `user`, `nobody`)."""

    model_config = ConfigDict(frozen=True)

    decision: Literal["allow", "ask", "deny"]
    reason: str
    by: Literal["policy", "user", "nobody"] = "policy"
