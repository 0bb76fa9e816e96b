"""Objects that raise, hang, lie or change when they are looked at: every way of looking survives.

Each goes through `inspect`, a reference, the names block, evidence, `search_names`, `source`,
`docs` and `table`. None of its code may run, what is said is bounded and plain, and it comes soon.
"""

import asyncio
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
import time
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pandas as pd
import pytest

from inkernel.agent.protocol.observed import Variable
from inkernel.agent.tools.tool import ToolCall
from inkernel.kernel_ext.environment import user_names
from inkernel.kernel_ext.tools.inspect import inspect_tool
from inkernel.kernel_ext.tools.lookup import looking_tools
from inkernel.kernel_ext.values.fingerprint import fingerprint
from inkernel.kernel_ext.values.paths import reference
from inkernel.kernel_ext.values.snapshot import snapshot

Calls = list[str]
Factory = Callable[[Calls], object]

SOON = 5.0
"""Seconds that one way of looking may take on a busy machine."""
MOST = 25_000
"""Characters of one answer."""

DUNDERS = (
    *("__repr__", "__str__", "__format__", "__len__", "__bool__", "__iter__", "__next__"),
    *("__getitem__", "__contains__", "__call__", "__dir__", "__sizeof__", "__reduce__"),
    *("__eq__", "__ne__", "__lt__", "__hash__", "__getattr__", "__getattribute__", "__missing__"),
    *("__int__", "__float__", "__index__", "__complex__", "__fspath__", "__bytes__", "__array__"),
    *("__array_interface__", "__dataframe__", "__arrow_c_stream__", "__length_hint__", "__get__"),
    *("__instancecheck__", "__subclasscheck__", "__rich_repr__", "_repr_html_", "keys", "items"),
    *("_repr_mimebundle_", "_ipython_display_", "shape", "dtype", "columns", "index", "tolist"),
    *("isoformat", "utcoffset", "tzname", "dst"),
)
ATTRIBUTES = ("__class__", "__doc__", "__signature__", "__wrapped__", "__annotations__", "value")


def trap(calls: Calls, name: str) -> Callable[..., Any]:
    """A method that notes that it ran, and then would hang for good."""

    def method(*_args: object, **_more: object) -> Any:
        calls.append(name)
        if len(calls) == 1:
            raise RuntimeError(f"{name} ran")
        time.sleep(0.01)
        raise RuntimeError(f"{name} ran again")

    return method


def traps(calls: Calls, *but: str) -> dict[str, Any]:
    body: dict[str, Any] = {name: trap(calls, name) for name in DUNDERS}
    body |= {name: property(trap(calls, name)) for name in ATTRIBUTES}
    return {name: held for name, held in body.items() if name not in but}


def evil(calls: Calls, *bases: type, but: tuple[str, ...] = (), **more: Any) -> type:
    body = traps(calls, *but) | more
    return types.new_class("Evil", bases, {}, lambda space: space.update(body))


def of(*bases: type, args: tuple[Any, ...] = (), but: tuple[str, ...] = ()) -> Factory:
    return lambda calls: evil(calls, *bases, but=but)(*args)


def late(base: type, *args: object, **more: object) -> Factory:
    """A subclass that is made to trap only after its instance was made."""

    def make(calls: Calls) -> object:
        kind = type("Late", (base,), {})
        held = kind(*args, **more)
        for name, method in traps(calls, "__class__", "__doc__").items():
            setattr(kind, name, method)
        return held

    return make


def liar(name: str, value: object) -> Factory:
    """What answers nonsense, by a method or as an attribute of its class."""
    return lambda calls: type("Liar", (), {name: value, "a": 1})()


def metaclass(calls: Calls, instance: bool = False) -> object:
    names = ("__module__", "__mro__", "__name__", "__bases__", "__dict__")
    more = {name: property(trap(calls, name)) for name in names}
    but = ("__call__", "__class__", "__doc__", "__getattribute__")
    meta: Any = evil(calls, type, but=but, **more)
    kind = types.new_class("Evil", (), {"metaclass": meta}, lambda body: body.update(traps(calls)))
    meta.__getattribute__ = trap(calls, "__getattribute__")
    return object.__new__(kind) if instance else kind


