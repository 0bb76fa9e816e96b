"""Which rule fits which action and deed, and the narrowest rule for a deed. Pure; asks nobody."""

import re
from collections.abc import Iterable, Mapping

from ..protocol.actions import Action, ActionRule, Effect
from ..protocol.trials import Deed, DeedKind
from .walls import is_within

EFFECT_OF: Mapping[DeedKind, Effect] = {
    "read": "read_files",
    "write": "write_files",
    "remove": "write_files",
    "network": "network",
    "command": "run_command",
    "process": "spawn",
}
"""The effect of a deed. The kinds that are missing have none: no rule allows them."""

_OF_FILES = ("read", "write", "remove")
_JOINED = re.compile(r"[;&|<>`\n\\]|\$\(")
"""Signs that make a shell run more than the first words say, or write to a file."""
_PORT = re.compile(r":\d+$")


def deeds_named_by(action: Action) -> tuple[Deed, ...]:
    """The paths, hosts and command of a call, as deeds."""
    writes = not action.effects.isdisjoint(("write_files", "edit_notebook"))
    kind: DeedKind = "write" if writes else "read"
    command = (Deed("command", action.command),) if action.command else ()
    return (
        *(Deed(kind, path) for path in action.paths),
        *(Deed("network", host) for host in action.hosts),
        *command,
    )


def fits(rule: ActionRule, action: Action, deeds: Iterable[Deed]) -> bool:
    """Whether a rule that asks or denies is about this call. In doubt it is."""
    if not _is_of(rule, action):
        return False
    if rule.deed or rule.path or rule.host or rule.command:
        return any(_is_about(rule, deed, strictly=False) for deed in deeds)
    if rule.effect is None or rule.effect in action.effects:
        return True
    return any(EFFECT_OF.get(deed.kind) == rule.effect for deed in deeds)


def allows_call(rule: ActionRule, action: Action) -> bool:
    """Whether a rule lets this tool be called. It says nothing of deeds."""
    named = rule.parts.keys() <= {"tool", "server"}
    return rule.decision == "allow" and named and _is_of(rule, action)


def allows_deed(rule: ActionRule, action: Action, deed: Deed) -> bool:
    """Whether a rule allows this deed of the call. In doubt it does not."""
    if rule.decision != "allow" or not _is_of(rule, action):
        return False
    says = rule.effect or rule.deed or rule.path or rule.host or rule.command
    return bool(says) and _is_about(rule, deed, strictly=True)


def narrowest(deed: Deed) -> ActionRule | None:
    """The narrowest rule that a person can read and that allows this deed. None if none does, as
    where the text of the code does not tell all of the target."""
    if deed.kind not in EFFECT_OF or not deed.target or "…" in deed.target:
        return None
    match deed.kind:
        case "network":
            rule = ActionRule(decision="allow", deed=deed.kind, host=deed.target)
        case "command":
            rule = ActionRule(decision="allow", deed=deed.kind, command=deed.target)
        case "read" | "write" | "remove":
            rule = ActionRule(decision="allow", deed=deed.kind, path=deed.target)
        case _:
            return ActionRule(decision="allow", deed=deed.kind)
    return rule if _is_about(rule, deed, strictly=True) else None


def _is_of(rule: ActionRule, action: Action) -> bool:
    """Whether it is a rule for this tool and this server, or for any."""
    return rule.tool in ("", action.tool) and rule.server in ("", action.server)


def _is_about(rule: ActionRule, deed: Deed, *, strictly: bool) -> bool:
    if rule.effect is not None and EFFECT_OF.get(deed.kind) != rule.effect:
        return False
    if rule.deed is not None:
        return rule.deed == deed.kind and _is_at(rule, deed.target)
    if rule.path and not (deed.kind in _OF_FILES and is_within(deed.target, (rule.path,))):
        return False
    if rule.host and not (deed.kind == "network" and _is_host(deed.target, rule.host)):
        return False
    if rule.command:
        begins = _begins if strictly else _has
        return deed.kind == "command" and begins(deed.target, rule.command)
    return True


def _is_at(rule: ActionRule, target: str) -> bool:
    """Whether a rule for one kind of deed names just this target, or none."""
    if rule.host:
        return target.lower() == rule.host.lower() or (
            not _PORT.search(rule.host) and _PORT.sub("", target).lower() == rule.host.lower()
        )
    named = rule.path or rule.command
    return not named or named == target


def _is_host(target: str, rule: str) -> bool:
    target, rule = target.lower(), rule.lower()
    if not _PORT.search(rule):
        target = _PORT.sub("", target)
    if rule.startswith("*."):
        return target.endswith(rule[1:])
    return target == rule


def _begins(command: str, words: str) -> bool:
    """Whether a command begins with these words, and nothing else runs beside it."""
    if command == words:
        return True
    return not _JOINED.search(command) and _starts(command.split(), words.split())


def _has(command: str, words: str) -> bool:
    """Whether a part of a command begins with these words."""
    wanted = words.split()
    parts = [part.split() for part in _JOINED.split(command)]
    return any(_starts(part[at:], wanted) for part in parts for at in range(len(part)))


def _starts(command: list[str], words: list[str]) -> bool:
    return command[: len(words)] == words
