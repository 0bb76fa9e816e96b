"""The tool `table`: which rows it shows, how it filters, and what it leaves alone."""

import asyncio
import datetime as dt
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.tools.tool import ToolCall, ToolOutput
from inkernel.kernel_ext.tools import table as table_tool
from inkernel.kernel_ext.tools.table import MAX_ANSWER_CHARS, MAX_COLUMNS, MAX_ROWS, TableRows
from inkernel.kernel_ext.values.table_filter import WhereError, parse_where

TEXTS = pd.Series(["Rome", "Oslo", None, "Bonn"])  # of `object` with None before pandas 3
FRAME = pd.DataFrame(
    {
        "city": TEXTS,
        "price": [1.5, float("nan"), 3.0, 4.5],
        "unit price": [1, 2, 3, 4],
        "when": pd.date_range("2024-05-06", periods=4),
        "kind": pd.Categorical(["a", "b", None, "a"]),
        "count": pd.array([1, None, 3, 4], dtype="Int64"),
        "new": [True, False, True, False],
    }
)


def see(held: object, rows: str = "head", **more: Any) -> ToolOutput:
    tool = table_tool.table_tool(lambda: {"t": held})
    return asyncio.run(tool.run(ToolCall("call_1"), TableRows(name="t", rows=rows, **more)))


def shown(held: object, where: str | None = None, rows: str = "head", **more: Any) -> list[str]:
    """The labels of the rows that are shown."""
    output = see(held, rows, where=where, **more)
    assert output.status == "ok", output.text
    lines = [line for line in output.text.split("\n")[2:] if not line.startswith("…")]
    return [line.split(" | ")[0] for line in lines]


def test_code_gets_rows_as_dicts_of_pythons_own_types() -> None:
    found = see(FRAME, "1:3", columns=["price", "when", "count", "kind", "new"]).value
    when = dt.datetime(2024, 5, 7)
    assert found == [
        {"price": None, "when": when, "count": None, "kind": "b", "new": False},
        {"price": 3.0, "when": when.replace(day=8), "count": 3, "kind": None, "new": True},
    ]
    inner = [1, 2]
    (row,) = see([{"api_key": "sk-0123456789", "inner": inner}]).value
    assert row["inner"] is inner and "sk-" not in row["api_key"]
    assert see(FRAME, where="price > 100").value == []


def test_rows_of_a_frame_with_chosen_columns() -> None:
    assert see(FRAME, "1:3", columns=["count", "city"]).text == (
        "`t`: pandas DataFrame 4 × 7; 4 rows; rows 1–2:\n"
        f"row | count Int64 | city {TEXTS.dtype}\n1 | NA | 'Oslo'\n2 | 3 | {TEXTS[2]}"
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("head 2", "01"),
        ("tail", "0123"),
        ("tail 1", "3"),
        ("-2:", "23"),
        (":1", "0"),
        ("2", "2"),
        ("-1", "3"),
        ("9:", ""),
    ],
)
def test_rows_are_asked_for_by_position(rows: str, expected: str) -> None:
    assert "".join(shown(FRAME, rows=rows)) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("price > 2", "23"),
        ("price > 2 and city == 'Bonn'", "3"),
        ("not price > 2", "01"),
        ("price != 3", "03"),
        ("city is None", "2"),
        ("city is not None and `unit price` != 2", "03"),
        ("not 'o' in city", "2"),
        ("'o' in city", "013"),
        ("city in ['Rome', 'Bonn']", "03"),
        ("city not in ('Rome',)", "13"),
        ("`unit price` in [-1, 2]", "1"),
        ("1 < `unit price` <= 3", "12"),
        ("when >= '2024-05-08'", "23"),
        ("when == '2024-05-06 00:00'", "0"),
        ("kind == 'a'", "03"),
        ("count is None or count == 4", "13"),
        ("new", "02"),
        ("not new and price is not None", "3"),
        ("price > `unit price`", "03"),
        ("city > 3", ""),
        ("city == 'it\\'s'", ""),
    ],
)
def test_a_filter_keeps_the_rows_that_match(where: str, expected: str) -> None:
    assert "".join(shown(FRAME, where)) == expected


