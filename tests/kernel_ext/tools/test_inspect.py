"""The tool `inspect` and `$`-references: what is listed, followed and refused."""

import asyncio
import collections
import datetime as dt
import enum
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.items import FunctionCall
from inkernel.agent.tools.tool import ToolCall, ToolOutput, read_arguments
from inkernel.kernel_ext.tools.inspect import Inspect, inspect_tool
from inkernel.kernel_ext.values.paths import reference

Names = dict[str, object]


def look(live: Names, /, **arguments: Any) -> ToolOutput:
    tool = inspect_tool(lambda: live)
    return asyncio.run(tool.run(ToolCall("call_1"), Inspect(**arguments)))


def seen(path: str, **names: object) -> str:
    """The first line about a path that is followed, without the path."""
    output = look(names, expression=path)
    assert output.status == "ok", output.text
    return output.text.split("\n")[0].removeprefix(f"{path}: ")


def refused(path: str, **names: object) -> str:
    output = look(names, expression=path)
    assert output.status == "error", output.text
    assert output.text.startswith(f"`{path}` ")
    return output.text


def test_the_tool_is_read_only_and_tells_its_limits() -> None:
    tool = inspect_tool(dict)
    assert tool.name == "inspect"
    assert set(tool.schema["parameters"]["properties"]) == {"names", "expression", "depth"}
    for depth, accepted in ((0, True), (3, True), (4, False), (-1, False)):
        call = FunctionCall(
            type="function_call", call_id="c", name="inspect", arguments=f'{{"depth": {depth}}}'
        )
        assert isinstance(read_arguments(tool, call), Inspect) is accepted


def test_with_nothing_given_the_names_are_listed_one_a_line() -> None:
    names: Names = {"pd": pd, "x": 3, "np": np, "frame": pd.DataFrame({"a": [1]})}
    assert look(names).text == (
        "4 names:\nmodules: pd (pandas), np (numpy)\nx: 3\nframe: pandas DataFrame 1 × 1: 'a' int64"
    )


def test_an_empty_namespace_says_so() -> None:
    assert look({}).text == "The person has no names in the live namespace."


def test_a_long_listing_is_bounded_and_says_how_many_are_left_out() -> None:
    many = look({f"n{i}": i for i in range(10_000)}).text
    assert "n199: 199\n… 9,800 more names are left out" in many
    wide = look({f"n{i}": "x" * 100 for i in range(150)}).text
    assert len(wide) <= 8_100
    left = int(wide.split("… ")[1].split()[0])
    assert wide.count("\nn") == 150 - left


def test_the_names_are_asked_for_at_each_call() -> None:
    names: Names = {}
    tool = inspect_tool(lambda: names)
    names["late"] = 1
    assert "late: 1" in asyncio.run(tool.run(ToolCall("call_1"), Inspect())).text


def test_names_are_described_and_unknown_ones_get_the_nearest() -> None:
    live: Names = {"price": [1, 2], "prices": {"a": {"b": [3]}}}
    output = look(live, names=["prices", "prise"], depth=3)
    assert output.status == "ok"
    assert output.text == (
        "`prise` is not defined in the live namespace; the nearest names are price, prices.\n\n"
        "prices: {'a': {'b': list}}\n  'a': {'b': list}\n    'b': [3]\n      [0] 3"
    )


def test_only_unknown_names_are_an_error() -> None:
    output = look({"x": 1}, names=["qqq"])
    assert (output.status, output.text) == (
        "error",
        "`qqq` is not defined in the live namespace.",
    )


def test_many_names_are_described_up_to_a_bound() -> None:
    names: Names = {f"n{i}": {j: "x" * 100 for j in range(100)} for i in range(30)}
    output = look(names, names=list(names))
    assert len(output.text) < 21_000
    assert "more: ask for fewer names." in output.text


def test_a_reference_carries_the_name_and_the_description() -> None:
    assert reference("x", {"x": {"a": 1}}) == "`x` in the live namespace:\n{'a': 1}\n  'a': 1"


def test_a_reference_to_an_unknown_name_says_so() -> None:
    assert reference("fram", {"frame": 1, "other": 2}) == (
        "`fram` is not defined in the live namespace; the nearest names are frame."
    )
    assert "\n" not in reference("a\nb" * 1_000, {"frame": 1})


