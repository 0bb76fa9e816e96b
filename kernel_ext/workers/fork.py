"""A copy of this process that sleeps until it gets a question. Knows no kernel and no agent.

The copy shares all memory until one of the two writes to a page (copy on write). It keeps one end
of a socket and nothing else: no other file descriptor, no signal handler, no exit handler.
"""

import ctypes
import errno
import gc
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

MAX_ANSWER_BYTES = 2 << 30
"""Bytes of one answer, at most."""
IO_CHUNK_BYTES = 1 << 20
"""Bytes sent or received at once."""

_HEAD = struct.Struct("<Q")
_IGNORED = ("SIGINT", "SIGQUIT", "SIGHUP", "SIGPIPE", "SIGUSR1", "SIGUSR2")
_PDEATHSIG = 1

Serve = Callable[[Any], object]


class Unanswered(Exception):
    """The copy did not answer: it is gone, too slow, or its answer is too large. It is ended."""


class Forked:
    """One sleeping copy. It ends with `end`, when this object is dropped, and with the parent."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self._line = line
        self._end = weakref.finalize(self, _end, pid, _pidfd(pid), line, os.getpid())

    def ask(self, question: object, seconds: float, most: int = MAX_ANSWER_BYTES) -> Any:
        """The answer of the copy's `serve` to `question`, at most `most` bytes. Raises Unanswered.

        An interrupt also ends the copy.
        """
        self.post(question, seconds)
        return self.answer(seconds, most)

    def post(self, question: object, seconds: float) -> None:
        """Send a question. Get its answer later with `answer`. Raises Unanswered."""
        until = time.monotonic() + seconds
        with self._ended_by_failure():
            for part in _packed(question):
                _send(self._line, part, until)

    def answer(self, seconds: float, most: int = MAX_ANSWER_BYTES) -> Any:
        """The next answer. Raises Unanswered, or RuntimeError if `serve` raised."""
        until = time.monotonic() + seconds
        with self._ended_by_failure():
            answer, error = _receive(self._line, until, most)
        if error is not None:
            raise error
        return answer

    @contextmanager
    def _ended_by_failure(self) -> Generator[None]:
        try:
            yield
        except TimeoutError:
            self.end()
            raise Unanswered("too slow") from None
        except (OSError, EOFError):
            self.end()
            raise Unanswered("the process that knew it is gone") from None
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the copy. A thread waits for it, so that no zombie stays. You may call it again."""
        self._end()


def start(serve: Serve) -> Forked:
    """Fork. In the copy, `serve` answers one question after another.

    Call it on the main thread: on Linux the copy dies with the thread that made it. Raises OSError
    when the system cannot start another process.
    """
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    try:
        with signals_blocked() as blocked, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about threads, which the copy does not need
            pid = os.fork()
            if pid == 0:
                _live(serve, theirs, parent, blocked)
            return Forked(pid, ours)  # before a pending interrupt, which would lose the copy
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()


def unsafe() -> str:
    """The reason not to fork this process. Empty if a fork is safe."""
    if sys.platform != "linux":
        return "this system cannot fork safely"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "this Python has no GIL"
    if threading.current_thread() is not threading.main_thread():
        return "not on the main thread"
    torch: Any = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    if any(name in sys.modules for name in ("cupy", "pycuda")) or (cuda and cuda.is_initialized()):
        return "a GPU is in use"
    return ""


