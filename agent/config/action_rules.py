"""Rules for actions, as files hold them: `[[rules]]` in TOML. Reads and writes no file itself."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from ..errors import SettingsError
from ..protocol.actions import ActionRule
from ..protocol.verbatim_json import dumps

RULES_KEY = "rules"
RULES_FILE = "rules.toml"
"""In the person's settings folder: the rules of answers "always"."""


def rules_in(values: Mapping[str, Any], path: Path) -> tuple[ActionRule, ...]:
    """The rules among the values of a file. A relative path is below the file's folder.

    Raises SettingsError naming the file.
    """
    given: Any = values.get(RULES_KEY, [])
    if not isinstance(given, list):
        raise _wrong(path, "`rules` is no list; each rule begins with [[rules]]")
    return tuple(_rule(it, path) for it in cast("list[Any]", given))


def apart(rules: Iterable[ActionRule]) -> tuple[tuple[ActionRule, ...], tuple[str, ...]]:
    """Of a project's rules those that ask or deny, and a sentence for each other one."""
    rules = tuple(rules)
    refused = tuple(
        f"{rule.origin} has a rule that is not taken: a project may only ask or deny."
        f" It was: {rule.words:.80}."
        for rule in rules
        if rule.decision == "allow"
    )
    return tuple(rule for rule in rules if rule.decision != "allow"), refused


def as_toml(rule: ActionRule) -> str:
    """The rule as a file has it."""
    parts = {"decision": rule.decision, **rule.parts}
    # A JSON string is a basic string of TOML, but for DEL.
    lines = (
        f"{name} = {dumps(value).decode().replace(chr(127), chr(92) + 'u007f')}"
        for name, value in parts.items()
    )
    return "\n".join(["[[rules]]", *lines]) + "\n"


def all_as_toml(rules: Sequence[ActionRule]) -> str:
    """A whole file of rules."""
    return "\n".join(map(as_toml, rules))


def _rule(given: Any, path: Path) -> ActionRule:
    try:
        rule = ActionRule.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        what = first["msg"].removeprefix("Value error, ")
        where = ".".join(map(str, first["loc"]))
        raise _wrong(path, f"a rule is not valid: {where + ': ' if where else ''}{what}") from None
    found = {"origin": str(path)}
    if rule.path:
        full = os.path.join(path.parent, os.path.expanduser(rule.path))
        found["path"] = os.path.realpath(full)
    return rule.model_copy(update=found)


def _wrong(path: Path, what: str) -> SettingsError:
    return SettingsError(f"{path}: {what}.", "docs/permissions.md shows rules.")
