"""The effects of a tool call, the rules for it, the question and the verdict. Values only.

Knows neither how a verdict is reached nor who is asked.
"""

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, model_validator

from ..frozen import frozen
from .trials import Deed, DeedKind, Trial

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
    "server",
    "function",
]
"""One kind of thing that a call does. `look`: it changes nothing and runs no code of yours.

`server`: an MCP server does it, which may do anything. `function`: a function does it that you made
a tool. Its other effects are those that you declared.
"""


@frozen(kw_only=True)
class Touches:
    """The effects of a call, and paths, hosts and command if they are known beforehand.

    `code`: the Python that would run, after the shell's transforms. `literal`: what would happen,
    word for word, as a person reads it. `server`: the MCP server that does it.
    """

    effects: frozenset[Effect]
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    command: str | None = None
    code: str | None = None
    literal: str = ""
    server: str = ""

    @property
    def reads_only(self) -> bool:
        """True if the call needs no approval and may run beside others."""
        return self.effects <= {"look"}


@frozen(kw_only=True)
class Action(Touches):
    """A tool call, as the policy and the person see it."""

    tool: str
    arguments: dict[str, Any]


class ActionRule(BaseModel):
    """A rule for a tool or a server, for an effect, or below a path, at a host, of a command.

    All parts that are given must fit. `path`: absolute, without links. `host`: a name, perhaps with
    `*.` before it or a port behind. `command`: its first words. `deed`: only deeds of this kind,
    and a path or a command holds for itself alone. `origin`: who made the rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["allow", "ask", "deny"]
    tool: str = ""
    server: str = ""
    effect: Effect | None = None
    deed: DeedKind | None = None
    path: str = ""
    host: str = ""
    command: str = ""
    origin: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> "ActionRule":
        if not self.parts:
            raise ValueError("it names no tool, server, effect, deed, path, host or command")
        return self

    @property
    def parts(self) -> dict[str, str]:
        """Its conditions, by name."""
        names = ("tool", "server", "effect", "deed", "path", "host", "command")
        return {name: value for name in names if (value := getattr(self, name))}

    @property
    def words(self) -> str:
        """The rule as a person reads it."""
        parts = ", ".join(f"{name} {value}" for name, value in self.parts.items())
        return f"{self.decision}: {parts}"

    @property
    def cited(self) -> str:
        """Its file, or the answer that it is, with its words."""
        return f"{self.origin}: {self.words}"


class StandingRules(NamedTuple):
    """The rules of files, and the person's answers for the turn or the session, as rules."""

    rules: tuple[ActionRule, ...] = ()
    held: tuple[ActionRule, ...] = ()


class Verdict(BaseModel):
    """The decision on one action, its reason in plain words, and who made it.

    `try`: it runs in a copy of the kernel alone. `deeds`: what it may do beyond the policy's walls.
    `by`: a `rule` is of a file or of an answer that still holds. `at`: when, in ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    decision: Literal["allow", "try", "ask", "deny"]
    reason: str
    by: Literal["policy", "rule", "user", "nobody"] = "policy"
    deeds: tuple[Deed, ...] = ()
    at: str = ""


@frozen(kw_only=True)
class Question:
    """A question to a person: may this action run?

    `why`: the verdict `ask`, with the deeds in question. `trial`: the evidence. `rules`: those that
    "always" would write, empty if no rule can say it. `held`: those that hold for the turn or the
    session after such an answer. `running`: its code runs already, and waits before these deeds.
    """

    action: Action
    why: Verdict
    trial: Trial | None = None
    rules: tuple[ActionRule, ...] = ()
    held: tuple[ActionRule, ...] = ()
    running: bool = False


@frozen(kw_only=True)
class Answer:
    """A person's answer. `code`: what to run instead, after an edit. It is judged again."""

    verdict: Verdict
    code: str | None = None
