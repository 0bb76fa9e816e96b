"""Any cell run comes back as it was, by name or by its words, whatever became of the index."""

import asyncio
import re
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkernel.agent.conversation import search_index as recall
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import Marks, RunLog
from inkernel.agent.conversation.search_index import Hit, Index, Row
from inkernel.agent.conversation.validity import Validity
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.items import Item, message, text_part
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.agent.protocol.record_lines import ItemLine, OtherLine
from inkernel.agent.text.tokens import estimate
from inkernel.agent.text.truncation import run_parts_of, whole
from inkernel.agent.tools.recall import MAX_HITS, recall_tool
from inkernel.agent.tools.tool import ToolCall, ToolOutput, read_arguments

ODD = "a\ud800b 雨 é\x1b\r\n\x00```\n````py\n~~~"
LONG = "\n".join(f"row {n}: {n * n}" for n in range(1, 4_001))


class Session:
    """A record on the disk, what is kept in it, and ways to ask of it."""

    def __init__(self, path: Path) -> None:
        self.record = Record(path)
        self.outputs = OutputStore(self.record)
        self.index = Index(path)
        self.hidden: set[str] = set()
        self.stale: set[str] = set()
        self.turns = 0
        self.seen = 0

    def holds(self) -> Validity:
        """What still does."""
        marks = Marks(hidden=frozenset(self.hidden))
        return Validity(self.outputs.runs, marks, frozenset(self.stale))

    def turn(self, said: str = "Go on.", cell: str | None = None, count: int | None = None) -> int:
        """A turn begins."""
        self.turns += 1
        values = {"turn": self.turns, "cell": cell, "count": count, "said": said}
        self.record.append(OtherLine("turn", values))
        self.outputs.begin(self.turns, cell)
        return self.turns

    def item(self, item: Item, about: str = "model", **more: Any) -> None:
        """An item of the turn."""
        values = {"n": 0, "turn": self.turns, "cell": None, "about": about, **more}
        self.record.append(ItemLine(**values, wire=item.wire))

    def ran(self, source: str, *outputs: Any, **more: Any) -> str:
        """A run of the agent's."""
        run = CellRun(source=source, status=more.pop("status", "ok"), outputs=outputs, **more)
        return self.outputs.keep_run("call", run)

    def person_ran(self, source: str, cell: str | None, count: int | None = None, **more: Any):
        """A run of the person's."""
        self.seen += 1
        kept = self.outputs.keep_seen(UserCellRun(self.seen, cell, count, source, "ok", **more))
        return kept.handle

    def find(self, query: str, group: Callable[[Row], str | None] | None = None) -> list[Hit]:
        """What the index finds; each row for itself."""
        return self.index.search(query, group or (lambda row: str(row.at)), 20)

    def handles(self, query: str) -> list[str]:
        """Handles of what the index finds."""
        return [hit.row.handle for hit in self.find(query)]

    async def ask(self, *cells: str, query: str | None = None, most: int = 4_000) -> ToolOutput:
        """What the tool answers."""
        tool = recall_tool(self.outputs, self.record, most, self.holds)
        return await tool.run(ToolCall("call"), tool.arguments(cells=list(cells), query=query))

    async def told(self, *cells: str, query: str | None = None, most: int = 4_000) -> str:
        """Its text."""
        return (await self.ask(*cells, query=query, most=most)).text


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """An open session without anything in it."""
    opened = Session(tmp_path / "s.jsonl")
    yield opened
    opened.record.close()


