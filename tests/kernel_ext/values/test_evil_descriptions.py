"""That nothing of an evil object is called when it is described, and odd ones are survived."""

import abc
import collections
import datetime as dt
import decimal
import enum
import functools
import importlib.abc
import importlib.util
import sqlite3
import sys
import threading
import types
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest

from inkernel.kernel_ext.values.describe import (
    MAX_DESCRIPTION_CHARS,
    MAX_LINE_CHARS,
    brief,
    describe,
)

Calls = list[str]

TRAPS = (
    *("__repr__", "__str__", "__format__", "__len__", "__bool__", "__iter__", "__next__"),
    *("__getitem__", "__contains__", "__call__", "__dir__", "__sizeof__", "__reduce__"),
    *("__eq__", "__ne__", "__lt__", "__hash__", "__getattr__", "__getattribute__", "__missing__"),
    *("__int__", "__float__", "__index__", "__complex__", "__fspath__", "__bytes__", "__array__"),
    *("__array_interface__", "__dataframe__", "__copy__", "__deepcopy__", "__length_hint__"),
    *("__reversed__", "__get__", "__instancecheck__", "__subclasscheck__", "keys", "items"),
    *("shape", "dtype", "columns", "index", "values", "name", "tolist", "isoformat", "utcoffset"),
    *("tzname", "dst", "_repr_html_", "_repr_mimebundle_", "_ipython_display_"),
)


def traps(calls: Calls, *but: str) -> dict[str, object]:
    """A class body in which every method, and every property, records that it was asked."""

    def method(name: str) -> Callable[..., object]:
        def trap(*args: object, **kwargs: object) -> object:
            calls.append(name)
            raise AssertionError(f"{name} was called")

        return trap

    body: dict[str, object] = {name: method(name) for name in TRAPS if name not in but}
    for name in ("__class__", "__doc__", "secret", "T", "_fields_"):
        body[name] = property(method(name))
    return {name: held for name, held in body.items() if name not in but}


def evil_class(calls: Calls, *bases: type, but: tuple[str, ...] = (), **more: object) -> type:
    return types.new_class("Evil", bases, {}, lambda body: body.update(traps(calls, *but) | more))


def evil(calls: Calls) -> object:
    return evil_class(calls)()


def of_base(base: type, *args: object) -> Callable[[Calls], object]:
    return lambda calls: evil_class(calls, base)(*args)


def evil_metaclass(calls: Calls) -> type:
    names = ("__module__", "__mro__", "__name__", "__bases__")
    more = dict.fromkeys(names, property(traps(calls)["__repr__"]))
    meta = evil_class(calls, type, but=("__call__", "__class__", "__doc__"), **more)
    return types.new_class("Evil", (), {"metaclass": meta}, lambda body: body.update(traps(calls)))


def hidden_dict(calls: Calls) -> object:
    trap = traps(calls)["__repr__"]
    return evil_class(calls, __dict__=property(trap))()


def dict_subclass_as_dict(calls: Calls) -> object:
    class Plain:
        pass

    plain = Plain()
    plain.__dict__ = evil_class(calls, dict)({"kept": 1})
    return plain


def slotted(calls: Calls) -> object:
    kind = evil_class(calls, __slots__=("full", "empty"))
    held = kind()
    kind.__dict__["full"].__set__(held, evil(calls))
    return held


def impostor(calls: Calls, module: str, name: str) -> object:
    kind = evil_class(calls)
    kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
    return kind()


def self_reference(calls: Calls) -> object:
    held: list[object] = [evil(calls)]
    held.append(held)
    return {"self": held, "evil": evil(calls)}


def object_array(calls: Calls) -> np.ndarray:
    array = np.empty(4, dtype=object)
    for i in range(4):
        array[i] = evil(calls)
    return array


def frame_of_evil(calls: Calls) -> pd.DataFrame:
    frame = pd.DataFrame({"plain": [1, 2, 3, 4]})
    return frame.assign(held=pd.Series(object_array(calls), dtype=object))


def evil_labels(calls: Calls) -> pd.DataFrame:
    frame = pd.DataFrame(np.zeros((4, 4)))
    labels = pd.Index(object_array(calls), dtype=object)
    return frame.set_axis(labels, axis=1).set_axis(labels, axis=0)


def frame_subclass(calls: Calls) -> object:
    but = ("__getattribute__", "__getattr__", "index", "columns", "__class__", "__len__", "items")
    kind = evil_class(calls, pd.DataFrame, but=but)
    held = kind({"a": [1, 2]})
    trap = traps(calls)
    for name in ("__getattribute__", "__getattr__", "__len__", "items"):
        setattr(kind, name, trap[name])
    for name in ("index", "columns", "_mgr", "iloc"):
        setattr(kind, name, property(trap["__repr__"]))
    return held


