"""Names and objects as they were before a turn: bound again, shared, made again."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from inkernel.kernel_ext.undo.checkpoint import Restored

from .turns import Basket, changed, undo


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


for _class in (Slotted, Own, Guarded):
    _class.__module__ = "__main__"


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


def test_an_array_of_another_shape_gives_way_to_a_new_one():
    array = np.arange(6)
    names: dict[str, Any] = {"array": array, "held": [array], "pair": (array, 1)}
    restored = undo(names, "array.resize((2, 4), refcheck=False)")
    assert names["array"] is names["held"][0] is names["pair"][0]
    assert names["array"].shape == (6,)
    assert changed(restored) == {"array": False, "held": True, "pair": False}
