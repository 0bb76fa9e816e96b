"""A turn's names undone: rebound, new and deleted ones, and what was changed in place."""

import gc
import os
import random
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkernel.kernel_ext.undo import checkpoint as module
from inkernel.kernel_ext.undo.checkpoint import Checkpoint, Restored, take
from inkernel.kernel_ext.workers import fork as forked


class Basket:
    """A class of the person's."""

    def __init__(self, *fruits: str) -> None:
        self.fruits = [*fruits]


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left: object) -> None:
        self.left = left


class Own(dict[str, int]):
    """Its methods lie."""

    def items(self):
        raise RuntimeError

    def __setitem__(self, key: str, value: int) -> None:
        super().__setitem__(key, value * 2)


class Guarded(Basket):
    """Pickling it would never end; nor would asking it anything."""

    def __reduce_ex__(self, protocol: Any):
        while True:
            time.sleep(1)

    def __getattribute__(self, name: str):
        raise RuntimeError(name)


for _class in (Basket, Slotted, Own, Guarded):
    _class.__module__ = "__main__"


def frame() -> pd.DataFrame:
    when = pd.date_range("2020-01-01", periods=3)
    data = {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "s": ["x", "y", "z"], "t": when}
    return pd.DataFrame(data).assign(c=pd.Categorical(["u", "v", "u"]))


def undo(
    names: dict[str, Any], code: str | Callable[[], object], fork: bool = True, **how: Any
) -> Restored:
    """Take a checkpoint, let the turn's code run, give everything back."""
    checkpoint = take(names, fork)
    try:
        if isinstance(code, str):
            exec(code, {**globals(), "names": names}, names)
        else:
            code()
        return checkpoint.restore(names, lambda name: not name.startswith("_"), **how)
    finally:
        checkpoint.drop()


def changed(restored: Restored) -> dict[str, bool]:
    return {each.name: each.same for each in restored.changed_in_place}


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


def test_names_are_bound_again_new_ones_go_deleted_ones_come_back():
    first, second = object(), [1]
    names = {"first": first, "second": second, "same": 5}
    restored = undo(names, "first = 1; del names['second']; new = 2; _hidden = 3")
    assert restored == Restored(("first", "second"), ("new",))
    assert names["first"] is first and names["second"] is second
    assert names == {"first": first, "second": second, "same": 5, "_hidden": 3}


def test_who_shared_an_object_still_does():
    inner = ["x"]
    names: dict[str, Any] = {"a": [inner], "b": {"k": inner}, "c": inner}
    names["alias"] = names["a"]
    before = {name: id(value) for name, value in names.items()}
    restored = undo(names, "c.append(1); a.clear(); b['k'] = 0")
    assert names["a"][0] is names["b"]["k"] is names["c"] is inner == ["x"]
    assert {name: id(value) for name, value in names.items()} == before
    assert changed(restored) == dict.fromkeys(("a", "alias", "b", "c"), True)


def test_what_was_shared_and_has_died_is_shared_again():
    names: dict[str, Any] = {"a": [["x"]], "b": {}}
    names["b"]["k"] = names["a"][0]
    undo(names, "a.clear(); b.clear()")
    assert names["a"][0] is names["b"]["k"] and names["a"] == [["x"]]


def test_what_holds_itself_comes_back():
    ring: list[Any] = [1]
    ring.append(ring)
    dead: list[Any] = [2]
    dead.append({"up": dead})
    names: dict[str, Any] = {"ring": ring, "holder": [dead]}
    del dead
    undo(names, "ring.clear(); holder.clear()")
    assert names["ring"] is ring and ring[1] is ring and ring[0] == 1
    held = names["holder"][0]
    assert held[1]["up"] is held and held[0] == 2


def test_a_long_chain_is_no_recursion():
    chain: list[Any] = []
    for i in range(20_000):
        chain = [i, chain]
    names = {"chain": chain}
    undo(names, "link = chain\nwhile link: link[0], link = -1, link[1]")
    assert chain[0] == 19_999 and chain[1][1][1][0] == 19_996


