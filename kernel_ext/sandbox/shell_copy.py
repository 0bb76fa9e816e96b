"""Cuts the shell of a copied process off from everything that the live one talks to.

Knows neither who copied it nor how it is confined.
"""

import asyncio
import builtins
import getpass
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...agent.protocol.cells import DisplayOutput, StreamName
from ...agent.text.secret_names import may_hold_key
from ..execution.step_outputs import StepOutputs
from ..output_hooks import Change, Clear, Function, OutputHooks, ReadChange, Update
from ..shell import Shell

_POOLS = (
    *(
        (f"{name}resource_tracker", "_resource_tracker", ("_fd", "_pid"))
        for name in ("multiprocessing.", "joblib.externals.loky.backend.", "loky.backend.")
    ),
    *(
        (f"{name}reusable_executor", "", ("_executor", "_executor_kwargs"))
        for name in ("joblib.externals.loky.", "loky.")
    ),
    (
        *("multiprocessing.forkserver", "_forkserver"),
        ("_forkserver_address", "_forkserver_alive_fd", "_forkserver_pid"),
    ),
)
"""Modules, their objects and the attributes that lead to processes of the live kernel's pools."""
_HOOKS = ("pre_execute", "pre_run_cell", "post_run_cell")


class CopySink:
    """Gives what the copy shows to `outputs`, and nothing to a front end."""

    def __init__(self, outputs: StepOutputs) -> None:
        self._outputs = outputs

    def write(self, name: StreamName, original: Function) -> Function:
        """A `write` that keeps the text."""

        def write(text: str) -> int:
            self._outputs.write(name, text)
            return len(text)

        return write

    def show(self, read: ReadChange, original: Callable[[], Any]) -> Any:
        """Keep the change."""
        match read():
            case None:
                return
            case Clear(wait):
                self._outputs.clear(wait)
            case Update(output):
                self._outputs.update(_without_models(output))
            case DisplayOutput() as output:
                self._outputs.add(_without_models(output))
            case output:
                self._outputs.add(output)


def _without_models(output: DisplayOutput) -> DisplayOutput:
    """A widget lives in the copy alone, so only its text is left."""
    data = {kind: it for kind, it in output.data.items() if not kind.endswith("widget-view+json")}
    return DisplayOutput(
        data=data,
        metadata=output.metadata,
        result=output.result,
        display_id=output.display_id,
    )


class _Stream(io.TextIOBase):
    """The copy's stdout or stderr. Its `write` is replaced. Programs write to the descriptor."""

    encoding = "utf-8"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True


def detach(shell: Any, take: Callable[[Change], bool], scratch: str) -> StepOutputs:
    """Cut the shell off. Its outputs go to `take`, and libraries' own files to `scratch`."""
    outputs = StepOutputs(take)
    sys.stdout, sys.stderr = _Stream(1), _Stream(2)
    OutputHooks(CopySink(outputs)).open(shell)
    sys.displayhook = shell.displayhook
    shell.display_trap.hook = shell.displayhook
    _no_kernel(shell)
    _no_history(shell)
    for name in _HOOKS:
        shell.events.callbacks[name] = []
    _no_input()
    _no_pools()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    shell.loop_runner = loop.run_until_complete
    shell.system = shell.system_raw  # `!cmd` without a terminal
    _own_places(scratch)
    return outputs


def forget(environ: Any, secrets: Sequence[str]) -> None:
    """Take keys out of the copy's memory where we know them: the environment, and these texts."""
    import ctypes

    for name in list(environ):
        if may_hold_key(name):
            del environ[name]
    with open("/proc/self/stat", "rb") as file:  # the block that the system handed over
        start, end = map(int, file.read().rpartition(b")")[2].split()[47:49])
    for entry in ctypes.string_at(start, end - start).split(b"\0") if end > start else ():
        name = os.fsdecode(entry.partition(b"=")[0])
        if may_hold_key(name):
            ctypes.memset(start, ord("*"), len(entry))
        start += len(entry) + 1

    for text in secrets:
        size = sys.getsizeof(text) - sys.getsizeof("") if text.isascii() else 0
        start = id(text) + sys.getsizeof("") - 1
        ctypes.memset(start, ord("*"), size)


def _no_kernel(shell: Any) -> None:
    """ipykernel opens its sockets again in a forked process when it sends."""
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        kernel._allow_stdin = False
        session = getattr(kernel, "session", None)
        if session is not None:
            session.send = _nothing
    with suppress(ImportError):
        import comm

        comm.create_comm = _no_comm  # type: ignore[assignment]


def _no_history(shell: Shell) -> None:
    """IPython takes a closed database for a broken one, and moves the user's file away."""
    history: Any = shell.history_manager
    if history is None:
        return
    from IPython.core.history import DummyDB

    history.enabled = False
    history.db = DummyDB()
    history.writeout_cache = _nothing
    history.get_tail = history.search = history.get_range = _no_lines


def _no_input() -> None:
    def no_input(*_: object, **__: object) -> str:
        raise EOFError("nobody can answer in a trial run")

    builtins.input = no_input
    getpass.getpass = no_input


def _no_pools() -> None:
    """Libraries start pools of the copy's own. The lines to those of the live kernel are closed."""
    import ctypes

    for module, name, attributes in _POOLS:
        found = sys.modules.get(module)
        owner = getattr(found, name, None) if name else found
        for it in attributes if owner is not None else ():
            # It lives on, else it would be ended now, over these lines.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(getattr(owner, it, None)))
            setattr(owner, it, None)


def _own_places(scratch: str) -> None:
    """Temporary files and caches of libraries."""
    os.environ.update(
        dict.fromkeys(("TMPDIR", "TEMP", "TMP", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"), scratch)
    )
    tempfile.tempdir = scratch
    pools: Any = sys.modules.get("multiprocessing.process")
    if pools is not None:  # it has a folder for sockets of its own
        pools.current_process()._config["tempdir"] = None


def import_thread_limits() -> None:
    """Import in the live kernel, once, what each copy with a library of arrays needs."""
    if any(name in sys.modules for name in ("numpy", "scipy", "sklearn")):
        with suppress(ImportError):
            importlib.import_module("threadpoolctl")


def one_thread_a_library() -> None:
    """Threads of BLAS and OpenMP did not come along, and whoever waits for them waits forever.

    It starts threads itself. So call it when the walls are closed, as they hold for later threads.
    """
    pools = sys.modules.get("threadpoolctl")
    if pools is not None:
        with suppress(Exception):
            pools.threadpool_limits(1)


def _nothing(*_: object, **__: object) -> None:
    return None


def _no_lines(*_: object, **__: object) -> Any:
    return iter(())


def _no_comm(*_: object, **__: object) -> Any:
    class Comm(Mapping[str, object]):
        """A comm that nobody hears."""

        comm_id = "none"
        kernel = None

        def __getattr__(self, _name: str) -> Any:
            return _nothing

        def __getitem__(self, key: str) -> object:
            raise KeyError(key)

        def __iter__(self) -> Any:
            return iter(())

        def __len__(self) -> int:
            return 0

    return Comm()
