"""The one place where a shell, a session and a view are put together."""

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from ..agent.cells import CellRun, DisplayOutput, Output
from ..agent.client import Client
from ..agent.cost import preload
from ..agent.errors import AuthError, TurnInterrupted, UsageError
from ..agent.events import Event, OutputShown
from ..agent.http import list_models
from ..agent.keys import Keys
from ..agent.loop import turn
from ..agent.provider_table import Traits
from ..agent.providers import Target, find_target
from ..agent.record import Record
from ..agent.script import Script, load_script
from ..agent.scripted import ScriptedServer
from ..agent.session import Conversation, Said, Session, new_session_id, record_path
from ..agent.settings import SCRIPTED, Chosen, Layer, Settings, choose, read_layers
from ..agent.tools import Tool
from ..agent.tools.run_cell import run_cell_tool
from ..widgets import View, open_view
from ..widgets.outputs import can_show
from .approval import ask_person
from .execute import run_code
from .interrupt import Interruption, cancelled_by_sigint
from .mirror import Mirror
from .namespace import inspect_tool, reference
from .place import find_cell, find_place, find_surface, user_names
from .shell import Shell

TYPED = "typed in this session"
SCRIPTED_TRAITS = Traits(stores=True, websocket=True, compact=True)
_REFERENCE = re.compile(r"\$`([^`\n]+)`")


class Binding:
    """A shell's session, and what the user chose for it."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.user_folder = platformdirs.user_config_path("inkernel", appauthor=False)
        self.typed: dict[str, Any] = {}
        self.session_id = new_session_id()
        self.conversation = Conversation()
        self.record: Record | None = None
        self._keys = Keys(os.environ)
        self._client: tuple[Target, Settings, Client] | None = None
        self._servers: dict[Path, tuple[Script, ScriptedServer]] = {}
        self._mirror = Mirror()
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
        self._refuse_while_running()
        self.session_id = new_session_id()
        self.conversation = Conversation()
        if self.record is not None:
            self.record.close()
            self.record = None

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
            "scripted", server.base_url, script.model, scripted=True, traits=SCRIPTED_TRAITS
        )

    async def run_turn(self, text: str, more: Mapping[str, Any], new: bool) -> None:
        """One turn, shown below the cell. Raises the AgentError that ended it early."""
        self._refuse_while_running()
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
        for _, server in self._servers.values():
            server.close()
        self._servers.clear()

    def _refuse_while_running(self) -> None:
        if self._running:
            raise UsageError(
                "A turn is already running in this kernel.", "Wait for it, or stop it."
            )

    async def _run_turn(
        self, text: str, more: Mapping[str, Any], interruption: Interruption
    ) -> None:
        settings = self.choose(more).settings
        client = await self._open_client(await self.find_target(settings), settings)
        view = self._open_view(settings)
        session = Session(
            id=self.session_id,
            settings=settings,
            target=client.target,
            tools=self._tools(settings, view, interruption),
            sample=client.sample,
            approve=ask_person(self.shell, interruption),
            record=self._open_record(settings),
            conversation=self.conversation,
        )
        try:
            async with contextlib.aclosing(turn(session, self._said(text, settings))) as events:
                async for event in events:
                    self._show(event, settings, view)
        except AuthError:
            self.forget_keys()
            raise
        finally:
            view.close()

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
        client = Client(target, settings)
        self._client = (target, settings, client)
        return client

    def _open_record(self, settings: Settings) -> Record:
        if self.record is None:
            self.record = Record(record_path(self.data_folder(settings), self.session_id))
            self.record.append("session", {"session": self.session_id, "cwd": str(Path.cwd())})
        return self.record

    def _show(self, event: Event, settings: Settings, view: View) -> None:
        view.show(event)
        if settings.events:
            self._mirror.send(event)

    def _tools(
        self, settings: Settings, view: View, interruption: Interruption
    ) -> tuple[Tool[Any], ...]:
        async def run(call_id: str, code: str) -> CellRun:
            def take(output: Output) -> bool:
                if isinstance(output, DisplayOutput) and not can_show(output.data):
                    return False
                self._show(OutputShown(call_id=call_id, output=output), settings, view)
                return True

            run = await run_code(self.shell, code, take, interruption)
            values = run.model_dump(mode="json", fallback=str)
            self._open_record(settings).append("cell_run", {"call_id": call_id, **values})
            return run

        return (
            run_cell_tool(run, settings.output_tokens),
            inspect_tool(lambda: user_names(self.shell)),
        )

    def _said(self, text: str, settings: Settings) -> Said:
        names = dict.fromkeys(_REFERENCE.findall(text))
        namespace = user_names(self.shell) if names else {}
        return Said(
            text=text,
            place=find_place(self.shell, self.user_folder, settings.docs_bytes),
            attached=tuple(reference(name, namespace) for name in names),
            cell=find_cell(self.shell),
        )

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
