"""Gives live objects their old content back. Knows no namespace, and not how a change was found.

It fills an object without calling methods of its class, unless only its own pickling can make it.
"""

import copyreg
import marshal
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, cast

from ..values.introspect import dict_items, exactly, mro
from .diff import Old
from .object_data import ARRAY_CHUNK_BYTES, FUNCTION, ObjectRecord, extras, flat, load, set_extras
from .object_kinds import Way

_LIST: Any = list
_DICT: Any = dict
_SET: Any = set
_DEQUE: Any = deque
_ORDERED: Any = OrderedDict


class Rebuilt:
    """Objects that come back, each under its old address."""

    def __init__(self, live: Mapping[int, object], old: Mapping[int, Old]) -> None:
        self._live, self._old = live, old
        self._made: dict[int, object] = {}
        self._making: set[int] = set()
        self.failed: dict[int, str] = {}

    def fill(self) -> None:
        """Bring all objects back. One that cannot come back stays as it is, and is in `failed`."""
        for address in self._order():
            old = self._old[address]
            try:
                value = self.find(address)
                if old.fill or _has_shell(old.record):
                    _fill(value, old, load(old.record.data, old.record.buffers, self.find))
            except Exception as error:
                self.failed[address] = _words(error)

    def _order(self) -> list[int]:
        """The order of filling. An object comes after its content, which it may need to be made
        or hashed."""
        order: list[int] = []
        seen: set[int] = set()
        left = [*self._old]
        while left:
            address = left.pop()
            if address < 0:
                order.append(~address)
            elif address in self._old and address not in seen:
                seen.add(address)
                left.append(~address)
                left += self._old[address].record.refs
        return order

    def find(self, address: int) -> object:
        """The object that was at `address`, or the new one for it. Raises LookupError."""
        old = self._old.get(address)
        if old is None or old.fill:
            return self._live[address]
        if address in self.failed:
            raise LookupError("it could not be made")
        if address in self._made:
            return self._made[address]
        if address in self._making:
            raise LookupError("it holds itself")
        self._making.add(address)
        made = self._made[address] = self._make(old.record)
        return made

    def root(self, data: bytes) -> object:
        """The value of a name. Raises the errors of making it."""
        return load(data, (), self.find)

    def _make(self, record: ObjectRecord) -> object:
        if record.way == "itself" and record.shell:
            held = load(record.data, (), self.find)
            return _function(held) if record.shell == FUNCTION else held()
        if not _has_shell(record):
            return load(record.data, record.buffers, self.find)
        if not record.shell:
            return _EMPTY[record.way]()
        kind, *more = load(record.shell, (), self.find)
        return _SHELLS.get(record.way, _plain_shell)(kind, *more)


def _has_shell(record: ObjectRecord) -> bool:
    return record.way != "itself" and (record.way != "reduced" or bool(record.shell))


def _words(error: Exception) -> str:
    if isinstance(error, LookupError):
        return "held something that is gone"
    return f"could not be made again: {type(error).__name__}"


def _function(held: Any) -> FunctionType:
    """A function that the notebook defined. Its globals are the notebook's."""
    code, *rest, module, attributes = held
    made = FunctionType(marshal.loads(code), vars(sys.modules["__main__"]))
    made.__name__, made.__qualname__, made.__defaults__, made.__kwdefaults__ = rest
    made.__module__ = module
    made.__dict__.update(attributes)
    return made


def _plain_shell(kind: type) -> object:
    base: Any = next(each for each in mro(kind) if any(each is base for base in _BUILTIN))
    return base.__new__(kind)


def _deque_shell(kind: type, most: int | None) -> object:
    made = _DEQUE.__new__(kind)
    _DEQUE.__init__(made, (), most)
    return made


def _array_shell(kind: type, shape: tuple[int, ...], dtype: object, fortran: bool) -> object:
    numpy: Any = sys.modules["numpy"]
    return numpy.ndarray.__new__(kind, shape, dtype, order="F" if fortran else "C")


