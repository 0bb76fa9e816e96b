"""Names as they were before a turn, and the way back to them.

A checkpoint keeps which object each name was bound to, and, for what is changed in place, a copy
of the process that sleeps until it is asked (`forked`). Undo looks at the objects as they were and,
in a second copy, as they are (`look`), finds what differs (`differences`), and fills the very
objects again (`restore`). No code of the person's runs in the live process for it.

What is not brought back, with a fork:

- what functions, classes, modules, loggers and generators hold; what is not memory: files,
  connections, other processes, a screen, a device; memory shared with a file or another process;
- library objects that hold an open file, a connection or the like: they stay as they are;
- objects of extensions that cannot be pickled. Those that can (a tensor, an Arrow table) come back
  as new objects, also for all that held them among the names;
- arrays that shared memory with one that has to be made anew share it no longer;
- what another thread changes while the looks are taken.

A set that was changed and changed back may be reported as changed, as may a string that was
interned since. Two objects are taken for the same if type, address and content are; if one of the
person's objects died and another one of its type took its place, that one is filled.

Without a fork (`copied`: not Linux, a GPU in use, a build without the GIL, not the main thread)
only builtin containers, numpy arrays and pandas frames are brought back, and only as many as are
copied in `COPY_SECONDS` seconds and `COPY_BYTES` bytes.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..workers import fork as forked
from .diff import Difference, compare, names_of
from .heap_scan import HeapScan, Late, Now
from .object_kinds import kind_of
from .polars_frames import cloned, give_back
from .restore import Rebuilt

CheckpointKind = Literal["forked", "copied"]

SCAN_SECONDS = 60.0
"""The looks may take so long, each."""
COPY_SECONDS, COPY_BYTES = 0.25, 32 << 20
"""Seconds and bytes of a checkpoint without a fork."""
HANG_SECONDS = 5.0
"""Seconds beyond its limit after which a copy of the process is taken to hang."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A name whose object has its old content again."""

    name: str
    same: bool
    """In the same object; else the name is bound to a new one."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What an undo did. Each is sorted by name."""

    back: tuple[str, ...] = ()
    """Bound again to the object they were bound to."""
    removed: tuple[str, ...] = ()
    changed_in_place: tuple[Changed, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Not brought back, or only in part, or perhaps not: the reason, in words."""


class Checkpoint:
    """Names as they were when it was taken."""

    def __init__(self, kept: dict[str, object], before: "_Forked | _Copied") -> None:
        self._kept, self._before = kept, before
        self._clones = cloned(kept)
        self.kind: CheckpointKind = before.kind
        self.why = before.why
        """Why it is no fork, in words."""
        self.pid = before.pid
        """The sleeping copy, if there is one."""

    def restore(
        self,
        namespace: dict[str, object],
        is_users: Callable[[str], bool],
        seconds: float = SCAN_SECONDS,
        most: int = forked.MAX_ANSWER_BYTES,
    ) -> Restored:
        """Give `namespace` the names and their content back; names of the user's that are new go.

        Looks take `seconds` each, what comes back has `most` bytes. An interrupt before anything
        was changed leaves all as it is, and ends the checkpoint.
        """
        try:
            found = self._before.difference(self._kept, seconds, most)
            live = self._live(found, seconds)
        except (forked.Unanswered, Late) as error:
            found, live = self._nothing(str(error) or "too slow"), {}
        rebuilt = Rebuilt(live, found.objects)
        rebuilt.fill()
        values, failed = dict(self._kept), dict(found.failed)
        for name, data in found.roots.items():
            try:
                values[name] = rebuilt.root(data)
            except Exception:
                failed.setdefault(name, "held something that is gone")
        changed = {*self._account(found, rebuilt, failed), *give_back(self._kept, self._clones)}
        for name in self._clones:
            failed.pop(name, None)
        back = [n for n, v in self._kept.items() if namespace.get(n, _MISSING) is not v]
        removed = [n for n in namespace if n not in values and is_users(n)]
        namespace.update(values)
        for name in removed:
            del namespace[name]
        return Restored(
            tuple(sorted(back)),
            tuple(sorted(removed)),
            tuple(Changed(n, values[n] is self._kept[n]) for n in sorted(changed)),
            dict(sorted(failed.items())),
        )

    def drop(self) -> None:
        """Let go of everything. May be called again."""
        self._before.drop()
        self._kept.clear()
        self._clones.clear()

    def _live(self, found: Difference, seconds: float) -> dict[int, object]:
        """The objects as they are, by address. Raises Late."""
        if not found.objects:
            return {}
        live = HeapScan(time.monotonic() + seconds)
        live.find(self._kept.values())
        return {**self._before.alive, **live.nodes}

    def _account(
        self, found: Difference, rebuilt: Rebuilt, failed: dict[str, str]
    ) -> Iterable[str]:
        """The names that have their content again; to `failed` is added what was not made again."""
        if not rebuilt.failed:
            return found.changed
        for reason in sorted({*rebuilt.failed.values()}):
            of = [each for each, why in rebuilt.failed.items() if why == reason]
            for name in self._names_of(of):
                failed.setdefault(name, reason)
        filled = [a for a, old in found.objects.items() if old.fill and a not in rebuilt.failed]
        return {*self._names_of(filled), *(found.roots.keys() - failed)} & {*found.changed}

    def _names_of(self, addresses: list[int]) -> Iterable[str]:
        try:
            return self._before.names_of(addresses)
        except forked.Unanswered:
            return self._kept

    def _nothing(self, reason: str) -> Difference:
        """No look at what may have changed in place."""
        names = (n for n, v in self._kept.items() if kind_of(type(v)).way not in ("atom", "itself"))
        return Difference({}, {}, (), dict.fromkeys(names, reason))


def take(names: Mapping[str, object], fork: bool = True) -> Checkpoint:
    """A checkpoint of these names, quick: bench/checkpoint.py. On the main thread.

    Without `fork`, or where one is not safe, only small plain values are copied.
    """
    kept = dict(names)
    why = unsafe() if fork else "it is switched off"
    if not why:
        try:
            return Checkpoint(kept, _Forked(kept))
        except OSError as error:
            why = f"the system refuses it: {error.strerror}"
    return Checkpoint(kept, _Copied(kept, why))


def unsafe() -> str:
    """Why this process should not be forked; nothing if it may be."""
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


_MISSING = object()


class _Forked:
    """The names as a sleeping copy of the process has them."""

    kind: CheckpointKind = "forked"
    why = ""
    alive: Mapping[int, object] = {}

    def __init__(self, kept: dict[str, object]) -> None:
        looks: list[HeapScan] = []

        def serve(question: Any) -> object:
            match question:
                case float():
                    looks[:] = [_look(kept, question)]
                    return None
                case Now():
                    return compare(looks[0], question)
                case _:
                    return names_of(looks[0], question)

        self._child = forked.start(serve)
        self.pid = self._child.pid

    def difference(self, kept: dict[str, object], seconds: float, most: int) -> Difference:
        """What changed. Raises Unanswered."""

        def serve(_: object) -> Now:
            return _look(kept, seconds).now()

        try:
            present = forked.start(serve)
        except OSError as error:
            raise forked.Unanswered(f"no second process: {error.strerror}") from None
        try:
            present.post(None, HANG_SECONDS)
            self._child.post(float(seconds), HANG_SECONDS)
            now = present.answer(seconds + HANG_SECONDS, most)
        finally:
            present.end()
        self._child.answer(seconds + HANG_SECONDS)
        return self._child.ask(now, seconds + HANG_SECONDS, most)

    def names_of(self, addresses: list[int]) -> Iterable[str]:
        """The names whose values are made of these objects."""
        return self._child.ask(addresses, HANG_SECONDS) if addresses else ()

    def drop(self) -> None:
        """End the copy."""
        self._child.end()


class _Copied:
    """Copies of what is small and plain."""

    kind: CheckpointKind = "copied"
    pid: int | None = None

    def __init__(self, kept: dict[str, object], why: str) -> None:
        self.why = why
        self._look = HeapScan(time.monotonic() + COPY_SECONDS, COPY_BYTES)
        self._look.add(dict(kept))

    @property
    def alive(self) -> Mapping[int, object]:
        """The objects it has copies of."""
        return self._look.nodes

    def difference(self, kept: dict[str, object], seconds: float, most: int) -> Difference:
        """What changed, of what was copied."""
        now = HeapScan(time.monotonic() + seconds, sys.maxsize)
        now.add({**kept, "": tuple(self._look.nodes.values())})
        return compare(self._look, now.now())

    def names_of(self, addresses: list[int]) -> Iterable[str]:
        """The names whose values are made of these objects."""
        return names_of(self._look, addresses)

    def drop(self) -> None:
        """Forget the copies."""
        self._look = HeapScan(0.0, 0)


def _look(kept: dict[str, object], seconds: float) -> HeapScan:
    look = HeapScan(time.monotonic() + seconds)
    look.add(kept)
    return look
