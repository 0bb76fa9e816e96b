"""The one place where a shell, a session and a view are put together."""

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs

from ..agent.config.settings import SCRIPTED, Chosen, Layer, Settings, choose, read_layers
from ..agent.context.changes import Environment, Snapshot
from ..agent.conversation.output_store import OutputStore
from ..agent.conversation.record import Record
from ..agent.conversation.resume import resume
from ..agent.conversation.runs import RunLog
from ..agent.errors import AuthError, TurnInterrupted, UsageError
from ..agent.loop import turn
from ..agent.protocol.actions import MEANING
from ..agent.protocol.cells import CellRun
from ..agent.protocol.events import Event
from ..agent.protocol.observed import UserCellRun, Variable, find_stale
from ..agent.providers.catalog import Capabilities
from ..agent.providers.keys import Keys
from ..agent.providers.pricing import preload
from ..agent.providers.resolve import Target, find_target
from ..agent.responses.client import Client
from ..agent.responses.http import list_models
from ..agent.scripted.script import Script, load_script
from ..agent.scripted.server import ScriptedServer
from ..agent.session import (
    Conversation,
    Prompt,
    Session,
    conversation_of,
    new_session_id,
    record_path,
)
from ..agent.text.tokenizers import counter_for
from ..agent.text.tokens import Counter, Estimate
from ..widgets import View, open_view
from .approval import ask_person, nobody
from .environment import find_cell, find_count, find_environment, find_surface, user_names
from .event_comm import EventComm
from .execution.capture import OutputCapture
from .execution.interrupts import Interruption, cancelled_by_sigint
from .execution.run_code import Host
from .execution.shell_history import keep_count
from .notebook.current import current_notebook
from .shell import Shell
from .toolset import StepHooks, tools_of_turn
from .undo.turn_undo import TurnUndo
from .user_cells.log import UserCellLog
from .values.paths import reference
from .values.snapshot import snapshot

TYPED = "typed in this session"
SCRIPTED_CAPABILITIES = Capabilities(stores=True, websocket=True, compact=True)
UNASKED = Target("none", "http://127.0.0.1:9/v1", "")
_REFERENCE = re.compile(r"\$`([^`\n]+)`")