def test_objects_are_given_back_what_they_store_past_their_own_methods():
    basket, slotted, own, guarded = Basket("apple"), Slotted([1]), Own(a=1), Guarded()
    object.__setattr__(guarded, "lock", threading.Lock())
    names = {"basket": basket, "slotted": slotted, "own": own, "guarded": guarded}

    def turn() -> None:
        basket.fruits.append("pear")
        basket.more = 1  # pyright: ignore[reportAttributeAccessIssue]
        slotted.left.append(2)  # pyright: ignore[reportAttributeAccessIssue]
        slotted.right = 5
        own["b"] = 3
        object.__getattribute__(guarded, "__dict__")["fruits"].append("fig")

    restored = undo(names, turn)
    assert vars(basket) == {"fruits": ["apple"]}
    assert slotted.left == [1] and not hasattr(slotted, "right")
    assert dict(own) == {"a": 1}
    assert object.__getattribute__(guarded, "__dict__")["fruits"] == []
    assert changed(restored) == dict.fromkeys(names, True) and not restored.failed


class Base:
    __slots__ = ("twice",)


class Twice(Base):
    __slots__ = ("twice",)


def test_a_slot_that_is_declared_twice_is_two():
    value: Any = Twice()
    value.twice, names = [1], {"value": value}
    undo(names, "value.twice = 5")
    assert value.twice == [1] and not hasattr(value, "_")
    with pytest.raises(AttributeError):
        Base.__dict__["twice"].__get__(value)


def test_objects_that_died_are_made_again_without_a_call():
    names: dict[str, Any] = {"all": [Basket("apple"), Guarded(), Slotted(1), Own(a=1)]}
    names["classes"] = [Basket, Guarded, Slotted, Own]
    restored = undo(names, "names['all'].clear()")
    basket, guarded, slotted, own = names["all"]
    assert basket.fruits == ["apple"] and slotted.left == 1 and dict(own) == {"a": 1}
    assert type(guarded) is Guarded and not restored.failed


@pytest.mark.parametrize("fork", [True, False])
def test_polars_frames_and_series_are_given_back(fork):
    pl = pytest.importorskip("polars")
    table, column = pl.DataFrame({"a": [1, 2]}), pl.Series("s", [1.0, None])
    names = {"table": table, "same": table.clone(), "column": column, "held": [table.clone()]}
    restored = undo(names, "table[0, 'a'] = 9; column[0] = 2.5; held[0][0, 'a'] = 9", fork)
    assert names["table"] is table and table["a"].to_list() == [1, 2]
    assert names["column"] is column and column.to_list() == [1.0, None]
    assert changed(restored) == {"table": True, "column": True}
    assert list(restored.failed) == ["held"] and "polars" in restored.failed["held"]


def test_a_figure_is_as_it_was_and_can_be_drawn(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2])
    names = {"figure": figure, "axes": axes}
    restored = undo(
        names, "axes.plot([3, 4]); axes.set_title('no'); figure.draw_without_rendering()"
    )
    assert (len(axes.lines), axes.get_title()) == (1, "") and not restored.failed
    axes.plot([1])
    figure.savefig(tmp_path / "figure.png")


def test_an_estimator_and_a_dataset_are_as_they_were():
    linear = pytest.importorskip("sklearn.linear_model")
    xarray = pytest.importorskip("xarray")
    x = np.arange(6.0).reshape(3, 2)
    model = linear.Ridge().fit(x, [1.0, 2.0, 4.0])
    before = model.predict(x)
    data = xarray.Dataset({"v": ("x", [1, 2])})
    names = {"model": model, "data": data}
    restored = undo(names, "model.fit([[1, 2]], [5]); data['v'][0] = 7; data['w'] = ('x', [3, 4])")
    assert (model.predict(x) == before).all() and names["model"] is model
    assert names["data"] is data and data.equals(xarray.Dataset({"v": ("x", [1, 2])}))
    assert not restored.failed


def test_a_lambda_that_died_is_made_again():
    made: dict[str, Any] = {"__name__": "__main__", "handlers": {}}
    exec("handlers['double'] = lambda x, n=2: n * x", made)
    names = {"handlers": made["handlers"]}
    kept = names["handlers"]["double"]
    assert kept.__module__ == "__main__"
    del kept
    restored = undo(names, "handlers['double'] = None")
    assert names["handlers"]["double"](4) == 8 and not restored.failed


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[dict[str, Any]]:
    path = tmp_path / "file"
    path.write_text("text")
    ours, theirs = socket.socketpair()
    with path.open() as file, ours, theirs:
        generator = (each for each in [1, 2, 3])
        unused = (each for each in [1, 2, 3])
        names = {"file": file, "line": ours, "generator": generator, "unused": unused}
        yield names | {"lock": threading.Lock(), "holds": [1, file], "code": lambda: 1}