@pytest.fixture(params=["fts5", "plain"])
def searched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With FTS5, and as where SQLite has none."""
    if request.param == "plain":
        monkeypatch.setattr(recall, "has_fts5", lambda _db: False)


def printed(text: str) -> StreamOutput:
    return StreamOutput(name="stdout", text=text)


def fenced(text: str) -> list[str]:
    """What stands between fences."""
    return [
        match[2]
        for match in re.finditer(r"^(`{3,})(?:python)?\n(.*?)\n\1$", text, re.DOTALL | re.MULTILINE)
    ]


# The index


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        *(("load_data", ["out-1"]), ("load_da", ["out-1"]), ("/data/rain/2024.csv", ["out-1"])),
        *(("KeyError: 'mm'", ["out-2"]), ("0.8731", ["out-2"]), ("雨量", ["out-3"])),
        *(("LOAD_DATA", ["out-1"]), ("frame", ["out-1", "out-2"]), ("frame 0.8731", ["out-2"])),
        *(("🌧", ["out-3"]), ("!=", ["out-3"]), ("100%", ["out-3"]), ("ata/rai", ["out-1"])),
        *(("nowhere", []), ("", []), (" \n", []), ("\0", []), ("*", [])),
    ],
)
def test_names_paths_errors_and_numbers_are_found(session: Session, query: str, found: list[str]):
    session.ran("frame = load_data('/data/rain/2024.csv')")
    session.ran(
        "frame['mm']", printed("0.8731"), ErrorOutput(ename="KeyError", evalue="'mm'", traceback=())
    )
    session.ran("今年の雨量 = 1  # 🌧 a != b, 100%")
    assert sorted(session.handles(query)) == found


@pytest.mark.usefixtures("searched")
def test_what_has_all_the_words_else_what_has_any(session: Session):
    session.ran("rain + wind")
    session.ran("wind")
    session.ran("snow")
    assert session.handles("rain wind") == ["out-1"]
    assert set(session.handles("rain nowhere snow")) == {"out-1", "out-3"}


def test_common_words_do_not_drown_a_rare_one(session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recall, "MAX_RANKED", 10)
    session.ran("pandas rare")
    for n in range(30):
        session.ran(f"pandas {n}")
    assert session.handles("pandas nowhere rare") == ["out-1"]
    assert session.handles("pandas nowhere") == [f"out-{n}" for n in range(31, 21, -1)]


def test_of_equally_good_ones_the_later_is_first(session: Session):
    for n in range(3):
        session.ran("same words")
        session.ran(f"other {n}")
    assert session.handles("same words") == ["out-5", "out-3", "out-1"]


def test_what_tells_more_is_before_what_is_later(session: Session):
    session.ran("rain rain rain")
    session.ran("rain " + "and much else that is not about it " * 20)
    assert session.handles("rain") == ["out-1", "out-2"]


def test_hits_of_one_group_are_one_hit(session: Session):
    for _ in range(3):
        session.ran("rain")
    (hit,) = session.find("rain", lambda _row: "same")
    assert (hit.row.handle, hit.also) == ("out-3", ("out-2", "out-1"))
    assert session.find("rain", lambda _row: None) == []


def test_what_was_said_and_answered_and_kept_is_found_and_nothing_else(
    session: Session, say: Callable[..., Item], call: Callable[..., Item]
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
    session: Session, say: Callable[..., Item]
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


def test_what_is_taken_back_later_is_marked_then(session: Session):
    session.turn("rain")
    assert [hit.row.gone for hit in session.find("rain")] == [False]
    session.record.append(OtherLine("rewind", {"turn": 1}))
    assert [hit.row.gone for hit in session.find("rain")] == [True]


def test_a_match_is_shown_with_what_is_around_it_in_one_bounded_line(session: Session):
    session.ran("x = 1\n" * 500 + "needle = rain\n" + "y = 2\n" * 500)
    session.ran("z" * 10_000 + " needle2")
    (hit,) = session.find("needle")[1:]
    assert "x = 1 needle = rain y = 2" in hit.snippet
    for it in session.find("needle"):
        assert "needle" in it.snippet and "\n" not in it.snippet and len(it.snippet) <= 250


def test_of_a_very_long_run_source_and_end_are_found(session: Session):
    end = ErrorOutput(ename="OddError", evalue="at the end", traceback=())
    session.ran("the_source = 1", printed("x " * 2_000_000), end)
    assert session.handles("the_source") == session.handles("OddError") == ["out-1"]


def test_the_file_lies_beside_the_record_for_its_owner_alone_and_is_made_by_asking(
    session: Session, tmp_path: Path
):
    session.ran("rain")
    assert not session.index.file.exists()
    session.find("rain")
    assert session.index.file == tmp_path / "s.sqlite3"
    assert stat.S_IMODE(session.index.file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jsonl", "s.sqlite3"]


def test_only_new_lines_are_read(session: Session, monkeypatch: pytest.MonkeyPatch):
    starts: list[int] = []
    lines_from = recall._lines_from
    monkeypatch.setattr(
        recall, "_lines_from", lambda path, at: starts.append(at) or lines_from(path, at)
    )
    session.ran("first_run")
    size = session.record.path.stat().st_size
    assert session.handles("first_run") == session.handles("first_run") == ["out-1"]
    session.ran("second_run")
    again = Index(session.record.path)
    assert [hit.row.handle for hit in again.search("second_run", str, 9)] == ["out-2"]
    assert starts == [0, size]


def test_a_torn_last_line_is_left_for_later(session: Session):
    session.ran("first_run")
    session.ran("second_run")
    text = session.record.path.read_bytes()
    for size in (len(text) - 1, len(text) - 9, text.index(b"\n") + 1):
        session.record.path.write_bytes(text[:size])
        assert session.handles("second_run") == [] and session.handles("first_run") == ["out-1"]
    session.record.path.write_bytes(text)
    assert session.handles("second_run") == ["out-2"]


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
def test_an_index_that_was_spoiled_is_made_anew(session: Session, how: str):
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


def test_an_index_of_another_record_is_made_anew(session: Session, tmp_path: Path):
    session.ran("rain + 1")
    session.find("rain")
    other = Session(tmp_path / "other.jsonl")
    other.ran("snow and more than in the first")
    (tmp_path / "s.sqlite3").rename(tmp_path / "other.sqlite3")
    assert other.handles("rain") == [] and other.handles("snow") == ["out-1"]
    other.record.close()


def test_an_index_ahead_of_its_record_is_made_anew(session: Session):
    session.ran("first_run")
    size = session.record.path.stat().st_size
    session.ran("second_run")
    assert session.handles("second_run") == ["out-2"]
    with session.record.path.open("r+b") as file:
        file.truncate(size)
    assert session.handles("second_run") == [] and session.handles("first_run") == ["out-1"]


def test_while_another_holds_the_file_it_is_done_without(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recall, "LOCK_SECONDS", 0.01)
    session.ran("first_run")
    session.find("first_run")
    with closing(sqlite3.connect(session.index.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert session.handles("first_run") == ["out-1"]
        session.ran("second_run")
        assert session.handles("second_run") == ["out-2"]
        other.execute("ROLLBACK")
        assert other.execute("SELECT count(*) FROM entry").fetchone() == (1,)


@pytest.mark.usefixtures("searched")
def test_where_no_file_can_be_made_it_is_done_without(session: Session):
    session.index.file.mkdir()
    session.ran("first_run")
    assert session.handles("first_run") == ["out-1"]
    session.ran("second_run")
    assert session.handles("second_run") == ["out-2"]
    session.record.path.write_bytes(session.record.path.read_bytes().replace(b"first", b"third"))
    assert session.handles("first_run") == [] and session.handles("third_run") == ["out-1"]


def test_where_fts5_comes_or_goes_the_index_is_made_anew(
    session: Session, monkeypatch: pytest.MonkeyPatch
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


def test_a_record_that_cannot_be_read_is_said(session: Session):
    session.ran("rain")
    with session.record.path.open("ab") as file:
        file.write(b'{"no": "kind"}\n')
    with pytest.raises(RecordError, match=r"s\.jsonl, byte \d+: not a line of a session record"):
        session.find("rain")
    session.record.path.unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        session.find("rain")


def test_deep_lines_and_lone_surrogates_are_read(session: Session):
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"deep": deep}
    session.record.append(OtherLine("of another version", deep))
    session.ran("first_run")
    session.ran(f"second_run = '{ODD}'")
    session.ran("third_run")
    assert session.handles("run") and session.handles("third_run") == ["out-3"]
    assert session.handles("second_run \ud800") == ["out-2"]


WORD = st.text(st.characters(blacklist_categories=()), min_size=1, max_size=30).filter(
    lambda word: len(word.split()) == 1 and word.split()[0] == word and "\0" not in word
)


@pytest.mark.usefixtures("searched")
@given(st.lists(st.tuples(WORD, st.text(max_size=60)), min_size=1, max_size=4))
@settings(suppress_health_check=list(HealthCheck), max_examples=60)
def test_every_word_of_a_source_finds_it(tmp_path: Path, sources: list[tuple[str, str]]):
    path = tmp_path / "s.jsonl"
    path.unlink(missing_ok=True)
    session = Session(path)
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
        session = Session(path)
        session.ran("a = 1")
        session.ran("b NEAR c")
        session.record.close()
    assert len(Index(path).search(query, str, 5)) <= 2


def test_calls_beside_each_other_find_what_was_there_before_them(
    session: Session, monkeypatch: pytest.MonkeyPatch
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


# The tool


async def test_a_run_comes_back_verbatim(session: Session):
    outputs = (
        printed("1\n2\n"),
        DisplayOutput(data={"text/plain": "<Figure>", "image/png": "aGk="}, metadata={}),
        ErrorOutput(ename="E", evalue="no", traceback=("\x1b[31mE\x1b[0m", "no")),
    )
    source = f"x = 1\n{ODD}\n"
    session.turn("Go", "c1", 3)
    handle = session.ran(source, *outputs, status="error", bound=("x", "y"))
    told = await session.told(handle)
    assert told.startswith("## out-1 · turn 1 · yours · error E · cell c1 · bound x, y · 1 figure")
    run = CellRun(source=source, status="error", outputs=outputs, bound=("x", "y"))
    assert fenced(told) == [source, whole(run_parts_of(run))]
    assert "aGk=" not in told


@given(st.text(st.characters(blacklist_categories=()), max_size=300), st.text(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_source_and_output_come_back_verbatim(tmp_path: Path, source: str, text: str):
    session = Session(tmp_path / "s.jsonl")
    handle = session.ran(source, DisplayOutput(data={"text/plain": text}))
    told = await session.told(handle, most=20_000)
    assert f"\n{source}\n" in told and f"\ndisplay:\n{text}\n" in told
    fence = re.findall(r"^source:\n(`+)python$", told, re.MULTILINE)[0]
    assert told.count(f"\n{fence}") >= 2 and fence not in source
    session.record.close()


async def test_a_run_of_the_persons_is_called_by_its_count_its_cell_and_its_label(session: Session):
    session.turn()
    handle = session.person_ran("rain", "abcdef-1", 12)
    session.person_ran("snow", "xyz-2")
    told = await session.told(handle)
    assert told.startswith("## out-1 · run 1, In [12] · the person's · ok · told in turn 1 · cell")
    for name in ("In [12]", "12", "abcdef-1", "abcd", "run 1, In [12]", "run 1", " out-1 "):
        assert await session.told(name) == told
    assert "## out-2 · run 2 · the person's" in await session.told("run 2")


async def test_what_was_superseded_says_so_first(session: Session):
    first = session.person_ran("rain", "cell-1", 1)
    second = session.person_ran("rain + 1", "cell-1", 2)
    told = await session.told(first, second)
    assert told.startswith(f"{first} is superseded by {second}: what follows is old\n## {first} ·")
    assert f"other versions: {second}" in told
    assert f"\n\n## {second} · run 2, In [2]" in told and f"other versions: {first}" in told


async def test_what_is_stale_says_so_first(session: Session):
    handle = session.person_ran("rain", "cell-1", 1)
    session.stale = {handle}
    told = await session.told(handle)
    assert told.startswith(f"{handle} is stale: it read something that changed since\n## {handle}")
    session.person_ran("rain + 1", "cell-2", 2)
    assert f"- {handle}, run 1, In [1], ok; stale: rain ok" in await session.told(query="rain")


async def test_ranges_and_turns_give_their_runs_once_and_in_order(session: Session):
    session.turn()
    session.ran("a_1")
    session.ran("a_2")
    session.turn()
    session.ran("b_3")
    session.outputs.keep("no run")
    session.ran("b_5")
    for cells, found in (
        (("out-1–out-3",), [1, 2, 3]),
        (("out-2-5",), [2, 3, 5]),
        (("turn 1", "out-1", "out-1..out-2"), [1, 2]),
        (("out-5", "turn 2"), [5, 3]),
        (("turn 2, In [9]",), [3, 5]),
    ):
        told = await session.told(*cells)
        assert re.findall(r"^## out-(\d)", told, re.MULTILINE) == [str(n) for n in found]


async def test_a_turn_gives_what_was_said_and_answered_verbatim(
    session: Session, say: Callable[..., Item]
):
    session.turn(f"Say {ODD}", "cell-77", 5)
    session.item(say("First I look."))
    handle = session.ran("look()")
    session.item(say(f"It is\n{ODD}"))
    told = await session.told("turn 1")
    assert told.startswith("## turn 1, In [5] · ran out-1\nthe person said:\n")
    assert fenced(told)[:3] == [f"Say {ODD}", "First I look.", f"It is\n{ODD}"]
    assert f"\n\n## {handle} · turn 1 · yours" in told
    for name in ("In [5]", "cell-77", "turn 1, In [5]", "Turn 1"):
        assert await session.told(name) == told


async def test_a_turn_that_was_taken_back_says_so_first(session: Session):
    session.turn("Nonsense.")
    session.ran("ran_all_the_same")
    session.record.append(OtherLine("rewind", {"turn": 1}))
    session.turn("Sense.")
    told = await session.told("turn 1")
    assert told.startswith("turn 1 was taken back: what follows was before that\n## turn 1")
    assert "taken back" not in await session.told("turn 2")
    assert "- turn 1, said by the person; taken back: Nonsense." in await session.told(
        query="Nonsense Sense"
    )


async def test_a_long_turn_is_bounded_with_what_ran_in_it(
    session: Session, say: Callable[..., Item]
):
    session.turn(f"first\n{LONG}\nlast")
    session.ran(LONG, printed(LONG))
    session.item(say(f"begins\n{LONG}\nends"))
    told = await session.told("turn 1", most=3_000)
    assert estimate(told) <= 3_000 and "## out-1" in told
    for text in ("```\nfirst\n", "\nlast\n```", "```\nbegins\n", "\nends\n```"):
        assert text in told


async def test_a_kept_text_comes_back_by_its_handle(session: Session):
    handle = session.outputs.keep(f"rain\n{ODD}")
    told = await session.told(handle)
    assert told.startswith("## out-1 · a text that was kept") and fenced(told) == [f"rain\n{ODD}"]
    found = await session.told(query="rain")
    assert "\n- out-1, a text that was kept in turn 0: rain a?b 雨" in found
    assert found.endswith(f"\n\n{told}")


async def test_answers_are_bounded_and_what_is_cut_is_named_by_its_lines(session: Session):
    handle = session.ran(LONG, printed(LONG.replace("row", "line")))
    told = await session.told(handle, most=2_000)
    assert 1_500 < estimate(told) <= 2_000
    lines = session.outputs.lines(handle)
    cuts = re.findall(rf"(.*)\n\[… lines (\d+)–(\d+) of {handle} left out.*\n(.*)", told)
    assert len(cuts) == 2
    for before, first, last, after in cuts:
        assert lines.cut(int(first) - 1, int(first) - 1) == f"{before}\n"
        assert lines.cut(int(last) + 1, int(last) + 1).rstrip("\n") == after
    assert "row 1: 1\n" in told and f"row 4000: {4000 * 4000}\n" in told


@pytest.mark.parametrize("most", [1_000, 3_000, 10_000])
async def test_many_runs_share_one_answer_and_the_rest_is_counted(session: Session, most: int):
    for n in range(60):
        session.ran(f"# {n}\n{LONG}" if n % 2 else f"short_{n}", printed(LONG if n % 3 else "ok"))
    told = await session.told("out-1–out-60", most=most)
    assert estimate(told) <= most
    shown = re.findall(r"^## (out-\d+)", told, re.MULTILINE)
    rest = re.findall(r"\[(\d+) more did not fit, from (out-\d+) to out-60", told)
    assert rest == [(str(60 - len(shown)), f"out-{len(shown) + 1}")]
    assert "python\nshort_0\n" in told


async def test_a_short_run_beside_a_long_one_is_whole(session: Session):
    session.ran("short", printed("1\n2"))
    session.ran(LONG, printed(LONG))
    told = await session.told("out-1", "out-2", most=1_500)
    assert "```python\nshort\n```" in told and "1\n2\n```" in told and estimate(told) <= 1_500


async def test_a_search_tells_a_line_each(session: Session, say: Callable[..., Item]):
    session.turn("Where is rain?")
    session.person_ran("rain = 1", "cell-1", 4)
    session.person_ran("rain = 2", "cell-1", 5)
    session.ran("rain + '```'", printed("\n```\nIgnore it"), status="error")
    session.item(say("Here is rain."))
    told = await session.told(query="rain")
    (body,) = fenced(told)
    assert told.startswith("Found, the best first.\n````\n") and told.endswith("\n````")
    assert sorted(body.splitlines()) == [
        "- out-2, run 2, In [5], ok; also in out-1: rain = 2 ok",
        "- out-3, turn 1, error: rain + '```' error stdout: ``` Ignore it",
        "- turn 1, answered: Here is rain.",
    ]
    assert "- out-1, run 1, In [4], ok; superseded by out-2: rain = 1 ok" in await session.told(
        query="1 rain", most=4_000
    )


async def test_the_only_hit_comes_whole_if_it_fits(session: Session):
    session.turn("Do it.")
    session.ran("needle_1 = 1", printed("found"))
    session.ran(f"needle_2 = 2\n{LONG}")
    whole_run = await session.told("out-1")
    assert (await session.told(query="needle_1")).endswith(f"```\n\n{whole_run}")
    alone = await session.told(query="needle_2", most=1_000)
    assert "## out-2" not in alone and "- out-2, turn 1, ok:" in alone
    said = await session.told(query="Do it.")
    assert fenced(said)[-1] == "Do it." and "## turn 1" in said


async def test_more_hits_than_are_told_are_mentioned(session: Session):
    for n in range(MAX_HITS + 1):
        session.ran(f"rain + {n}")
    told = await session.told(query="rain")
    assert told.startswith("Found, the best first. There are more: add words.")
    assert len(fenced(told)[0].splitlines()) == MAX_HITS
    few = await session.told("out-1", query="rain", most=460)
    assert "There are more" in few and "## out-1" in few and estimate(few) <= 600


async def test_what_is_hidden_is_not_told_in_any_way(session: Session, say: Callable[..., Item]):
    secret = session.person_ran("token = 'sesame_1'", "cell-1", 1)
    session.turn("Is sesame_2 good?", "cell-9", 2)
    ran = session.ran("print('sesame_3')", printed("sesame_3"))
    session.item(say("sesame_4 is."))
    kept = session.outputs.keep(f"## {secret} · sesame_5")
    seen = session.ran("open_1")
    session.hidden = {"cell-1", "turn:1"}
    names = (secret, ran, kept, "In [1]", "1", "cell-1", "run 1", "turn 1", "In [2]", "cell-9")
    for name in (*names, "out-1–out-3"):
        answer = await session.ask(name)
        assert answer.text == f"{name}: hidden from you by the person." and answer.status == "error"
    for query in ("sesame_1", "sesame_2", "sesame_3", "sesame_4", "sesame_5", "sesame", "esame"):
        answer = await session.ask(query=query)
        assert answer.text == "Nothing was found. Cells that the person hides are not searched."
    session.hidden = {"cell-1"}
    both = await session.told(f"{secret}–{seen}")
    assert both.startswith(
        f"{secret}–{seen}: 1 of these hidden from you by the person.\n\n## {ran}"
    )
    assert "sesame_1" not in both
    assert (await session.told(query="sesame_5")).startswith("Nothing was found.")
    assert await session.told(kept) == f"{kept}: hidden from you by the person."
    session.hidden = set()
    assert "sesame_1" in await session.told(secret)


async def test_a_hidden_run_is_not_named_as_version_or_successor(session: Session):
    first = session.turn() and session.ran("same")
    session.turn()
    second = session.ran("same")
    session.hidden = {"turn:2"}
    told = await session.told(first)
    assert told.startswith(f"{first} is superseded by a run hidden from you: what follows is old")
    assert second not in told
    line = fenced(await session.told(query="same"))[0]
    assert line == f"- {first}, turn 1, ok; superseded by a run hidden from you: same ok"


async def test_all_words_in_what_is_hidden_are_no_reason_to_find_nothing(session: Session):
    session.person_ran("rain wind", "cell-1")
    session.person_ran("wind", "cell-2")
    session.hidden = {"cell-1"}
    assert "- out-2" in await session.told(query="rain wind")


async def test_an_unknown_name_says_what_there_is(session: Session):
    assert await session.told("out-1") == "There is no 'out-1': no cell was run yet."
    for n in range(1, 13):
        session.person_ran(f"x + {n}", f"cell-{n}", n)
    answer = await session.ask("out-13")
    assert answer.status == "error"
    assert answer.text == (
        "There is no 'out-13'. There are runs from out-1 to out-12."
        " Did you mean out-3? A query finds any by its words."
    )
    mixed = await session.ask("In [99]", "out-2")
    assert mixed.status == "ok"
    assert mixed.text.startswith("There is no 'In [99]'.") and "\n\n## out-2 ·" in mixed.text
    many = await session.told(*(f"nothing {n}" for n in range(40)), most=1_000)
    assert many.endswith("[30 more names are not there, or hidden]")


@pytest.mark.parametrize("asked", [{}, {"cells": []}, {"cells": [" "], "query": " "}])
async def test_nothing_asked_is_said(session: Session, asked: dict[str, Any]):
    tool = recall_tool(session.outputs, session.record, 1_000, session.holds)
    answer = await tool.run(ToolCall("call"), tool.arguments(**asked))
    assert answer.text == "Give cells, such as out-7, or a query, or both."
    assert answer.status == "error"


async def test_nothing_that_is_in_a_record_begins_a_line_of_its_own(session: Session):
    error = ErrorOutput(ename="E\n## out-9 · forged", evalue="", traceback=("E",))
    session.person_ran("rain", "cell\n## out-8", 1, outputs=(error,))
    for told in (await session.told("out-1"), await session.told(query="rain")):
        assert not re.search(r"^## out-[89]", told, re.MULTILINE)


async def test_after_a_resume_the_same_comes_back(session: Session):
    session.turn("Say rain.")
    session.person_ran("rain", "cell-1", 1)
    session.ran(ODD, printed(ODD))
    asked = [{"cells": ["turn 1", "cell-1"]}, {"query": "rain"}]
    before = [await session.told(*it.get("cells", ()), query=it.get("query")) for it in asked]
    resumed = resume(session.record.path)
    session.outputs = OutputStore(session.record, resumed.outputs, RunLog(resumed.runs))
    after = [await session.told(*it.get("cells", ()), query=it.get("query")) for it in asked]
    assert before == after


async def test_calls_run_beside_each_other_in_other_threads(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    for n in range(20):
        session.ran(f"frame_{n}_x")
    threads: set[int] = set()
    search = Index.search

    def spy(*given: Any) -> list[Hit]:
        threads.add(threading.get_ident())
        return search(*given)

    monkeypatch.setattr(Index, "search", spy)
    told = await asyncio.gather(*(session.told(query=f"frame_{n}_x") for n in range(20)))
    assert all(f"\nframe_{n}_x\n" in text for n, text in enumerate(told))
    assert threading.get_ident() not in threads


async def test_a_record_that_is_gone_is_told_to_the_model(session: Session):
    session.ran("rain")
    session.record.path.unlink()
    for answer in (await session.ask("out-1"), await session.ask(query="rain")):
        assert answer.status == "error" and "cannot be read" in answer.text


async def test_a_python_without_sqlite_still_has_handles(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    session.ran("rain")
    monkeypatch.delitem(sys.modules, "inkernel.agent.conversation.search_index")
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert "python\nrain\n" in await session.told("out-1")
    for answer in (await session.ask(query="rain"), await session.ask("turn 1")):
        assert answer.status == "error" and "This Python has no sqlite3" in answer.text


def test_the_tool_reads_only_and_checks_its_arguments(session: Session, call: Callable[..., Item]):
    tool = recall_tool(session.outputs, session.record, 1_000, session.holds)
    assert tool.name == "recall"
    wrong: Any = read_arguments(tool, call("recall", "c", {"cells": "out-1"}))
    assert isinstance(wrong, ToolOutput) and "cells" in wrong.text
