"""What a description shows of numpy's arrays and scalars."""

import numpy as np
import pytest

from inkernel.kernel_ext.values.describe import brief, describe


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (np.float32(1.5), "float32 1.5"),
        (np.datetime64("2024-05-06"), "datetime64 2024-05-06"),
        (np.arange(6).reshape(2, 3), "numpy ndarray 2 × 3 int64: 0, 1, 2, 3, 4, 5"),
        (np.array(1.5), "numpy ndarray () float64: 1.5"),
        (
            np.zeros((5000, 5000)),
            "numpy ndarray 5,000 × 5,000 float64: 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, …",
        ),
        (np.array(["2024-05-06"], "M8[D]"), "numpy ndarray 1 datetime64[D]: '2024-05-06'"),
        (np.dtype("f8"), "dtype float64"),
    ],
)
def test_one_line_says_shape_dtype_and_first_values(held: object, expected: str) -> None:
    assert brief(held) == expected


def test_an_array_shows_its_range_only_below_the_bound() -> None:
    assert describe(np.array([1.0, np.nan, 3.0])).endswith("24 bytes\n  min 1.0, max 3.0, 1 nan")
    assert "min" not in describe(np.zeros(1_000_001))
    assert "min" not in describe(np.zeros(0))