class Colour(enum.Enum):
    RED = 1


class Model:
    """Something with stored state, and with state that code computes."""

    kind = "linear"

    def __init__(self, calls: list[str]) -> None:
        self.coef_ = np.array([1.0, 2.0])
        self.calls = calls

    @property
    def computed(self) -> int:
        self.calls.append("computed")
        return 1

    @functools.cached_property
    def cached(self) -> int:
        self.calls.append("cached")
        return 1

    def __getattr__(self, name: str) -> object:
        self.__dict__["calls"].append(name)
        raise AttributeError(name)

    def fit(self, data: object, rounds: int = 3) -> None:
        """Fit it."""
        self.calls.append("fit")

    @staticmethod
    def load(path: str) -> None:
        raise NotImplementedError


class Slotted:
    __slots__ = ("empty", "full")

    def __init__(self) -> None:
        self.full = 1


LABELS = pd.Index(["price", "city"], dtype=object)
ROWS = pd.Index(["r1", "r2"], dtype=object)
FRAME = pd.DataFrame({0: [1.5, 2.5], 1: pd.Series(["Oslo", "Rome"], dtype=object)})
FRAME = FRAME.set_axis(LABELS, axis=1).set_axis(ROWS, axis=0)
WHOLE: Names = {
    "df": FRAME,
    "numbered": pd.DataFrame({"a": [1, 2, 3]}),
    "levels": FRAME.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), axis=1),
    "model": Model([]),
    "slotted": Slotted(),
    "config": {"a": [{"k": 5}, 2], 1: "one", ("x", 2): "pair", None: "none", -1: "minus"},
    "default": collections.defaultdict(list, {"k": [1]}),
    "text": "abcdef" * 1_000,
    "raw": b"abc",
    "pair": (1, (2, 3)),
    "array": np.arange(12).reshape(3, 4),
    "record": np.zeros(2, dtype=[("a", "i4")]),
    "error": ValueError("bad", 3),
    "Colour": Colour,
    "Model": Model,
    "np": np,
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("df", "pandas DataFrame 2 × 2: 'price' float64, 'city' object"),
        ('df["price"]', "pandas Series 'price' of 2 float64: 1.5, 2.5"),
        ("df.price", "pandas Series 'price' of 2 float64: 1.5, 2.5"),
        ('df["price"]["r2"]', "float64 2.5"),
        ('df["price"][:1]', "pandas Series 'price' of 1 float64: 1.5"),
        ("df[1:]", "pandas DataFrame 1 × 2: 'price' float64, 'city' object"),
        ("df.columns", "pandas Index of 2 object: 'price', 'city'"),
        ("df.columns[-1]", "'city'"),
        ("df.index", "pandas Index of 2 object: 'r1', 'r2'"),
        ("df.shape", "(2, 2)"),
        ("df.shape[0]", "2"),
        ("df.dtypes", "pandas Series of 2 object: dtype float64, dtype object"),
        ("df.T", "pandas DataFrame 2 × 2: 'r1' object, 'r2' object"),
        ('numbered["a"][2]', "int64 3"),
        ('levels["b", 2]', "pandas Series ('b', 2) of 2 object: 'Oslo', 'Rome'"),
        ("model.coef_", "numpy ndarray 2 float64: 1.0, 2.0"),
        ("model.coef_[0]", "float64 1.0"),
        ("model.kind", "'linear'"),
        ("Model.kind", "'linear'"),
        ("model.fit", "function fit(self, data: object, rounds: int = 3): Fit it."),
        ("model.load", "function load(path: str)"),
        ("slotted.full", "1"),
        ('config["a"][0]["k"]', "5"),
        ("config[1]", "'one'"),
        ("config[-1]", "'minus'"),
        ('config["x", 2]', "'pair'"),
        ("config[None]", "'none'"),
        ('default["k"]', "[1]"),
        ("text[:6]", "'abcdef'"),
        ("text[-1]", "'f'"),
        ("text[5:0:-2]", "'fdb'"),
        ("raw[1:]", "b'bc'"),
        ("pair[1][0]", "2"),
        ("array.shape", "(3, 4)"),
        ("array[1, 2:]", "numpy ndarray 2 int64: 6, 7"),
        ("array[..., None, 0]", "numpy ndarray 3 × 1 int64: 0, 4, 8"),
        ("array.T", "numpy ndarray 4 × 3 int64: 0, 4, 8, 1, 5, 9, …"),
        ("error.args[1]", "3"),
        ("np.pi", "3.141592653589793"),
        (" array . shape ", "(3, 4)"),
    ],
)
def test_a_plain_path_is_followed(path: str, expected: str) -> None:
    assert seen(path, **WHOLE) == expected