def series_subclass(calls: Calls) -> object:
    kind = type("Evil", (pd.Series,), {})
    held = kind([1, 2], name="n")
    for name, trap in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, trap)
    return held


class EvilDtype(pd.api.extensions.ExtensionDtype):
    """The dtype of a user's own extension array."""

    name = "evil"
    type = object

    @classmethod
    def construct_array_type(cls) -> type:
        return pd.api.extensions.ExtensionArray


def foreign_column(calls: Calls) -> object:
    class Foreign(pd.api.extensions.ExtensionArray):
        dtype = EvilDtype()
        ndim = 1
        shape = (3,)

        def __len__(self) -> int:
            return 3

        def copy(self) -> "Foreign":
            return self

    frame = pd.DataFrame({"x": [1, 2, 3], "own": Foreign()})
    for name in ("__getitem__", "__len__", "__iter__", "dtype", "isna", "shape", "__repr__"):
        trap = traps(calls)["__repr__"]
        setattr(Foreign, name, property(trap) if name in ("dtype", "shape") else trap)
    return frame


def evil_zone(calls: Calls) -> dt.tzinfo:
    return evil_class(calls, dt.tzinfo)()


def zoned_times(calls: Calls) -> pd.DatetimeIndex:
    kind = type("Zone", (dt.tzinfo,), {"utcoffset": lambda self, when: dt.timedelta(hours=1)})
    kind.dst, kind.tzname = kind.utcoffset, lambda self, when: "Z"
    held = pd.DatetimeIndex(["2024-05-06", "2024-05-07"]).tz_localize(kind())
    for name, trap in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, trap)
    return held


def array_subclass(calls: Calls) -> object:
    kind = type("Evil", (np.ndarray,), {})
    held = np.arange(6).reshape(2, 3).view(kind)
    body = traps(calls, "__get__", "__class__", "__doc__") | {
        name: property(traps(calls)["__repr__"]) for name in ("dtype", "shape", "flat", "size")
    }
    body["__array_finalize__"] = body["__array_wrap__"] = traps(calls)["__repr__"]
    for name, trap in body.items():
        setattr(kind, name, trap)
    return held


