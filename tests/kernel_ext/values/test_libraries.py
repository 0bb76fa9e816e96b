"""What is said of estimators, labelled arrays, lazy tables and connections. Real libraries."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from inkernel.kernel_ext.values.describe import brief, describe


def fail(*args: object, **kwargs: object) -> Any:
    raise AssertionError("it was computed")


def test_an_estimator_says_whether_it_is_fitted_and_what_was_chosen() -> None:
    linear: Any = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression(positive=True)
    assert brief(model) == "sklearn LinearRegression, not fitted: positive=True"
    model.fit([[1.0], [2.0]], [1.0, 2.0])
    assert brief(model).startswith("sklearn LinearRegression, fitted: positive=True, n_features_")
    assert ".fit_intercept = True" in describe(model)


def test_an_estimator_of_the_persons_own_is_read_by_what_it_stores() -> None:
    base: Any = pytest.importorskip("sklearn.base")

    class Mine(base.BaseEstimator):
        def __init__(self, depth: int = 3, api_key: str = "") -> None:
            self.depth, self.api_key = depth, api_key

        def get_params(self, deep: bool = True) -> Any:
            return fail()

        __repr__ = __sklearn_is_fitted__ = fail

    Mine.__qualname__ = "Mine"
    assert brief(Mine(4, "hunter2")).endswith(
        "Mine (sklearn BaseEstimator), not fitted: depth=4, api_key=<str of 7, hidden>"
    )


def test_a_data_set_bundled_with_sklearn_is_a_dict() -> None:
    utils: Any = pytest.importorskip("sklearn.utils")
    assert brief(utils.Bunch(a=1)).endswith("{'a': 1}")


def test_labelled_arrays_show_dimensions_and_what_is_in_memory() -> None:
    xarray: Any = pytest.importorskip("xarray")
    array = xarray.DataArray(np.ones((2, 3)), dims=("x", "y"), name="t")
    assert brief(array) == (
        "xarray DataArray 't' (x, y) numpy ndarray 2 × 3 float64: 1.0, 1.0, 1.0, 1.0, 1.0, 1.0"
    )
    assert brief(array.to_dataset()) == "xarray Dataset: 't' (x, y) 2 × 3 float64"


def test_a_labelled_array_in_a_file_is_not_read(tmp_path: Path) -> None:
    xarray: Any = pytest.importorskip("xarray")
    pytest.importorskip("scipy")
    file = tmp_path / "t.nc"
    xarray.DataArray(np.ones((2, 3)), dims=("x", "y"), name="t").to_netcdf(file, engine="scipy")
    with xarray.open_dataset(file, engine="scipy") as data:
        assert brief(data).endswith("not read")
        assert not data.t.variable._in_memory


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


def test_a_relation_is_not_executed() -> None:
    duckdb: Any = pytest.importorskip("duckdb")
    relation = duckdb.sql("select error('it was executed') as a, 1::bigint as b")
    assert brief(relation).endswith('DuckDBPyRelation, not executed: a "NULL", b BIGINT')


def test_a_closed_connection_of_duckdb_is_survived() -> None:
    duckdb: Any = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    relation = connection.sql("select 1 as a")
    connection.close()
    assert "DuckDB" in brief(connection)
    assert "not executed" in brief(relation)


def test_a_data_set_of_arrow_shows_its_columns_and_is_not_read(tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    sets: Any = pytest.importorskip("pyarrow.dataset")
    file = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"a": [1], "b": ["x"]}), file)
    data = sets.dataset(file)
    file.unlink()
    assert brief(data) == "pyarrow FileSystemDataset, not read: a int64, b string"


def test_a_connection_shows_where_to_and_an_engine_of_asyncio_too(tmp_path: Path) -> None:
    sqlalchemy: Any = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        assert brief(connection) == f"sqlalchemy Connection sqlite:///{tmp_path}/x.db"
    engine.dispose()