_BUILTIN: tuple[type, ...] = (list, OrderedDict, defaultdict, dict, set, bytearray, object)
_EMPTY: dict[Way, Callable[[], object]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "bytes": bytearray,
}
_SHELLS: dict[Way, Callable[..., object]] = {"deque": _deque_shell, "array": _array_shell}


def _fill(value: Any, old: Old, held: Any) -> None:
    way = old.record.way
    if way == "reduced":
        if old.record.shell:
            _fill_reduced(value, *held)
        else:  # one like the old was made: a generator of random numbers
            value.__setstate__(held.__getstate__())
        return
    content, more = held
    if way == "array":
        _fill_array(value, old, content)
    elif way != "object":
        _FILLS[way](value, content)
    if old.record.shell:
        set_extras(value, more)


def _fill_reduced(value: object, function: Any, arguments: Any, state: Any) -> None:
    """Fill an existing object as unpickling does. On failure it stays as it was."""
    before = extras(value)
    if exactly(state, dict):
        state = {**state}  # it may be the same dict that is emptied below
    try:
        if function is vars(copyreg)["__newobj__"] and len(arguments) == 1:
            set_extras(value, ([], {}))
            _set_state(value, state)
        else:
            made = function(*arguments)
            _set_state(made, state)
            set_extras(value, extras(made))
    except BaseException:
        set_extras(value, before)
        raise


def _set_state(value: Any, state: Any) -> None:
    if state is None:
        return
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
        return
    own, slots = state if exactly(state, tuple) else (state, None)
    if own:
        object.__getattribute__(value, "__dict__").update(own)
    for name, held in dict_items(slots or {}):
        object.__setattr__(value, cast("str", name), held)


def _fill_list(value: Any, content: list[Any]) -> None:
    _LIST.__setitem__(value, slice(None), content)


def _fill_dict(value: Any, content: list[Any]) -> None:
    _DICT.clear(value)
    for key, held in zip(content[::2], content[1::2], strict=True):
        _DICT.__setitem__(value, key, held)


def _fill_ordered(value: Any, content: list[Any]) -> None:
    _ORDERED.clear(value)
    for key, held in zip(content[::2], content[1::2], strict=True):
        _ORDERED.__setitem__(value, key, held)


def _fill_set(value: Any, content: list[Any]) -> None:
    _SET.clear(value)
    _SET.update(value, content)


def _fill_deque(value: Any, content: list[Any]) -> None:
    _DEQUE.clear(value)
    _DEQUE.extend(value, content)


def _fill_bytes(value: Any, content: list[Any]) -> None:
    bytearray.__setitem__(value, slice(None), content[0])


_FILLS: dict[Way, Callable[[Any, list[Any]], None]] = {
    "list": _fill_list,
    "dict": _fill_dict,
    "ordered": _fill_ordered,
    "set": _fill_set,
    "deque": _fill_deque,
    "bytes": _fill_bytes,
}


def _fill_array(value: Any, old: Old, content: list[Any]) -> None:
    numpy: Any = sys.modules["numpy"]
    plain = numpy.ndarray.view(value, numpy.ndarray)
    if plain.dtype == object:
        held = numpy.empty(len(content), object)
        for i, each in enumerate(content):
            held[i] = each
        numpy.copyto(plain, held.reshape(plain.shape))
        return
    whole = flat(plain)
    for place, piece in zip(old.places, old.record.buffers, strict=True):
        part = numpy.frombuffer(piece, "u1")
        whole[place * ARRAY_CHUNK_BYTES : place * ARRAY_CHUNK_BYTES + len(part)] = part
    if not (plain.flags.c_contiguous or plain.flags.f_contiguous):  # then `whole` is a copy
        numpy.copyto(plain, whole.view(plain.dtype).reshape(plain.shape))
