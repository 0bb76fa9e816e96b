"""Files of a folder, indexed and searched: each kind is found at its place."""

import os
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.tools.files.found import search_index, snippet
from inkernel.agent.tools.files.index import (
    Among,
    index_path,
    opened_index,
    unreadable,
)
from inkernel.agent.tools.files.indexing import Indexer
from inkernel.agent.tools.files.passages import MAX_PASSAGE_CHARS, passages
from tests.agent.tools.files.documents import AT, MAKERS, marker, needs_files, numbers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.fixture
def indexer(folder: Path, tmp_path: Path):
    made = Indexer(folder, index_path(folder, tmp_path / "cache"))
    yield made
    made.close()


def read_all(indexer: Indexer) -> None:
    indexer.refresh()
    until = time.monotonic() + 100
    while indexer.state.waiting:
        assert time.monotonic() < until
        time.sleep(0.02)


def found(indexer: Indexer, *queries: str, among: Among | None = None) -> list[str]:
    """The places that a search finds, the best first."""
    read_all(indexer)
    with opened_index(indexer.index) as db:
        hits = search_index(db, queries, 8, among or Among())
    return [f"{it.passage.path}, {it.passage.place.words}" for it in hits]


@pytest.mark.parametrize("name", MAKERS)
def test_each_of_a_hundred_markers_is_found_at_its_place(name: str, folder: Path, indexer: Indexer):
    MAKERS[name](folder / name)
    read_all(indexer)
    with opened_index(indexer.index) as db:
        for number in numbers():
            (hit,) = search_index(db, [marker(number)], 8)
            assert hit.passage.place.words == AT[name](number)
            assert marker(number) in hit.passage.text and f"«{marker(number)}»" in hit.snippet


def test_hidden_cells_and_scripts_are_not_found(folder: Path, indexer: Indexer):
    for name in ("work.ipynb", "page.html"):
        MAKERS[name](folder / name)
    assert found(indexer, "zebrahidden") == found(indexer, "zebrascript") == []


def test_a_search_takes_several_wordings_stems_and_names_of_files(folder: Path, indexer: Indexer):
    (folder / "second-opinion.txt").write_text("Another doctor looks at the patients.\n")
    (folder / "tariffs.txt").write_text("Prices for electricity rose by 4 %.\n")
    (folder / "weather.txt").write_text("It rained.\n")
    assert found(indexer, "patient")[0].startswith("second-opinion.txt")
    assert found(indexer, "zzz", "electric price")[0].startswith("tariffs.txt")
    assert found(indexer, "opinion")[0].startswith("second-opinion.txt")
    assert found(indexer, "prices", among=Among(kind="pdf")) == []
    assert found(indexer, "prices", among=Among(glob="wea*")) == []


@pytest.mark.parametrize("query", ["天気", "東京の天気", "ฝนตก"])
def test_scripts_without_blanks_are_found(folder: Path, indexer: Indexer, query: str):
    (folder / "asia.txt").write_text("東京の天気は雨です。\nวันนี้ฝนตกหนัก\n", encoding="utf-8")
    assert found(indexer, query) == ["asia.txt, lines 1–3"]


def test_what_changes_is_read_again_and_what_goes_is_forgotten(folder: Path, indexer: Indexer):
    note = folder / "note.txt"
    note.write_text("apples")
    assert found(indexer, "apples")
    note.write_text("oranges")
    os.utime(note, ns=(1, 1))
    assert found(indexer, "oranges") and not found(indexer, "apples")
    note.unlink()
    assert not found(indexer, "oranges")


def test_files_that_git_ignores_hidden_ones_and_links_out_are_left_out(
    folder: Path, indexer: Indexer, tmp_path: Path
):
    (tmp_path / "secret.txt").write_text("passphrase")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / ".hidden.txt").write_text("passphrase")
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "x.js").write_text("passphrase")
    (folder / "kept.txt").write_text("passphrase")
    assert found(indexer, "passphrase") == ["kept.txt, line 1"]