def test_an_enum_member_is_reached_through_its_class() -> None:
    assert seen("Colour.RED", **WHOLE).endswith("Colour.RED = 1")


@pytest.mark.parametrize(
    "path",
    [
        *("df.mean()", "len(df)", "model.fit(1)", "(lambda: 1)()", "lambda: df"),
        *("[x for x in df]", "{x for x in df}", "{x: 1 for x in df}", "(x for x in df)"),
        *("(y := df)", 'f"{df}"', 'f"{df!r}"', "df + 1", "-df", "not df", "df < 1", "df and df"),
        *("df if df else df", "[df]", "(df, df)", "{df}", "{1: df}", "'text'", "1", "...", "*df"),
        *("await df", "(yield)", "df[df]", "df[model.kind]", 'df[["price"]]', "df[f'{df}']"),
        *("df[len(df)]", "df[(lambda: 0)()]", "df[(y := 'price')]", "text[df:]", "text[1.5:]"),
        *("df.__class__", "df.__class__.__subclasses__", "model.__dict__", "model.__init__"),
        *("np.__builtins__", "Model.__mro__", "model.fit.__globals__", "text.__len__"),
        *("import os", "x = 1", "df; df", "df\ndf", " ", "(", "df.", "df[", "\x00"),
        *("True", "None", "__builtins__", "__import__", "print", "undefined", "df.undefined"),
        *("model.computed", "model.cached", "model.missing", "slotted.empty", "slotted.other"),
        *("df.iloc", "df.values", "df.empty", "df.style", "df.plot", 'df["none"]', "df[0]"),
        *("array[True]", "array[[0]]", "array['a']", "array[0.5]", "array[9]", "array.flat"),
        *("array.imag", "text[True]", "text['a']", "text[99999]", "pair['a']", "pair[2]"),
        *("config['none']", "config[True]", "config[1.0]", "config[[1]]", "default['new']"),
        *(
            "error.with_traceback",
            "Colour.RED.value",
            "np.undefined",
            "model['a']",
            "Colour['RED']",
        ),
        *("a" * 501, "df" + ".T" * 300, "(" * 250 + "df" + ")" * 250, "9" * 5_000),
    ],
)
def test_anything_else_is_refused_in_one_sentence_and_nothing_runs(path: str) -> None:
    calls: list[str] = []
    names = WHOLE | {"model": Model(calls)}
    output = look(names, expression=path)

    assert output.status == "error"
    assert "\n" not in output.text
    assert len(output.text) < 800
    assert calls == []
    assert set(names) == set(WHOLE)
    assert list(names["default"]) == ["k"]  # pyright: ignore


@pytest.mark.parametrize("path", ["df.mean()", "model.computed", "df[['price']]", "config['none']"])
def test_a_refusal_points_to_run_cell(path: str) -> None:
    assert refused(path, **WHOLE).endswith("use run_cell.")


def test_an_unknown_name_in_a_path_gets_the_nearest() -> None:
    assert "`modle` is not defined in the live namespace; the nearest names are model" in refused(
        "modle.coef_", **WHOLE
    )


def test_a_found_name_is_shown_beside_a_refused_path() -> None:
    output = look({"x": 1}, names=["x"], expression="x()")
    assert output.status == "ok"
    assert output.text.startswith("x: 1\n\n`x()` is more than")