class KernelAgent:
    """A shell's session, and what the user chose for it."""

    def __init__(self, shell: Shell, log: UserCellLog) -> None:
        self.shell = shell
        self._log = log
        self._kernel = f"{os.getpid():x}-{id(shell.user_ns):x}"
        self._steps: dict[int, set[str]] = {}
        self.fields = b""
        self.user_folder = platformdirs.user_config_path("inkernel", appauthor=False)
        self.typed: dict[str, Any] = {}
        self.session_id = new_session_id()
        self.conversation = Conversation()
        self.record: Record | None = None
        self._outputs: OutputStore | None = None
        self._keys = Keys(os.environ)
        self._client: tuple[Target, Settings, Client] | None = None
        self._counter: tuple[str, Counter] | None = None
        self._servers: dict[Path, tuple[Script, ScriptedServer]] = {}
        self._mirror = EventComm()
        self.undo = TurnUndo()
        self._running = False

    def choose(self, more: Mapping[str, Any] | None = None) -> Chosen:
        """The settings now, `more` on top. Raises SettingsError."""
        layers = read_layers(Path.cwd(), self.user_folder, os.environ)
        typed = [Layer(TYPED, self.typed), Layer("the %%agent line", more or {})]
        return choose([*layers, *typed])

    def data_folder(self, settings: Settings) -> Path:
        """Where records are kept."""
        own = platformdirs.user_data_path("inkernel", appauthor=False)
        return settings.data_dir or own

    def start_anew(self) -> None:
        """Forget the conversation; the next turn begins a session with a record of its own.

        Raises UsageError while a turn runs: agent code cannot cut off its own record.
        """
        self.refuse_while_running()
        if self.conversation.preparing:
            self.conversation.preparing.task.cancel()
        self.session_id = new_session_id()
        self.conversation = Conversation()
        self._outputs = None
        if self.record is not None:
            self.record.close()
            self.record = None

    def resume(self, path: Path) -> None:
        """Go on from a session's record. Raises RecordError, UsageError while a turn runs."""
        self.refuse_while_running()
        resumed, record = resume(path), Record(path)
        self.start_anew()
        self.session_id = resumed.session
        self.conversation = conversation_of(resumed)
        self.record = record
        runs = RunLog(resumed.runs, resumed.ended)
        self._outputs = OutputStore(self.record, resumed.outputs, runs)

    def forget_keys(self) -> None:
        """Ask for keys anew."""
        self._keys.forget()

    async def find_target(self, settings: Settings) -> Target:
        """The server and model for these settings. Raises AgentError when there is none."""
        if settings.model is None or not settings.model.startswith(SCRIPTED):
            return await find_target(settings, self._keys, list_models)
        path = Path(settings.model.removeprefix(SCRIPTED)).resolve()
        script = load_script(path)
        known, server = self._servers.get(path, (None, None))
        if server is None or known != script:
            if server is not None:
                server.close()
            server = ScriptedServer(script).start()
            self._servers[path] = (script, server)
        return Target(
            "scripted", server.base_url, script.model, scripted=True, traits=SCRIPTED_CAPABILITIES
        )

    def session(self, settings: Settings, client: Client) -> Session:
        """The session as it stands, without the tools of a turn. Raises RecordError."""
        return Session(
            id=self.session_id,
            settings=settings,
            target=client.target,
            tools=(),
            sample=client.sample,
            approve=nobody,
            record=self._open_record(settings),
            outputs=self._open_outputs(settings),
            conversation=self.conversation,
            look=lambda: self._environment(settings),
            live=self._live,
            aside=client.aside,
            compact=client.compact,
        )

    def session_now(self) -> Session:
        """The session between two turns; it asks nothing. Raises UsageError, RecordError."""
        self.refuse_while_running()
        if not self.conversation.history.entries:
            raise UsageError("There is no conversation yet.", "It begins with the first %%agent.")
        settings = self.choose().settings
        client = self._client[2] if self._client else Client(UNASKED, settings)
        return self.session(settings, client)

    def runs(self) -> tuple[UserCellRun, ...]:
        """The person's cell runs in this kernel that are kept, in order."""
        return self._log.since(0)

    def reread(self) -> None:
        """Have the conversation as the record tells it. Raises RecordError."""
        if self.record is not None:
            self.conversation = conversation_of(resume(self.record.path))

    async def run_turn(self, text: str, more: Mapping[str, Any], new: bool) -> None:
        """One turn, shown below the cell. Raises the AgentError that ended it early."""
        self.refuse_while_running()
        if new:
            self.start_anew()
        self._running = True
        try:
            with cancelled_by_sigint() as interruption:
                try:
                    await self._run_turn(text, more, interruption)
                except asyncio.CancelledError:
                    if not interruption.came:
                        raise
                    _forget_cancellation()
                    raise TurnInterrupted(
                        "You interrupted the turn.", "The next %%agent goes on from here."
                    ) from None
        finally:
            self._running = False

    def close(self) -> None:
        """Let go of the record, the connections, the servers and the mirror."""
        self.start_anew()
        if self._client is not None:
            with contextlib.suppress(RuntimeError):  # no event loop runs: the process will end
                asyncio.get_running_loop().create_task(self._client[2].close())
            self._client = None
        self._mirror.close()
        self.undo.drop()
        for _, server in self._servers.values():
            server.close()
        self._servers.clear()

    def refuse_while_running(self) -> None:
        """Raises UsageError while a turn runs: what it stands on must not change."""
        if self._running:
            raise UsageError(
                "A turn is already running in this kernel.", "Wait for it, or stop it."
            )

    async def _run_turn(
        self, text: str, more: Mapping[str, Any], interruption: Interruption
    ) -> None:
        settings = self.choose(more).settings
        try:
            target = await self.find_target(settings)
        except AuthError:
            self.forget_keys()
            raise
        client = await self._open_client(target, settings)
        view = self._open_view(settings)
        approve = ask_person(self.shell, interruption)
        session = replace(self.session(settings, client), approve=approve)
        said = self._said(text, settings)
        here = current_notebook(self.shell, said.seen.environment.notebook)

        def before(code: str) -> None:
            if settings.undo:
                turn, run = self.conversation.turns, self._log.last
                self.undo.before_step(self.shell, turn, run, code)

        def show(event: Event) -> None:
            view.show(event)
            if settings.events:
                self._mirror.send(event)

        try:
            with OutputCapture(self.shell) as taps:
                host = Host(self.shell, taps, interruption)
                tools = tools_of_turn(host, session, here, show, StepHooks(before, self._ran))
                session = replace(session, tools=tools)
                self.fields = session.fields()
                async with contextlib.aclosing(turn(session, said)) as events:
                    async for event in events:
                        show(event)
        except AuthError:
            self.forget_keys()
            raise
        finally:
            here.close()
            view.close()
            keep_count(self.shell, said.count)

    def counter(self, target: Target) -> Counter:
        """Counts as the model does; its tokenizer is loaded in the background, once.

        A scripted model has none, and is to give the same notebook each time.
        """
        if target.scripted:
            return Estimate()
        if self._counter is None or self._counter[0] != target.model:
            self._counter = (target.model, counter_for(target.model))
        return self._counter[1]

    @property
    def transport(self) -> str:
        """How the model is asked, once it was."""
        return self._client[2].transport if self._client else "begins with the first turn"

    async def _open_client(self, target: Target, settings: Settings) -> Client:
        """The client in use, or a new one when it is for another model or other settings."""
        if self._client is not None:
            if self._client[:2] == (target, settings):
                return self._client[2]
            await self._client[2].close()
        asyncio.get_running_loop().run_in_executor(None, preload)
        self.counter(target)
        client = Client(target, settings)
        self._client = (target, settings, client)
        return client

    def _open_record(self, settings: Settings) -> Record:
        if self.record is None:
            self.record = Record(record_path(self.data_folder(settings), self.session_id))
            self.record.append("session", {"session": self.session_id, "cwd": str(Path.cwd())})
        return self.record

    def _open_outputs(self, settings: Settings) -> OutputStore:
        if self._outputs is None:
            self._outputs = OutputStore(self._open_record(settings))
        return self._outputs

    def _ran(self, run: CellRun) -> None:
        self._steps.setdefault(self._log.last, set()).update(run.bound, run.deleted)

    def _said(self, text: str, settings: Settings) -> Prompt:
        names = dict.fromkeys(_REFERENCE.findall(text))
        namespace = user_names(self.shell) if names else {}
        return Prompt(
            text=text,
            seen=self._seen(settings),
            attached=tuple(reference(name, namespace) for name in names),
            cell=find_cell(self.shell),
            count=find_count(self.shell),
        )

    def _environment(self, settings: Settings) -> Environment:
        found = find_environment(self.shell, self.user_folder, settings.docs_bytes)
        return replace(found, policy=MEANING[settings.policy])

    def _seen(self, settings: Settings) -> Snapshot:
        """What there is to be told of; what was told in another kernel is no measure."""
        told = self.conversation.told
        same = told.kernel == self._kernel
        runs, since = self.runs(), told.run if same else 0
        return Snapshot(
            environment=self._environment(settings),
            kernel=self._kernel,
            names=self._live(),
            cells=tuple(run for run in runs if run.number > since),
            last=self._log.last,
            stale=find_stale(runs, self._steps),
        )

    def _live(self) -> Mapping[str, Variable]:
        """The live names; those of which no change is seen are the very ones that were told."""
        told = self.conversation.told
        same = told.kernel == self._kernel
        known = {name: it for name, it in told.names.items() if same and isinstance(it, Variable)}
        return snapshot(user_names(self.shell), known)

    def _open_view(self, settings: Settings) -> View:
        if settings.view != "auto":
            return open_view(settings.view, timing=settings.timing)
        match find_surface(self.shell):
            case "terminal":
                return open_view("plain", timing=settings.timing)
            case "headless":
                return open_view("static", timing=settings.timing, rate=1)
            case "notebook":
                return open_view("static", timing=settings.timing, rate=4)
            case "jupyterlab":
                return open_view("live", timing=settings.timing)


def _forget_cancellation() -> None:
    """The cancellation was ours: the task goes on, to tell what happened."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
