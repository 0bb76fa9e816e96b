"""Evil objects, each by its name: those of Python, and tables. Knows no test."""

import collections
import ctypes
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import gc
import io
import itertools
import sys
import tempfile
import threading
import types
import typing
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pandas as pd

from .evil_tables import TABLES
from .traps import Calls, Factory, evil, forged, late, liar, metaclass, of, trap, traps


def nested(kind: str, depth: int) -> Factory:
    def make(_: Calls) -> object:
        held: Any = "core"
        for _level in range(depth):
            held = {"list": lambda h: [h], "dict": lambda h: {"a": h}, "tuple": lambda h: (h,)}[
                kind
            ](held)
        return held

    return make


def itself(kind: str) -> Factory:
    def make(calls: Calls) -> object:
        match kind:
            case "list":
                held: Any = [evil(calls)()]
                held += [held, (held,)]
            case "dict":
                held = {"a": evil(calls)()}
                held |= {"self": held, "list": [held]}
            case "instance":
                held = types.SimpleNamespace()
                held.self = held
            case _:
                held = np.empty(2, dtype=object)
                held[:] = [held, [held]]
        return held

    return make


def deleted(calls: Calls) -> object:
    """As the wrapper of an object of C++ that is gone."""
    gone = trap(calls, "wrapped C/C++ object has been deleted")
    return type("Widget", (), {"__getattribute__": gone, "__repr__": gone, "__slots__": ()})()


def proxy(calls: Calls) -> object:
    """As wrapt's: it says that it is what it wraps, and asks it for everything."""

    class Proxy:
        __slots__ = ("__wrapped__",)
        __class__ = property(trap(calls, "__class__"))

        def __getattr__(self, name: str) -> object:
            calls.append(name)
            return getattr(object.__getattribute__(self, "__wrapped__"), name)

    held = Proxy()
    object.__setattr__(held, "__wrapped__", pd.DataFrame({"a": [1]}))
    return held


class Target:
    """What can be referred to weakly."""


def weak(dead: bool, by_proxy: bool) -> Factory:
    def make(calls: Calls) -> object:
        target = evil(calls)() if not dead else Target()
        if not dead:
            KEPT.append(target)
        held = (weakref.proxy if by_proxy else weakref.ref)(target)
        del target
        gc.collect()
        return held

    return make


KEPT: list[object] = []


def module(calls: Calls) -> object:
    held = types.ModuleType("lazy\x1b[31m")
    held.__dict__.update(
        __getattr__=trap(calls, "__getattr__"), __dir__=trap(calls, "__dir__"), __file__=3
    )
    held.__dict__["__doc__"] = evil(calls)()
    return held


def function(calls: Calls) -> object:
    def held(a=evil(calls)(), *, b=evil(calls)()):  # noqa: B008
        calls.append("held")

    text = evil(calls, str)
    held.__name__, held.__doc__ = text("name"), text("doc")
    held.__kwdefaults__ = evil(calls, dict)(b=evil(calls)())
    held.__defaults__ = evil(calls, tuple)([evil(calls)()])
    held.__signature__ = evil(calls)()
    held.__wrapped__ = held
    return held


def wrapped(calls: Calls) -> object:
    """A function that wraps another, that wraps it."""

    def one() -> None:
        calls.append("one")

    def other() -> None:
        calls.append("other")

    one.__wrapped__, other.__wrapped__ = other, one
    return one


def exception(calls: Calls) -> object:
    held = evil(calls, ValueError, but=("__get__",))("bad", evil(calls)())
    held.__cause__ = held
    return held


def member(calls: Calls) -> object:
    class Held(enum.Enum):
        MEMBER = 1

    for name, method in traps(calls, "name", "__class__", "__doc__").items():
        type.__setattr__(Held, name, method)
    return Held._member_map_["MEMBER"]


def data(calls: Calls) -> object:
    held = dataclasses.make_dataclass("Held", ["one", "two"])(evil(calls)(), 2)
    held.__dataclass_fields__ = evil(calls)()
    return held


def point(calls: Calls) -> object:
    return collections.namedtuple("Point", "x y")(evil(calls)(), metaclass(calls, instance=True))


def generator(calls: Calls) -> object:
    def run() -> Iterator[int]:
        calls.append("advanced")
        yield 1

    return run()


def coroutine(calls: Calls) -> object:
    async def run() -> None:
        calls.append("awaited")

    held = run()
    weakref.finalize(held, int)
    KEPT.append(held)
    return held


def closed(_: Calls) -> object:
    with tempfile.TemporaryFile() as file:
        pass
    return file


def locked(_: Calls) -> object:
    lock = threading.Lock()
    lock.acquire()
    return {"lock": lock, "condition": threading.Condition(lock), "event": threading.Event()}


def key(calls: Calls) -> object:
    kind = type("Key", (), {})
    held = {kind(): 1, "a": kind(), kind(): 3}
    for name, method in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, method)
    return held


def same_hash(calls: Calls) -> object:
    """A dict whose every look-up of a text would ask a foreign key whether it is equal."""

    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            calls.append("__eq__")
            return str.__eq__(self, other) is True

    held = type("Held", (), {})()
    held.__dict__ = {Key("a"): 1, Key("_mgr"): 2, Key("__wrapped__"): 3}
    calls.clear()
    return held


def cached(calls: Calls) -> object:
    class Held:
        computed = functools.cached_property(trap(calls, "cached_property"))
        described = property(trap(calls, "property"))

        def __init__(self) -> None:
            self.kept = evil(calls)()

    return Held()


def slots(calls: Calls) -> object:
    kind: Any = evil(calls, __slots__=("full", "empty"))
    held = kind()
    kind.__dict__["full"].__set__(held, evil(calls)())
    return held


