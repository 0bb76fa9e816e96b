"""The `inkernel` command: turns without an open notebook. Knows neither the loop nor the kernel."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...agent.config.extras import install_command
from ...agent.config.settings import PREFIX, Settings
from ...agent.errors import AgentError, SettingsError, UsageError
from ...agent.protocol.events import Event, TurnEnded, Usage
from . import serve
from .notebook_files import append_code, as_html, new_notebook, read_notebook, write_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

LOAD = "%load_ext inkernel"
SETTING_FLAGS = ("base_url", "model", "policy", "effort")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0: every turn completed, 1: something failed, or 2: wrong usage."""
    options = _parser().parse_args(argv)
    try:
        return options.run(options)
    except AgentError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 2 if isinstance(error, UsageError | SettingsError) else 1
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inkernel", description="An agent in an IPython kernel.")
    commands = parser.add_subparsers(required=True, metavar="exec | run | serve")
    say = commands.add_parser("exec", help="say something to the agent in a new kernel")
    say.add_argument("prompt", help="your prompt (- reads it from standard input)")
    say.add_argument("--notebook", type=Path, help="execute its cells first")
    say.set_defaults(run=_exec)
    play = commands.add_parser("run", help="execute a notebook with its agent cells")
    play.add_argument("notebook", type=Path)
    play.add_argument("--html", type=Path, help="also export it as HTML")
    play.set_defaults(run=_run)
    serve.add_to(commands.add_parser("serve", help="serve a scripted model, without a kernel"))
    for command in (say, play):
        command.add_argument("--output", type=Path, help="write the executed notebook here")
        command.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
        for name in SETTING_FLAGS:
            about = Settings.model_fields[name].description
            command.add_argument(f"--{name.replace('_', '-')}", help=about)
    return parser


def _exec(options: argparse.Namespace) -> int:
    prompt = str(sys.stdin.read() if options.prompt == "-" else options.prompt)
    if not prompt.strip():
        raise UsageError("The prompt is empty.", 'For example: inkernel exec "What is 2 + 2?"')
    given: Path | None = options.notebook
    notebook = read_notebook(given) if given else new_notebook()
    cells: list[Any] = notebook.cells
    if not any(LOAD in cell.source for cell in cells):
        append_code(notebook, LOAD, "inkernel-load")
    append_code(notebook, f"%%agent\n{prompt}", "inkernel-exec")
    return _execute(notebook, given.parent if given else Path.cwd(), options)


def _run(options: argparse.Namespace) -> int:
    code = _execute(read_notebook(options.notebook), options.notebook.parent, options)
    for path in (options.output, options.html):
        if path and not options.json:
            print(f"Written: {path}")
    return code


def _execute(notebook: "NotebookNode", folder: Path, options: argparse.Namespace) -> int:
    """Execute and show the notebook. Save the result even when it failed."""
    try:
        from .notebook_runner import run_notebook
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This needs the package {error.name}.", install_command("headless")
        ) from None
    given = {name: getattr(options, name) for name in SETTING_FLAGS}
    environ = {f"{PREFIX}{name.upper()}": value for name, value in given.items() if value}
    listener = _Listener(options.json)
    listen, begin = listener.hear, listener.begin
    failure = asyncio.run(run_notebook(notebook, folder, environ, listen, begin))
    listener.end(failure)
    if options.output:
        write_notebook(notebook, options.output)
    if getattr(options, "html", None):
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(as_html(notebook), encoding="utf-8")
    return 0 if failure is None and listener.completed else 1


class _Listener:
    """Shows events as they come, and keeps the end of the last turn."""

    def __init__(self, as_json: bool) -> None:
        self._ended: TurnEnded | None = None
        self._show = _print_json if as_json else _plain_view().show
        self._json = as_json

    @property
    def completed(self) -> bool:
        """Whether the last turn completed, or there was none."""
        return self._ended is None or self._ended.status == "completed"

    def begin(self, source: str) -> None:
        """Show that a cell begins: an agent cell in full, any other by its first line."""
        first, _, more = source.strip().partition("\n")
        if first.startswith("%%agent"):
            first, more = source.strip().replace("\n", "\n    "), ""
        if not self._json:
            print(f"\nIn: {first}{' …' if more else ''}", flush=True)

    def hear(self, event: Event) -> None:
        """Show one event of a turn."""
        if isinstance(event, TurnEnded):
            self._ended = event
        self._show(event)

    def end(self, failure: str | None) -> None:
        """Print the failure that stopped the notebook. As an event, too, unless a turn sent one."""
        if failure is None:
            return
        if self._json and self.completed:
            _print_json(_failed(failure))
        print(failure, file=sys.stderr)


def _print_json(event: Event) -> None:
    print(event.model_dump_json(), flush=True)


def _plain_view() -> Any:
    from ...widgets import open_view

    return open_view("plain")


def _failed(failure: str) -> TurnEnded:
    return TurnEnded(
        status="failed",
        answer="",
        usage=Usage(),
        cost=None,
        seconds=0,
        samples=0,
        error=failure,
    )