def evil(calls: list[str]) -> type:
    """A class whose every special method records that it ran."""

    def trap(name: str) -> Callable[..., object]:
        def run(*args: object, **kwargs: object) -> object:
            calls.append(name)
            raise AssertionError(name)

        return run

    names = (
        *("__eq__", "__getattr__", "__getattribute__", "__getitem__", "__len__", "__repr__"),
        *("__get__", "__contains__", "__missing__", "__iter__", "__bool__", "__index__", "__str__"),
    )
    body = {name: trap(name) for name in names} | {"held": property(trap("held"))}
    return types.new_class("Evil", (), {}, lambda own: own.update(body | {"__hash__": lambda s: 7}))


def zoned_labels(calls: list[str]) -> pd.DataFrame:
    hour = dt.timedelta(hours=1)
    kind = type("Zone", (dt.tzinfo,), {"utcoffset": lambda self, when: hour})
    kind.dst, kind.tzname = kind.utcoffset, lambda self, when: "Z"
    labels = pd.DatetimeIndex(["2024-05-06", "2024-05-07"]).tz_localize(kind())
    frame = pd.DataFrame(np.zeros((2, 2)), columns=labels)
    for name in ("utcoffset", "dst", "tzname", "__str__", "__repr__", "__eq__", "__hash__"):
        setattr(kind, name, lambda *args: calls.append("zone"))
    return frame


def foreign_column(calls: list[str]) -> pd.DataFrame:
    class Dtype(pd.api.extensions.ExtensionDtype):
        name, type = "own", object

    class Own(pd.api.extensions.ExtensionArray):
        dtype, ndim, shape = Dtype(), 1, (2,)

        def __len__(self) -> int:
            return 2

        def copy(self) -> "Own":
            return self

    frame = pd.DataFrame({"plain": [1, 2], "own": Own()})
    frame.attrs.update(series=pd.Series(Own()), index=pd.Index(Own()))
    for name in ("__len__", "__getitem__", "dtype", "shape", "isna"):
        setattr(Own, name, property(lambda self: calls.append("own")))
    return frame


def evil_names(calls: list[str]) -> Names:
    kind = evil(calls)
    key = type("Key", (), {"__hash__": lambda self: hash("k"), "__eq__": lambda self, other: False})
    table = {key(): 1, "k": 2}
    key.__eq__ = kind.__dict__["__eq__"]
    holder = types.SimpleNamespace(inner=kind())
    foreign = foreign_column(calls)
    module = types.ModuleType("named")
    module.__dict__.update(__version__=kind(), __file__=kind(), __doc__=kind(), inner=kind())
    cell = np.empty(2, dtype=object)
    cell[0] = kind()
    frame = pd.DataFrame(np.zeros((2, 2)))
    frame = frame.set_axis(pd.Index(cell, dtype=object), axis=1)
    for base in (list, dict, str, tuple):
        holder.__dict__[base.__name__] = type("Sub", (kind, base), {"__new__": base.__new__})()
    return {
        "thing": kind(),
        "holder": holder,
        "table": table,
        "frame": frame,
        "series": pd.Series(cell, dtype=object),
        "array": cell,
        "klass": type("Holds", (), {"inner": kind()}),
        "module": module,
        "foreign": foreign,
        "foreigner": foreign.attrs["series"],
        "labels": foreign.attrs["index"],
        "zoned": zoned_labels(calls),
    }


@pytest.mark.parametrize(
    "path",
    [
        *("thing", "thing.held", "thing.other", "thing[0]", "thing['a']", "holder.inner"),
        *("holder.inner.held", "holder.list", "holder.list[0]", "holder.dict['a']"),
        *("holder.str[:2]", "holder.tuple[0]", "table['k']", "table['absent']", "frame"),
        *("frame['k']", "frame.k", "frame.columns[0]", "frame.columns", "frame[:1]", "frame.T"),
        *("series[0]", "series[:1]", "series.index", "array[0]", "array[:1]", "array[0].held"),
        *("klass.inner", "klass.inner.held", "module", "module.inner", "module.inner.held"),
        *("labels", "labels.dtype", "labels.shape", "labels[0]", "labels[:1]"),
        *("foreigner", "foreigner.dtype", "foreigner[0]", "zoned", "zoned['x']", "zoned.columns"),
        *("foreign['own']", "foreign.own", "foreign[:1]", "foreign.dtypes", "foreign['plain']"),
    ],
)
def test_a_path_through_evil_objects_calls_nothing_of_theirs(path: str) -> None:
    calls: list[str] = []
    names = evil_names(calls)
    calls.clear()

    assert look(names, expression=path, depth=3).text
    assert calls == []


