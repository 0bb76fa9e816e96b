"""What a description shows of polars; nothing lazy is computed."""

import pytest

from inkernel.kernel_ext.values.describe import brief, describe


def test_a_polars_frame_is_read_and_a_lazy_one_is_not_computed() -> None:
    polars = pytest.importorskip("polars")
    calls: list[str] = []
    frame = polars.DataFrame({"a": [1, None, 3], "b": ["x", "y", "z"]})
    lazy = frame.lazy().map_batches(lambda each: calls.append("computed") or each)

    assert describe(lazy) == "polars LazyFrame, not computed"
    assert calls == []
    assert brief(frame["a"]) == "polars Series 'a' of 3 Int64: 1, None, 3"
    assert describe(frame) == (
        "polars DataFrame 3 × 2: 'a' Int64, 'b' String\n"
        "  'a': Int64, 1 null; 1, None, 3\n"
        "  'b': String, 0 null; 'x', 'y', 'z'\n"
        "  row 0: 1 | 'x'\n  row 1: None | 'y'\n  row 2: 3 | 'z'"
    )
