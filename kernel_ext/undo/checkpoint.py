"""Variables as they were before a turn, and the way back to them.

A checkpoint keeps the object that each name was bound to. For changes in place it also keeps a
sleeping copy of the process (`workers/fork`). Undo scans the objects as they were, in that copy,
and as they are, in a second copy (`heap_scan`). It finds the differences (`diff`) and fills the
same objects again (`restore`). None of the user's code runs in the live process for it.

A fork does not bring back:

- The content of functions, classes, modules, loggers and generators.
- Anything outside memory: files, connections, other processes, a screen, a device.
- Memory shared with a file or another process.
- Library objects that hold an open file, a connection or the like. They stay as they are.
- Objects of extensions that cannot be pickled. Those that can (a tensor, an Arrow table) come back
  as new objects, also within the variables that hold them.
- Shared memory between an array that has to be made anew and other arrays.
- Changes that another thread makes during the scans.

A set that was changed and changed back may be reported as changed, as may a string that was
interned since. Two objects count as the same if type, address and content are the same. If a new
object of the same type took the address of a dead one, the new one is filled.

Without a fork (`copied`: not Linux, a GPU in use, a build without the GIL, not the main thread)
only builtin containers, numpy arrays and pandas frames come back. Their copies are limited to
`COPY_SECONDS` seconds and `COPY_BYTES` bytes.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, Literal

from ...agent.frozen import frozen
from ..workers import fork as forked
from .diff import Difference, compare, names_of
from .heap_scan import HeapScan, Late, Now
from .object_kinds import kind_of
from .polars_frames import cloned, give_back
from .restore import Rebuilt

CheckpointKind = Literal["forked", "copied"]

SCAN_SECONDS = 60.0
"""Seconds that each scan may take."""
COPY_SECONDS, COPY_BYTES = 0.25, 32 << 20
"""Seconds and bytes of a checkpoint without a fork."""
HANG_SECONDS = 5.0
"""Seconds beyond its limit after which a copy of the process counts as hung."""


@frozen
class Changed:
    """A name whose object has its old content again."""

    name: str
    same: bool
    """Whether it is still the same object. Else the name is bound to a new one."""


@frozen
class Restored:
    """The result of an undo. Each part is sorted by name."""

    back: tuple[str, ...] = ()
    """Names bound again to the object that they were bound to."""
    removed: tuple[str, ...] = ()
    changed_in_place: tuple[Changed, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names that came back only in part, or not, or perhaps not, each with the reason in words."""


class Checkpoint:
    """The variables as they were when it was taken."""

    def __init__(self, kept: dict[str, object], before: "_Forked | _Copied") -> None:
        self._kept, self._before = kept, before
        self._clones = cloned(kept)
        self.kind: CheckpointKind = before.kind
        self.why = before.why
        """The reason why it is no fork, in words."""
        self.pid = before.pid
        """The sleeping copy, if there is one."""

    def restore(
        self,
        namespace: dict[str, object],
        is_users: Callable[[str], bool],
        seconds: float = SCAN_SECONDS,
        most: int = forked.MAX_ANSWER_BYTES,
    ) -> Restored:
        """Give `namespace` its old names and their content back, and remove the user's new names.

        `seconds`: the limit of each scan. `most`: bytes of an answer. An interrupt before the first
        change leaves everything as it is, and ends the checkpoint.
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
        """Release everything. You may call it again."""
        self._before.drop()
        self._kept.clear()
        self._clones.clear()

    def _live(self, found: Difference, seconds: float) -> dict[int, object]:
        """The objects of the live process, by address. Raises Late."""
        if not found.objects:
            return {}
        live = HeapScan(time.monotonic() + seconds)
        live.find(self._kept.values())
        return {**self._before.alive, **live.nodes}

    def _account(
        self, found: Difference, rebuilt: Rebuilt, failed: dict[str, str]
    ) -> Iterable[str]:
        """The names that have their content again. Adds to `failed` what could not be made."""
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
        """The difference when nothing could be compared: every mutable value failed."""
        names = (n for n, v in self._kept.items() if kind_of(type(v)).way not in ("atom", "itself"))
        return Difference({}, {}, (), dict.fromkeys(names, reason))


def take(names: Mapping[str, object], fork: bool = True) -> Checkpoint:
    """Take a checkpoint of these names, on the main thread. bench/checkpoint.py measures it.

    Without `fork`, or where a fork is not safe, only small plain values are copied.
    """
    kept = dict(names)
    why = forked.unsafe() if fork else "it is switched off"
    if not why:
        try:
            return Checkpoint(kept, _Forked(kept))
        except OSError as error:
            why = f"the system refuses it: {error.strerror}"
    return Checkpoint(kept, _Copied(kept, why))


_MISSING = object()


class _Forked:
    """The variables in a sleeping copy of the process."""

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
        """The difference between the copy and now. Raises Unanswered."""

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
        """The names whose values contain these objects."""
        return self._child.ask(addresses, HANG_SECONDS) if addresses else ()

    def drop(self) -> None:
        """End the copy."""
        self._child.end()


class _Copied:
    """Copies of small plain values, within this process."""

    kind: CheckpointKind = "copied"
    pid: int | None = None

    def __init__(self, kept: dict[str, object], why: str) -> None:
        self.why = why
        self._look = HeapScan(time.monotonic() + COPY_SECONDS, COPY_BYTES)
        self._look.add(dict(kept))

    @property
    def alive(self) -> Mapping[int, object]:
        """The objects that it has copies of."""
        return self._look.nodes

    def difference(self, kept: dict[str, object], seconds: float, most: int) -> Difference:
        """The difference between the copies and now."""
        now = HeapScan(time.monotonic() + seconds, sys.maxsize)
        now.add({**kept, "": tuple(self._look.nodes.values())})
        return compare(self._look, now.now())

    def names_of(self, addresses: list[int]) -> Iterable[str]:
        """The names whose values contain these objects."""
        return names_of(self._look, addresses)

    def drop(self) -> None:
        """Forget the copies."""
        self._look = HeapScan(0.0, 0)


def _look(kept: dict[str, object], seconds: float) -> HeapScan:
    look = HeapScan(time.monotonic() + seconds)
    look.add(kept)
    return look
