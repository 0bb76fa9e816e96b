"""What a turn changes in place, of any kind, has its content again and is the same object."""

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkernel.kernel_ext.undo import checkpoint as module

from .turns import Basket, changed, undo


def frame() -> pd.DataFrame:
    when = pd.date_range("2020-01-01", periods=3)
    data = {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "s": ["x", "y", "z"], "t": when}
    return pd.DataFrame(data).assign(c=pd.Categorical(["u", "v", "u"]))


CHANGES: list[tuple[str, Callable[[], Any], str]] = [
    ("list", lambda: [1, 2], "v.append(3)"),
    ("list, emptied", lambda: [[1], [2]], "v.clear()"),
    ("list in a list", lambda: [1, [2, [3]]], "v[1][1].append(4)"),
    ("list in a tuple", lambda: (1, [2]), "v[1].append(4)"),
    ("type of a number", lambda: [1, True], "v[0] = 1.0; v[1] = 1"),
    ("minus zero", lambda: [0.0], "v[0] = -0.0"),
    ("dict", lambda: {"a": {"b": 1}}, "v['a']['c'] = 2; del v['a']['b']"),
    ("order of a dict", lambda: {"a": 1, "b": 2}, "v['a'] = v.pop('a')"),
    ("keys that are tuples", lambda: {(1, "a"): [1]}, "v[(1, 'a')].append(2)"),
    ("set", lambda: {1, "a", (2, 3)}, "v.remove('a')"),
    ("bytearray", lambda: bytearray(b"abc"), "v[0] = 7; v.extend(b'd')"),
    ("deque", lambda: deque([1, [2]], 3), "v.rotate(); v[0].append(5)"),
    ("Counter", lambda: Counter("abca"), "v['a'] = 7; del v['b']"),
    ("defaultdict", lambda: defaultdict(list, a=[1]), "v['b']"),
    ("order of an OrderedDict", lambda: OrderedDict(a=1, b=2), "v.move_to_end('a')"),
    ("array", lambda: np.zeros((4, 5)), "v[2, 3] = 1"),
    ("array, not in order of C", lambda: np.asfortranarray(np.eye(3)), "v[2, 1] = 1"),
    ("array in steps", lambda: np.zeros(10)[::2], "v[3] = 1"),
    ("array of dates", lambda: np.zeros(3, "M8[D]"), "v[1] = np.datetime64('2020-01-01')"),
    ("array of texts", lambda: np.array(["ab", "cd"]), "v[0] = 'x'"),
    ("array of records", lambda: np.zeros(2, "i4,f8"), "v[0]['f1'] = 2"),
    ("array of objects", lambda: np.array([[1], "x", None], object), "v[0].append(2); v[1] = 5"),
    ("array of no dimension", lambda: np.array(5), "v[()] = 6"),
    ("masked array", lambda: np.ma.array([1, 2], mask=[0, 0]), "v[0] = np.ma.masked"),
    ("random numbers", lambda: np.random.default_rng(1), "v.random()"),
    ("old random numbers", lambda: np.random.RandomState(1), "v.rand()"),
    ("frame, one cell", frame, "v.loc[1, 'a'] = 9"),
    ("frame, a text", frame, "v.loc[1, 's'] = 'q'"),
    ("frame, a date", frame, "v.loc[1, 't'] = pd.Timestamp('1999-01-01')"),
    ("frame, a category", frame, "v.loc[0, 'c'] = 'v'"),
    ("frame, new column", frame, "v['n'] = 1"),
    ("frame, no column", frame, "v.drop(columns='b', inplace=True)"),
    ("frame, sorted", frame, "v.sort_values('b', ascending=False, inplace=True)"),
    ("frame, no row", frame, "v.drop(1, inplace=True)"),
    ("frame, renamed", frame, "v.rename(columns={'a': 'z'}, inplace=True)"),
    ("frame, index", frame, "v.set_index('a', inplace=True)"),
    ("frame, index named", frame, "v.index.name = 'i'"),
    ("frame, attrs", frame, "v.attrs['source'] = 'x'"),
    ("series", lambda: pd.Series([1.0, 2.0], name="n"), "v[0] = 5; v.name = 'm'"),
    ("Python's random numbers", lambda: SimpleNamespace(r=random.Random(1)), "v.r.random()"),
]
INPLACE = pytest.mark.filterwarnings("ignore:The inplace keyword")
FALLBACK = [each for each in CHANGES if each[0] != "Python's random numbers"]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.random.Generator):
        return one.bit_generator.state == other.bit_generator.state
    if isinstance(one, np.random.RandomState):
        return bool((one.get_state()[1] == other.get_state()[1]).all())
    if isinstance(one, SimpleNamespace):
        return one.r.getstate() == other.r.getstate()
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
        return one.attrs == other.attrs and list(one.columns) == list(other.columns)
    return repr(one) == repr(other) and type(one) is type(other)


