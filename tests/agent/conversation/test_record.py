"""The session's log: whole lines, one owner, whole again after a crash."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from inkernel.agent.conversation.record import Record, is_open, read_lines, read_record
from inkernel.agent.errors import RecordError
from inkernel.agent.protocol.items import message, parse_item, text_part
from inkernel.agent.protocol.record_lines import ItemLine, OtherLine, TurnLine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the record lies, in folders that are not there yet."""
    return tmp_path / "sessions" / "2026-03" / "s.jsonl"


@pytest.fixture
def record(path: Path) -> Iterator[Record]:
    """An open record."""
    opened = Record(path)
    yield opened
    with suppress(OSError):
        opened.close()


def test_every_line_is_one_json_object_with_its_time_and_kind(record: Record, path: Path):
    record.append(OtherLine("turn", {"turn": 1, "said": "line\nbreak \u2028 雨 \ud800"}))
    record.append(ItemLine(turn=1, wire=message("user", text_part("a\nb")).wire))
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["turn", "item"]
    assert all(json.loads(line)["at"] > 1_700_000_000 for line in lines)
    assert json.loads(lines[0])["said"] == "line\nbreak \u2028 雨 \ufffd"
    assert [line.value for line in read_lines(path)] == [json.loads(line) for line in lines]


def test_an_item_is_kept_verbatim(record: Record, path: Path):
    item = parse_item({"type": "acme:x", "b": 1.50, "a": {"z": [None]}, "id": "1"})
    record.append(ItemLine(n=0, turn=3, cell="c1", wire=item.wire))
    head = b'"v":1,"n":0,"turn":3,"cell":"c1","about":"model","item":'
    assert head + item.wire + b"}\n" in path.read_bytes()


def test_a_line_is_on_disk_as_soon_as_it_is_appended(record: Record, path: Path):
    record.append(OtherLine("turn", {"turn": 1}))
    assert len(list(read_lines(path))) == 1
    record.sync()


