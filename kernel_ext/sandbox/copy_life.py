"""The life of a confined copy: from the fork over the run of its code to its report.

Knows not what becomes of the report. Nothing here returns to the live kernel.
"""

import asyncio
import errno
import gc
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from sys import _getframe  # pyright: ignore[reportPrivateUsage]
from typing import Any

from ...agent.frozen import frozen
from ...agent.permissions.walls import is_inside, is_within
from ...agent.protocol.cells import StreamOutput
from ...agent.protocol.trials import Cover, Deed, Walls
from ..execution.step_outputs import StepOutputs
from ..output_hooks import Change, Clear, Update
from ..shell import Shell
from ..user_names import is_public, rebound, user_names
from ..values.fingerprint import fingerprint
from ..workers.fork import reset_signals
from .callers import is_bytecode, is_of_library, is_of_walk
from .deeds import OWN_EVENTS, deeds_of
from .frames import Sender, packed
from .shell_copy import detach, forget, one_thread_a_library
from .walls.confine import (
    DiskView,
    become_second_process,
    close_walls,
    enter_view,
    give_memory_to_tell,
)
from .walls.namespaces import changed_files, end_with_parent
from .walls.opens import Hearing

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NAME = re.compile(r"[^\W\d]\w*")
_REFUSALS = re.compile(
    r"Permission denied|Operation not permitted|Read-only file system|not resolve host"
    r"|Temporary failure in name resolution|Network is unreachable|readonly database"
    r"|unable to open database|Cannot open file|Could not set lock"
)
"""Words with which programs tell that they were refused something."""
MAX_LOOKED = 200
"""Names in the code whose values are compared before and after."""


@frozen
class TrialOrder:
    """The purpose of a copy. `cover`: what its live run may do. `readable`: what Python itself
    reads. `line`: where it reports. `ear`: where the process that hears it reports."""

    code: str
    cover: Cover
    readable: tuple[str, ...]
    scratch: str
    line: int
    ear: int
    secrets: tuple[str, ...]
    memory: int


