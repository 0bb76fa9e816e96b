"""The parts of fingerprints: scalars, containers, attributes, arrays in memory."""

import sys
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain, islice
from types import BuiltinFunctionType, FunctionType, GeneratorType, ModuleType, NoneType
from typing import Any, cast

from ..introspect import dict_items

MAX_ELEMENTS = 32
"""Elements of a container, attributes of an instance and blocks of a table that are read."""
MAX_WHOLE_BYTES, SAMPLE_BYTES = 4_096, 1_024
"""An array up to `MAX_WHOLE_BYTES` is hashed whole. Of a larger one, a sample is hashed."""
MAX_ARRAYS = 4
"""Arrays in one table or instance that are sampled, at most."""
MAX_SCALAR_CHARS = 10_000
"""Characters, or bits of a number. A larger scalar is not compared by its full value."""


def is_scalar(kind: type) -> bool:
    """Whether values of exactly this type are compared by value."""
    return type(kind) is type and kind in _SCALARS  # another metaclass may define __hash__


def is_builtin(kind: type) -> bool:
    """Whether it is a builtin type, whose fingerprint takes only microseconds."""
    return type(kind) is type and kind in _BUILTINS


def _number(value: Any) -> object:
    # hash(-1) equals hash(-2), so a negative number becomes its positive in a tuple
    return value if not value < 0 else (-value,)


def _int(value: int) -> object:
    bits = int.bit_length(value)
    if bits < 61:  # beyond, a hash is a remainder
        return _number(value)
    return (value if bits <= MAX_SCALAR_CHARS else id(value)), bits


def _float(value: float) -> object:
    return _number(value), "float"


def _text(value: Any) -> object:
    # an empty text has the hash of 0, and bytes have the hash of the same str
    mark = type(value) is bytes, len(value)
    return (
        (mark, value)
        if len(value) <= MAX_SCALAR_CHARS
        else (mark, id(value), value[:99], value[-99:])
    )


def token(value: Any) -> object:
    """The evidence of an element: a scalar's value, else its identity, and a container's length."""
    kind: type = type(cast("object", value))
    if type(kind) is not type:
        return id(value)
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    return (id(value), len(value)) if kind in CONTAINERS else id(value)


def _sequence(base: Any) -> Callable[[Any], object]:
    def content(value: Any) -> object:
        size: int = base.__len__(value)
        if size > MAX_ELEMENTS:
            few = MAX_ELEMENTS // 4
            cuts = slice(few), slice(None, None, size // (2 * few)), slice(-few, None)
            return size, *(tuple(map(token, base.__getitem__(value, cut))) for cut in cuts)
        return tuple(map(token, base.__iter__(value)))

    return content


def _dict(value: Any) -> object:
    pairs: Any = dict_items(value)
    size, few = len(pairs), MAX_ELEMENTS // 2
    if size > MAX_ELEMENTS:
        ends: Iterable[object] = chain(islice(pairs, few), islice(reversed(pairs), few))
        return size, *map(_pair, ends)
    return tuple(map(_pair, pairs))


def _pair(pair: Any) -> object:
    return token(pair[0]), token(pair[1])


def _unordered(base: Any) -> Callable[[Any], object]:
    def content(value: Any) -> object:
        first: Iterable[object] = islice(base.__iter__(value), MAX_ELEMENTS)
        return base.__len__(value), *map(token, first)

    return content


def _deque(value: Any) -> object:
    size, at = _DEQUE.__len__(value), _DEQUE.__getitem__
    ends = range(max(size - MAX_ELEMENTS // 2, 0), size)  # a negative index would call __len__
    return _unordered(_DEQUE)(value), *(token(at(value, i)) for i in ends)


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


def attributes(pairs: Iterable[tuple[object, object]]) -> object:
    """The evidence of an instance's attributes, and of the arrays among them."""
    held = list(islice(pairs, MAX_ELEMENTS))
    arrays = islice((each for _, each in held if is_array(each)), MAX_ARRAYS)
    return tuple(map(_pair, held)), *map(array, arrays)


def is_array(value: object) -> bool:
    """Whether it is exactly a numpy array."""
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def array(held: Any) -> object:
    """The evidence of a numpy array. An array of objects is compared by their addresses."""
    where: object = held.__array_interface__["data"][0]
    return where, id(held.dtype), held.shape, held.strides, _sampled(held)


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


_DEQUE: Any = deque

_SCALARS: dict[type, Callable[[Any], object]] = {
    int: _int,
    float: _float,
    str: _text,
    bytes: _text,
    bool: id,
    NoneType: id,
    complex: repr,
    Decimal: str,
    **dict.fromkeys((date, timedelta), lambda value: value),
}
"""Types compared by value: a name that is bound again to an equal value has not changed."""

CONTAINERS: dict[type, Callable[[Any], object]] = {
    list: _sequence(list),
    tuple: _sequence(tuple),
    dict: _dict,
    set: _unordered(set),
    frozenset: _unordered(frozenset),
    _DEQUE: _deque,
    bytearray: _bytearray,
}

CODE: dict[type, Callable[[Any], object]] = {
    FunctionType: _function,
    GeneratorType: _generator,
    ModuleType: id,
    BuiltinFunctionType: id,
}

_BUILTINS = frozenset((*_SCALARS, *CONTAINERS, *CODE))
