"""The `inkernel` command: turns without an open notebook. Knows neither the loop nor the kernel."""

import argparse
import asyncio
import io
import locale
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

from ...agent.config.extras import install_command
from ...agent.config.settings import PREFIX, Layer, Settings, approved, choose
from ...agent.errors import AgentError, SettingsError, UsageError
from ..notebook.demo import NEXT, copy_demo
from ..notebook.file.ipynb import MAJOR, MINOR, Ipynb, parse_ipynb, read_ipynb
from . import serve
from .listener import Listener
from .notebook_files import as_html, check_language, make_writable, new_notebook, save
from .shell_words import SETTING_FLAGS, in_shell
from .working_copy import WorkingCopy

LOAD = "%load_ext inkernel"


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
        print(f"{error.message}\n{in_shell(error.hint)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError | SettingsError) else 1
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inkernel", description="An agent in an IPython kernel.")
    parser.add_argument("--version", action="version", version=f"inkernel {version('inkernel')}")
    commands = parser.add_subparsers(required=True, metavar="demo | exec | run | serve")
    demo = commands.add_parser(
        "demo", help="see turns without a key or a model", allow_abbrev=False
    )
    demo.add_argument("--folder", type=Path, help="keep the demo's notebook and its data here")
    off = dict.fromkeys((*SETTING_FLAGS, "output", "html"))
    demo.set_defaults(run=_demo, json=False, **off)
    say = commands.add_parser(
        "exec", help="say something to the agent in a new kernel", allow_abbrev=False
    )
    say.add_argument("prompt", help="your prompt (- reads it from standard input)")
    say.add_argument(
        "--notebook",
        type=Path,
        help="execute its cells first; the agent reads, edits and runs it. Without --output, "
        "the file itself is saved if the agent changed it",
    )
    say.add_argument(
        "--stop-on-error",
        action="store_true",
        help="end the run at a cell that fails, instead of telling the agent",
    )
    say.set_defaults(run=_exec, html=None)
    play = commands.add_parser(
        "run", help="execute a notebook with its agent cells", allow_abbrev=False
    )
    play.add_argument("notebook", type=Path, help="without --output, it is saved as with exec")
    play.add_argument("--html", type=Path, help="also export it as HTML")
    play.set_defaults(run=_run)
    serve.add_to(commands.add_parser("serve", help="serve a scripted model, without a kernel"))
    for command in commands.choices.values():
        command.allow_abbrev = False
    for command in (say, play):
        command.add_argument("--output", type=Path, help="write the executed notebook here")
        command.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
        for name in SETTING_FLAGS:
            about = Settings.model_fields[name].description
            command.add_argument(f"--{name.replace('_', '-')}", help=about)
    return parser


class _Task(NamedTuple):
    """The notebook to execute, its file if there is one, and what the person adds at its end."""

    notebook: Ipynb
    given: Path | None
    added: tuple[str, ...] = ()
    goes_on: bool = False


def _demo(options: argparse.Namespace) -> int:
    with TemporaryDirectory(prefix="inkernel-demo-") as folder:
        notebook = copy_demo(options.folder or Path(folder))
        code = _execute(_Task(read_ipynb(notebook), notebook), options)
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
    notebook = read_ipynb(given) if given else parse_ipynb(new_notebook())
    loads = any(LOAD in cell.source for cell in notebook.cells)
    added = (*(() if loads else (LOAD,)), f"%%agent\n{prompt}")
    return _execute(_Task(notebook, given, added, not options.stop_on_error), options)


def _run(options: argparse.Namespace) -> int:
    return _execute(_Task(read_ipynb(options.notebook), options.notebook), options)


def _execute(task: _Task, options: argparse.Namespace) -> int:
    """Execute and show the notebook. Save the result even when it failed."""
    try:
        from .notebook_runner import Job, run_notebook
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This needs the package {error.name}.", install_command("headless")
        ) from None
    listener = Listener(options.json)
    if task.given and (notice := check_language(task.notebook, task.given)):
        listener.warn(notice)
    for path in filter(None, (options.output, options.html)):
        make_writable(path)
    flags = {name: it for name in SETTING_FLAGS if (it := getattr(options, name))}
    if "approve" in flags:  # the kernel may run in another folder
        flags["approve"] = str(Path(flags["approve"]).expanduser().absolute())
    approved(choose([Layer("the command line", flags)]), Path.cwd().joinpath)
    job = Job(
        folder=task.given.parent if task.given else Path.cwd(),
        environ={f"{PREFIX}{name.upper()}": value for name, value in flags.items()},
        notebook=task.given or options.output,
        prompted=bool(task.added),
        goes_on=task.goes_on,
    )
    with TemporaryDirectory(prefix="inkernel-") as private:
        copy = WorkingCopy(Path(private) / "notebook.ipynb", task.notebook.data, task.added)
        ended = asyncio.run(run_notebook(copy, job, listener))
        well = listener.end(ended.failure, bool(ended.signal))
        _save(copy, task, options, listener)
    return 128 + ended.signal if ended.signal else 0 if well else 1


def _save(copy: WorkingCopy, task: _Task, options: argparse.Namespace, listener: Listener) -> None:
    """Save the result, and tell where it is."""
    saved = save(copy, task.given, task.notebook.data, options.output)
    form = (task.notebook.nbformat, task.notebook.nbformat_minor)
    if saved and form < (MAJOR, MINOR):
        old = ".".join(map(str, form))
        listener.warn(f"{saved} is in format {MAJOR}.{MINOR}: {task.given} was in format {old}.")
    if options.html:
        options.html.write_text(as_html(copy.data(added=True)), encoding="utf-8")
    for path in filter(None, (saved, options.html)):
        if not options.json:
            print(f"Written: {path}")


def _decoded(data: bytes) -> str:
    """A text from outside. Without the right locale, its UTF-8 would be refused or spoiled."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(locale.getpreferredencoding(False), "replace")
