"""`%agent policy`, `rules`, `why`, `secrets`: what the agent may do and see, and why."""

from itertools import groupby

from ...agent.conversation.record import read_record
from ...agent.errors import UsageError
from ...agent.protocol.actions import ActionRule
from ...agent.protocol.policy import read_policy
from ...agent.protocol.record_lines import VerdictLine
from ...agent.text.secret_formats import FORMATS
from ...widgets.panels.cards import Card
from ..host import KernelAgent
from ..protection import in_force
from .command import Command, quoted

_LEVELS = {
    "read-only": "the agent looks; nothing runs in the live kernel",
    "workspace": "steps run; other folders, the network and programs need your yes",
    "full": "steps run with all your rights",
}
_ASKS = {
    "never": "never: what would need your yes is denied",
    "always": "before each step and edit",
    "on-request": "when something needs your yes",
}
_SHOWN_VERDICTS = 5


def policy(agent: KernelAgent, rest: str) -> Card:
    """Show the policy. With words, set it first."""
    if rest:
        present = read_policy(agent.choose().settings.policy)
        try:
            agent.set("policy", read_policy(rest, present).words)
        except ValueError as error:
            raise UsageError(
                f"This is no policy: {error}.", "docs/permissions.md says more."
            ) from None
    chosen = agent.choose()
    now = read_policy(chosen.settings.policy)
    origin = chosen.origins.get("policy", "default")
    rows = [
        ("policy", f"{now.words}  ({origin})"),
        ("level", f"{now.level}: {_LEVELS[now.level]}"),
        ("you are asked", _ASKS[now.asks]),
        ("protection", in_force(chosen.settings)),
        ("rules", str(len(chosen.rules) + len(agent.approvals.session))),
    ]
    return Card("What the agent may do", [*rows, *(("refused", it) for it in chosen.refused)])


def rules(agent: KernelAgent, rest: str) -> Card:
    """List the rules. `forget N` takes one of the person's answers back."""
    found = [*agent.choose().rules, *agent.approvals.session]
    if not rest:
        rows = [(str(n), f"{it.words}  ({it.origin})") for n, it in enumerate(found, 1)]
        return Card("Rules beside the policy" if rows else "There are no rules.", rows)
    word, _, number = rest.partition(" ")
    if word != "forget" or not number.strip().isdecimal():
        raise UsageError(f"%agent rules has no option {rest!r}.", "You can say `forget N`.")
    at = int(number) - 1
    if not 0 <= at < len(found):
        raise UsageError(f"There is no rule {number}.", "`%agent rules` lists them.")
    return _forgotten(agent, found[at])


def why(agent: KernelAgent, rest: str) -> Card:
    """Show the last verdicts of the session."""
    if rest and not rest.isdecimal():
        raise UsageError("%agent why takes a number.", "For example: `%agent why 10`.")
    path = agent.overview.record
    lines = [it.line for it in read_record(path)] if path else []
    verdicts = [it for it in lines if isinstance(it, VerdictLine)]
    last = verdicts[-int(rest or _SHOWN_VERDICTS) :] if rest != "0" else []
    timing = agent.choose().settings.timing
    rows = [_row(list(same), timing) for _, same in groupby(last, _alike)]
    return Card("The last verdicts" if rows else "There is no verdict yet.", rows)


def _forgotten(agent: KernelAgent, rule: ActionRule) -> Card:
    if rule in agent.approvals.session:
        agent.approvals.session.remove(rule)
    elif rule.origin == str(agent.approvals.own.path):
        agent.approvals.own.forget(rule)
    else:
        raise UsageError(f"This rule is not of an answer: {rule.words}.", f"Edit {rule.origin}.")
    return Card(f"Forgotten: {rule.words}")


def _alike(line: VerdictLine) -> tuple[object, ...]:
    """Verdicts in a row with the same such value are one row."""
    return line.tool, line.decision, line.reason, line.by, line.literal, line.deeds


def _row(same: list[VerdictLine], timing: bool) -> tuple[str, str]:
    count = f" × {len(same)}" if len(same) > 1 else ""
    return f"{same[0].tool}: {same[0].decision}{count}", _told(same[-1], timing)


def _told(line: VerdictLine, timing: bool) -> str:
    """A verdict in words: the reason, then what it is about."""
    deeds = [f"{kind} {target} ({call})".removesuffix(" ()") for kind, target, call in line.deeds]
    who = "you" if line.by == "user" else line.by or "nobody"
    when = f", {line.when}" if timing and line.when else ""
    head = f"{line.reason}  (by {who}{when})"
    return "\n".join([head, *deeds, *filter(None, [line.literal])])


def secrets(agent: KernelAgent, rest: str) -> Card:
    """Show the names of masked values, or allow one."""
    found = agent.connections.secrets()
    formats = [row.name for row in FORMATS]
    names = sorted({it.name for it in found})
    word, _, name = rest.partition(" ")
    if word == "allow" and name:
        agent.refuse_while_running()
        if name not in (*formats, *names):
            raise UsageError(f"There is no secret {quoted(name)}.", "`%agent secrets` lists them.")
        agent.connections.allow(name)
    elif rest:
        raise UsageError(f"{quoted(rest)} is not understood.", "Say `%agent secrets allow NAME`.")
    allowed = agent.connections.allowed
    places = {name: ", ".join(it.place for it in found if it.name == name) for name in names}
    rows = [(name, f"{places[name]}{_shown(name, allowed)}") for name in names]
    rows.append(("formats of keys", ", ".join(f"{it}{_shown(it, allowed)}" for it in formats)))
    return Card("The values of these names and formats are replaced by [key].", rows)


def _shown(name: str, allowed: frozenset[str]) -> str:
    return ": allowed, so it is shown" if name in allowed else ""


COMMANDS = (
    Command(
        "secrets",
        "[allow NAME] — names and places of the values that are masked; show one again",
        secrets,
        (
            ("", "names and places of the values that are masked"),
            ("allow NAME", "show the value of a name, or the keys of a format, again"),
        ),
    ),
    Command(
        "policy",
        "[LEVEL] [ASKS] — show or set what the agent may do, and when you are asked",
        policy,
    ),
    Command(
        "rules",
        "[forget N] — the rules beside the policy; take an answer back",
        rules,
        (("", "all rules, with their files"), ("forget N", "take one of your answers back")),
    ),
    Command("why", "[N] — the last verdicts, with reason, time and who gave them", why),
)
