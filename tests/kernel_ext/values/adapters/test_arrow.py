"""What a description shows of PyArrow's tables and data sets."""

from pathlib import Path
from typing import Any

import pytest

from inkernel.kernel_ext.values.describe import brief, describe


def test_an_arrow_table_is_read() -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"a": [1, None, 3], "b": [[1], [2], [3]]})
    assert describe(table) == (
        "pyarrow Table 3 × 2: 'a' int64, 'b' pyarrow.lib.ListType\n"
        "  'a': int64, 1 null; 1, None, 3\n"
        "  'b': pyarrow.lib.ListType; (not read)\n"
        "  row 0: 1 | (not read)\n  row 1: None | (not read)\n  row 2: 3 | (not read)"
    )


def test_a_data_set_of_arrow_shows_its_columns_and_is_not_read(tmp_path: Path) -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    sets: Any = pytest.importorskip("pyarrow.dataset")
    file = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"a": [1], "b": ["x"]}), file)
    data = sets.dataset(file)
    file.unlink()
    assert brief(data) == "pyarrow FileSystemDataset, not read: a int64, b string"