def test_what_cannot_be_brought_back_is_said_and_the_rest_comes_back(opened):
    restored = undo(opened, "next(generator); holds.append(2); file = None")
    assert opened["holds"] == [1, opened["file"]]
    assert restored.back == ("file",) and changed(restored) == {"holds": True}
    assert dict(restored.failed) == {
        "file": "an open file",
        "generator": "a generator",
        "holds": "an open file",
        "line": "an open connection (socket.socket)",
    }


def test_an_object_that_died_with_what_cannot_be_made_again_is_not_half_made():
    names: dict[str, Any] = {"all": [Basket()], "one": {"n": 1}, "class": Basket}
    names["all"][0].letters = (each for each in "abc")
    restored = undo(names, "names['all'].clear(); one.clear()")
    assert names["all"] == [] and list(restored.failed) == ["all"]
    assert names["one"] == {"n": 1} and changed(restored) == {"one": True}


class Pool:
    """A library's: it holds a connection."""

    def __init__(self, line: object) -> None:
        self.free = [line]


def test_a_librarys_object_that_holds_a_connection_is_left_alone(opened):
    pool = Pool(opened["line"])
    names: dict[str, Any] = {"pool": pool, "numbers": [1]}
    restored = undo(names, "pool.free.clear(); numbers.append(2)")
    assert pool.free == [] and names["numbers"] == [1]
    assert dict(restored.failed) == {"pool": "holds an open file, a connection or the like"}


class Hangs:
    """A library's own pickling that never ends, or fails."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        while self.how == "hangs":
            try:
                time.sleep(0.01)
            except Exception:
                continue
        raise RuntimeError


@pytest.mark.parametrize("how", ["hangs", "raises"])
def test_pickling_that_hangs_or_fails_costs_the_others_nothing(how):
    names = {"bad": Hangs(how), "good": [1]}
    started = time.monotonic()
    restored = undo(names, "good.append(2)", seconds=4.0)
    assert names["good"] == [1] and changed(restored) == {"good": True}
    assert list(restored.failed) == ["bad"]
    assert time.monotonic() - started < 30


class Deaf:
    """Blocks in C with every signal blocked: only killing helps."""

    def __reduce__(self) -> Any:
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(60)


def test_a_copy_that_hangs_for_good_is_killed_and_names_still_come_back(monkeypatch):
    monkeypatch.setattr(module, "HANG_SECONDS", 0.5)
    names: dict[str, Any] = {"bad": Deaf(), "good": [1], "n": 1}
    started = time.monotonic()
    restored = undo(names, "n = 2; new = 3; good.append(1)", seconds=0.5)
    assert names["n"] == 1 and "new" not in names
    assert dict(restored.failed) == {"bad": "too slow", "good": "too slow"}
    assert time.monotonic() - started < 30


def test_an_array_in_shared_memory_is_said_to_be_out_of_reach(tmp_path):
    mapped = np.memmap(tmp_path / "map", dtype="u1", mode="w+", shape=10)
    names = {"mapped": mapped, "part": np.asarray(mapped)[2:4]}
    restored = undo(names, "mapped[3] = 7")
    assert dict(restored.failed) == dict.fromkeys(names, "a memory-mapped file")


def test_only_what_differs_of_a_large_array_is_sent():
    names = {"large": np.zeros(10_000_000)}
    restored = undo(names, "large[5_000_000] = 1", most=3 << 20)
    assert changed(restored) == {"large": True} and not names["large"].any()
    restored = undo(names, "large[:] = 1", most=3 << 20)
    assert restored.failed["large"].startswith("too large") and names["large"].all()


def test_an_array_of_another_shape_gives_way_to_a_new_one():
    array = np.arange(6)
    names: dict[str, Any] = {"array": array, "held": [array], "pair": (array, 1)}
    restored = undo(names, "array.resize((2, 4), refcheck=False)")
    assert names["array"] is names["held"][0] is names["pair"][0]
    assert names["array"].shape == (6,)
    assert changed(restored) == {"array": False, "held": True, "pair": False}


class Enough:
    """What a shell holds that is no value: it must stay as it is."""


Enough.__module__ = "IPython.core.pretended"


def test_the_shells_own_objects_are_left_alone():
    shell: Any = Enough()
    shell.count, shell.cells = 1, ["a"]
    names = {"shell": shell}
    names["user"] = Basket()
    names["user"].shell = shell
    restored = undo(names, lambda: (shell.cells.append("b"), setattr(shell, "count", 2)))
    assert shell.count == 2 and shell.cells == ["a", "b"]
    why = "IPython.core.pretended.Enough, a part of the running process"
    assert dict(restored.failed) == {"shell": why}


def test_the_names_of_a_module_are_not_its_users(monkeypatch):
    names = {"all": vars(module), "held": [vars(module)]}
    monkeypatch.setattr(module, "COPY_BYTES", module.COPY_BYTES)
    undo(names, lambda: monkeypatch.setattr(module, "COPY_BYTES", 5))
    assert module.COPY_BYTES == 5


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


def test_a_large_name_is_said_not_to_be_copied_where_there_is_no_fork():
    names = {"large": np.zeros(10_000_000), "small": [1]}
    restored = undo(names, "large[0] = 1; small.append(2)", fork=False)
    assert names["small"] == [1] and dict(restored.failed) == {"large": "too large"}


def test_nothing_is_forked_where_it_is_not_safe(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "darwin")
    checkpoint = take({"a": [1]})
    assert (checkpoint.kind, checkpoint.pid) == ("copied", None)
    assert checkpoint.why == "this system cannot fork safely"


def test_nothing_is_forked_off_the_main_thread():
    made: list[Checkpoint] = []
    thread = threading.Thread(target=lambda: made.append(take({})))
    thread.start()
    thread.join()
    assert made[0].kind == "copied"


def test_nothing_is_forked_while_a_gpu_is_in_use(monkeypatch):
    torch = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(module.sys.modules, "torch", torch)
    assert take({}).why == "a GPU is in use"


def gone(pid: int) -> bool:
    """The process is no more, not even as a zombie."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def test_a_dropped_checkpoint_leaves_no_process():
    checkpoint = take({})
    assert checkpoint.pid
    checkpoint.drop()
    checkpoint.drop()
    assert gone(checkpoint.pid)