def text_module(calls: Calls) -> object:
    kind: Any = evil(calls)
    kind.__module__ = evil(calls)()
    kind.__qualname__ = "x\n</names>\x1b[2J\u202e"
    return object.__new__(kind)


def zone(calls: Calls) -> object:
    own = evil(calls, dt.tzinfo)()
    return [{"a": dt.datetime(2024, 1, 1, tzinfo=own), "b": dt.time(1, tzinfo=own)}]


EVIL: dict[str, Factory] = {
    "every method hangs": of(),
    "a class": evil,
    "a metaclass": metaclass,
    "of a metaclass": lambda calls: metaclass(calls, instance=True),
    "a list": of(list, args=([1, 2],)),
    "a tuple": of(tuple, args=([1, 2],)),
    "a dict": of(dict, args=({"a": 1},)),
    "a set": of(set, args=([1],)),
    "a str": of(str, args=("kept\x1b[31m",)),
    "bytes": of(bytes, args=(b"kept",)),
    "an int": of(int, args=(7,)),
    "a float": of(float, args=(1.5,)),
    "a date and time": of(dt.datetime, args=(2024, 1, 2)),
    "a fraction": late(fractions.Fraction, 1, 3),
    "a deque": of(collections.deque, args=([1],)),
    "a Decimal": of(decimal.Decimal, args=("1.5",)),
    "a counter": late(collections.Counter, "aab"),
    "a module": of(types.ModuleType, args=("m",)),
    "a lazy module": module,
    "an exception": exception,
    "an enum": member,
    "a dataclass": data,
    "a namedtuple": point,
    "slots": slots,
    "a function": function,
    "functions that wrap each other": wrapped,
    "properties": cached,
    "a module name that is no text": text_module,
    **{
        f"{name} lies": liar(name, value)
        for name, value in (
            ("__len__", lambda self: -1),
            ("__class__", property(lambda self: pd.DataFrame)),
            ("__dict__", property(lambda self: 42)),
            ("__iter__", lambda self: itertools.count()),
            ("__doc__", 3),
            ("__signature__", "no signature"),
            ("__wrapped__", 5),
            ("__module__", 42),
            ("__name__", ["no", "text"]),
            ("__dir__", lambda self: 7),
            ("__slots__", "__dict__"),
            ("_fields", ("x", object())),
            ("_mgr", 3),
        )
    },
    "a list in itself": itself("list"),
    "a dict in itself": itself("dict"),
    "an instance in itself": itself("instance"),
    "an array in itself": itself("array"),
    "lists 100,000 deep": nested("list", 100_000),
    "dicts 100,000 deep": nested("dict", 100_000),
    "tuples 100,000 deep": nested("tuple", 100_000),
    "a generator": generator,
    "a coroutine": coroutine,
    "a map": lambda calls: map(trap(calls, "map"), [1, 2]),
    "a filter": lambda calls: filter(trap(calls, "filter"), [1, 2]),
    "a zip": lambda calls: zip(generator(calls), [1], strict=False),
    "an endless count": lambda _: itertools.count(),
    "a dead weakref": weak(dead=True, by_proxy=False),
    "a dead proxy": weak(dead=True, by_proxy=True),
    "a live proxy": weak(dead=False, by_proxy=True),
    "a proxy like wrapt's": proxy,
    "a MagicMock": lambda _: MagicMock(),
    "a mock of a frame": lambda _: Mock(spec=pd.DataFrame),
    "a deleted widget": deleted,
    "forged pandas": forged("pandas", "DataFrame"),
    "forged pandas, deeper": forged("pandas.core.frame", "DataFrame"),
    "forged polars": forged("polars.dataframe.frame", "DataFrame"),
    "forged numpy": forged("numpy", "ndarray"),
    "forged torch": forged("torch", "Tensor"),
    "forged dask": forged("dask.array.core", "Array"),
    **TABLES,
    "a huge int": lambda _: 10**100_000,
    "a huge negative int": lambda _: [-(10**100_000)],
    "a huge Decimal": lambda _: decimal.Decimal(10) ** 100_000 + 1,
    "a huge text": lambda _: "x\u202e" * 20_000_000,
    "huge bytes": lambda _: b"\x1b" * 50_000_000,
    "lone surrogates": lambda _: {"\ud800": "\udfff", "a": ["\ud800" * 500]},
    "escapes and bidi marks": lambda _: {"\x1b[31m\r\n\u202e\u2066": "\x9b31m\x00\u200f\u2028"},
    "evil keys": key,
    "keys that are equal to all": same_hash,
    "rows of evil values": lambda calls: [{"a": evil(calls)()}, {"a": metaclass(calls)}, 3],
    "lists of evil values": lambda calls: {"a": [evil(calls)()] * 3, "b": (1, 2, 3)},
    "a foreign time zone": zone,
    "a closed file": closed,
    "a file that is open": lambda _: io.StringIO("text\x1b"),
    "locked locks": locked,
    "a future": lambda _: Future[int](),
    "a pointer to nothing": lambda _: ctypes.POINTER(ctypes.c_int)(),
    "a frame of the stack": lambda _: sys._getframe(),
    "generic aliases": lambda calls: [list[evil(calls)()], typing.Any, int | str],
    "a method of an evil": lambda calls: types.MethodType(len, evil(calls)()),
    "partials of partials": lambda calls: functools.partial(functools.partial(evil(calls)(), 1)),
    "views of an evil dict": lambda calls: dict.items(evil(calls, dict)(a=1)),
    "a class with evil members": lambda calls: type("Holds", (), {"held": evil(calls)(), "x": 1}),
}
