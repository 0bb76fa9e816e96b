"""Evidence of change: what is seen, what is said not to be seen, and that no value is called."""

import datetime as dt
import decimal
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.kernel_ext.values.describe import brief
from inkernel.kernel_ext.values.fingerprint import fingerprint

SCALARS = st.one_of(
    st.integers(), st.floats(allow_nan=False), st.text(), st.booleans(), st.none(), st.binary()
)


@dataclass
class Basket:
    owner: str = "me"
    fruits: list[str] = field(default_factory=lambda: ["apple"])
    weights: Any = field(default_factory=lambda: np.zeros(3))


class Own(list[int]):
    pass


def frame() -> pd.DataFrame:
    when = pd.date_range("2020-01-01", periods=3)
    return pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "s": ["x", "y", "z"], "t": when})


def do(code: str) -> Callable[[Any], None]:
    return lambda value: exec(code, {"v": value, "np": np, "pd": pd})


CHANGES: list[tuple[str, Callable[[], Any], str]] = [
    ("list", lambda: [1, 2], "v.append(3)"),
    ("list element", lambda: [1, 2], "v[0] = 5"),
    ("minus one", lambda: [-1], "v[0] = -2"),
    ("minus one, float", lambda: [-1.0], "v[0] = -2.0"),
    ("type of a number", lambda: [1], "v[0] = 1.0"),
    ("list in a list", lambda: [[1], [2]], "v[1].append(3)"),
    ("end of a long list", lambda: list(range(10_000)), "v[-1] = 0"),
    ("dict", lambda: {"a": 1}, "v['a'] = 2"),
    ("end of a long dict", lambda: dict.fromkeys(range(10_000)), "v[9_999] = 2"),
    ("set", lambda: {1, 2}, "v.add(3)"),
    ("deque", lambda: deque([1, 2]), "v.rotate()"),
    ("bytearray", lambda: bytearray(10), "v[3] = 1"),
    ("subclass of list", lambda: Own([1]), "v.append(2)"),
    ("its attributes", lambda: Own([1]), "v.label = 'x'"),
    ("Counter", lambda: Counter("ab"), "v['a'] += 1"),
    ("defaultdict", lambda: defaultdict(list), "v['a']"),
    ("OrderedDict", lambda: OrderedDict(a=1, b=2), "v['a'] = 3"),
    ("attribute", Basket, "v.owner = 'you'"),
    ("container in an instance", Basket, "v.fruits.append('pear')"),
    ("array in an instance", Basket, "v.weights[1] = 2"),
    ("generator", lambda: (each for each in [1]), "list(v)"),
    ("function", lambda: lambda a=1: a, "v.__defaults__ = (2,)"),
    ("array", lambda: np.zeros((4, 5)), "v[2, 3] = 1"),
    ("first of a large array", lambda: np.zeros((1000, 1000)), "v[0, 0] = 1"),
    ("last of a large array", lambda: np.zeros((1000, 1000)), "v[-1, -1] = 1"),
    ("whole of a large array", lambda: np.zeros((7, 100_000)), "v += 1"),
    ("shape", lambda: np.zeros(6), "v.resize((2, 3), refcheck=False)"),
    ("array of objects", lambda: np.array([None, {}]), "v[0] = {}"),
    ("masked array", lambda: np.ma.array([1, 2], mask=[False, False]), "v[0] = np.ma.masked"),
    ("frame cell", frame, "v.loc[1, 'a'] = 9"),
    ("frame text", frame, "v.loc[1, 's'] = 'q'"),
    ("frame date", frame, "v.loc[1, 't'] = pd.Timestamp('1999-01-01')"),
    ("frame column", frame, "v['c'] = 1"),
    ("frame column replaced", frame, "v['a'] = v['a'] * 2"),
    ("frame labels", frame, "v.columns = list('wxyz')"),
    ("frame index", frame, "v.set_index('a', inplace=True)"),
    ("frame sorted", frame, "v.sort_values('b', ascending=False, inplace=True)"),
    ("index name", frame, "v.index.name = 'row'"),
    ("series", lambda: frame()["a"].copy(), "v.iloc[0] = 7"),
    ("series name", lambda: frame()["a"].copy(), "v.name = 'other'"),
    ("nullable", lambda: pd.Series([1, None], dtype="Int64"), "v.iloc[1] = 3"),
    ("categorical", lambda: pd.Series(["a", "b"], dtype="category"), "v.iloc[0] = 'b'"),
]


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize(("make", "change"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_a_change_in_place_is_seen_and_nothing_else(make: Callable[[], Any], change: str) -> None:
    value = make()
    before = fingerprint(value)
    assert fingerprint(value) == before
    do(change)(value)
    after = fingerprint(value)
    assert after != before
    assert after.partition(":")[0] == before.partition(":")[0]
    assert fingerprint(value) == after


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: list(range(100_000)), "v[50_001] = -1"),
        (lambda: np.zeros((1000, 1000)), "v[501, 501] = 1"),
        (lambda: [[[1]]], "v[0][0].append(2)"),
    ],
    ids=["between samples of a list", "between samples of an array", "two levels down"],
)
def test_what_is_said_not_to_be_seen_is_not(make: Callable[[], Any], change: str) -> None:
    value = make()
    before = fingerprint(value)
    do(change)(value)
    assert fingerprint(value) == before


