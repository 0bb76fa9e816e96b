"""Puts a shell, a session and a view together. Nothing else does."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from ..agent.compaction.note_taking import stop_notes
from ..agent.config.settings import (
    Chosen,
    Layer,
    Settings,
    approved,
    choose,
    limits,
    read_layers,
    stricter,
)
from ..agent.conversation.journal import Journal
from ..agent.conversation.output_store import OutputStore
from ..agent.conversation.record import Record
from ..agent.conversation.runs import RunLog
from ..agent.conversation.state import Conversation
from ..agent.dialects.request import Request
from ..agent.errors import AuthError, RecordError, SettingsError, TurnInterrupted, UsageError
from ..agent.loop import turn
from ..agent.overview import Overview, overview_of
from ..agent.protocol.events import Event
from ..agent.protocol.record_lines import SessionLine, TypedLine
from ..agent.providers.resolve import set_aside, typed_also
from ..agent.seams import Seams
from ..agent.services import Services
from ..agent.session import Session, keep_runs, new_session_id, record_path
from ..agent.text.masked_events import MaskedEvents
from ..agent.text.masking import Mask
from ..agent.transport.client import Client
from .approval.approvals import ApprovalHome, nobody
from .approval.own_rules import OwnRules
from .connections import UNASKED, Connections
from .environment import find_notebook, jupyter_secrets, working_folder
from .event_comm import EventComm
from .execution.capture import OutputCapture
from .execution.children import Children
from .execution.interrupts import Interruption, cancelled_by_sigint
from .execution.quiet import hide_own_lines, show_own_lines
from .execution.run_code import Host
from .execution.shell_history import keep_count, saved_in_batches
from .integrity.obeyed import ObeyedFiles
from .integrity.turn import TurnIntegrity
from .mcp.session_servers import SessionServers
from .notebook.current import current_notebook
from .observer import Obeys, Observer
from .protection import Protection
from .sandbox.walls.folders import HeldFolders
from .shell import Shell
from .tools.step_runner import StepHooks
from .toolset import tools_of_turn
from .undo.turn_undo import TurnUndo
from .user_cells.log import UserCellLog
from .views import view_for

if TYPE_CHECKING:
    from ..agent.conversation.resume import Resumed

_TYPED = "typed in this session"


class KernelAgent:
    """A shell's conversation, and the settings that the user typed for it.

    `fields`: the fixed part of the last turn's requests, or empty. `_kept`: the number of the last
    of your runs in the record. `_settings`: of the last turn, while nothing was typed since.
    """

    def __init__(self, shell: Shell, log: UserCellLog) -> None:
        self.shell = shell
        self.user_folder = platformdirs.user_config_path("inkernel", appauthor=False)
        self.connections = Connections()
        self.undo, self.children = TurnUndo(), Children()
        self.folders = HeldFolders()
        self.obeyed = obeyed = ObeyedFiles(self.user_folder, self.folders)
        own = OwnRules(self.user_folder, lambda: obeyed.held, obeyed.written)
        self.approvals = ApprovalHome(shell, own, log.running_source)
        self.protection = Protection(shell, self.folders, self.user_folder)
        self.fields = b""
        obeys = Obeys(self.user_folder, lambda: self.folders.now, lambda: obeyed.held)
        self.services = Services()
        secrets = self.connections.server_secrets(lambda: self.sessions_folder().parent)
        self.servers = SessionServers(self.services, obeys, secrets, shell, self.sessions_folder)
        self._observer = Observer(shell, log, obeys, self.servers.lines)
        self.runs, self.kernel = self._observer.runs, self._observer.kernel
        self._session_id, self._typed, self._began = new_session_id(), {}, dict(os.environ)
        self._conversation = Conversation()
        self._record: Record | None = None
        self._outputs: OutputStore | None = None
        self._settings: Settings | None = None
        self._kept, self._resumed, self._running = 0, False, False
        self._mirror, self._displays = EventComm(), set[str]()
        log.before_run, log.after_run = self.folders.cell_begins, self._keep_runs
        hide_own_lines()

    def choose(self, more: Mapping[str, Any] | None = None, line: str = "%%agent") -> Chosen:
        """The present settings, with `more` of a typed `line` on top. Raises SettingsError."""
        folders, held = self.folders.now, self.obeyed.held
        layers = read_layers(Path(folders.working), self.user_folder, os.environ, self._began, held)
        of_line = {**set_aside((more or {}).get("model")), **(more or {})}
        typed = [Layer(_TYPED, self._typed), Layer(f"the {line} line", of_line)]
        return approved(choose([*layers, *typed]), folders.path, held)

    def set(self, key: str, value: str) -> None:
        """Set one for this session. Raises SettingsError if it does not exist or fit."""
        choose([Layer(f"the `%agent config {key}` line", {key: value})])
        typed = typed_also(self._typed, self.choose().settings, key, value)
        if key == "model":
            typed |= set_aside(value)
        elif key == "base_url" and set_aside(typed.get("model")):
            del typed["model"]  # it is of another server
        self._take(typed)

    def unset(self, key: str) -> None:
        """Forget the value that was typed for a setting, and what that one had set aside."""
        aside = set_aside(self._typed.get("model")) if key == "model" else {}
        left = {name for name in aside if self._typed.get(name) is None} | {key}
        self._take({name: value for name, value in self._typed.items() if name not in left})

    def _take(self, typed: dict[str, Any]) -> None:
        self._typed, self._settings = typed, None
        if self._record is not None:
            self._note_limits(self._record)

    @property
    def mask(self) -> Mask:
        """Masks the keys in use and the tokens of Jupyter, in all that is shown."""
        try:
            settings = self.choose().settings
        except SettingsError:
            settings = Settings.model_validate({})
        return self._masked(settings)

    def sessions_folder(self) -> Path:
        """The folder of the sessions' records."""
        return Path(self.choose().settings.data_dir or self.folders.now.data, "sessions")

    @property
    def overview(self) -> Overview:
        """The session as it is now."""
        path = self._record.path if self._record else None
        return overview_of(self._conversation, self.fields, self._session_id, path, self._resumed)

    def next_request(self) -> bytes:
        """The next request so far. Raises UsageError before the first turn."""
        if not self.fields:
            raise UsageError("There is no request yet.", "It begins with the first %%agent.")
        request = Request.of(self.fields, self._conversation.history.wire)
        client = self.connections.client
        return client.body(request) if client else request.wire(b"")

    def session(self, settings: Settings, client: Client) -> Session:
        """The present session, without the tools of a turn. Raises RecordError.

        Its window has no key that is known now.
        """
        self._open_record(settings)
        self._masked(settings)
        self._settings = settings
        session = Session(
            id=self._session_id,
            settings=settings,
            target=client.target,
            tools=(),
            seams=Seams(
                sample=client.sample,
                approve=nobody,
                aside=client.aside,
                compact=client.compact,
                environment=lambda: self._observer.environment(settings),
                variables=lambda: self._observer.variables(self._conversation.told),
            ),
            journal=Journal(self._open_record(settings), self._conversation),
            outputs=self._open_outputs(settings),
        )
        session.journal.mask()
        return session

    def session_now(self) -> Session:
        """The session between two turns, which sends no request. Raises UsageError, RecordError."""
        self.refuse_while_running()
        if not self._conversation.history.entries:
            raise UsageError("There is no conversation yet.", "It begins with the first %%agent.")
        settings = self.choose().settings
        return self.session(settings, self.connections.client or Client(UNASKED, settings))

    def new(self) -> None:
        """Forget the conversation. The next turn begins a session with a record of its own.

        Raises UsageError while a turn runs: agent code cannot cut off its own record.
        """
        self.refuse_while_running()
        stop_notes(self._conversation)
        self.services.leave()
        self._session_id, self._conversation = new_session_id(), Conversation()
        self._outputs, self._kept, self._resumed = None, 0, False
        self.approvals.session.clear()
        if self._record is not None:
            self._record.close()
            self._record = None

    def resume(self, path: Path) -> "Resumed":
        """Go on from a session's record. Returns what was read of it.

        Its `limits` are those that hold again, since they are stricter than the present ones.
        Raises RecordError, UsageError while a turn runs.
        """
        self.refuse_while_running()
        from ..agent.conversation.resume import resume

        resumed, record = resume(path), Record(path)
        again = stricter(resumed.limits, self.choose().settings)
        self.new()
        self._session_id = resumed.session
        self._conversation, self._resumed = resumed.conversation, True
        self._record = record
        runs = RunLog(resumed.runs, resumed.ended)
        self._outputs = OutputStore(record, resumed.outputs, runs, len(resumed.lost))
        self._typed = {**self._typed, **again}
        self._note_limits(record)
        self._keep_runs()
        if resumed.reveals:
            self.conceal()
        return replace(resumed, limits=again)

    def conceal(self) -> None:
        """Take hidden cells out of a window that was read from the record. Raises RecordError."""
        from ..agent.compaction.marks import conceal

        if self._conversation.history.entries:
            session = self.session_now()
            conceal(session, self.fields or session.fields())

    def put_below(self, text: str) -> None:
        """Put a text without keys into a new cell below."""
        self.shell.set_next_input(self.mask.text(text))

    def reread(self) -> None:
        """Read the conversation from the record again. Raises RecordError."""
        if self._record is not None:
            stop_notes(self._conversation)
            from ..agent.conversation.resume import resume

            self._conversation = resume(self._record.path).conversation

    async def ask(
        self, text: str, more: Mapping[str, Any], new: bool, notices: tuple[str, ...] = ()
    ) -> None:
        """Run one turn and show it below the cell. Raises the AgentError that ended it early."""
        self.refuse_while_running()
        if new:
            self.new()
        self._running = True
        self.folders.follow()
        self.approvals.person.listen()
        try:
            with cancelled_by_sigint(TurnInterrupted()) as interruption:
                settled = tuple(self.obeyed.settle(self.approvals.person, interruption))
                await self._run_turn(text, more, notices, settled, interruption)
        finally:
            self._running = False

    def refuse_while_running(self) -> None:
        """Raises UsageError while a turn runs, since its session must not change."""
        if self._running:
            raise UsageError(
                "A turn is already running in this kernel.", "Wait for it, or stop it."
            )

    def close(self) -> None:
        """Close the record, the connections, the servers and the comm. Drop the checkpoint."""
        self.services.close()
        self.new()
        self.connections.close()
        self._mirror.close()
        self.undo.drop()
        show_own_lines()

    async def _run_turn(
        self,
        text: str,
        more: Mapping[str, Any],
        notices: tuple[str, ...],
        news: tuple[str, ...],
        interruption: Interruption,
    ) -> None:
        settings = (chosen := self.choose(more)).settings
        client = await self._connect(settings)
        view, session = view_for(self.shell, settings), self.session(settings, client)
        notices = (*notices, *chosen.refused, *await self.servers.begin(chosen, session, view))
        prompt = self._observer.prompt(text, settings, self._conversation.told)
        said = replace(prompt, notices=notices, news=news)
        here = current_notebook(self.shell, said.seen.environment.notebook)

        def before(code: str) -> None:
            if settings.undo:
                turn, run = self._conversation.turns, self._observer.last_run
                self.undo.before_step(self.shell, turn, run, code)

        def show_masked(event: Event) -> None:
            view.show(event)
            if settings.events:
                self._mirror.send(event)

        mask, alone = self._masked(settings), self._observer.turn_is_alone()
        taps = OutputCapture(self.shell, mask, self._displays, settings.policy)
        show = MaskedEvents(mask, show_masked).show if mask.masks_any else show_masked
        integrity = TurnIntegrity(
            before, self._observer.note_step, self.obeyed, self.protection.function_writes
        )
        walls = self.protection.of_turn(settings, self.servers.scripts, mask.secrets)
        try:
            with taps, saved_in_batches(self.shell):
                host = Host(self.shell, taps, interruption)
                asked = self.approvals.of_turn(host, chosen.rules)
                lent = replace(session, seams=walls.seams(session.seams, asked, show))
                hooks = StepHooks(
                    *(integrity.before, integrity.after, walls.watching(asked, session)),
                    *(integrity.ends, self.children, integrity.also_changed),
                    walls.watching(asked, session, within=True),
                )
                tools = self.servers.tools(lent, asked)
                session = replace(
                    lent, tools=tools_of_turn(host, lent, here, hooks, self.services, tools)
                )
                self.fields = session.fields()
                integrity.watch(self.shell, (session, lent), self, (asked, *walls.parts))
                async with contextlib.aclosing(turn(session, said)) as events:
                    async for event in events:
                        show(event)
        except AuthError:
            self.connections.forget_keys()
            raise
        finally:
            here.close()
            view.close(taps.below if alone else None, asked=taps.asked)
            keep_count(self.shell, said.count)

    def _masked(self, settings: Settings) -> Mask:
        self.connections.read_cells(self._observer.new_sources())
        mask = self.connections.mask(settings, jupyter_secrets(self.shell))
        if self._record is not None:
            self._record.mask = mask
        return mask

    async def _connect(self, settings: Settings) -> Client:
        try:
            target = await self.connections.find(settings)
        except AuthError:
            self.connections.forget_keys()
            raise
        return await self.connections.open(target, settings)

    def _open_record(self, settings: Settings) -> Record:
        if self._record is None:
            folder = Path(settings.data_dir or self.folders.now.data)
            self._record = Record(record_path(folder, self._session_id))
            line = SessionLine(
                session=self._session_id,
                cwd=str(working_folder()),
                notebook=find_notebook(self.shell) or "",
            )
            self._record.append(line)
            self._note_limits(self._record)
        return self._record

    def _keep_runs(self) -> None:
        """Record your runs as they are over, as a crash before the next turn would lose them.

        Before the first turn there is no record: that turn writes the runs so far.
        """
        self.folders.cell_ends()
        if self._record is None or self._outputs is None or self._running:
            return
        _ = self._masked(self._settings) if self._settings else self.mask
        journal = Journal(self._record, self._conversation)
        runs = self._observer.runs_after(self._kept, self._conversation.told)
        with contextlib.suppress(RecordError):  # the next turn raises it
            keep_runs(journal, self._outputs, runs, self.kernel)
            self._kept = self._observer.last_run

    def _note_limits(self, record: Record) -> None:
        """Record what was typed to limit the agent, so that it holds after a restart."""
        if typed := limits(self._typed):
            record.append(TypedLine(limits=typed))

    def _open_outputs(self, settings: Settings) -> OutputStore:
        if self._outputs is None:
            self._outputs = OutputStore(self._open_record(settings))
        return self._outputs
