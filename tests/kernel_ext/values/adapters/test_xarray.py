"""What a description shows of labelled arrays; one in a file is not read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkernel.kernel_ext.values.describe import brief


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
