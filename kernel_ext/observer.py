"""Reads the context of a turn as it begins: environment, cell runs, variables, references."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..agent.config.planted import Held
from ..agent.config.project import ProjectDocs
from ..agent.config.settings import Settings
from ..agent.context.changes import Environment, Snapshot
from ..agent.conversation.state import KnownContext
from ..agent.frozen import frozen
from ..agent.protocol.cells import CellRun
from ..agent.protocol.observed import UserCellRun, Variable, find_stale
from ..agent.protocol.policy import read_policy
from ..agent.session import Prompt
from .environment import find_environment
from .frontend import find_cell, find_count
from .sandbox.walls.folders import Folders
from .shell import Shell
from .user_cells.log import UserCellLog
from .user_names import user_names
from .values.paths import reference
from .values.snapshot import snapshot

_REFERENCE = re.compile(r"\$`([^`\n]+)`")


@frozen
class Obeys:
    """The instructions that hold: the user's own folder, the folders now, and files that do not
    hold as they are now."""

    user_folder: Path
    folders: Callable[[], Folders]
    held: Callable[[], Held]

    def working(self) -> Path:
        """The working folder."""
        return Path(self.folders().working)


class Observer:
    """Observes one shell. `told`: the context that its conversation knows, maybe of a past kernel.

    `servers`: a line on each MCP server.
    `_steps`: names that the agent's steps bound or deleted, by the user's cell run before them.
    """

    def __init__(
        self,
        shell: Shell,
        log: UserCellLog,
        obeys: Obeys,
        servers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._shell = shell
        self._log = log
        self._project, self._obeys, self._servers = ProjectDocs(obeys.user_folder), obeys, servers
        self.kernel = f"{os.getpid():x}-{id(shell.user_ns):x}"
        self._steps: dict[int, set[str]] = {}
        self._read = 0

    @property
    def last_run(self) -> int:
        """The number of the user's last cell run."""
        return self._log.last

    def turn_is_alone(self) -> bool:
        """Whether the running cell is one turn that begins now, and nothing was shown in it."""
        return self._log.turn_is_alone()

    def runs(self) -> tuple[UserCellRun, ...]:
        """The user's cell runs in this kernel that are kept, in order."""
        return self._log.since(0)

    def new_sources(self) -> Iterator[tuple[str, str]]:
        """The place and the source of each of the user's runs since the last time."""
        runs = self._log.since(self._read)
        self._read = self._log.last
        return ((f"In [{run.count}]", run.source) for run in runs)

    def runs_after(self, number: int, told: KnownContext) -> tuple[UserCellRun, ...]:
        """The user's runs after that number, of those that a conversation does not know."""
        return self._log.since(max(number, self._known(told)))

    def note_step(self, run: CellRun) -> None:
        """Note a step that has run."""
        self._steps.setdefault(self._log.last, set()).update(run.bound, run.deleted)

    def prompt(self, text: str, settings: Settings, told: KnownContext) -> Prompt:
        """The user's prompt, with the context around it."""
        names = dict.fromkeys(_REFERENCE.findall(text))
        namespace = user_names(self._shell) if names else {}
        return Prompt(
            text=text,
            seen=self._seen(settings, told),
            attached=tuple(reference(name, namespace) for name in names),
            cell=find_cell(self._shell),
            count=find_count(self._shell),
        )

    def environment(self, settings: Settings) -> Environment:
        """The present environment."""
        docs = self._project.read(self._obeys.working(), settings.docs_bytes, self._obeys.held())
        found = find_environment(self._shell, docs)
        policy = read_policy(settings.policy).meaning
        return replace(found, policy=policy, servers=self._servers())

    def variables(self, told: KnownContext) -> Mapping[str, Variable]:
        """The user's live variables. An unchanged one is the same object as in `told`."""
        same = told.kernel == self.kernel
        known = {name: it for name, it in told.names.items() if same and isinstance(it, Variable)}
        return snapshot(user_names(self._shell), known)

    def _seen(self, settings: Settings, told: KnownContext) -> Snapshot:
        runs, since = self.runs(), self._known(told)
        return Snapshot(
            environment=self.environment(settings),
            kernel=self.kernel,
            names=self.variables(told),
            cells=tuple(run for run in runs if run.number > since),
            last=self._log.last,
            stale=find_stale(runs, self._steps),
        )

    def _known(self, told: KnownContext) -> int:
        """The number of the last run that a conversation knows. 0 if it knows another kernel."""
        return told.run if told.kernel == self.kernel else 0