def test_a_forgotten_checkpoint_leaves_no_process():
    checkpoint = take({})
    pid = checkpoint.pid
    assert pid
    del checkpoint
    gc.collect()
    assert gone(pid)


def test_a_copy_that_was_killed_is_said():
    names = {"a": [1], "b": 2}
    checkpoint = take(names)
    assert checkpoint.pid
    os.kill(checkpoint.pid, 9)
    names["a"].append(1)
    names["b"] = 3
    restored = checkpoint.restore(names, bool)
    checkpoint.drop()
    assert names["b"] == 2 and dict(restored.failed) == {"a": "the process that knew it is gone"}


def descriptors(pid: int) -> set[str]:
    """What a copy has open, once it has let go of the rest."""
    until = time.monotonic() + 20
    held: set[str] = set()
    while time.monotonic() < until:
        try:
            held = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
        except FileNotFoundError:  # it was closed just then
            continue
        if len(held) == 2:
            break
    return held


def test_a_copy_has_no_descriptor_but_its_own():
    with socket.create_server(("127.0.0.1", 0)):
        copy = forked.start(lambda _: [os.readlink(f"/proc/self/fd/{i}") for i in (0, 1, 2)])
        assert copy.ask(None, 20) == ["/dev/null"] * 3
        held = descriptors(copy.pid)
        copy.end()
    assert len(held) == 2 and "/dev/null" in held


def test_forking_with_threads_warns_nobody():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        take({}).drop()
    stop.set()
    thread.join()


def test_an_interrupt_while_undo_looks_changes_nothing(monkeypatch):
    def interrupted(self: object, seconds: float, most: int = 0) -> None:
        raise KeyboardInterrupt

    names: dict[str, Any] = {"a": [1], "n": 1}
    checkpoint = take(names)
    monkeypatch.setattr(forked.Forked, "answer", interrupted)
    names["a"].append(2)
    names["n"] = 2
    with pytest.raises(KeyboardInterrupt):
        checkpoint.restore(names, bool)
    assert names == {"a": [1, 2], "n": 2}
    checkpoint.drop()


