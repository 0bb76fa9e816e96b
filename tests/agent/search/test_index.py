"""The index finds any cell run by its words, whatever became of its file."""

import json
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkernel.agent.conversation.resume import resume
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.cells import ErrorOutput
from inkernel.agent.protocol.items import Item, message, text_part
from inkernel.agent.protocol.record_lines import OtherLine
from inkernel.agent.search import index as recall
from inkernel.agent.search import ranking
from inkernel.agent.search.index import Index

from ..recorded import ODD, RecordedSession, printed


@pytest.fixture(params=["fts5", "plain"])
def searched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With FTS5, and as where SQLite has none."""
    if request.param == "plain":
        monkeypatch.setattr(recall, "has_fts5", lambda _db: False)


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        *(("load_data", ["out-1"]), ("load_da", ["out-1"]), ("/data/rain/2024.csv", ["out-1"])),
        *(("KeyError: 'mm'", ["out-2"]), ("0.8731", ["out-2"]), ("雨量", ["out-3"])),
        *(("LOAD_DATA", ["out-1"]), ("frame", ["out-1", "out-2"]), ("mm 0.8731", ["out-2"])),
        *(("🌧", ["out-3"]), ("!=", ["out-3"]), ("100%", ["out-3"]), ("ata/rai", ["out-1"])),
        *(("nowhere", []), ("", []), (" \n", []), ("\0", []), ("*", [])),
    ],
)
def test_names_paths_errors_and_numbers_are_found(
    session: RecordedSession, query: str, found: list[str]
):
    session.ran("frame = load_data('/data/rain/2024.csv')")
    session.ran(
        "frame['mm']", printed("0.8731"), ErrorOutput(ename="KeyError", evalue="'mm'", traceback=())
    )
    session.ran("今年の雨量 = 1  # 🌧 a != b, 100%")
    assert sorted(session.handles(query)) == found


@pytest.mark.usefixtures("searched")
def test_what_has_all_the_words_is_first_else_what_has_any(session: RecordedSession):
    session.ran("rain + wind")
    session.ran("wind")
    session.ran("snow")
    assert session.handles("rain wind")[0] == "out-1"
    assert set(session.handles("rain nowhere snow")) == {"out-1", "out-3"}


def test_what_lacks_most_of_the_words_is_weak(session: RecordedSession):
    session.ran("rain + wind")
    session.ran("wind")
    session.ran("snow")
    for query, found in (
        ("rain wind", [("out-1", False), ("out-2", True)]),
        ("snow elk moose", [("out-3", True)]),
    ):
        assert [(hit.row.handle, hit.weak) for hit in session.find(query)] == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        *(("What did the logging of stations cost?", 1), ("How was the station logged?", 1)),
        *(("Why did opening the picture fail?", 2), ("Which key error was raised?", 2)),
        *(("average of the gauge", 3), ("What is the gauge's mean, please?", 3)),
        *(("temperature by day", 4), ("Which time stamp does it begin at?", 4)),
        *(("grey harbor, normalised", 5), ("gray harbour normalized", 5)),
    ],
)
def test_a_sentence_finds_other_forms_of_its_words(
    session: RecordedSession, query: str, found: int
):
    for n in range(20):
        session.ran(f"other_{n} = table_{n}.head()\nother_{n}.plot()")
    session.ran("cost = log_station(station)")
    session.ran("image_open('a.png')", ErrorOutput(ename="KeyError", evalue="a", traceback=()))
    session.ran("print(gauge.mean())")
    session.ran("temp.groupby(daily.timestamp)")
    session.ran("normalize('gray harbor')")
    assert session.handles(query)[0] == f"out-{20 + found}"


def test_a_backquoted_piece_is_a_phrase(session: RecordedSession):
    session.ran("rain = 2\nday of_rain")
    session.ran("rain_day + 1")
    session.ran("day + day + rain + wind + day")
    (first, *others) = session.find("`rain_day` day")
    assert first.row.handle == "out-2" and not first.weak
    assert all(hit.weak for hit in others)
    assert [hit.weak for hit in session.find("`rain of day` day")] == [True, True, True]


def test_the_newest_of_those_that_match_as_well_leads_its_group(session: RecordedSession):
    session.ran("rain rain rain rain")
    session.ran("rain + 1")
    session.ran("wind")
    (hit,) = session.find("rain", lambda _row: "same")
    assert (hit.row.handle, hit.also) == ("out-2", ("out-1",))


def test_words_near_each_other_come_before_words_far_apart(session: RecordedSession):
    session.ran("rain = 1\n" + "x = y\n" * 200 + "wind = 2")
    session.ran("rain, wind\n" + "x = y\n" * 200)
    session.ran("rain = 1\n" + "x = y\n" * 200 + "wind = 2")
    assert session.handles("rain wind")[0] == "out-2"


def test_common_words_do_not_drown_a_rare_one(
    session: RecordedSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranking, "MAX_RANKED", 10)
    session.ran("pandas rare")
    for n in range(30):
        session.ran(f"pandas {n}")
    assert session.handles("pandas nowhere rare") == ["out-1"]
    assert session.handles("pandas nowhere") == [f"out-{n}" for n in range(31, 21, -1)]


def test_of_equally_good_ones_the_later_is_first(session: RecordedSession):
    for n in range(3):
        session.ran("same words")
        session.ran(f"other {n}")
    assert session.handles("same words") == ["out-5", "out-3", "out-1"]


def test_what_tells_more_is_before_what_is_later(session: RecordedSession):
    session.ran("rain rain rain")
    session.ran("rain " + "and much else that is not about it " * 20)
    assert session.handles("rain") == ["out-1", "out-2"]


def test_hits_of_one_group_are_one_hit(session: RecordedSession):
    for _ in range(3):
        session.ran("rain")
    (hit,) = session.find("rain", lambda _row: "same")
    assert (hit.row.handle, hit.also) == ("out-3", ("out-2", "out-1"))
    assert session.find("rain", lambda _row: None) == []


def test_what_was_said_and_answered_and_kept_is_found_and_nothing_else(
    session: RecordedSession, say: Callable[..., Item], call: Callable[..., Item]
):
    session.turn("Where is the rain?", "c1", 7)
    session.item(message("user", text_part("rain said")), "said")
    session.item(message("user", text_part("rain of cells")), "cells")
    session.item(message("user", text_part("rain of a digest")), "digest")
    session.item(call("run_cell", "c", {"code": "rain"}))
    session.item(say("The rain is here."))
    session.item(say("The rain of a rewrite."), apart=True)
    session.item(say("The rain of an earlier digest."), "digest")
    session.outputs.keep("a text on rain")
    rows = {hit.row.kind: hit.row for hit in session.find("rain")}
    assert set(rows) == {"said", "answer", "text"} and len(session.find("rain")) == 3
    said = rows["said"]
    assert (said.turn, said.cell, said.counter, said.gone) == (1, "c1", 7, 0)
    assert rows["answer"].turn == 1 and rows["text"].handle == "out-1"


def test_what_was_taken_back_is_found_and_marked_and_runs_stay(
    session: RecordedSession, say: Callable[..., Item]
):
    for n in (1, 2):
        session.turn(f"say rain {n}")
        session.ran(f"rain + {n}")
        session.item(say(f"rain {n} it is"))
    session.record.append(OtherLine("rewind", {"turn": 2}))
    session.turn("say rain 3")
    gone = {(hit.row.turn, hit.row.kind): bool(hit.row.gone) for hit in session.find("rain")}
    assert gone == {
        **{(1, "said"): False, (1, "answer"): False, (1, "run"): False},
        **{(2, "said"): True, (2, "answer"): True, (2, "run"): False, (3, "said"): False},
    }


def test_what_is_taken_back_later_is_marked_then(session: RecordedSession):
    session.turn("rain")
    assert [hit.row.gone for hit in session.find("rain")] == [False]
    session.record.append(OtherLine("rewind", {"turn": 1}))
    assert [hit.row.gone for hit in session.find("rain")] == [True]


def test_a_match_is_shown_with_what_is_around_it_in_bounds(session: RecordedSession):
    session.ran("x = 1\n" * 500 + "needle = rain\n" + "y = 2\n" * 500)
    session.ran("z" * 10_000 + " needle2")
    (hit,) = session.find("needle")[1:]
    assert "x = 1\nneedle = rain\ny = 2" in hit.passage
    for it in session.find("needle"):
        assert "needle" in it.passage and len(it.passage) <= 240


def test_of_a_very_long_run_source_and_end_are_found(session: RecordedSession):
    end = ErrorOutput(ename="OddError", evalue="at the end", traceback=())
    session.ran("the_source = 1", printed("x " * 2_000_000), end)
    assert session.handles("the_source") == session.handles("OddError") == ["out-1"]


def test_the_file_lies_beside_the_record_for_its_owner_alone_and_is_made_by_asking(
    session: RecordedSession, tmp_path: Path
):
    session.ran("rain")
    assert not session.index.file.exists()
    session.find("rain")
    assert session.index.file == tmp_path / "s.sqlite3"
    assert stat.S_IMODE(session.index.file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl", "s.sqlite3"]


def test_only_new_lines_are_read(session: RecordedSession, monkeypatch: pytest.MonkeyPatch):
    starts: list[int] = []
    lines_from = recall._lines_from
    monkeypatch.setattr(
        recall, "_lines_from", lambda path, at: starts.append(at) or lines_from(path, at)
    )
    session.ran("alpha_1")
    size = session.record.path.stat().st_size
    assert session.handles("alpha_1") == session.handles("alpha_1") == ["out-1"]
    session.ran("beta_2")
    again = Index(session.record.path)
    assert [hit.row.handle for hit in again.search("beta_2", str, 9)] == ["out-2"]
    assert starts == [0, size]


def test_a_torn_last_line_is_left_for_later(session: RecordedSession):
    session.ran("alpha_1")
    session.ran("beta_2")
    text = session.record.path.read_bytes()
    for size in (len(text) - 1, len(text) - 9, text.index(b"\n") + 1):
        session.record.path.write_bytes(text[:size])
        assert session.handles("beta_2") == [] and session.handles("alpha_1") == ["out-1"]
    session.record.path.write_bytes(text)
    assert session.handles("beta_2") == ["out-2"]


def spoil(path: Path, how: str) -> None:
    """Do something to the index."""
    text = path.read_bytes()
    match how:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "no database":
            path.write_bytes(b"What is this? " * 1_000)
        case "cut off":
            path.write_bytes(text[: len(text) // 2])
        case "overwritten":
            path.write_bytes(text[:4096] + b"\xff" * (len(text) - 4096))
        case "a journal of another":
            path.unlink()
            path.with_name(path.name + "-journal").write_bytes(b"\xd9\xd5\x05\xf9 what")
        case _:
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute(how)


@pytest.mark.parametrize(
    "how",
    [
        *("gone", "empty", "no database", "cut off", "overwritten", "a journal of another"),
        *("PRAGMA user_version = 7", "DROP TABLE entry", "DROP TABLE words", "DROP TABLE upto"),
        *(
            "UPDATE upto SET at = at + 1",
            "UPDATE upto SET at = 10000000",
            "UPDATE upto SET mark = x''",
        ),
        f"PRAGMA user_version = -{recall.FORMAT}",
    ],
)
def test_an_index_that_was_spoiled_is_made_anew(session: RecordedSession, how: str):
    for n in range(50):
        session.ran(f"rain + frame_{n}")
    assert session.handles("frame_7") == ["out-8"]
    spoil(session.index.file, how)
    assert session.handles("frame_7") == ["out-8"] and len(session.find("rain")) == 20
    assert session.index._memory is None
    with closing(sqlite3.connect(session.index.file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (recall.FORMAT,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM entry").fetchone() == (50,)


def test_an_index_of_another_record_is_made_anew(session: RecordedSession, tmp_path: Path):
    session.ran("rain + 1")
    session.find("rain")
    other = RecordedSession(tmp_path / "other.jsonl")
    other.ran("snow and more than in the first")
    (tmp_path / "s.sqlite3").rename(tmp_path / "other.sqlite3")
    assert other.handles("rain") == [] and other.handles("snow") == ["out-1"]
    other.record.close()


def test_an_index_ahead_of_its_record_is_made_anew(session: RecordedSession):
    session.ran("alpha_1")
    size = session.record.path.stat().st_size
    session.ran("beta_2")
    assert session.handles("beta_2") == ["out-2"]
    with session.record.path.open("r+b") as file:
        file.truncate(size)
    assert session.handles("beta_2") == [] and session.handles("alpha_1") == ["out-1"]


def test_while_another_holds_the_file_it_is_done_without(
    session: RecordedSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recall, "LOCK_SECONDS", 0.01)
    session.ran("alpha_1")
    session.find("alpha_1")
    with closing(sqlite3.connect(session.index.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert session.handles("alpha_1") == ["out-1"]
        session.ran("beta_2")
        assert session.handles("beta_2") == ["out-2"]
        other.execute("ROLLBACK")
        assert other.execute("SELECT count(*) FROM entry").fetchone() == (1,)


@pytest.mark.usefixtures("searched")
def test_where_no_file_can_be_made_it_is_done_without(session: RecordedSession):
    session.index.file.mkdir()
    session.ran("alpha_1")
    assert session.handles("alpha_1") == ["out-1"]
    session.ran("beta_2")
    assert session.handles("beta_2") == ["out-2"]
    session.record.path.write_bytes(
        session.record.path.read_bytes().replace(b"alpha_1", b"gamma_3")
    )
    assert session.handles("alpha_1") == [] and session.handles("gamma_3") == ["out-1"]


def test_where_fts5_comes_or_goes_the_index_is_made_anew(
    session: RecordedSession, monkeypatch: pytest.MonkeyPatch
):
    session.ran("rain")
    with monkeypatch.context() as patch:
        patch.setattr(recall, "has_fts5", lambda _db: False)
        assert session.handles("rain") == ["out-1"]
        assert session.handles("ain") == ["out-1"]
        with closing(sqlite3.connect(session.index.file)) as db:
            assert db.execute("SELECT * FROM sqlite_master WHERE name = 'words'").fetchall() == []
    assert session.handles("rain") == ["out-1"]
    with closing(sqlite3.connect(session.index.file)) as db:
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'words'").fetchall()


def test_a_record_that_cannot_be_read_is_said(session: RecordedSession):
    session.ran("rain")
    with session.record.path.open("ab") as file:
        file.write(b'{"no": "kind"}\n')
    assert session.handles("rain") == ["out-1"], "a line that cannot be read is left out"
    session.record.path.unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        session.find("rain")


def test_deep_lines_and_lone_surrogates_are_read(session: RecordedSession):
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"deep": deep}
    session.record.append(OtherLine("of another version", deep))
    session.ran("alpha_1")
    session.ran(f"beta_2 = '{ODD}'")
    session.ran("gamma_3")
    assert session.handles("gamma") and session.handles("gamma_3") == ["out-3"]
    assert session.handles("beta_2 \ud800") == ["out-2"]


WORD = st.text(st.characters(blacklist_categories=()), min_size=1, max_size=30).filter(
    lambda word: len(word.split()) == 1 and word.split()[0] == word and "\0" not in word
)


@pytest.mark.usefixtures("searched")
@given(st.lists(st.tuples(WORD, st.text(max_size=60)), min_size=1, max_size=4))
@settings(suppress_health_check=list(HealthCheck), max_examples=60)
def test_every_word_of_a_source_finds_it(tmp_path: Path, sources: list[tuple[str, str]]):
    path = tmp_path / "s.jsonl"
    path.unlink(missing_ok=True)
    session = RecordedSession(path)
    for word, rest in sources:
        session.ran(f"before {word} after {rest}")
    for number, (word, _) in enumerate(sources, 1):
        assert f"out-{number}" in session.handles(word)
    session.record.close()


@pytest.mark.usefixtures("searched")
@given(
    st.text(st.characters(blacklist_categories=()), max_size=200)
    | st.text("\"'*^(){}:+-!\0 ANDORNEAT\\%_", max_size=60)
    | st.sampled_from(
        ['"', "a" * 100_000, "a " * 50_000, "- " * 999, 'a" OR "b', "text: a", "NEAR("]
    )
)
@settings(suppress_health_check=list(HealthCheck), max_examples=150)
def test_no_query_fails(tmp_path: Path, query: str):
    path = tmp_path / "s.jsonl"
    if not path.exists():
        session = RecordedSession(path)
        session.ran("a = 1")
        session.ran("b NEAR c")
        session.record.close()
    assert len(Index(path).search(query, str, 5)) <= 2


def test_calls_beside_each_other_find_what_was_there_before_them(
    session: RecordedSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recall, "LOCK_SECONDS", 0.0)  # they wait for each other, not for the file
    lost: list[str] = []

    def ask() -> None:
        for n in range(1, 30):
            handle = f"out-{min(n, len(session.outputs.handles))}"
            if handle not in session.handles(f"frame_{handle[4:]}"):
                lost.append(handle)

    session.ran("frame_1")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(2, 40):
        session.ran(f"frame_{n}")
    for thread in threads:
        thread.join()
    assert lost == []
    assert session.index._memory is None


@pytest.mark.parametrize("end", ["", "-journal", "-wal"])
def test_an_index_is_not_written_through_a_planted_link(
    session: RecordedSession, end: str, tmp_path: Path
):
    session.ran("rain")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    file = session.index.file
    file.with_name(file.name + end).symlink_to(elsewhere)
    assert session.handles("rain") == ["out-1"]
    assert elsewhere.read_text() == "mine"


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("turn", {"turn": 2**63, "said": "snow"}), ("rewind", {"turn": -(2**70)})),
        *(("cell_run", it) for it in ({"by": {}}, {"count": 2**63}, {"cell": "\ud800"})),
        *(("output", it) for it in ({"turn": 2**63}, {"handle": "out-\ud800"})),
    ],
)
def test_a_line_with_values_that_no_file_takes_hides_no_other(
    session: RecordedSession, kind: str, damage: dict[str, Any]
):
    session.ran("snow = 3")
    sound = {"by": "agent", "handle": "out-9", "text": "snow", "source": "snow", "status": "ok"}
    line = {"at": 1, "kind": kind, **sound, "outputs": [], "v": 1, **damage}
    with session.record.path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    session.ran("snow = 4")
    assert {"out-1", "out-2"} <= set(session.handles("snow"))
    session.turn("Go on.")
    assert resume(session.record.path).conversation.turns == 1
