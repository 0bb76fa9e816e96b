"""Copies what a cell shows as it passes, and changes nothing of it. Knows neither cell nor log.

The places are those of `taps`: the streams' `write`, the display publisher, the display hook, the
shell's `_showtraceback`, each on the instance.
"""

import sys
import threading
from collections.abc import Callable
from threading import get_ident
from typing import Any

from ..shell import Shell
from .buffer import Bundle, Failure, KeptOutput, OutputBuffer, StreamName, Text

MAX_GATHERED_WRITES = 4_000
"""Writes that are gathered before they are sorted into what is kept."""
LONG_WRITE_CHARS = 1_000
"""Characters of a write that is sorted in at once."""

_ABSENT = object()
_Function = Callable[..., Any]


class OutputTap:
    """In place from `open` to `close`. `on_bug` is called while an exception of ours is handled.

    What threads older than the tee show belongs to the cells that started them.
    """

    def __init__(self, on_bug: Callable[[], None]) -> None:
        self._on_bug = on_bug
        self._kept = OutputBuffer()
        self._stream: StreamName = "stdout"
        self._printed: list[str] = []  # to that stream
        self._lock = threading.RLock()
        self._deaf = _older_threads()
        self._open = False
        self._patches: list[tuple[object, str, object, _Function]] = []

    def open(self, shell: Shell) -> None:
        """Put the taps in place."""
        self._open = True
        publisher, hook = shell.display_pub, shell.displayhook
        self._patch(sys.stdout, "write", self._write_tap("stdout"))
        if sys.stderr is not sys.stdout:
            self._patch(sys.stderr, "write", self._write_tap("stderr"))
        self._patch(publisher, "publish", self._tap(self._published))
        self._patch(publisher, "clear_output", self._tap(self._cleared))
        self._patch(hook, "write_output_prompt", self._tap(_ignored))
        self._patch(hook, "write_format_data", self._tap(self._resulted))
        self._patch(shell, "_showtraceback", self._tap(self._failed))

    def close(self) -> None:
        """Take the taps away. One that was wrapped meanwhile stays, and is heard no more."""
        self._open = False
        for owner, name, before, ours in reversed(self._patches):
            if vars(owner).get(name) is not ours:
                continue
            if before is _ABSENT:
                object.__delattr__(owner, name)
            else:
                object.__setattr__(owner, name, before)
        self._patches.clear()

    def shown(self) -> list[KeptOutput]:
        """What passed."""
        self._sort()
        return self._kept.all()

    def _patch(self, owner: object, name: str, tap: Callable[[_Function], _Function]) -> None:
        if not hasattr(owner, "__dict__"):  # a program without a console has no streams
            return
        ours = tap(getattr(owner, name))
        self._patches.append((owner, name, vars(owner).get(name, _ABSENT), ours))
        object.__setattr__(owner, name, ours)

    def _write_tap(self, name: StreamName) -> Callable[[_Function], _Function]:
        printed, deaf = self._printed, self._deaf

        def tap(original: _Function) -> _Function:
            def write(text: str, *args: Any, **kwargs: Any) -> Any:
                # print gives the text alone, and passing on nothing costs as much as all the rest
                more = args or kwargs
                written = original(text, *args, **kwargs) if more else original(text)
                if get_ident() not in deaf:
                    if name is not self._stream:
                        self._guarded(self._turn, name)
                    printed.append(text)
                    if len(printed) > MAX_GATHERED_WRITES or len(text) > LONG_WRITE_CHARS:
                        self._guarded(self._sort)
                return written

            return write

        return tap

    def _tap(self, take: _Function) -> Callable[[_Function], _Function]:
        """Lets the call do its work unheard (in a terminal it prints), then takes what it was."""

        def tap(original: _Function) -> _Function:
            def call(*args: Any, **kwargs: Any) -> Any:
                thread = get_ident()
                if not self._open or thread in self._deaf:
                    return original(*args, **kwargs)
                self._deaf.add(thread)
                try:
                    done = original(*args, **kwargs)
                finally:
                    self._deaf.discard(thread)
                self._guarded(take, *args, **kwargs)
                return done

            return call

        return tap

    def _guarded(self, take: _Function, *args: Any, **kwargs: Any) -> None:
        """The cell goes on, whatever happens to us."""
        if not self._open:  # a tap that somebody keeps
            self._printed.clear()
            return
        try:
            with self._lock:
                take(*args, **kwargs)
        except Exception:
            self._open = False
            self._on_bug()

    def _turn(self, name: StreamName) -> None:
        self._sort()
        self._stream = name

    def _sort(self) -> None:
        count = len(self._printed)  # another thread may print on
        text = "".join(self._printed[:count])
        del self._printed[:count]
        if text:
            self._kept.add(Text(self._stream, text))

    def _published(
        self, data: Any, *_more: Any, transient: Any = None, update: bool = False, **_named: Any
    ) -> None:
        self._sort()
        named: dict[str, Any] = transient or {}
        bundle = Bundle(dict(data), display_id=named.get("display_id"))
        if update:
            self._kept.update(bundle)
        else:
            self._kept.add(bundle)

    def _resulted(self, format_dict: Any, *_more: Any, **_named: Any) -> None:
        self._sort()
        self._kept.add(Bundle(dict(format_dict), result=True))

    def _failed(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        self._sort()
        self._kept.add(Failure(etype.__name__, _message(evalue), tuple(map(str, stb))))

    def _cleared(self, wait: bool = False) -> None:
        self._sort()
        self._kept.clear(wait)


def _older_threads() -> set[int]:
    """Threads that run already, but for this one and those that read what programs write."""
    heard = {get_ident()}
    for stream in (sys.stdout, sys.stderr):
        watch: threading.Thread | None = getattr(stream, "watch_fd_thread", None)
        if watch is not None and watch.ident is not None:
            heard.add(watch.ident)
    return {thread.ident for thread in threading.enumerate() if thread.ident} - heard


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the person's own class
        return ""


def _ignored(*_args: Any) -> None:
    return
