"""The content of one live object as data, in which other objects are addresses, and back.

An array gives its bytes. A plain object gives its stored attributes, past any of its methods. Only
an object of the kind "reduced" uses its own pickling, which is code of a library or extension.
"""

import copyreg
import io
import marshal
import mmap
import pickle
import sys
from _thread import RLock, allocate_lock
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from types import FunctionType, MemberDescriptorType
from typing import Any, NamedTuple, cast

from ..values.introspect import class_items, dict_items, exactly, mro, own_items
from .object_kinds import ObjectKind, Way

ARRAY_CHUNK_BYTES = 1 << 20
"""Bytes of an array that are compared and sent as one piece."""

Bytes = bytes | bytearray | memoryview | pickle.PickleBuffer
_CONSTANTS = frozenset(map(id, (int, float, str, bytes, bool, complex, type(None))))
FUNCTION = b"function"
"""The shell of a function that is made again from its code."""

_NEW = {id(type(make())): make for make in (allocate_lock, RLock)}
_LIST: Any = list
_SET: Any = set
_DICT: Any = dict
_DEQUE: Any = deque
_ORDERED: Any = OrderedDict
_CONTENT: dict[Way, Callable[[Any], list[Any]]] = {
    "list": lambda held: [*_LIST.__iter__(held)],
    "dict": lambda held: [*chain.from_iterable(dict_items(held))],
    "ordered": lambda held: [*chain.from_iterable(_ORDERED.items(held))],
    "set": lambda held: [*_SET.__iter__(held)],
    "deque": lambda held: [*_DEQUE.__iter__(held)],
    "bytes": lambda held: [bytes(held)],
    "object": lambda held: [],
}
_EXACT = frozenset(map(id, (list, dict, set, bytearray)))


class ObjectRecord(NamedTuple):
    """One object. `shell` makes an empty one of its kind. `data` and `buffers` fill it."""

    way: Way
    plain: bool
    shell: bytes
    data: bytes
    buffers: list[Bytes]
    refs: tuple[int, ...]
    """Addresses of the objects it holds."""

    @property
    def head(self) -> int:
        """A hash of all but the buffers. Equal content gives an equal one, also in a copy of the
        process."""
        return hash((self.way, self.shell, self.data))

    @property
    def pieces(self) -> tuple[int, ...]:
        """A hash of each buffer."""
        return tuple(hash(bytes(each)) for each in self.buffers)


def constants(value: Any) -> bytes | None:
    """The content of an exact list, dict or set of constants, in a fast way. Else None."""
    its: type = type(cast("object", value))
    if its is dict:
        if not _CONSTANTS.issuperset(map(id, map(type, value))):
            return None
        held = value.values()
    elif its is list or its is set:
        held = value
    else:
        return None
    return marshal.dumps(value, 2) if _CONSTANTS.issuperset(map(id, map(type, held))) else None


def record(value: Any, kind: ObjectKind, nodes: Container[int]) -> ObjectRecord:
    """Take `value` apart. Objects at addresses in `nodes` are not opened.

    Raises the same errors as its pickling, if it needs that.
    """
    way = kind.way
    if way == "array":
        return _array(value, kind, nodes)
    its: type = type(cast("object", value))
    if its is FunctionType and value.__module__ == "__main__" and not value.__closure__:
        return _function(value, nodes)
    if (new := _NEW.get(id(its))) is not None:  # nobody held a lock that is gone
        return ObjectRecord(way, False, b"new", pickle.dumps(new), [], ())
    if way in ("reduced", "itself"):
        if kind.plain and kind.shell:
            shell, _, first = dump((its,), nodes)
            data, buffers, refs = dump(_reduced(value), nodes)
            return ObjectRecord(way, True, shell, data, buffers, (*first, *refs))
        data, buffers, refs = dump(value, nodes, top=id(value))
        return ObjectRecord(way, kind.plain, b"", data, buffers, refs)
    content = _CONTENT[way](value)
    if id(its) in _EXACT and _CONSTANTS.issuperset(map(id, map(type, content))):
        return ObjectRecord(way, True, b"", marshal.dumps(content, 2), [], ())
    more = (value.maxlen,) if way == "deque" else ()
    return _made(way, (its, *more), content, value, nodes)


def dump(
    value: object, nodes: Container[int], top: int = 0
) -> tuple[bytes, list[Bytes], tuple[int, ...]]:
    """A pickle with addresses for the objects of `nodes`, its large buffers, the addresses."""
    file = io.BytesIO()
    pickler = _Pickler(file, nodes, top)
    pickler.dump(value)
    buffers: list[Bytes] = [each.raw() for each in pickler.buffers]
    return file.getvalue(), buffers, tuple(dict.fromkeys(pickler.refs))


def load(data: bytes, buffers: Iterable[Bytes], find: Callable[[int], object]) -> Any:
    """The value of a `dump`, or of marshalled constants. `find` gives the object of an address."""
    if data[:1] == b"[":
        return marshal.loads(data), []
    writable = [each if exactly(each, bytearray) else bytearray(each) for each in buffers]
    return _Unpickler(io.BytesIO(data), find, writable).load()


