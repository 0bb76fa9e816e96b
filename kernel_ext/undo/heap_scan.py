"""Scans many live values: every object that they contain, by its address, with a digest.

It finds objects as the garbage collector does, so none of their code runs. Knows names only as
keys. It never changes an object, and its time is bounded.
"""

import gc
import signal
import sys
import time
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, ModuleType
from typing import Any, NamedTuple, cast

from ..values.introspect import at_home, exactly, type_name
from .object_data import ObjectRecord, constants, dump, is_mapped, record
from .object_kinds import ObjectKind, is_users, kind_of, words_for

BATCH_OBJECTS = 20_000
"""Objects that are opened between two checks of the clock."""


class Late(BaseException):
    """Time is up. It is no Exception, so that no value's code catches it."""


class Large(Exception):
    """There is no room for more copies."""


class Now(NamedTuple):
    """A scan as it is sent. `pieces`: digests of large buffers. `late`: names that got no time."""

    addresses: "array[int]"
    types: "array[int]"
    digests: "array[int]"
    pieces: dict[int, tuple[int, tuple[int, ...]]]
    late: tuple[str, ...]


class HeapScan:
    """The objects of some values. `room`: bytes of copies; None keeps no copies."""

    def __init__(self, until: float, room: int | None = None) -> None:
        self.nodes: dict[int, Any] = {}
        self.digests: dict[int, int] = {}
        self.pieces: dict[int, tuple[int, tuple[int, ...]]] = {}
        self.refs: dict[int, tuple[int, ...]] = {}
        self.opaque: dict[int, str] = {}
        """Objects whose content is unknown and may have changed unseen, each with the reason."""
        self.values: Mapping[str, object] = {}
        self.roots: dict[str, tuple[int, ...]] = {}
        self.late: dict[str, str] = {}
        self.kept: dict[int, ObjectRecord] | None = None if room is None else {}
        self._until, self._room = until, room
        self._kinds: dict[int, ObjectKind] = {}
        self._atoms: set[int] = set()
        self._closed: set[int] = set()
        self._passed: set[int] = set()
        modules = tuple(sys.modules.values())
        self._namespaces = {id(vars(each)) for each in modules if exactly(each, ModuleType)}

    def add(self, names: Mapping[str, object]) -> None:
        """Scan the values of `names`, small ones first. Names that got no time go to `late`."""
        self.values = names
        over = ""
        for name, value in sorted(names.items(), key=_size):
            try:
                if not over:
                    self.find((value,))
                    _, _, self.roots[name] = dump(value, self.nodes)
                    self._record(self.roots[name])
            except (Late, Large) as error:
                over = "too slow" if isinstance(error, Late) else "too large"
            except Exception as error:
                self.late[name] = f"cannot be looked into: {type(error).__name__}"
            if over:  # the objects that it shares with others were not all seen
                self.late[name] = over

    def find(self, values: Iterable[object]) -> None:
        """Find all objects that `values` contain. Raises Late."""
        layer: list[object] = []
        self._take(list(values), layer)
        while layer:
            batch = layer[-BATCH_OBJECTS:]
            del layer[-BATCH_OBJECTS:]
            if time.monotonic() > self._until:
                raise Late
            self._take(gc.get_referents(*batch), layer)

    def kind(self, value: object) -> ObjectKind:
        """How this scan handles `value`."""
        its: type = type(value)
        kind = self._kinds[id(its)]
        if kind.way == "dict" and id(value) in self._namespaces:
            return ObjectKind("itself")
        if kind.way == "array" and is_mapped(value):
            return ObjectKind("itself", why="a memory-mapped file")
        if self._room is not None and kind.way != "itself" and not _is_copied(value):
            return ObjectKind("itself", why="not of a kind that is copied")
        return kind

    def record(self, address: int) -> ObjectRecord:
        """The record of the object at `address`. Raises the same errors as its pickling."""
        if self.kept is not None:
            return self.kept[address]
        value = self.nodes[address]
        return record(value, self.kind(value), self.nodes)

    def now(self) -> Now:
        """The scan in the form that is sent."""
        addresses = array("Q", self.digests)
        types = array("Q", map(id, map(type, map(self.nodes.__getitem__, addresses))))
        digests = array("q", self.digests.values())
        return Now(addresses, types, digests, self.pieces, tuple(self.late))

    def _take(self, found: list[object], layer: list[object]) -> None:
        """Keep the objects that are new. Add those that have to be opened to `layer`."""
        types = {id(each): each for each in map(type, found)}
        for each in types.keys() - self._kinds.keys():
            kind = self._kinds[each] = kind_of(types[each])
            if kind.way == "atom":
                self._atoms.add(each)
            if kind.way == "itself":
                self._closed.add(each)
        atoms, nodes, passed = self._atoms, self.nodes, self._passed
        for value in found:
            kind_id, address = id(type(value)), id(value)
            if kind_id in atoms or address in nodes or address in passed:
                continue
            way = self._kinds[kind_id].way
            if way == "through":
                passed.add(address)
            else:
                nodes[address] = value
            if way == "array":
                self._take_elements(value, layer)
            if kind_id not in self._closed and address not in self._namespaces:
                layer.append(value)

    def _take_elements(self, value: Any, layer: list[object]) -> None:
        if value.dtype == object:  # the collector does not see an array's elements
            self._take(value.ravel().tolist(), layer)

    def _record(self, roots: tuple[int, ...]) -> None:
        left = [*roots]
        digests, count = self.digests, 0
        while left:
            address = left.pop()
            if address in digests:
                continue
            count += 1
            if count % 1_000 == 0 and time.monotonic() > self._until:
                raise Late
            left += self._see(address)

    def _see(self, address: int) -> tuple[int, ...]:
        value = self.nodes[address]
        its: type = type(cast("object", value))
        kind_id = id(its)
        plain = self.kept is None and address not in self._namespaces
        if plain and (fast := constants(value)) is not None:
            self.digests[address] = hash((kind_id, fast))
            return ()
        kind = self.kind(value)
        if kind.way == "itself":
            self.digests[address] = hash((kind_id, _progress(value)))
            if kind.why:
                self.opaque[address] = kind.why
            return ()
        try:
            with self._alarm(kind):
                seen = record(value, kind, self.nodes)
        except (Exception, Late) as error:
            self.digests[address] = hash(kind_id)
            slow = isinstance(error, Late)
            self.opaque[address] = "too slow to be pickled" if slow else words_for(value)
            return ()
        pieces = seen.pieces
        self.digests[address] = hash((kind_id, seen.head, pieces))
        if pieces:
            self.pieces[address] = seen.head, pieces
        if seen.refs:
            self.refs[address] = seen.refs
        if self.kept is not None:
            self._keep(address, seen)
        return seen.refs

    def _keep(self, address: int, seen: ObjectRecord) -> None:
        assert self.kept is not None and self._room is not None
        self._room -= len(seen.data) + sum(memoryview(each).nbytes for each in seen.buffers)
        if self._room < 0:
            raise Large
        self.kept[address] = seen._replace(buffers=[bytes(each) for each in seen.buffers])

    @contextmanager
    def _alarm(self, kind: ObjectKind) -> Generator[None]:
        """No single object may take more than a fourth of the remaining time.

        This works only in a copy of the process, where it disturbs nobody else's alarm.
        """
        if kind.way != "reduced" or self._room is not None:
            yield
            return
        left = max((self._until - time.monotonic()) / 4, 0.01)
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, left, 0.05)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def holds_a_resource(value: object, look: HeapScan) -> bool:
    """Whether this holder of an opaque object is a library's object, such as a pool or a client.

    Builtin containers and objects of the user's own classes may be filled.
    """
    return look.kind(value).way == "object" and not is_users(type(value))


def _is_copied(value: object) -> bool:
    """Whether only the code of builtin types, numpy or pandas is needed to copy it."""
    kind = type(value)
    package = type_name(kind)[0].partition(".")[0]
    return exactly(value, list, dict, set, bytearray, *_COLLECTIONS) or (
        package in ("numpy", "pandas", "pyarrow") and at_home(kind)
    )


_COLLECTIONS = deque, OrderedDict, defaultdict, Counter


def _ring(_signum: int, _frame: FrameType | None) -> None:
    raise Late


def _progress(value: Any) -> int:
    """The position of a generator in its code. 0 for other objects."""
    if not exactly(value, GeneratorType, CoroutineType, AsyncGeneratorType):
        return 0
    frames: list[Any] = [getattr(value, f"{kind}_frame", None) for kind in ("gi", "cr", "ag")]
    return next((frame.f_lasti for frame in frames if frame is not None), -1)


def _size(item: tuple[str, Any]) -> int:
    """A guess at the work, for the order: small containers, then objects, then large values."""
    value = item[1]
    if exactly(value, list, dict, set, tuple):
        return len(value) * 100
    numpy: Any = sys.modules.get("numpy")
    return value.nbytes if numpy and type(value) is numpy.ndarray else 10_000
