"""Cheap evidence that a live value changed in place, without its code. Knows no names.

It reads

- of a builtin container: its length and up to `MAX_ELEMENTS` elements, first, last and evenly
  between, by value where they are scalars, by identity and length otherwise;
- of an array: shape, dtype, memory and bytes; above `MAX_WHOLE_BYTES` a sample of them;
- of a frame: its blocks or columns, in the same way;
- of a tensor: its version;
- of an instance: up to `MAX_ELEMENTS` attributes, and up to `MAX_ARRAYS` arrays among them.

So **no change is seen**

- between the samples: one element of a large container, a few of a large array or table;
- two levels down: `a[0][0] = 1`, `a.b.c = 1`, unless it changes a length;
- in what is not stored in Python: files, connections, foreign objects of C, memory-mapped arrays;
- in the order of an OrderedDict, in the attributes of a class or a module;
- that is undone before the next look, or whose new objects lie where the old ones lay;
- between numbers that are equal (0.0 and -0.0), or in a hash of 64 bits by accident.

And a change may be reported that is only one of layout: a table that joined its blocks, an instance
that cached a result. Evidence holds identities, so it is compared within one process only.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain, islice
from types import BuiltinFunctionType, FunctionType, GeneratorType, ModuleType, NoneType
from typing import Any, cast

from .introspect import (
    at_home,
    dict_items,
    find_item,
    is_a,
    mro,
    own_items,
    peek,
    stored,
    type_name,
)
from .reading import is_own

MAX_ELEMENTS = 32
"""Elements of a container, attributes of an instance and blocks of a table that are looked at."""
MAX_WHOLE_BYTES, SAMPLE_BYTES = 4_096, 1_024
"""An array of up to so many bytes is hashed whole; of a larger one so many bytes, all over it."""
MAX_ARRAYS = 4
"""Arrays in one table or instance that are sampled."""
SAMPLED_FRAME_CELLS = 8
"""Rows, and columns, of a polars frame that are looked at."""
MAX_SCALAR_CHARS = 10_000
"""Characters, or bits of a number, up to which a scalar is compared by value."""


def fingerprint(value: object) -> str:
    """Short text; if it is equal to an earlier one of the same name, no change was seen.

    Of a scalar it is the value's, and has no colon. Else the part before the colon is the object's
    identity, the part behind it what it holds. Never raises; tens of microseconds. No text of the
    value's is in it, only salted hashes.
    """
    kind: type = type(value)
    try:
        if is_scalar(kind):
            return f"{kind.__name__} {hash(_SCALARS[kind](value)):x}"
        return f"{id(value):x}:{id(kind):x} {hash(_content(value, kind)):x}"
    except Exception:
        return identity(value)


def identity(value: object) -> str:
    """The fingerprint of what cannot be looked into: which object it is, of which type."""
    return f"{id(value):x}:{id(type(value)):x}"


def is_scalar(kind: type) -> bool:
    """Whether values of just this type are compared by value."""
    return type(kind) is type and kind in _SCALARS  # another metaclass may define __hash__


def is_builtin(kind: type) -> bool:
    """Whether it is just a builtin type, of which a fingerprint takes no more than microseconds."""
    return type(kind) is type and kind in _BUILTINS


def _content(value: Any, kind: type) -> object:
    """What a fingerprint is the hash of: nested tuples of numbers and plain text."""
    if type(kind) is type:
        read = _CONTAINERS.get(kind) or _CODE.get(kind)
        if read:
            return read(value)
    if _is_array(value):
        return _array(value)
    if is_a(value, type):
        return 0
    for base in mro(kind):
        if type(base) is type and base in _CONTAINERS:
            return _CONTAINERS[base](value), _attributes(own_items(value))
        package = type_name(base)[0].partition(".")[0]
        if package in _LIBRARIES and at_home(base):
            return _LIBRARIES[package](value, base)
    return _attributes(stored(value))


def _number(value: Any) -> object:
    # hash(-1) is hash(-2), so of negative numbers the positive is taken, in a tuple
    return value if not value < 0 else (-value,)


def _int(value: int) -> object:
    bits = int.bit_length(value)
    if bits < 61:  # beyond, a hash is a remainder
        return _number(value)
    return (value if bits <= MAX_SCALAR_CHARS else id(value)), bits


def _float(value: float) -> object:
    return _number(value), "float"


def _text(value: Any) -> object:
    # the hash of an empty text is that of 0, the hash of bytes that of the same str
    mark = type(value) is bytes, len(value)
    return (
        (mark, value)
        if len(value) <= MAX_SCALAR_CHARS
        else (mark, id(value), value[:99], value[-99:])
    )


def _itself(value: object) -> object:
    return value


def _token(value: Any) -> object:
    """An element: a scalar's value, else identity, and of a builtin container its length."""
    kind: type = type(cast("object", value))
    if type(kind) is not type:
        return id(value)
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    return (id(value), len(value)) if kind in _CONTAINERS else id(value)