def test_only_the_owner_may_read_it(record: Record, path: Path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_opening_again_appends(record: Record, path: Path):
    record.append(OtherLine("turn", {"turn": 1}))
    record.close()
    again = Record(path)
    again.append(OtherLine("turn", {"turn": 2}))
    again.close()
    assert [line.value["turn"] for line in read_lines(path)] == [1, 2]


def test_a_record_cut_off_at_any_byte_loses_at_most_its_last_line(record: Record, path: Path):
    for turn in range(3):
        record.append(OtherLine("turn", {"turn": turn, "said": "é\n{}"}))
    whole = path.read_bytes()
    for size in range(len(whole), -1, -1):
        os.truncate(path, size)
        kept = whole[: size + 1].count(b"\n")  # a line is whole even without its line end
        assert [line.value["turn"] for line in read_lines(path)] == list(range(kept))


def test_opened_again_after_a_crash_at_any_byte_it_goes_on_with_whole_lines(path: Path):
    first = Record(path)
    for turn in range(2):
        first.append(OtherLine("turn", {"turn": turn, "said": "é\n{}"}))
    first.close()
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = [line.value["turn"] for line in read_lines(path)]
        again = Record(path)
        again.append(OtherLine("turn", {"turn": "new"}))
        again.close()
        assert [line.value["turn"] for line in read_lines(path)] == [*kept, "new"]


def test_a_whole_file_is_not_touched_by_opening_it(record: Record, path: Path):
    record.append(OtherLine("turn", {"turn": 1}))
    before = path.read_bytes()
    record.close()
    Record(path).close()
    assert path.read_bytes() == before


def test_a_line_is_read_again_at_the_byte_where_it_was_written(record: Record, path: Path):
    places = [record.append(OtherLine("turn", {"turn": turn, "said": "é"})) for turn in (1, 2)]
    record.append(ItemLine(turn=1, wire=message("user", text_part("é")).wire))
    record.close()
    again = Record(path)
    places.append(again.append(OtherLine("turn", {"turn": 3})))
    again.close()
    assert [line.turn for at in places if isinstance(line := record.line_at(at), TurnLine)] == [
        1,
        2,
        3,
    ]
    assert [line.at for line in read_lines(path) if line.value["kind"] == "turn"] == places
    with pytest.raises(RecordError, match="byte 5: not a line of a session record"):
        record.line_at(5)
    path.unlink()
    with pytest.raises(RecordError, match="cannot be read: No such file"):
        record.line_at(0)


def test_a_session_that_another_kernel_writes_is_not_opened(record: Record, path: Path):
    pytest.importorskip("fcntl")
    record.append(OtherLine("turn", {"turn": 1}))
    code = (
        "import sys; from pathlib import Path\n"
        "from inkernel.agent.conversation.record import Record\n"
        "Record(Path(sys.argv[1]))"
    )
    other = [sys.executable, "-c", code, str(path)]
    ran = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "RecordError" in ran.stderr and "is open in another kernel. Go on there" in ran.stderr
    assert len(list(read_lines(path))) == 1
    record.close()
    subprocess.run(other, capture_output=True, check=True)


def test_a_closed_session_can_be_opened_while_a_forked_process_holds_its_file(
    record: Record, path: Path
):
    forked = os.dup(record._file)
    record.close()
    Record(path).close()
    os.close(forked)


def test_a_line_is_found_again_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    record = Record(Path("s.jsonl"))
    at = record.append(OtherLine("turn", {"turn": 1}))
    monkeypatch.chdir("/")
    assert record.line_at(at) == TurnLine(v=0, turn=1, cell=None, count=None, said="")
    record.close()


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"at": 1}', b"\xff", b"null"])
def test_a_corrupt_line_inside_is_named_with_file_and_number(path: Path, line: bytes):
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"kind": "ended"}\n' + line + b'\n{"kind": "ended"}\n')
    found = [(read.number, read.line is None) for read in read_record(path)]
    assert found == [(1, False), (2, True), (3, False)]


def test_a_record_that_is_not_there_is_named(path: Path):
    with pytest.raises(RecordError, match=f"{path} cannot be read: No such file"):
        next(read_lines(path))


def test_a_place_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written: ") as raised:
        Record(tmp_path / "file" / "s.jsonl")
    assert "data_dir" in raised.value.hint


