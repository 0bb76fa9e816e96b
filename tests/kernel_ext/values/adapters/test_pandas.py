"""What a description shows of pandas' frames, series, indexes and scalars."""

import numpy as np
import pandas as pd
import pytest

from inkernel.kernel_ext.values.describe import MAX_DESCRIPTION_CHARS, brief, describe


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (pd.Series([1, None], name="n"), "pandas Series 'n' of 2 float64: 1.0, nan"),
        (pd.Timestamp("2024-05-06", tz="UTC"), "Timestamp 2024-05-06 00:00:00 UTC+00:00"),
        (pd.NaT, "NaT"),
        (pd.Period("2024-05"), "Period 2024-05"),
        (pd.Interval(1, 2), "Interval right 1 … 2"),
        (pd.RangeIndex(3), "pandas RangeIndex of 3 int64: 0, 1, 2"),
        (
            pd.MultiIndex.from_product([[1], ["a", "b"]]),
            "pandas MultiIndex of 2 object: (1, 'a'), (1, 'b')",
        ),
    ],
)
def test_one_line_says_type_size_and_first_values(held: object, expected: str) -> None:
    assert brief(held) == expected


def test_a_data_frame_shows_columns_nulls_samples_and_first_rows() -> None:
    frame = pd.DataFrame(
        {
            "city": pd.Series(["Oslo", None, "Rome", "Bonn"], dtype=object),
            "price": [1.5, float("nan"), 3.0, 4.0],
            "kind": pd.Categorical(["a", "b", None, "a"]),
            "when": pd.date_range("2024-05-06", periods=4).as_unit("s"),
            "count": pd.array([1, None, 3, 4], dtype="Int64"),
        }
    )
    assert describe(frame) == (
        "pandas DataFrame 4 × 5: 'city' object, 'price' float64, 'kind' category, "
        "'when' datetime64[s], 'count' Int64\n"
        "  index: pandas RangeIndex of 4 int64: 0, 1, 2, 3\n"
        "  'city': object, 1 null; 'Oslo', 'Rome', 'Bonn'\n"
        "  'price': float64, 1 null; 1.5, 3.0, 4.0\n"
        "  'kind': category, 1 null; 'a', nan, 'a'\n"
        "  'when': datetime64[s], 0 null; "
        "Timestamp 2024-05-06 00:00:00, Timestamp 2024-05-08 00:00:00, Timestamp 2024-0…\n"
        "  'count': Int64, 1 null; 1, 3, 4\n"
        "  row 0: 'Oslo' | 1.5 | 'a' | Timestamp 2024-05-06 00:00:00 | 1\n"
        "  row 1: None | nan | 'b' | Timestamp 2024-05-07 00:00:00 | NA\n"
        "  row 2: 'Rome' | 3.0 | nan | Timestamp 2024-05-08 00:00:00 | 3\n"
        "  row 3: 'Bonn' | 4.0 | 'a' | Timestamp 2024-05-09 00:00:00 | 4"
    )


def test_nulls_are_not_counted_above_the_bound() -> None:
    assert "null" in describe(pd.DataFrame({"a": np.zeros(200_000)}))
    assert "null" not in describe(pd.DataFrame({"a": np.zeros(200_001)}))
    assert "null" not in describe(pd.DataFrame({"a": np.full(10_001, None)}))


def test_a_wide_frame_says_how_many_columns_are_left_out() -> None:
    text = describe(pd.DataFrame(np.zeros((3, 5_000))))
    assert "… 4,976 more columns" in text
    assert "row 2:" in text
    assert len(text) <= MAX_DESCRIPTION_CHARS