def test_a_key_is_found_beside_an_evil_key_of_the_same_hash() -> None:
    assert seen("table['k']", **evil_names([])) == "2"


def test_no_module_is_loaded_by_looking_at_a_lazy_one() -> None:
    calls: list[str] = []

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            calls.append(name)
            raise AttributeError(name)

    lazy = Lazy("lazy")
    assert "modules: lazy (lazy)" in look({"lazy": lazy}).text
    refused("lazy.part", lazy=lazy)
    assert calls == []


def test_a_large_copy_is_refused() -> None:
    assert "would copy a large slice" in refused("big[:]", big=[0] * 1_000_001)
    assert "would copy a large table" in refused("big.T", big=pd.DataFrame(np.zeros((60_000, 2))))
    assert seen("big[:3]", big=range(10**12)) == "range instance: start=0, stop=3, step=1"


def test_a_long_path_is_refused_for_its_length() -> None:
    output = look({"x": 1}, expression="x" + ".a" * 250)
    assert output.status == "error"
    assert output.text.endswith("…` is longer than 500 characters; use run_cell.")


def test_a_mapping_with_its_own_lookup_is_refused() -> None:
    class Upper(dict[str, int]):
        def __getitem__(self, name: str) -> int:
            return super().__getitem__(name.upper())

    assert "whose code would run" in refused("upper['a']", upper=Upper(A=1, a=2))


def test_polars_paths_are_followed() -> None:
    polars = pytest.importorskip("polars")
    df = polars.DataFrame({"a": [1, 2, 3]})
    assert seen("df['a']", df=df) == "polars Series 'a' of 3 Int64: 1, 2, 3"
    assert seen("df[:2]", df=df) == "polars DataFrame 2 × 1: 'a' Int64"
    assert seen("df['a'][1]", df=df) == "2"
    assert seen("df.columns", df=df) == "['a']"
    assert "use run_cell" in refused("df['none']", df=df)
    assert "use run_cell" in refused("df.columns", df=df.lazy())


def test_arrow_paths_are_followed() -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"a": [1, 2, 3]})
    assert seen("t['a']", t=table) == "pyarrow ChunkedArray of 3 int64: 1, 2, 3"
    assert seen("t[:2]", t=table) == "pyarrow Table 2 × 1: 'a' int64"


@given(st.text(max_size=40))
def test_any_text_as_a_path_is_answered(path: str) -> None:
    output = look({"x": {"a": [1]}}, expression=path)
    assert output.status in ("ok", "error")


@given(
    st.lists(
        st.sampled_from(
            ["x", ".a", "[0]", "['a']", "()", ":", "[1:2]", " + ", "lambda", ".__class__", "(", ")"]
        ),
        max_size=8,
    ).map("".join)
)
def test_no_path_reaches_a_call_or_a_special_attribute(path: str) -> None:
    output = look({"x": {"a": [1]}}, expression=path or "x")
    if "()" in path or "__" in path:
        assert output.status == "error"


def test_nothing_is_imported_by_looking() -> None:
    before = set(sys.modules)
    look(WHOLE, names=list(WHOLE), depth=3)
    assert not {name.partition(".")[0] for name in set(sys.modules) - before} & {
        "torch",
        "pyarrow",
        "polars",
        "sklearn",
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"names": ["api_key"]},
        {"expression": "config['api_key']"},
        {"expression": "config.get_token"},
        {"names": ["config"], "depth": 3},
        {},
    ],
)
async def test_what_is_called_a_secret_is_hidden_whoever_asks(asked: dict[str, Any]):
    names = {"api_key": "sk-very-secret", "config": {"api_key": "sk-very-secret"}}
    tool = inspect_tool(lambda: names)
    answer = await tool.run(ToolCall("c"), tool.arguments.take(asked))
    assert "sk-very" not in answer.text
    assert "sk-very" not in reference("api_key", names)
