"""What a description shows of what dask has not computed."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from inkernel.kernel_ext.values.describe import brief, describe


def fail(*args: object, **kwargs: object) -> Any:
    raise AssertionError("it was computed")


def test_a_dask_array_is_not_computed() -> None:
    arrays: Any = pytest.importorskip("dask.array")
    array = arrays.ones((1000, 1000), chunks=500).map_blocks(fail, dtype=float, meta=np.empty(0))
    assert brief(array) == "dask Array, not computed: 1,000 × 1,000 float64 in 4 chunks"


def test_a_dask_frame_and_a_delayed_call_are_not_computed() -> None:
    frames: Any = pytest.importorskip("dask.dataframe")
    dask: Any = pytest.importorskip("dask")
    table = pd.DataFrame({"a": [1, 2]})
    lazy = frames.from_pandas(table, npartitions=1).map_partitions(fail, meta=table)
    assert brief(lazy) == "dask DataFrame, not computed: like pandas DataFrame 0 × 1: 'a' int64"
    assert brief(dask.delayed(fail)(1)) == "dask Delayed, not computed"


def test_lazy_arrays_are_not_computed() -> None:
    dask = pytest.importorskip("dask.array")
    calls: list[str] = []
    lazy = dask.ones((4,), chunks=2).map_blocks(lambda each: calls.append("computed") or each)
    calls.clear()
    describe({"lazy": lazy}, 3)
    assert calls == []
