"""The pages have the figures that the bench measured, and none that somebody typed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import KEPT, PICTURE, SCRIPTS, curves, main
from bench.page import Kept, Row, Table, gaps, rendered, written
from bench.picture import draw
from bench.tables import PERFORMANCE, README, TABLES

pytestmark = pytest.mark.timeout(600)  # it starts kernels

ROOT = Path(__file__).parents[1]
PAGES = sorted({table.page for table in TABLES})
ALONE = ["startup", "interrupt", "cells", "steps", "names", "checkpoint", "resume", "recall"]
ALONE += ["notebook_file", "dialects", "trial"]
"""Scripts that nothing else runs. The wire and compaction have tests of their own."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def kept() -> Kept:
    return json.loads(text_of(KEPT.as_posix()))


def one_row(row: Row, **figures: float) -> str:
    """The line of a table that has only this row."""
    table = Table("page", "mark", ("", "measured", "target", "by"), (row,))
    kept = {"some": {"day": "2026-01-02", "where": "2 cores", "figures": figures}}
    return rendered(table, kept).splitlines()[2]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_figures_that_were_kept(page: str, kept: Kept) -> None:
    assert written(text_of(page), page, TABLES, kept) == text_of(page), "python -m bench --pages"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.mark)
def test_a_figure_that_is_typed_by_hand_does_not_stay(table: Table, kept: Kept) -> None:
    text = text_of(table.page)
    start = text.index(f"<!-- {table.mark} -->")
    digits = [it.start() for it in re.finditer(r"\d", text) if it.start() > start]
    typed = f"{text[: digits[0]]}7777{text[digits[0] + 1 :]}"
    assert written(typed, table.page, TABLES, kept) == text


def test_the_picture_shows_the_turnarounds_that_were_kept(kept: Kept) -> None:
    assert text_of(PICTURE.as_posix()) == draw(curves(kept))


def test_figures_have_no_other_table_in_readme_and_performance() -> None:
    for page in (README, PERFORMANCE):
        rest = re.sub(r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", "", text_of(page), flags=re.M | re.S)
        assert not re.findall(r"^\|.*\d (?:ms|µs|s|MB|k/s)\b.*$", rest, re.MULTILINE)


def test_no_sentence_quotes_the_bench() -> None:
    """A figure in prose would stay as it was when the bench measures another."""
    for path in (ROOT / README, *sorted((ROOT / "docs").glob("*.md"))):
        rest = re.sub(r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", "", path.read_text(), flags=re.M | re.S)
        assert not re.findall(r"^.*\d (?:ms|µs|s|MB)\b.*\bbench\b.*$", rest, re.MULTILINE), path


def test_the_readme_shows_six_figures_at_most() -> None:
    assert all(len(table.rows) <= 6 for table in TABLES if table.page == README)


def test_each_script_has_a_row_and_each_row_a_script() -> None:
    assert {row.by for table in TABLES for row in table.rows} == set(SCRIPTS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the pages, and with what was kept."""
    for page in (*PAGES, KEPT.as_posix(), PICTURE.as_posix()):
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    return tmp_path


@pytest.mark.parametrize("name", ALONE)
def test_a_script_measures_the_figures_of_its_rows_and_they_are_written(
    name: str, root: Path
) -> None:
    command = [sys.executable, "-m", "bench", name, "--quick", "--write", "--root", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    measured: dict[str, Any] = json.loads((root / KEPT).read_text())
    assert gaps(TABLES, {name: measured[name]}) == []
    for page in PAGES:
        text = (root / page).read_text()
        assert text == written(text_of(page), page, TABLES, measured)
    assert f"`python -m bench {name}`, {measured[name]['day']}" in (root / PERFORMANCE).read_text()


def test_a_script_that_fails_leaves_its_figures_and_the_other_scripts(
    root: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def alone(name: str, quick: bool) -> dict[str, float]:
        if name == "resume":
            raise RuntimeError("too slow")
        return {"median": 1.0, "worst": 2.0}

    monkeypatch.setattr("bench.__main__.alone", alone)
    monkeypatch.setattr(sys, "argv", ["bench", "resume", "recall", "--write", "--root", str(root)])
    assert main()
    now = json.loads((root / KEPT).read_text())
    assert now["resume"] == kept["resume"]
    assert now["recall"]["figures"] == {"median": 1.0, "worst": 2.0}
    assert capsys.readouterr().err.endswith("RuntimeError: too slow\nnot measured:\n  resume\n")


@pytest.mark.parametrize(
    ("row", "figures", "target"),
    [
        (Row("a", "{x:.1f} ms", "some", 5), {"x": 5.0}, "≤ 5 "),
        (Row("a", "{x:.1f} ms", "some", 5), {"x": 5.04}, "≤ 5, **missed** "),
        (Row("a", "{x} and {y}", "some", 5), {"x": 1, "y": 6}, "≤ 5, **missed** "),
        (Row("a", "{x} and {y}", "some", 5, judged="x"), {"x": 1, "y": 6}, "≤ 5 "),
        (Row("a", "{x}", "some", 0.6, least=True), {"x": 0.6}, "≥ 0.6 "),
        (Row("a", "{x}", "some", 0.6, least=True), {"x": 0.59}, "≥ 0.6, **missed** "),
        (Row("a", "{x}", "some"), {"x": 1}, ""),
    ],
)
def test_a_target_that_is_missed_is_marked(
    row: Row, figures: dict[str, float], target: str
) -> None:
    assert one_row(row, **figures).split(" | ")[2].strip() == target.strip()


def test_a_row_has_its_command_and_its_day() -> None:
    assert one_row(Row("a {x}", "{x:.1f}", "some"), x=1.25).split(" | ") == [
        *("| a 1.25", "1.2     ", "      ", "`python -m bench some`, 2026-01-02 |"),
    ]


def test_a_figure_that_is_missing_shows_as_a_dash_and_is_named() -> None:
    row = Row("a", "{x:.1f} ms; {y} ms", "some")
    assert "| 1.0 ms; – ms |" in one_row(row, x=1.0)
    table = Table("page", "mark", ("", "measured"), (row,))
    assert gaps([table], {"some": {"figures": {"x": 1.0}}}) == ["a"]
    assert gaps([table], {"other": {"figures": {}}}) == []


def test_tables_measured_on_different_days_say_so() -> None:
    rows = tuple(Row("a", "{x}", name) for name in ("one", "two", "three"))
    kept = {
        name: {"day": day, "where": "2 cores", "figures": {"x": 1}}
        for name, day in (("one", "2026-01-02"), ("two", "2026-01-03"), ("three", "2026-01-02"))
    }
    said = rendered(Table("page", "mark", ("", "measured"), rows), kept).split("\n\n")[1:]
    assert said == [
        "`python -m bench one three`, 2026-01-02: 2 cores.",
        "`python -m bench two`, 2026-01-03: 2 cores.",
    ]


@pytest.mark.parametrize("words", [["nothing"], ["startup", "nothing"], ["--quick", "--write"]])
def test_a_wrong_command_measures_nothing(words: list[str]) -> None:
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
