"""Evil arrays and frames: their elements, labels or methods are traps. Knows no test."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from .traps import Calls, Factory, evil, late, trap, traps


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


TABLES: dict[str, Factory] = {
    "a lazy frame": lazily,
    "objects in polars": polars_objects,
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
}