def live(shell: Shell, order: TrialOrder, mask: set[signal.Signals | int]) -> None:
    """The whole life of the copy. It never returns."""
    sender = Sender(order.line)
    try:
        gc.freeze()  # a collection would write to every page of the live objects, and copy it
        sys.excepthook = sys.unraisablehook = _silent
        asyncio._set_running_loop(None)
        os.setsid()  # so that it has no terminal, into which it could type
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # when memory ends, the copy goes first
        reset_signals(mask)
        folder = os.getcwd()
        view = enter_view(order.cover.walls, order.scratch)
        heard = Hearing(order.cover, (order.scratch, "/dev/shm"), partial(_tell, Sender(order.ear)))
        if view.mounts is None:
            end_with_parent()
        else:
            become_second_process(partial(heard.hear, kept=order.ear))
            sender.send("processes", _own_numbers())
        printed = _only(order.line, (*view.held, heard.line))
        os.chdir(folder)  # the path now leads into the view
        _run(shell, order, _Place(view, heard), sender, printed)
    except BaseException as error:
        sender.send("end", {"status": "killed", "why": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _own_numbers() -> Sequence[int]:
    """The numbers of this process and of the one that hears it, as the live kernel knows them."""
    with open("/proc/self/stat", "rb") as file:
        number, _, rest = file.read().partition(b" ")
    return int(number), int(rest.rpartition(b")")[2].split()[1])


def _tell(sender: Sender, deed: Deed) -> None:
    sender.send("denied", [deed.kind, deed.target, deed.call])


@frozen
class _Place:
    """The place in which a copy lives, and who hears it."""

    view: DiskView
    heard: Hearing


def _run(shell: Shell, order: TrialOrder, place: _Place, sender: Sender, printed: int) -> None:
    walls, view = order.cover.walls, place.view
    outputs = detach(shell, _taker(sender), order.scratch)
    forget(os.environ, order.secrets)
    before = dict(shell.user_ns)
    looked = _looked(shell, order.code)
    readable = (*order.readable, *walls.readable, *walls.workspace)
    if view.mounts is not None:
        readable = (*readable, "/dev/shm")
    close_walls(readable, walls, view, order.scratch, order.memory, place.heard.begin)
    one_thread_a_library()
    sender.send("walls", view.words)
    hear = _hearing(outputs, printed)
    witness = _Witness(sender, walls, (*readable, order.scratch), bool(view.uppers), order.scratch)
    sys.addaudithook(witness.see)
    show = shell.showtraceback

    def show_error(*args: Any, **named: Any) -> None:
        give_memory_to_tell()
        show(*args, **named)

    shell.showtraceback = show_error
    result: Any = shell.run_cell(order.code, store_history=False)
    witness.over = True
    hear()
    error = result.error_before_exec or result.error_in_exec
    for deed in _refused_in(error):
        if not any(deed.target in (it.target, "") for it in witness.denied):
            witness.deny(deed)
    if witness.commands and _REFUSALS.search(_text(outputs)):
        for deed in witness.commands:
            witness.deny(deed)
    _tell_files(view, walls, witness, order.scratch)
    sender.send("end", _ended(shell, before, looked, error))


def _ended(
    shell: Shell, before: dict[str, object], looked: dict[str, str], error: BaseException | None
) -> dict[str, Any]:
    names = shell.user_ns
    bound = user_names(shell, {name: names[name] for name in rebound(before, names)})
    same = [name for name in looked if names.get(name, None) is before.get(name)]
    return {
        "status": "error" if error is not None else "ok",
        "error": f"{type(error).__name__}: {_words(error)}"[:2000] if error is not None else "",
        "created": [name for name in bound if name not in before],
        "rebound": [name for name in bound if name in before],
        "changed": [name for name in same if fingerprint(names[name]) != looked[name]],
        "deleted": [it for it in before if it not in names and is_public(it)],
    }


def _looked(shell: Shell, code: str) -> dict[str, str]:
    """The evidence of the values that the code names."""
    names = user_names(shell)
    return {name: fingerprint(names[name]) for name in mentioned(code, names)[:MAX_LOOKED]}


def mentioned(code: str, names: Mapping[str, object]) -> Sequence[str]:
    """Those of the names that are a word of the code."""
    return [it for it in dict.fromkeys(_NAME.findall(code)) if it in names]


class _Witness:
    """Sees the deeds of the code by Python's audit events, and reports each once."""

    def __init__(
        self, sender: Sender, walls: Walls, readable: Iterable[str], writes: bool, scratch: str
    ) -> None:
        self._sender, self._walls = sender, walls
        self._readable = tuple(readable)
        self._writes = writes
        self._own = (scratch, "/dev/shm") if writes else (scratch,)
        self._seen = set[Deed]()
        self._busy = threading.local()
        self.commands: list[Deed] = []
        self.denied: list[Deed] = []
        self.over = False

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if self.over or getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            frame = _getframe(2 if event in OWN_EVENTS else 1)
            for deed in deeds_of(event, arguments, frame):
                spared = is_of_library(deed, frame) or is_bytecode(deed, frame)
                spared = spared or is_of_walk(deed, frame)
                if spared:
                    continue
                if deed not in self._seen:
                    self._seen.add(deed)
                    self._judge(deed)
                if deed.kind == "native":  # it could read from memory what no wall hides
                    raise PermissionError(f"not in a trial run: {deed.call}")
        finally:
            self._busy.now = False

    def deny(self, deed: Deed) -> None:
        """Report a refusal."""
        self.denied.append(deed)
        self._sender.send("denied", [deed.kind, deed.target, deed.call])

    def tell(self, deed: Deed) -> None:
        """Report what was done within the walls."""
        self._sender.send("deed", [deed.kind, deed.target, deed.call])

    def _judge(self, deed: Deed) -> None:
        match deed.kind:
            case "command":
                self.commands.append(deed)
                self.tell(deed)
            case "process" if deed.call in ("os.fork", "os.forkpty"):
                self.tell(deed)
            case "read":
                allowed = is_within(deed.target, self._readable) or not os.path.exists(deed.target)
                if not allowed or not is_inside(deed, self._walls):
                    self.deny(deed)
            case "network" if self._writes and is_within(deed.target, self._own[:1]):
                pass  # a Unix socket of its own
            case "write" | "remove" if is_inside(deed, self._walls, self._own):
                self._within(deed)
            case _:
                self.deny(deed)

    def _within(self, deed: Deed) -> None:
        """A write within the workspace. Where the copy has no view of its own, it ends here."""
        if is_within(deed.target, self._own):
            return
        self.tell(deed)
        if not self._writes:
            self._sender.send("end", {"status": "cut", "why": "a file of the workspace is written"})
            os._exit(0)


def _tell_files(view: DiskView, walls: Walls, witness: _Witness, scratch: str) -> None:
    """The files that were written, also those that no event told of."""
    for folder, upper in view.uppers:
        for path, removed in changed_files(upper, folder):
            if is_within(path, (scratch,)):
                continue
            deed = Deed("remove" if removed else "write", path, "")
            (witness.tell if is_inside(deed, walls) else witness.deny)(deed)


def _refused_in(error: BaseException | None) -> Iterable[Deed]:
    """The refusals that ended the code, or led to its error."""
    for _ in range(10):
        if error is None:
            return
        if isinstance(error, OSError) and error.errno in _REFUSED:
            path = error.filename
            target = os.path.abspath(os.fsdecode(path)) if isinstance(path, str | bytes) else ""
            if not target:
                yield Deed("kernel", "", f"{type(error).__name__}: {error}"[:200])
            else:
                yield Deed("read" if os.path.exists(target) else "write", target, "")
        elif _REFUSALS.search(_words(error)):
            yield Deed("kernel", "", f"{type(error).__name__}: {_words(error)}"[:200])
        elif isinstance(error, MemoryError):
            yield Deed("memory", "more memory than a trial may take", "MemoryError")
        error = error.__cause__ or error.__context__


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of a class of the user's
        return ""


def _text(outputs: StepOutputs) -> str:
    return "\n".join(it.text for it in outputs.all() if isinstance(it, StreamOutput))


def _silent(*_: object) -> None:
    return None


def _taker(sender: Sender) -> Callable[[Change], bool]:
    def take(change: Change) -> bool:
        if isinstance(change, Clear):
            sender.send("clear", None)
        else:
            sender.send("output", packed(change.output if isinstance(change, Update) else change))
        return True

    return take


def _only(line: int, held: Iterable[int]) -> int:
    """Keep the line, and give programs a pipe to print to. Returns its end to read from."""
    null = os.open(os.devnull, os.O_RDONLY)
    printed, end = os.pipe()
    os.dup2(null, 0)
    os.dup2(end, 1)
    os.dup2(end, 2)
    low = 3
    for kept in sorted((line, printed, *held)):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, max(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    return printed


def _hearing(outputs: StepOutputs, printed: int) -> Callable[[], None]:
    """Pass on what programs print, and what code printed so far. The function ends that."""
    ended, end = os.pipe()

    def hear() -> None:
        import select

        over = False
        while True:
            heard = [printed] if over else [printed, ended]
            ready, *_ = select.select(heard, [], [], 0 if over else 0.05)
            if printed in ready:
                outputs.write("stdout", os.read(printed, 1 << 16).decode("utf-8", "replace"))
            outputs.flush()
            if over and not ready:
                return
            over = over or ended in ready

    thread = threading.Thread(target=hear, daemon=True)
    thread.start()

    def stop() -> None:
        with suppress(Exception):
            sys.stdout.flush()
        os.write(end, b".")
        thread.join(1)
        outputs.flush()

    return stop