@needs_files
def test_a_file_without_text_is_named_and_stops_nothing(folder: Path, indexer: Indexer):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / "broken.docx").write_bytes(b"PK no zip")
    (folder / "broken.xlsx").write_bytes(b"PK no zip")
    (folder / "empty.txt").write_text("")
    (folder / "binary.csv").write_bytes(b"\0\1\2")
    (folder / "good.txt").write_text("fine")
    assert found(indexer, "fine") == ["good.txt, line 1"]
    with opened_index(indexer.index) as db:
        silent = unreadable(db)
    names = {"broken.pdf", "broken.docx", "broken.xlsx", "empty.txt", "binary.csv"}
    assert silent.keys() == names and "a scan?" in silent["empty.txt"]
    assert "broken" in silent["broken.pdf"] and "no text" in silent["binary.csv"]


def test_a_reader_that_crashes_costs_one_file(
    folder: Path, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
):
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("fine")
    (folder / "aa.txt").write_text("fine")
    started = indexer._started

    def dies() -> object:
        worker = started()
        monkeypatch.setattr(indexer, "_started", started)
        worker.kill()
        worker.wait()
        return worker

    monkeypatch.setattr(indexer, "_started", dies)
    assert found(indexer, "fine") == ["aa.txt, line 1", "b.txt, line 1"]
    with opened_index(indexer.index) as db:
        assert unreadable(db) == {"a.txt": "its reader crashed"}


def test_a_process_that_is_killed_leaves_an_index_that_goes_on(folder: Path, tmp_path: Path):
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"fine {number}")
    for _ in range(2):
        killed = Indexer(folder, index_path(folder, tmp_path / "cache"))
        killed.refresh()
        killed.close()
    assert len(found(Indexer(folder, index_path(folder, tmp_path / "cache")), "fine")) == 8


def test_two_indexers_at_once_agree(folder: Path, tmp_path: Path):
    for number in range(20):
        (folder / f"{number}.txt").write_text("fine")
    two = [Indexer(folder, index_path(folder, tmp_path / "cache")) for _ in range(2)]
    for it in two:
        it.refresh()
    assert len(found(two[0], "fine")) == len(found(two[1], "fine")) == 8
    with opened_index(two[0].index) as db:
        assert db.execute("SELECT count(*), count(DISTINCT path) FROM file").fetchone() == (20, 20)


def test_an_index_of_another_format_is_made_anew(folder: Path, indexer: Indexer):
    (folder / "note.txt").write_text("apples")
    assert found(indexer, "apples")
    with sqlite3.connect(indexer.index) as db:
        db.execute("PRAGMA user_version = 9")
    assert found(indexer, "apples") == ["note.txt, line 1"]


def test_the_index_is_the_persons_alone(folder: Path, indexer: Indexer):
    (folder / "note.txt").write_text("apples")
    assert found(indexer, "apples")
    assert indexer.index.stat().st_mode & 0o077 == 0
    assert not indexer.index.is_relative_to(folder)


@given(st.text(alphabet=" ab.\n", max_size=6_000))
def test_passages_cover_a_text_and_are_parts_of_it(text: str):
    found = list(passages(text))
    assert all(text[it.start : it.end] == it.text for it in found)
    assert all(len(it.text) <= MAX_PASSAGE_CHARS for it in found)
    covered = {at for it in found for at in range(it.start, it.end)}
    assert all(at in covered or text[at].isspace() for at in range(len(text)))


@given(st.text(max_size=2_000), st.lists(st.text(min_size=1, max_size=12), max_size=4))
def test_a_snippet_is_one_line(text: str, words: list[str]):
    assert "\n" not in snippet(text, words)


def test_a_query_may_have_any_signs(folder: Path, indexer: Indexer):
    (folder / "note.txt").write_text("apples AND pears")
    for query in ('"', "AND", "a* OR (", "NEAR(x y)", "head:apples", "-", "\ud83d"):
        assert isinstance(found(indexer, query), list)