def forged(module: str, name: str) -> Factory:
    def make(calls: Calls) -> object:
        kind = evil(calls)
        kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
        return kind()

    return make


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


def objects(calls: Calls) -> np.ndarray:
    array = np.empty(6, dtype=object)
    for i in range(6):
        array[i] = evil(calls)()
    return array


def frame(calls: Calls) -> object:
    kind = type("Late", (), {})
    array = np.empty(3, dtype=object)
    array[:] = [kind(), kind(), 1]
    held = pd.DataFrame({"a": array, "b": range(3)})
    for name, method in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, method)
    return held


def labels(calls: Calls) -> object:
    held = pd.DataFrame([[1, 2]])
    kind = type("Label", (), {})
    held = held.set_axis(pd.Index([kind(), kind()], dtype=object), axis=1)
    for name, method in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, method)
    return held


class Dtype(pd.api.extensions.ExtensionDtype):
    """The dtype of a person's own extension array."""

    name, type = "evil", object

    @classmethod
    def construct_array_type(cls) -> Any:
        return pd.api.extensions.ExtensionArray


def extension(calls: Calls, series: bool = False) -> object:
    class Own(pd.api.extensions.ExtensionArray):
        dtype, ndim, shape = Dtype(), 1, (3,)

        def __len__(self) -> int:
            return 3

        def copy(self) -> Any:
            return self

    held: Any = pd.Series(Own()) if series else pd.DataFrame({"x": [1, 2, 3], "own": Own()})
    for name in ("__getitem__", "__len__", "__iter__", "isna", "__repr__", "tolist", "to_numpy"):
        setattr(Own, name, trap(calls, name))
    for name in ("dtype", "shape", "nbytes"):
        setattr(Own, name, property(trap(calls, name)))
    return held


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


def lazily(calls: Calls) -> object:
    polars = pytest.importorskip("polars")
    return polars.DataFrame({"a": [1]}).lazy().map_batches(trap(calls, "computed"))


def polars_objects(calls: Calls) -> object:
    polars = pytest.importorskip("polars")
    kind = type("Late", (), {})
    held = polars.DataFrame(
        {"a": [1, 2], "o": polars.Series([kind(), kind()], dtype=polars.Object)}
    )
    for name, method in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, method)
    return held


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
    "a lazy frame": lazily,
    "objects in polars": polars_objects,
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
    "a subclass of DataFrame": late(pd.DataFrame, {"a": [1, 2]}),
    "a subclass of Series": late(pd.Series, [1, 2], name="a"),
    "a frame of evil objects": frame,
    "a frame with evil labels": labels,
    "a frame of 100,000 columns": lambda _: pd.DataFrame(np.zeros((2, 100_000))),
    "a frame of tabs and escapes": lambda _: pd.DataFrame(
        {"a\n\x1b[31m\u202e": ["\ud800\x07"]}, dtype=object
    ),
    "an extension array": extension,
    "a series of an extension array": lambda calls: extension(calls, series=True),
    "an array of evil objects": objects,
    "a table of evil objects": lambda calls: objects(calls).reshape(3, 2),
    "a subclass of ndarray": lambda calls: late(np.ndarray, (2, 2))(calls),
    "a structured array": lambda calls: np.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
    "a void array": lambda _: np.zeros((2, 2), dtype="V16"),
    "nested structures": lambda _: np.zeros(2, dtype=[("a", [("b", "f8", (2, 2))])]),
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