def _sequence(base: Any) -> Callable[[Any], object]:
    def content(value: Any) -> object:
        size: int = base.__len__(value)
        if size > MAX_ELEMENTS:
            few = MAX_ELEMENTS // 4
            cuts = slice(few), slice(None, None, size // (2 * few)), slice(-few, None)
            return size, *(tuple(map(_token, base.__getitem__(value, cut))) for cut in cuts)
        return tuple(map(_token, base.__iter__(value)))

    return content


def _dict(value: Any) -> object:
    pairs: Any = dict_items(value)
    size, few = len(pairs), MAX_ELEMENTS // 2
    if size > MAX_ELEMENTS:
        ends: Iterable[object] = chain(islice(pairs, few), islice(reversed(pairs), few))
        return size, *map(_pair, ends)
    return tuple(map(_pair, pairs))


def _pair(pair: Any) -> object:
    return _token(pair[0]), _token(pair[1])


def _unordered(base: Any) -> Callable[[Any], object]:
    def content(value: Any) -> object:
        first: Iterable[object] = islice(base.__iter__(value), MAX_ELEMENTS)
        return base.__len__(value), *map(_token, first)

    return content


def _deque(value: Any) -> object:
    size, at = _DEQUE.__len__(value), _DEQUE.__getitem__
    ends = range(max(size - MAX_ELEMENTS // 2, 0), size)  # a negative one would ask for __len__
    return _unordered(_DEQUE)(value), *(_token(at(value, i)) for i in ends)


def _bytearray(value: Any) -> object:
    size = bytearray.__len__(value)
    cuts = (
        slice(None, None, 1 if size <= MAX_WHOLE_BYTES else size // SAMPLE_BYTES),
        slice(-SAMPLE_BYTES // 8, None),
    )
    return size, *(bytes(bytearray.__getitem__(value, cut)) for cut in cuts)


def _generator(value: Any) -> object:
    return -1 if value.gi_frame is None else value.gi_frame.f_lasti


def _function(value: Any) -> object:
    return id(value.__code__), id(value.__defaults__), id(value.__kwdefaults__)


def _attributes(pairs: Iterable[tuple[object, object]]) -> object:
    held = list(islice(pairs, MAX_ELEMENTS))
    arrays = islice((each for _, each in held if _is_array(each)), MAX_ARRAYS)
    return tuple(map(_pair, held)), *map(_array, arrays)


def _is_array(value: object) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def _array(array: Any) -> object:
    """Of an exact numpy array. An array of objects holds, and shows, their addresses."""
    where: object = array.__array_interface__["data"][0]
    return where, id(array.dtype), array.shape, array.strides, _sampled(array)


def _sampled(array: Any) -> object:
    if array.nbytes <= MAX_WHOLE_BYTES:
        return array.tobytes()
    if array.itemsize > SAMPLE_BYTES:
        return 0
    room, steps = SAMPLE_BYTES // array.itemsize, [1] * array.ndim
    for left, i in enumerate(sorted(range(array.ndim), key=array.shape.__getitem__), -array.ndim):
        size: int = array.shape[i]
        taken = min(size, max(1, int(room ** (-1 / left))))
        steps[i], room = -(-size // taken), room // taken
    last = (slice(-2, None),) * array.ndim
    return array[tuple(slice(None, None, step) for step in steps)].tobytes(), array[last].tobytes()


def _numpy(value: Any, base: type) -> object:
    numpy: Any = sys.modules["numpy"]
    if is_a(value, numpy.ndarray):
        mapped = is_a(value, numpy.memmap)  # reading it may wait for a disk
        plain = numpy.ndarray.view(value, numpy.ndarray)
        held = (plain.shape, id(plain.dtype)) if mapped else _array(plain)
        return held, _attributes(own_items(value))
    return 0 if is_a(value, numpy.generic) else _attributes(stored(value))


def _pandas(value: Any, base: type) -> object:
    manager: Any = _got(value, "_mgr")
    if not is_own(manager, "pandas"):
        # an index changes its name alone; what else it stores is a cache
        index = is_a(value, sys.modules["pandas"].Index)
        return id(_got(value, "_name")) if index else _attributes(stored(value))
    axes, blocks = manager.axes, manager.blocks
    held = [block.values for block in blocks[:MAX_ELEMENTS]]
    named = [(id(axis), id(_got(axis, "_name"))) for axis in axes]
    sampled = map(_backing, held[:MAX_ARRAYS])
    return *named, len(blocks), *map(id, held), *sampled, id(_got(value, "_name"))


def _got(held: object, name: str) -> object:
    """An attribute, as the library's own class has it; of any other, as it is stored."""
    return getattr(held, name, None) if is_own(held, "pandas") else peek(held, name)


def _backing(held: Any) -> object:
    """The memory below one column or block of pandas: numpy's, or what holds it."""
    if _is_array(held):
        return _array(held)
    parts = [_got(held, name) for name in ("_ndarray", "_data", "_mask", "_pa_array")]
    return *map(id, parts), *map(_array, filter(_is_array, parts))


def _polars(value: Any, base: type) -> object:
    if base is not type(value) or base.__name__ not in ("DataFrame", "Series"):
        return _attributes(stored(value))
    columns = [value]
    if base.__name__ == "DataFrame":
        columns = [value.to_series(i) for i in range(value.width)[: 2 * SAMPLED_FRAME_CELLS]]
    rows = range(len(columns[0])) if columns else range(0)
    picked = {*rows[:: len(rows) // SAMPLED_FRAME_CELLS + 1], *rows[-1:]}
    return value.shape, *(_column(each, picked) for each in columns)


def _column(series: Any, rows: Iterable[int]) -> object:
    dtype: object = series.dtype
    head = series.name, id(type(dtype))
    if not is_own(dtype, "polars") or series.dtype.is_nested() or series.dtype.is_object():
        return head
    return head, series.null_count(), *(_token(series[row]) for row in rows)


def _torch(value: Any, base: type) -> object:
    if base is type(value) and base.__name__ in ("Tensor", "Parameter"):
        return value._version, tuple(value.shape), id(value.dtype), value.data_ptr()
    own = list(islice(own_items(value), MAX_ELEMENTS))
    return _attributes(own), *map(_token, _versions(own, MAX_ELEMENTS))


def _versions(own: list[tuple[object, object]], room: int) -> Iterator[object]:
    """The versions of a module's parameters, its submodules' too; `room` of each at most."""
    for _, tensor in islice(_items(find_item(own, "_parameters")), room):
        yield getattr(tensor, "_version", 0) if is_own(tensor, "torch") else id(tensor)
    for _, module in islice(_items(find_item(own, "_modules")), room // 2):
        yield from _versions(list(islice(own_items(module), MAX_ELEMENTS)), room // 2)


def _xarray(value: Any, base: type) -> object:
    held = list(islice(stored(value), MAX_ELEMENTS))
    variables = [find_item(held, "_variable")]
    for name in ("_variables", "_coords"):
        variables += [each for _, each in islice(_items(find_item(held, name)), MAX_ELEMENTS)]
    data = [find_item(stored(each), "_data") for each in variables]
    return _attributes(held), *map(id, data), *map(_array, filter(_is_array, data[:MAX_ARRAYS]))


def _items(held: object) -> Iterable[tuple[object, object]]:
    return dict_items(held) if is_a(held, dict) else ()


def _constant(value: object, base: type) -> object:
    return 0


_DEQUE: Any = deque

_SCALARS: dict[type, Callable[[Any], object]] = {
    int: _int,
    float: _float,
    str: _text,
    bytes: _text,
    bool: id,
    NoneType: id,
    complex: repr,
    date: _itself,
    timedelta: _itself,
    Decimal: str,
}
"""By value: bound again to an equal one, a name is not seen to have changed."""

_CONTAINERS: dict[type, Callable[[Any], object]] = {
    list: _sequence(list),
    tuple: _sequence(tuple),
    dict: _dict,
    set: _unordered(set),
    frozenset: _unordered(frozenset),
    _DEQUE: _deque,
    bytearray: _bytearray,
}

_CODE: dict[type, Callable[[Any], object]] = {
    FunctionType: _function,
    GeneratorType: _generator,
    ModuleType: id,
    BuiltinFunctionType: id,
}

_BUILTINS = frozenset((*_SCALARS, *_CONTAINERS, *_CODE))

_LIBRARIES: dict[str, Callable[[Any, type], object]] = {
    "numpy": _numpy,
    "pandas": _pandas,
    "polars": _polars,
    "torch": _torch,
    "xarray": _xarray,
    "pyarrow": _constant,
    "duckdb": _constant,
}