@contextmanager
def signals_blocked() -> Generator[set[signal.Signals | int]]:
    """No signal comes meanwhile. Gives the mask from before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield before  # pyright: ignore[reportReturnType]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live(serve: Serve, line: socket.socket, parent: int, mask: set[signal.Signals | int]) -> None:
    """The life of the copy, from the fork to its end. It never returns."""
    try:
        gc.disable()  # a collection would write to every page of the parent's objects, and copy it
        gc.freeze()
        _detach(parent)
        reset_signals(mask)
        line = _only(line)
        while True:
            try:
                question: object = _receive(line, None, sys.maxsize)
            except (OSError, EOFError):
                break
            try:
                answer = _packed((serve(question), None))
            except MemoryError:
                answer = _packed((None, Unanswered("there is no memory for it")))
            except Exception as error:
                answer = _packed((None, RuntimeError(f"{type(error).__name__}: {error}")))
            for part in answer:
                _send(line, part, None)
    finally:
        os._exit(0)  # without exit handlers, and without writing the parent's buffers


def _detach(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")  # when memory runs out, the copy dies before the kernel
    if os.getppid() != parent:
        os._exit(0)
    if "asyncio" in sys.modules:
        sys.modules["asyncio"]._set_running_loop(None)
    sys.excepthook = sys.unraisablehook = _silent


def _silent(*_: object) -> None:
    return None


def reset_signals(mask: set[signal.Signals | int]) -> None:
    """Remove the parent's signal handlers and the file descriptor that wakes its loop.

    ■ interrupts the whole process group, but the copy ignores it. SIGTERM and SIGKILL end the copy.
    """
    signal.set_wakeup_fd(-1)
    for each in signal.valid_signals():
        if callable(signal.getsignal(each)):
            with suppress(OSError, ValueError):
                signal.signal(each, signal.SIG_DFL)
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask - {signal.SIGALRM})


def _only(line: socket.socket) -> socket.socket:
    """Close every file descriptor but `line`, so that the copy does not listen for the parent."""
    import fcntl

    kept = fcntl.fcntl(line.detach(), fcntl.F_DUPFD_CLOEXEC, 10)
    null = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(null, each)
    os.closerange(3, kept)
    os.closerange(kept + 1, max(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    return socket.socket(fileno=kept)


def _packed(message: object) -> list[memoryview]:
    """A message in the form that is sent: the sizes, the pickle, then its buffers, not copied."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, 5, buffer_callback=buffers.append)
    parts = [memoryview(body), *(each.raw() for each in buffers)]
    sizes = b"".join(_HEAD.pack(len(each)) for each in parts)
    return [memoryview(_HEAD.pack(len(parts)) + sizes), *parts]


def _receive(line: socket.socket, until: float | None, most: int) -> Any:
    (count,) = _HEAD.unpack(_read(line, _HEAD.size, until))
    table = _read(line, count * _HEAD.size, until)
    sizes = [size for (size,) in _HEAD.iter_unpack(table)]
    if sum(sizes) > most:
        raise Unanswered(f"too large: {sum(sizes):,} bytes of at most {most:,}")
    body, *buffers = [_read(line, size, until) for size in sizes]
    return pickle.loads(body, buffers=buffers)


def _read(line: socket.socket, size: int, until: float | None) -> bytearray:
    held = bytearray(size)
    room = memoryview(held)
    while room:
        _patience(line, until)
        got = line.recv_into(room, min(len(room), IO_CHUNK_BYTES))
        if not got:
            raise EOFError
        room = room[got:]
    return held


def _send(line: socket.socket, part: memoryview, until: float | None) -> None:
    while part:
        _patience(line, until)
        part = part[line.send(part[:IO_CHUNK_BYTES]) :]


def _patience(line: socket.socket, until: float | None) -> None:
    if until is not None:
        line.settimeout(max(until - time.monotonic(), 1e-3))


def _pidfd(pid: int) -> int | None:
    """A handle that means this process, even if its number is used again."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _end(pid: int, pidfd: int | None, line: socket.socket, owner: int) -> None:
    if os.getpid() != owner:  # we are another copy of the parent, and it is not our child
        return
    line.close()
    with suppress(ProcessLookupError, PermissionError):
        if pidfd is None:
            os.kill(pid, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    if pidfd is not None:
        os.close(pidfd)
    with suppress(RuntimeError):  # at the interpreter's end, when init waits for it
        threading.Thread(target=_reap, args=(pid,), daemon=True).start()


def _reap(pid: int) -> None:
    while True:
        try:
            os.waitpid(pid, 0)
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
        return