def answers(held: object) -> Iterator[tuple[str, Callable[[], str]]]:
    """Every way of looking, each with what it is called."""
    names: dict[str, object] = {"held": held}
    told: list[dict[str, Variable]] = []
    tools = {
        tool.name: tool for tool in (inspect_tool(lambda: names), *looking_tools(lambda: names))
    }

    def ask(name: str, /, **arguments: Any) -> Callable[[], str]:
        tool = tools[name]
        return lambda: asyncio.run(tool.run(ToolCall("call_1"), tool.arguments(**arguments))).text

    def snap() -> str:
        told.append(snapshot(names, told[-1] if told else {}))
        return told[-1]["held"].line

    yield "inspect, all", ask("inspect")
    yield "inspect", ask("inspect", names=["held"], depth=3)
    for path in ("held", "held.a", "held['a']", "held[0]", "held.value", "held.columns", "held.T"):
        yield f"inspect {path}", ask("inspect", expression=path)
        yield f"source {path}", ask("source", object=path)
        yield f"docs {path}", ask("docs", object=path)
    yield "a reference", lambda: reference("held", names)
    yield "the names", snap
    yield "the names again", snap
    yield "evidence", lambda: fingerprint(held)
    yield "search by name", ask("search_names", query="held")
    yield "search by key", ask("search_names", query="zzz")
    yield "search by kind", ask("search_names", query="", kind="evil")
    yield "table", ask("table", name="held")
    yield "table by column", ask("table", name="held", columns=["a"])
    for where in ("a == 1", "a is None", "'x' in a or a > 2", "`0` in [1, 'x']", "o == 1"):
        yield f"table where {where}", ask("table", name="held", where=where)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("kind", EVIL)
def test_every_way_of_looking_survives_it_and_runs_none_of_it(kind: str) -> None:
    calls: Calls = []
    held = EVIL[kind](calls)
    calls.clear()
    for way, answer in answers(held):
        began = time.monotonic()
        text = answer()
        assert time.monotonic() - began < SOON, way
        assert calls == [], way
        assert type(text) is str, way
        assert len(text) < MOST, way
        bad = {c for c in text if not (c.isprintable() or c == "\n")}
        assert not bad, way
    if kind == "a coroutine":
        held.close()


def test_iterators_are_left_where_they_were() -> None:
    held = {
        "generator": (i for i in range(3)),
        "map": map(str, range(3)),
        "zip": zip(range(3), range(3), strict=True),
        "filter": filter(None, range(3)),
        "count": itertools.count(),
        "file": io.StringIO("abc"),
    }
    for each in held.values():
        for _, answer in answers(each):
            answer()
    assert list(held["generator"]) == [0, 1, 2]
    assert list(held["map"]) == ["0", "1", "2"]
    assert len(list(held["zip"])) == 3
    assert list(held["filter"]) == [1, 2]
    assert next(held["count"]) == 0
    assert held["file"].read() == "abc"


@pytest.mark.parametrize(
    "name", ["not a name", "a-b", "\x1b[31m", "\ud800", "\u202e", "", "x\ny", "if"]
)
def test_names_that_are_no_identifiers_are_told_as_plain_text(name: str) -> None:
    names: dict[str, object] = {name: {"a": 1}, "x": 2}
    texts = [seen.line for seen in snapshot(names, {}).values()]
    texts.append(reference(name, names))
    for tool in (inspect_tool(lambda: names), *looking_tools(lambda: names)):
        for arguments in (
            *({"names": [name]}, {"expression": name, "names": []}, {"query": name, "kind": None}),
            *({"object": name}, {"name": name}),
        ):
            if set(arguments) <= set(tool.schema["parameters"]["properties"]):
                try:
                    asked = tool.arguments(**arguments)
                except ValueError:  # a lone surrogate does not come in JSON
                    continue
                texts.append(asyncio.run(tool.run(ToolCall("call_1"), asked)).text)
    for text in texts:
        assert not {c for c in text if not (c.isprintable() or c == "\n")}, text
    assert all("\n" not in seen.line for seen in snapshot(names, {}).values())


def test_names_that_are_no_texts_are_left_out() -> None:
    names: Any = {1: 2, ("a",): 3, type("Text", (str,), {})("held"): 4, None: 5, "x": 6}
    shell: Any = types.SimpleNamespace(user_ns=names, user_ns_hidden={})
    assert user_names(shell) == {"x": 6}
    assert list(snapshot(names, {})) == ["x"]
    for tool in (inspect_tool(lambda: names), *looking_tools(lambda: names)):
        for arguments in ({}, {"names": ["y"]}, {"object": "y"}, {"name": "y"}, {"query": "x"}):
            try:
                asked = tool.arguments(**arguments)
            except ValueError:
                continue
            assert asyncio.run(tool.run(ToolCall("call_1"), asked)).text