@given(SCALARS, SCALARS)
def test_scalars_are_told_apart_by_value(one: Any, other: Any) -> None:
    same = type(one) is type(other) and one == other
    assert (fingerprint(one) == fingerprint(other)) == same
    assert ":" not in fingerprint(one)


@given(st.lists(SCALARS, max_size=30), st.data())
def test_any_element_of_a_small_list_counts(held: list[Any], data: st.DataObject) -> None:
    before = fingerprint(held)
    place, new = data.draw(st.integers(0, len(held))), data.draw(SCALARS)
    same = place < len(held) and type(held[place]) is type(new) and held[place] == new
    held[place : place + 1] = [new]
    assert (fingerprint(held) == before) == same


def test_equal_dates_and_decimals_are_the_same_value() -> None:
    for make in (lambda: dt.date(2020, 1, 2), lambda: decimal.Decimal("1.50")):
        assert fingerprint(make()) == fingerprint(make())


def test_a_foreign_array_in_a_frame_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    column = pd.arrays.IntegerArray(np.array([1]), np.array([False]))
    asked: list[str] = []

    class Foreign(pd.arrays.IntegerArray):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    monkeypatch.setitem(globals(), "Foreign", Foreign)
    Foreign.__qualname__ = "Foreign"  # now it is what it says it is, but not pandas' own
    series = pd.Series(Foreign(column._data, column._mask))
    asked.clear()
    before = fingerprint(series)
    assert not asked
    vars(series._mgr.blocks[0].values)["_data"][0] = 5
    assert fingerprint(series) != before


def test_what_a_subclass_puts_in_place_of_the_librarys_parts_is_not_asked() -> None:
    asked: list[object] = []

    class Evil:
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)

        __bool__ = __len__ = __eq__ = __hash__ = __getattribute__

    class Table(pd.DataFrame):
        pass

    table = Table({"a": [1]})
    vars(table)["_mgr"] = Evil()
    one, other, line = fingerprint(table), fingerprint(table), brief(table)
    assert not asked
    assert one == other
    assert " instance: " in line


def test_no_text_of_the_value_is_in_the_evidence() -> None:
    assert "hunter2" not in fingerprint("hunter2") + fingerprint(["hunter2"])


def test_polars_frames_and_series_are_seen_to_change_and_lazy_ones_are_not_computed() -> None:
    polars: Any = pytest.importorskip("polars")
    table, series = polars.DataFrame({"a": [1, 2], "b": [[1], [2]]}), polars.Series([1, 2, 3])
    before = fingerprint(table), fingerprint(series)
    assert before == (fingerprint(table), fingerprint(series))
    table[0, "a"] = 5
    series[1] = 9
    assert fingerprint(table) != before[0]
    assert fingerprint(series) != before[1]

    def fail(part: object) -> object:
        raise AssertionError("it was computed")

    lazy = table.lazy().map_batches(fail)
    assert fingerprint(lazy) == fingerprint(lazy)


def test_a_tensor_and_the_training_of_a_module_are_seen() -> None:
    torch: Any = pytest.importorskip("torch")
    tensor, model = torch.zeros(10_000), torch.nn.Sequential(torch.nn.Linear(2, 2))
    before = fingerprint(tensor), fingerprint(model)
    assert before == (fingerprint(tensor), fingerprint(model))
    tensor[5_001] = 1
    with torch.no_grad():
        model[0].weight.add_(1)
    assert fingerprint(tensor) != before[0]
    assert fingerprint(model) != before[1]


def test_xarray_is_seen_to_change() -> None:
    xarray: Any = pytest.importorskip("xarray")
    array = xarray.DataArray(np.zeros((2, 3)), dims=("x", "y"))
    data = array.to_dataset(name="t")
    before = fingerprint(array), fingerprint(data)
    assert before == (fingerprint(array), fingerprint(data))
    array[0, 1] = 5
    data["u"] = ("x", [1, 2])
    assert fingerprint(array) != before[0]
    assert fingerprint(data) != before[1]


def test_fitting_an_estimator_is_seen() -> None:
    linear: Any = pytest.importorskip("sklearn.linear_model")
    model = linear.SGDRegressor(random_state=0)
    before = fingerprint(model)
    model.partial_fit([[1.0], [2.0]], [1.0, 2.0])
    fitted = fingerprint(model)
    model.partial_fit([[1.0], [2.0]], [1.0, 2.0])
    assert len({before, fitted, fingerprint(model)}) == 3