def test_it_says_how_many_match_and_pages_through_them() -> None:
    frame = pd.DataFrame({"n": range(1_000)})
    text = see(frame, "100:102", where="n >= 500").text
    assert "500 of 1,000 rows match; rows 100–101 of these:" in text
    assert shown(frame, "n >= 500", "100:102") == ["600", "601"]
    assert shown(frame, "n >= 500", "tail 1") == ["999"]
    assert see(frame, where="n < 0").text.endswith("0 of 1,000 rows match; no row to show")


@pytest.mark.parametrize(
    "where",
    [
        *("__import__('os')", "price.mean() > 3", "price +", "price > [1]", "(lambda: 1)()"),
        *("price if 1 else 2", "f'{price}'", "price is 3", "[x for x in price]", "price > 2 ** 9"),
        *(
            "(" * 300 + "price",
            "price > 1 " + "and price > 1 " * 90,
            "x" * 2_000,
            "1",
            "\ud800 > 1",
        ),
        *(
            "missing > 1",
            "",
            "price := 3",
            "a; b",
            "'unclosed",
            "price > 1e999j",
            "\x00",
            "ⅷ > 1",
            "² > 1",
        ),
    ],
)
def test_what_is_no_filter_is_refused_and_never_run(where: str) -> None:
    output = see(FRAME, where=where)
    assert output.status == ("ok" if not where else "error")
    assert len(output.text) < 1_000


@pytest.mark.parametrize(
    ("where", "spelling"),
    [
        *(("kind = 'a'", "Write `==` for `=`"), ("price <> 3", "Write `!=` for `<>`")),
        *(("city is null", "`None`"), ("city IS NOT NULL", "Write `is` for `IS`")),
        *(("city contains 'o'", "`'x' in column`"), ("new == true", "`True`")),
        *(("new AND price > 3", "Write `and` for `AND`"), ("price == NULL", "`None`")),
    ],
)
def test_a_spelling_of_another_language_is_answered_with_pythons(where: str, spelling: str) -> None:
    text = see(FRAME, where=where).text
    assert spelling in text and "`unit price` is None, 'x' in name" in text


def test_a_text_may_hold_what_would_be_a_spelling_elsewhere() -> None:
    frame = pd.DataFrame({"a": ["x = null", "`b`", "\\d"]})
    assert shown(frame, "a == 'x = null' or a == '`b`'") == ["0", "1"]
    assert shown(frame, "'\\d' in a") == ["2"]


@given(st.text(max_size=80))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        where = parse_where(text)
    except WhereError:
        return
    assert len(where.test({name: [1, "x", None] for name in where.columns}, 3)) == 3


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@given(
    st.lists(st.none() | st.integers(-5, 5), max_size=20),
    st.sampled_from(sorted(OPERATORS)),
    st.integers(-5, 5),
)
def test_a_comparison_is_pythons_but_for_what_is_missing(
    values: list[int | None], sign: str, constant: int
) -> None:
    found = parse_where(f"x {sign} {constant}").test({"x": values}, len(values))
    assert list(found) == [v is not None and OPERATORS[sign](v, constant) for v in values]


def test_what_is_called_a_secret_is_neither_shown_nor_searched() -> None:
    frame = pd.DataFrame({"api_key": ["hunter2"], "n": [1]})
    assert "hunter2" not in see(frame).text
    assert see(frame, where="'h' in api_key").text == (
        "Column 'api_key' is hidden: it cannot be searched."
    )


def test_what_is_shown_is_bounded_and_says_so() -> None:
    wide = pd.DataFrame(np.zeros((200, 100_000)))
    text = see(wide, "0:200").text
    assert "… 99,988 more columns: choose with `columns`" in text
    assert len(text.split("\n")) <= MAX_ROWS + 3
    assert len(see(wide, columns=[str(i) for i in range(MAX_COLUMNS)]).text) < MAX_ANSWER_CHARS
    long = pd.DataFrame({f"c{i}": ["x" * 10_000] * 60 for i in range(20)})
    text = see(long, "0:50", columns=list(long)).text
    assert len(text) < MAX_ANSWER_CHARS + 200
    assert text.endswith("cut: ask for fewer rows or columns")


