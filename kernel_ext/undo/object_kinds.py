"""The kind of a live object, by its type alone: how it is taken apart and filled again.

No code of an object or of its class runs here. Knows no names.
"""

import datetime
import decimal
import sys
import threading
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from typing import Any, Literal, NamedTuple

from ..values.introspect import class_items, find_item, is_a, label, mro, type_name
from .polars_frames import NESTED

Way = Literal[
    "atom",  # cannot change, so it is written into its holder
    "through",  # a tuple or frozenset: the same, but its elements may change
    "itself",  # only its identity counts: functions, classes, modules, locks …
    "list",
    "dict",
    "ordered",
    "set",
    "deque",
    "bytes",
    "array",
    "object",  # its class is made in Python: all its content is in its dict and slots
    "reduced",  # only its own pickling knows its content
]


class ObjectKind(NamedTuple):
    """How objects of one type are handled."""

    way: Way
    plain: bool = False
    """All its content is in Python's own places, so that the same object can be filled again."""
    shell: bool = True
    """An empty one can be made first, and filled later."""
    why: str = ""
    """Its kind in words, if its state cannot be brought back."""
    seen: bool = False
    """Whether at least a change of that state is seen."""
    part: bool = False
    """Part of the running process rather than a value. Reported only if a name is bound to it."""


_ATOM, _ITSELF = ObjectKind("atom"), ObjectKind("itself")
_GENERATOR = ObjectKind("itself", why="a generator", seen=True)
_HEAP = 1 << 9
_WORD = 8

_EXACT: dict[int, ObjectKind] = {
    **dict.fromkeys(map(id, (int, float, str, bytes, bool, complex, types.NoneType)), _ATOM),
    **dict.fromkeys(map(id, (range, slice, types.EllipsisType, types.NotImplementedType)), _ATOM),
    **dict.fromkeys(map(id, (datetime.date, datetime.datetime, datetime.time)), _ATOM),
    **dict.fromkeys(map(id, (datetime.timedelta, datetime.timezone, decimal.Decimal)), _ATOM),
    **dict.fromkeys(map(id, (tuple, frozenset)), ObjectKind("through")),
    id(types.GeneratorType): _GENERATOR,
    id(types.CoroutineType): _GENERATOR,
    id(types.AsyncGeneratorType): _GENERATOR,
    **{
        id(each): _ITSELF
        for each in (
            types.FunctionType,
            types.BuiltinFunctionType,
            types.ModuleType,
            types.CodeType,
            types.FrameType,
            types.CellType,
            types.MappingProxyType,
            weakref.ReferenceType,
            type(threading.Lock()),
            type(threading.RLock()),
            property,
            staticmethod,
            classmethod,
        )
    },
}

_BASES: dict[int, Way] = {
    id(object): "object",
    id(list): "list",
    id(dict): "dict",
    id(defaultdict): "dict",
    id(OrderedDict): "ordered",
    id(set): "set",
    id(deque): "deque",
    id(bytearray): "bytes",
}

_PROCESS = ("asyncio", "threading", "logging", "concurrent", "multiprocessing", "subprocess")
_LINES = ("selectors", "ssl", "queue", "weakref", "contextvars", "zmq", "tornado")
_SHELL = ("IPython", "ipykernel", "traitlets", "comm", "jupyter_client", "inkernel")
_MACHINERY = {*_PROCESS, *_LINES, *_SHELL}
"""Packages whose objects are parts of the running process, or cannot be used after a fork."""
_RANDOM = ("Generator", "RandomState", "BitGenerator")
_REDUCE = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs_ex__")


def kind_of(kind: type) -> ObjectKind:
    """How objects of just this type are handled. Raises nothing."""
    known = _EXACT.get(id(kind))
    if known is not None:
        return known
    classes = mro(kind)
    if any(each is type for each in classes):
        return _ITSELF
    for each in classes:
        module, name = type_name(each)
        package = module.partition(".")[0]
        if package == "polars":
            return ObjectKind("itself", why=NESTED if name in ("DataFrame", "Series") else "")
        if package in _MACHINERY:
            if package == "logging":
                return _ITSELF
            why = f"{label(kind)}, a part of the running process"
            return ObjectKind("itself", why=why, part=True)
    if (numpy := _numpy(classes)) is not None:
        return numpy
    solid = next(each for each in classes if not _made_in_python(each))
    way = _BASES.get(id(solid), "reduced")
    if way != "object":
        return ObjectKind(way, way != "reduced")
    if not is_users(kind) and any(_pickles_itself(each) for each in classes):
        return ObjectKind("reduced", True)
    return ObjectKind("object", True)


def is_users(kind: type) -> bool:
    """Whether the class was made in the notebook, or in the terminal."""
    return type_name(kind)[0] == "__main__"


def _numpy(classes: tuple[type, ...]) -> ObjectKind | None:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    random: Any = sys.modules.get("numpy.random")
    for each in classes:
        if random and any(each is getattr(random, name) for name in _RANDOM):
            return ObjectKind("reduced", True, shell=False)  # its state can be set
        if each is numpy.memmap:
            return ObjectKind("itself", why="a memory-mapped file")
        if each is numpy.ndarray:
            return ObjectKind("array", True)
        if each is numpy.dtype or (each is numpy.generic and not _is_void(classes, numpy)):
            return _ATOM
    return None


def _is_void(classes: tuple[type, ...], numpy: Any) -> bool:
    return any(each is numpy.void for each in classes)  # its fields can be assigned


def _made_in_python(kind: type) -> bool:
    """Made by a `class` statement, so that it adds only a dict and slots to its base."""
    if kind is object or not type.__dict__["__flags__"].__get__(kind) & _HEAP:
        return False
    new = find_item(class_items(kind), "__new__")
    if type(new) is types.BuiltinFunctionType:
        return False
    base: type = type.__dict__["__base__"].__get__(kind)
    size = type.__dict__["__basicsize__"]
    slots = sum(type(held) is types.MemberDescriptorType for _, held in class_items(kind))
    return size.__get__(kind) <= size.__get__(base) + _WORD * (slots + 2)


def _pickles_itself(kind: type) -> bool:
    return kind is not object and any(find_item(class_items(kind), name) for name in _REDUCE)


def words_for(value: object) -> str:
    """Words for an object that cannot be pickled."""
    io: Any = sys.modules["_io"]
    if is_a(value, io._IOBase):
        return "an open file"
    name = label(type(value))
    if any(part in name.lower() for part in ("socket", "connection", "cursor", "session")):
        return f"an open connection ({name})"
    return f"cannot be pickled ({name})"