Extras = tuple[list[tuple[object, object]], dict[int, object]]


def extras(value: object) -> Extras:
    """The content of its dict and of its slots. Slots have numbers, as a name may occur twice."""
    slots: dict[int, object] = {}
    for i, slot in enumerate(_slots(value)):
        with suppress(AttributeError):  # an empty slot
            slots[i] = slot.__get__(value, type(value))
    return [*own_items(value)], slots


def set_extras(value: object, held: Extras) -> None:
    """Set its dict and slots to `held`, past any method of its class."""
    own, slots = held
    for i, slot in enumerate(_slots(value)):
        if i in slots:
            slot.__set__(value, slots[i])
        else:
            with suppress(AttributeError):
                slot.__delete__(value)
    if own or own_items(value):
        place: object = object.__getattribute__(value, "__dict__")
        _DICT.clear(place)
        _DICT.update(place, own)


def _slots(value: object) -> Iterator[MemberDescriptorType]:
    for base in mro(type(value)):
        for _, member in class_items(base):
            if type(member) is MemberDescriptorType and member.__name__[:2] != "__":
                yield member


def _reduced(value: object) -> tuple[Any, ...]:
    """The result of its pickling: a function, its arguments, and the state to set."""
    kind: type = type(value)
    registered = copyreg.dispatch_table.get(kind)
    parts = cast("tuple[Any, ...]", registered(value) if registered else value.__reduce_ex__(5))
    if not exactly(parts, tuple) or any(each is not None for each in parts[3:]):
        raise pickle.PicklingError("not by a state alone")
    return (*parts, None)[:3]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, nodes: Container[int], top: int) -> None:
        self.buffers: list[pickle.PickleBuffer] = []
        self.refs: list[int] = []
        self._nodes, self._top = nodes, top
        super().__init__(file, 5, buffer_callback=self.buffers.append)

    def persistent_id(self, obj: object) -> int | None:
        address = id(obj)
        if address not in self._nodes or address == self._top:
            return None
        self.refs.append(address)
        return address


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: io.BytesIO, find: Callable[[int], object], buffers: list[Bytes]
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._find = find

    def persistent_load(self, pid: int) -> object:
        return self._find(pid)


def _made(
    way: Way, shell: tuple[object, ...], content: list[Any], value: object, nodes: Container[int]
) -> ObjectRecord:
    made, _, first = dump(shell, nodes)
    data, buffers, refs = dump((content, extras(value)), nodes)
    return ObjectRecord(way, True, made, data, buffers, (*first, *refs))


def _function(value: FunctionType, nodes: Container[int]) -> ObjectRecord:
    names = value.__name__, value.__qualname__, value.__defaults__, value.__kwdefaults__
    held = marshal.dumps(value.__code__), *names, value.__module__, value.__dict__
    data, buffers, refs = dump(held, nodes)
    return ObjectRecord("itself", False, FUNCTION, data, buffers, refs)


def _array(value: Any, kind: ObjectKind, nodes: Container[int]) -> ObjectRecord:
    numpy: Any = sys.modules["numpy"]
    plain = numpy.ndarray.view(value, numpy.ndarray)
    if (plain.dtype.hasobject and plain.dtype != object) or not plain.dtype.itemsize:
        data, buffers, refs = dump(value, nodes, top=id(value))
        return ObjectRecord("reduced", False, b"", data, buffers, refs)
    fixed = plain.shape, plain.dtype, plain.flags.f_contiguous and not plain.flags.c_contiguous
    content: list[object] = []
    if plain.dtype == object:
        content = plain.ravel().tolist()
    its: type = type(cast("object", value))
    made = _made("array", (its, *fixed), content, value, nodes)
    buffers = [] if plain.dtype == object else [*_pieces(plain)]
    return made._replace(plain=bool(plain.flags.writeable), buffers=buffers)


def _pieces(plain: Any) -> Iterator[memoryview]:
    whole = memoryview(flat(plain))
    return (
        whole[start : start + ARRAY_CHUNK_BYTES]
        for start in range(0, len(whole), ARRAY_CHUNK_BYTES)
    )


def flat(plain: Any) -> Any:
    """The bytes of a plain array. They are a copy if the array is not contiguous."""
    if plain.flags.f_contiguous and not plain.flags.c_contiguous:
        plain = plain.T
    elif not plain.flags.c_contiguous:
        plain = plain.copy()
    return plain.reshape(-1).view("u1")


def is_mapped(array: Any) -> bool:
    """Whether its memory belongs to a file or another process, so that a fork would share it."""
    base: Any = array
    for _ in range(20):
        if type(base) is mmap.mmap:
            return True
        if type(base) is memoryview:
            base = base.obj
        else:
            base = getattr(base, "base", None) if hasattr(base, "__array_interface__") else None
    return False