def test_a_scan_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_tool, "MAX_FILTERED_ROWS", 2_000)
    text = see(pd.DataFrame({"n": range(10_000)}), where="n >= 1999").text
    assert "1 of the first 2,000 rows match; time was too short to read the others" in text


def test_an_unknown_or_ambiguous_column_is_told() -> None:
    assert see(FRAME, columns=["citty"]).text == "There is no column 'citty'; there are city."
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert see(twice, where="a > 1").text == "There are several columns 'a'."
    assert "1 | 2" in see(twice, columns=["a"]).text


def test_arrays_and_plain_rows_are_tables_too() -> None:
    array = np.arange(6).reshape(3, 2)
    assert shown(array, "`1` > 2") == ["1", "2"]
    times = np.array(["2024-05-06", "NaT"], "M8[ns]")
    assert shown(times, "`0` is None") == ["1"]
    assert shown(times, "`0` > '2024-01-01'") == ["0"]
    record = np.array([(1, 2.0), (3, 4.0)], dtype=[("x", "i4"), ("y", "f8")])
    assert shown(record, "y > 3") == ["1"]
    rows = [{"a": 1, "b": "x"}, {"a": 2}, "no dict", {"b": "z"}]
    assert shown(rows, "b is None") == ["1", "2"]
    assert shown({"a": [1, 2], "b": np.array([3, 4])}, "b > 3") == ["1"]
    assert shown(pd.Series([1, 2, 3], name="n"), "n > 1") == ["1", "2"]
    zone = dt.timezone(dt.timedelta(hours=2))
    when = [{"at": dt.datetime(2024, 1, i, tzinfo=zone)} for i in (1, 2)]
    assert shown(when, "at > '2024-01-01T12:00'") == ["1"]


@pytest.mark.parametrize("held", [3, "text", [], [1, 2], {"a": 1}, {"a": [1], "b": [1, 2]}, None])
def test_what_is_no_table_says_so(held: object) -> None:
    assert see(held).status == "error"


def test_a_polars_frame_is_read_and_a_lazy_one_is_not_computed() -> None:
    polars: Any = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, None, 3], "b": ["x", "y", "z"], "c": [[1], [2], [3]]})
    assert shown(frame, "a is None or b == 'z'") == ["1", "2"]
    assert shown(frame["b"], "b == 'y'") == ["1"]
    assert "not read" in see(frame, where="c is None").text

    def fail(_: Any) -> Any:
        raise AssertionError("it was computed")

    text = see(frame.lazy().map_batches(fail)).text
    assert (
        text
        == "`t` is lazy (polars LazyFrame): it is not computed here; use run_cell, with a limit."
    )


def test_an_arrow_table_is_read() -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    assert shown(arrow.table({"a": [1, None, 3], "b": [[1], [2], [3]]}), "a > 1") == ["2"]


def test_what_dask_and_duckdb_would_compute_is_not_computed() -> None:
    frames: Any = pytest.importorskip("dask.dataframe")
    assert "is lazy (dask DataFrame)" in see(frames.from_pandas(FRAME, npartitions=1)).text
    duckdb: Any = pytest.importorskip("duckdb")
    assert "is lazy (" in see(duckdb.sql("select error('it was executed') as a")).text


class GeoFrame(pd.DataFrame):
    """A subclass whose own code must not run, as GeoDataFrame is one."""

    def __getitem__(self, key: object) -> Any:
        raise AssertionError("ran")

    __len__ = iloc = __getitem__  # type: ignore[assignment]


def test_rows_of_a_subclass_are_read_without_its_code() -> None:
    frame = GeoFrame({"name": ["a", "b"], "people": [1, 2]})
    assert see(frame, where="people > 1").text.endswith("1 | 'b' | 2")
    assert "pandas DataFrame 2 × 2" in see(frame).text


@pytest.mark.parametrize("bits", [129, 180, 182])
def test_long_integers_show_their_digits(bits: int) -> None:
    assert str(1 << bits) in see([{"n": 1 << bits}]).text
    assert str(1 << bits) in see(pd.DataFrame({"n": [1 << bits]})).text
    longer = see([{"n": 1 << 1_000}]).text
    assert str(1 << 1_000)[:20] in longer and "(1,001 bits)" in longer