def lazy_module(calls: Calls) -> object:
    source = "raise AssertionError('the module was loaded')"

    class Loader(importlib.abc.Loader):
        def exec_module(self, module: types.ModuleType) -> None:
            calls.append("exec_module")
            exec(source, module.__dict__)

    loader = importlib.util.LazyLoader(Loader())
    spec = importlib.util.spec_from_loader("lazy", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def evil_function(calls: Calls) -> object:
    def function(a, b=evil(calls), *, c=evil(calls)):  # noqa: B008
        calls.append("function")

    function.__name__ = evil_class(calls, str)("name")
    function.__doc__ = evil_class(calls, str)("doc")
    function.__annotations__ = evil_class(calls, dict)(a=evil(calls), b=evil_metaclass(calls))
    function.__kwdefaults__ = evil_class(calls, dict)(c=evil(calls))
    function.__defaults__ = evil_class(calls, tuple)([evil(calls)] * 3)
    function.__signature__ = function.__wrapped__ = evil(calls)
    return function


def evil_exception(calls: Calls) -> object:
    kind = evil_class(calls, ValueError, but=("__get__",))
    return kind("bad", evil(calls))


def path_subclass(calls: Calls) -> object:
    kind = type("Evil", (type(Path()),), {})
    held = kind("kept")
    for name, trap in traps(calls, "__class__", "__doc__").items():
        setattr(kind, name, trap)
    return held


def evil_enum(calls: Calls) -> object:
    class Held(enum.Enum):
        MEMBER = 1

    body = {k: v for k, v in traps(calls).items() if k not in ("name", "__class__", "__doc__")}
    for name, trap in body.items():
        type.__setattr__(Held, name, trap)
    return Held._member_map_["MEMBER"]


def generator(calls: Calls) -> object:
    def run():
        calls.append("advanced")
        yield 1

    return run()


def lazy_map(calls: Calls) -> object:
    return map(lambda each: calls.append("advanced"), [1, 2])


class Descriptor:
    """A class attribute whose reading runs code."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def __get__(self, held: object, kind: type) -> object:
        self.calls.append("__get__")
        return 1


def with_property(calls: Calls) -> object:
    class Held:
        computed = Descriptor(calls)

        def __init__(self) -> None:
            self.kept = evil(calls)

        @functools.cached_property
        def cached(self) -> int:
            calls.append("cached_property")
            return 1

    return Held()


EVIL: dict[str, Callable[[Calls], object]] = {
    "every method a trap": evil,
    "int subclass": of_base(int, 7),
    "huge int subclass": of_base(int, 1 << 100_000),
    "float subclass": of_base(float, 1.5),
    "complex subclass": of_base(complex, 1j),
    "str subclass": of_base(str, "kept\x1b[31m"),
    "long str subclass": of_base(str, "kept" * 100_000),
    "bytes subclass": of_base(bytes, b"kept"),
    "bytearray subclass": of_base(bytearray, b"kept"),
    "list subclass": of_base(list, [1, 2]),
    "tuple subclass": of_base(tuple, [1, 2]),
    "dict subclass": of_base(dict, {"a": 1}),
    "defaultdict subclass": of_base(collections.defaultdict, list, {"a": 1}),
    "OrderedDict subclass": of_base(collections.OrderedDict, {"a": 1}),
    "set subclass": of_base(set, [1, 2]),
    "frozenset subclass": of_base(frozenset, [1, 2]),
    "deque subclass": of_base(collections.deque, [1, 2]),
    "namedtuple subclass": of_base(collections.namedtuple("Point", "x y"), 1, 2),
    "datetime subclass": of_base(dt.datetime, 2024, 1, 2),
    "date subclass": of_base(dt.date, 2024, 1, 2),
    "time subclass": of_base(dt.time, 12),
    "timedelta subclass": of_base(dt.timedelta, 1),
    "Decimal subclass": of_base(decimal.Decimal, "1.5"),
    "Path subclass": path_subclass,
    "exception subclass": evil_exception,
    "module subclass": of_base(types.ModuleType, "m"),
    "numpy scalar subclass": of_base(np.float64, 1.5),
    "ndarray subclass": array_subclass,
    "DataFrame subclass": frame_subclass,
    "Series subclass": series_subclass,
    "class": evil_class,
    "class with an evil metaclass": evil_metaclass,
    "instance of an evil metaclass": lambda calls: object.__new__(evil_metaclass(calls)),
    "enum member": evil_enum,
    "__dict__ property": hidden_dict,
    "__dict__ of an evil type": dict_subclass_as_dict,
    "slots": slotted,
    "property, descriptor, cached_property": with_property,
    "fake pandas": lambda calls: impostor(calls, "pandas", "DataFrame"),
    "fake numpy": lambda calls: impostor(calls, "numpy", "ndarray"),
    "fake torch": lambda calls: impostor(calls, "torch", "Tensor"),
    "fake polars": lambda calls: impostor(calls, "polars.dataframe.frame", "DataFrame"),
    "list of evil": lambda calls: [evil(calls), [evil(calls), {1: evil(calls)}]],
    "dict value": lambda calls: {"a": evil(calls), "b": {"c": evil(calls)}},
    "dict key": lambda calls: {evil_class(calls, __hash__=lambda self: 1)(): 1},
    "self reference": self_reference,
    "object array": object_array,
    "record array with an object": lambda calls: np.array(
        [(1, evil(calls))], dtype=[("a", "i4"), ("b", "O")]
    ),
    "object column": frame_of_evil,
    "object series": lambda calls: pd.Series(object_array(calls), dtype=object),
    "object index": lambda calls: pd.Index(object_array(calls), dtype=object),
    "evil labels": evil_labels,
    "foreign extension array": foreign_column,
    "foreign time zone": lambda calls: dt.datetime(2024, 1, 2, tzinfo=evil_zone(calls)),
    "foreign time zone of a time": lambda calls: dt.time(1, tzinfo=evil_zone(calls)),
    "foreign time zone of an index": zoned_times,
    "foreign time zone of a series": lambda calls: pd.Series(zoned_times(calls)),
    "foreign time zone of a column": lambda calls: pd.DataFrame({"when": zoned_times(calls)}),
    "foreign time zone of labels": lambda calls: pd.Series([1, 2], index=zoned_times(calls)),
    "float subclass in a column": lambda calls: pd.Series(
        [of_base(float, 1.5)(calls), None], dtype=object
    ),
    "function": evil_function,
    "method": lambda calls: types.MethodType(evil_function(calls), evil(calls)),
    "method over a callable": lambda calls: types.MethodType(evil(calls), evil(calls)),
    "partial": lambda calls: functools.partial(evil_function(calls), evil(calls)),
    "generator": generator,
    "map": lazy_map,
    "iterator": lambda calls: iter([evil(calls)]),
    "lazy module": lazy_module,
    "ABC": lambda calls: types.new_class(
        "Evil", (abc.ABC,), {}, lambda body: body.update(traps(calls))
    ),
    "namespace": lambda calls: types.SimpleNamespace(held=evil(calls)),
    "mapping proxy": lambda calls: types.MappingProxyType(evil_class(calls, dict)(a=1)),
    "thread local": lambda calls: threading.local(),
}


@pytest.mark.parametrize("kind", EVIL)
def test_nothing_of_an_evil_object_is_called_and_it_is_described(kind: str) -> None:
    calls: Calls = []
    held = EVIL[kind](calls)
    calls.clear()

    texts = [brief(held), brief([held]), *(describe({"held": held}, depth) for depth in range(4))]

    assert calls == []
    assert not [text for text in texts if "summary failed" in text]
    for text in texts:
        assert all(
            line and line.isprintable() and len(line) <= MAX_LINE_CHARS for line in text.split("\n")
        )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("int subclass", "Evil (int) 7"),
        ("list subclass", "Evil (list) [1, 2]"),
        ("dict subclass", "Evil (dict) {'a': 1}"),
        ("str subclass", r"Evil (str) 'kept\x1b[31m'"),
        ("namedtuple subclass", "Evil (tuple) fields: x=1, y=2"),
        ("datetime subclass", "Evil (datetime) 2024-01-02 00:00:00"),
        ("DataFrame subclass", "Evil (pandas DataFrame) 2 × 1: 'a' int64"),
        ("Series subclass", "Evil (pandas Series) 'n' of 2 int64: 1, 2"),
        ("ndarray subclass", "Evil (numpy ndarray) 2 × 3 int64: 0, 1, 2, 3, 4, 5"),
        ("fake pandas", "pandas.DataFrame instance"),
        ("enum member", "Held.MEMBER = 1"),
        ("dict key", "{types.Evil instance: 1}"),
        ("slots", "full=types.Evil instance"),
        ("foreign extension array", "'x' int64, 'own' "),
        ("class with an evil metaclass", "class types.Evil"),
    ],
)
def test_what_an_evil_object_stores_is_shown_by_the_builtin_or_library_below_it(
    kind: str, expected: str
) -> None:
    assert expected in brief(EVIL[kind]([]))


def closed_file() -> object:
    with open(__file__) as file:
        pass
    return file


def released_view() -> object:
    view = memoryview(b"kept")
    view.release()
    return view


def dead_proxy() -> object:
    class Plain:
        pass

    return weakref.proxy(Plain())


def nested(depth: int) -> object:
    held: object = {"end": 1}
    for _ in range(depth):
        held = {"in": [held]}
    return held


ODD: dict[str, tuple[Callable[[], object], str]] = {
    "closed file": (closed_file, "_io.TextIOWrapper instance: mode='r'"),
    "released view": (released_view, "memoryview instance"),
    "dead proxy": (dead_proxy, "weakref.ProxyType instance"),
    "mock": (MagicMock, "unittest.mock.MagicMock instance"),
    "deep nesting": (lambda: nested(10_000), "{'in': [dict]}"),
    "huge int": (lambda: 1 << 10_000_000, "int of 10,000,001 bits"),
    "huge Decimal": (lambda: decimal.Decimal("1" * 5_000), "Decimal of "),
    "control characters": (lambda: "\ud800\u202e\x00", r"'\ud800\u202e\x00'"),
    "type name of two lines": (lambda: type("a\nb", (), {})(), r"a\nb instance"),
    "huge type name": (lambda: type("x" * 1_000_000, (), {}), "xxx…"),
    "attribute name": (lambda: types.SimpleNamespace(**{"a\x1b": 1}), r"a\x1b=1"),
    "all modules": (lambda: dict(sys.modules), "dict of "),
    "bare object": (object, "object instance"),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_objects_are_survived_and_named(kind: str) -> None:
    make, expected = ODD[kind]
    held = make()

    assert expected in brief(held)
    for depth in range(4):
        assert len(describe(held, depth)) <= MAX_DESCRIPTION_CHARS


def test_a_database_is_named_and_not_asked() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        assert brief(database).startswith("sqlite3.Connection instance")


def raising(failure: BaseException) -> property:
    def fail(self: object) -> object:
        raise failure

    return property(fail)


def test_a_failing_reader_is_named_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": [1]})
    monkeypatch.setattr(pd.DataFrame, "shape", raising(RecursionError("deep")))

    assert brief(frame).endswith("DataFrame (summary failed: RecursionError)")
    assert brief([frame]).endswith("DataFrame (summary failed: RecursionError)]")
    assert describe(frame).count("summary failed") == 2


def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pd.DataFrame, "shape", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        brief(pd.DataFrame({"a": [1]}))
