"""The `inkernel` command: turns without an open notebook. Knows neither the loop nor the kernel."""

import argparse
import asyncio
import io
import locale
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from ...agent.config.extras import install_command
from ...agent.config.settings import PREFIX, Settings
from ...agent.errors import AgentError, SettingsError, UsageError
from ..notebook.demo import NEXT, copy_demo
from . import serve
from .listener import Listener
from .notebook_files import append_code, as_html, new_notebook, read_notebook, write_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

LOAD = "%load_ext inkernel"
SETTING_FLAGS = ("base_url", "model", "policy", "effort")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0: every turn completed, 1: something failed, or 2: wrong usage.

    After a signal it returns 128 and the signal's number.
    """
    # A character that standard output lacks must not end a turn.
    stdout = cast("object", sys.stdout)
    if isinstance(stdout, io.TextIOWrapper):
        cast("Any", stdout).reconfigure(errors="backslashreplace")
    options = _parser().parse_args(argv)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("Ended by SIGINT.", file=sys.stderr)
        return 128 + signal.SIGINT
    except AgentError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 2 if isinstance(error, UsageError | SettingsError) else 1
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inkernel", description="An agent in an IPython kernel.")
    commands = parser.add_subparsers(required=True, metavar="demo | exec | run | serve")
    demo = commands.add_parser("demo", help="see turns without a key or a model")
    demo.add_argument("--folder", type=Path, help="keep the demo's notebook and its data here")
    demo.set_defaults(run=_demo, output=None, json=False, **dict.fromkeys(SETTING_FLAGS))
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


def _demo(options: argparse.Namespace) -> int:
    with TemporaryDirectory(prefix="inkernel-demo-") as folder:
        notebook = copy_demo(options.folder or Path(folder))
        code = _execute(read_notebook(notebook), notebook.parent, options)
    if options.folder:
        print(f"\nThe notebook: {notebook}")
    print(f"\n{NEXT}")
    return code


def _exec(options: argparse.Namespace) -> int:
    piped = options.prompt == "-"
    prompt = _decoded(sys.stdin.buffer.read() if piped else os.fsencode(options.prompt))
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
    listener = Listener(options.json)
    listen, begin = listener.hear, listener.begin
    ended = asyncio.run(run_notebook(notebook, folder, environ, listen, begin))
    well = listener.end(ended.failure, bool(ended.signal))
    if options.output:
        write_notebook(notebook, options.output)
    if getattr(options, "html", None):
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(as_html(notebook), encoding="utf-8")
    return 128 + ended.signal if ended.signal else 0 if well else 1


def _decoded(data: bytes) -> str:
    """A text from outside. Without the right locale, its UTF-8 would be refused or spoiled."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(locale.getpreferredencoding(False), "replace")