def test_a_line_that_fits_only_in_part_is_taken_back(record: Record, path: Path):
    resource = pytest.importorskip("resource")
    record.append(OtherLine("turn", {"turn": 1}))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(RecordError, match="cannot be written: File too large"):
            record.append(OtherLine("turn", {"turn": 2}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    record.append(OtherLine("turn", {"turn": 3}))
    assert [line.value["turn"] for line in read_lines(path)] == [1, 3]


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="the system has no full disk to write to"
)
def test_a_full_disk_is_a_failure_that_names_the_record():
    full = Record(Path("/dev/full"))
    with pytest.raises(RecordError, match="/dev/full cannot be written: No space left"):
        full.append(OtherLine("turn", {}))
    full.close()


@pytest.mark.parametrize("there", ["", "data", "data/sessions", "data/sessions/2026-03"])
def test_only_the_owner_enters_the_folders_of_a_record(there: str, tmp_path: Path) -> None:
    (tmp_path / there).mkdir(mode=0o755, parents=True, exist_ok=True)
    Record(tmp_path / "data" / "sessions" / "2026-03" / "s.jsonl").close()
    made = ("data/sessions", "data/sessions/2026-03", *(() if there else ("data",)))
    for folder in made:
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700, folder


@pytest.mark.parametrize("name", [".", "data", "data/sessions"])
def test_folders_that_are_not_ours_stay_as_they_are(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / "s.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    Record(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["data/sessions", "data/sessions/2026-03", "data/{record}"])
def test_a_planted_link_is_not_followed(name: str, tmp_path: Path) -> None:
    record = "sessions/2026-03/s.jsonl"
    elsewhere, link = tmp_path / "elsewhere", tmp_path / name.format(record=record)
    link.parent.mkdir(parents=True)
    if link.suffix:
        elsewhere.write_text('{"kind": "turn"}\n')
    else:
        elsewhere.mkdir()
    link.symlink_to(elsewhere)
    for act in (Record, lambda path: list(read_lines(path))):
        with pytest.raises(RecordError, match="is a link"):
            act(tmp_path / "data" / record)
    kept = elsewhere.read_text() if link.suffix else list(elsewhere.iterdir())
    assert kept == ('{"kind": "turn"}\n' if link.suffix else [])


def test_a_data_folder_that_is_a_link_of_the_persons_own_is_used(path: Path) -> None:
    (path.parents[2] / "disk").mkdir()
    (path.parents[2] / "data").symlink_to(path.parents[2] / "disk")
    Record(path.parents[2] / "data" / "sessions" / "2026-03" / "s.jsonl").close()
    assert (path.parents[2] / "disk" / "sessions" / "2026-03" / "s.jsonl").is_file()


def test_a_pipe_in_place_of_a_record_is_not_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(RecordError):
        Record(path)
    assert list(read_lines(path)) == []


def test_nothing_is_written_after_a_record_is_closed(record: Record, path: Path):
    record.close()
    with path.with_name("other").open("wb") as other:  # it may get the same descriptor
        with pytest.raises(RecordError, match=r"s.jsonl is not open in this process"):
            record.append(OtherLine("turn", {"turn": 1}))
        record.close()
        other.write(b"x")
    assert (path.read_bytes(), path.with_name("other").read_bytes()) == (b"", b"x")


@pytest.mark.parametrize("away", [Path.unlink, lambda path: path.rename(path.with_suffix(".old"))])
def test_a_record_that_is_not_there_any_more_is_written_no_further(
    record: Record, path: Path, away: Callable[[Path], object]
):
    record.append(OtherLine("turn", {"turn": 1}))
    away(path)
    with pytest.raises(RecordError, match="was deleted or moved") as raised:
        record.append(OtherLine("turn", {"turn": 2}))
    assert "%agent new" in raised.value.hint
    assert not path.exists()


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def exit_code(in_child: Callable[[], object]) -> int:
    """How a forked child ends that does this: 0, or 1 if it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            in_child()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@FORKS
def test_a_forked_child_neither_writes_nor_unlocks_the_record(record: Record, path: Path):
    record.append(OtherLine("turn", {"turn": 1}))

    def writes() -> None:
        with pytest.raises(RecordError, match="is not open in this process"):
            record.append(OtherLine("turn", {"turn": "of the child"}))
        record.close()

    assert exit_code(writes) == 0
    record.append(OtherLine("turn", {"turn": 2}))
    assert [line.value["turn"] for line in read_lines(path)] == [1, 2]
    assert is_open(path)


@FORKS
def test_a_forked_child_may_write_a_record_of_its_own(record: Record, path: Path):
    own = path.with_name("own.jsonl")
    assert exit_code(lambda: Record(own).append(OtherLine("turn", {"turn": 1}))) == 0
    assert [line.value["turn"] for line in read_lines(own)] == [1]


@FORKS
def test_a_child_that_outlives_a_killed_kernel_does_not_lock_its_session(path: Path):
    code = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from inkernel.agent.conversation.record import Record\n"
        "record = Record(Path(sys.argv[1]))\n"
        "if os.fork() == 0: print('forked', flush=True); sys.stdin.read(); os._exit(0)\n"
        "signal.pause()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout and parent.stdout.readline() == b"forked\n"
        assert is_open(path)
        parent.kill()
        parent.wait()  # its child waits for the end of the input
        Record(path).close()