SETUP = """
from inkernel.kernel_ext.undo.checkpoint import take as _take
def _is_users(name):
    return name[:1] != "_" and name not in get_ipython().user_ns_hidden
def _begin():
    held = get_ipython().user_ns
    return _take({name: value for name, value in held.items() if _is_users(name)})
def _undo():
    return _checkpoint.restore(get_ipython().user_ns, _is_users)
"""
MADE = """
import threading, numpy as np, pandas as pd
class Model:
    def __init__(self):
        self.steps, self.guard, self.scale = [1], threading.Lock(), lambda x: 2 * x
    def __reduce__(self):
        raise RuntimeError
model, double, total = Model(), lambda x: 2 * x, 10
table = pd.DataFrame({"a": [1, 2, 3], "s": list("xyz")})
array = np.zeros(1_000_000)
handlers = {"one": lambda x: x + total}
models = [Model()]
"""
TURN = """
model.steps.append(2); model.more = 1
model.scale = handlers["one"] = None
table.loc[0, "a"] = 9; table["new"] = 1
array[123_456] = 5
double, total, extra = None, 0, 1
models.clear()
del Model
"""
CHECK = """
print(vars(model).keys(), model.steps, model.scale(2), double(4), total, handlers["one"](1))
print(table.to_csv(), array.any(), "extra" in globals(), type(models[0]) is Model, models[0].steps)
"""
SHOWN = (
    "dict_keys(['steps', 'guard', 'scale']) [1] 4 8 10 11\n"
    ",a,s\n0,1,x\n1,2,y\n2,3,z\n False False True [1]\n"
)


@pytest.mark.kernel
@pytest.mark.parametrize("awaited", ["", "import asyncio; await asyncio.sleep(0)\n"])
def test_a_turn_in_a_real_kernel_is_undone(kernel, awaited):
    running = kernel()
    running.run(SETUP)
    running.run(MADE)
    assert running.run(awaited + "_checkpoint = _begin(); _checkpoint.kind").text == "'forked'"
    assert running.run(awaited + TURN).status == "ok"
    restored = running.run(awaited + "print(_undo())").text
    assert "removed=('extra',)" in restored
    assert "back=('Model', 'double', 'total')" in restored
    assert "failed={}" in restored
    assert running.run(CHECK).text == SHOWN


def test_a_turn_in_a_terminals_shell_is_undone():
    cells = [SETUP, MADE, "_checkpoint = _begin()", TURN, "_undo()", CHECK]
    code = "\n".join(f"get_ipython().run_cell({each!r})" for each in cells)
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert SHOWN in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.kernel
def test_an_interrupt_passes_a_sleeping_copy_by(kernel):
    running = kernel()
    running.run(SETUP)
    running.run("numbers = [1]")
    running.run("_checkpoint = _begin()")
    running.run("numbers.append(2)")
    waiting = running.start("print('go', flush=True); import time; time.sleep(60)")
    running.wait_for(waiting, "stream")
    running.interrupt()
    assert running.finish(waiting).ename == "KeyboardInterrupt"
    running.interrupt()
    assert "failed={}" in running.run("print(_undo())").text
    assert running.run("numbers").text == "[1]"


@pytest.mark.kernel
@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_kernel_takes_its_copy_with_it(kernel, how):
    running = kernel()
    running.run(SETUP)
    pid = int(running.run("_checkpoint = _begin(); _checkpoint.pid").text)
    assert Path(f"/proc/{pid}").exists()
    running.manager.shutdown_kernel(now=how == "killed")
    assert gone(pid)


@pytest.mark.kernel
def test_a_copy_keeps_no_port_and_no_file_of_the_kernel(kernel):
    running = kernel()
    running.run(SETUP)
    running.run("import socket; server = socket.create_server(('127.0.0.1', 0))")
    running.run("port = server.getsockname()[1]")
    pid = int(running.run("_checkpoint = _begin(); _checkpoint.pid").text)
    held = descriptors(pid)
    assert len(held) == 2 and "/dev/null" in held
    again = "server.close(); socket.create_server(('127.0.0.1', port), reuse_port=False).close()"
    assert running.run(again).status == "ok"
