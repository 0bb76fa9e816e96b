"""The file of rules that answers "always" write. Knows no question."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from ...agent.config.action_rules import RULES_FILE, all_as_toml
from ...agent.config.planted import Held
from ...agent.config.settings import read_file
from ...agent.errors import SettingsError
from ...agent.frozen import frozen
from ...agent.protocol.actions import ActionRule

_HEAD = "# Your answers to inkernel. `%agent rules` lists them, and takes one back.\n\n"


@frozen
class OwnRules:
    """The rules in `rules.toml` of the person's settings folder.

    `held`: files that do not hold as they are now. `written` hears that the file was written.
    """

    folder: Path
    held: Callable[[], Held]
    written: Callable[[Path], object]

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / RULES_FILE

    def read(self) -> tuple[ActionRule, ...]:
        """The rules. Raises SettingsError."""
        return read_file(self.path, held=self.held()).rules

    def add(self, rules: Sequence[ActionRule]) -> tuple[ActionRule, ...]:
        """Write rules that are not there yet. Returns all. Raises SettingsError."""
        known = self.read()
        new = [it.model_copy(update={"origin": str(self.path)}) for it in rules]
        return self._write((*known, *(it for it in new if it not in known)))

    def forget(self, rule: ActionRule) -> None:
        """Take a rule out. Raises SettingsError."""
        self._write(tuple(it for it in self.read() if it != rule))

    def _write(self, rules: tuple[ActionRule, ...]) -> tuple[ActionRule, ...]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=self.folder, delete=False, encoding="utf-8") as file:
                file.write(_HEAD + all_as_toml(rules))
            os.replace(file.name, self.path)
        except OSError as error:
            raise SettingsError(
                f"{self.path} cannot be written: {error}.", "Nothing was changed."
            ) from None
        self.written(self.path)
        return rules