@INPLACE
@pytest.mark.parametrize("what, make, code", CHANGES, ids=[each[0] for each in CHANGES])
def test_what_was_changed_in_place_is_as_it_was_and_the_same_object(what, make, code):
    value = make()
    names = {"v": value}
    restored = undo(names, code)
    assert names["v"] is value and same(value, make())
    if what == "Python's random numbers":  # only its own pickling knows its state
        return
    assert changed(restored) == {"v": True} and not restored.failed and not restored.back


@INPLACE
@pytest.mark.parametrize("what, make, code", FALLBACK, ids=[each[0] for each in FALLBACK])
def test_without_a_fork_small_plain_values_come_back(what, make, code, monkeypatch):
    monkeypatch.setattr(module, "COPY_SECONDS", 60.0)
    value = make()
    names = {"v": value}
    restored = undo(names, code, fork=False)
    assert names["v"] is value and same(value, make())
    assert changed(restored) == {"v": True} and not restored.failed


KEYS = st.integers(0, 3)
NESTED = st.recursive(
    st.one_of(st.integers(-2, 2), st.text(max_size=2), st.booleans(), st.floats(-1, 1)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(deque, st.lists(inner, max_size=2)),
        st.builds(Basket, st.text(max_size=1)),
        st.sets(st.integers(0, 5), max_size=3),
        st.builds(bytearray, st.binary(max_size=3)),
    ),
    max_leaves=10,
)
STEPS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5), NESTED), max_size=8)


def containers(value: Any, found: dict[int, Any]) -> dict[int, Any]:
    """Every object that can be changed in place."""
    held: list[Any] = []
    if isinstance(value, list | deque | tuple):
        held = [*value]
    elif isinstance(value, dict):
        held = [*value.values()]
    elif isinstance(value, Basket):
        held = [*vars(value).values()]
    if isinstance(value, list | deque | dict | set | bytearray | Basket) and id(value) not in found:
        found[id(value)] = value
        for each in held:
            containers(each, found)
    elif isinstance(value, tuple):
        for each in held:
            containers(each, found)
    return found


def shape(value: Any, seen: dict[int, int]) -> Any:
    """All of a value, and which of its objects are one and the same."""
    if not isinstance(value, list | deque | tuple | dict | set | bytearray | Basket):
        return type(value).__name__, repr(value)
    if not isinstance(value, tuple):
        if id(value) in seen:
            return "seen", seen[id(value)]
        seen[id(value)] = len(seen)
    name = type(value).__name__
    if isinstance(value, set | bytearray):
        return name, repr(sorted(value))
    if isinstance(value, Basket):
        value = vars(value)
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return name, [(repr(key), shape(held, seen)) for key, held in pairs]


def change(target: Any, way: int, other: Any) -> None:
    """One operation in place."""
    match target:
        case list() | deque():
            steps = (
                lambda: target.append(other),
                target.clear,
                target.reverse,
                lambda: target and target.pop(),
                lambda: target.extend([other, other]),
                lambda: target and target.__setitem__(0, other),
            )
            steps[way]()
        case dict():
            target.pop(way, None) if way % 2 else target.__setitem__(way, other)
        case set():
            target ^= {way}
        case bytearray():
            target += bytes([way])
        case _:
            vars(target)[f"x{way}"] = other


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from("abcd"), NESTED, max_size=3), STEPS, st.booleans())
def test_any_changes_in_place_are_undone_exactly(names, steps, share):
    names = {**names, "all": [*names.values()] if share else [], "class": Basket}
    before = {name: id(value) for name, value in names.items()}
    expected = shape([*names.items()], {})

    def turn() -> None:
        for where, way, other in steps:
            targets = [*containers([*names.values()], {}).values()][1:]
            target = targets[where % len(targets)]
            change(target, way, targets[way % len(targets)] if where % 3 == 0 else other)

    restored = undo(names, turn)
    assert shape([*names.items()], {}) == expected and not restored.failed
    assert {name: id(value) for name, value in names.items()} == before
