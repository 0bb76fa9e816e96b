"""A record's lines form a chain: one that is cut out, changed or forged is named at resume."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkernel.agent.conversation.record import Record, read_record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.protocol.record_chain import last_line
from inkernel.agent.protocol.record_lines import OtherLine, TurnLine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record of two openings, with ten lines."""
    path = tmp_path / "s.jsonl"
    for half in (range(5), range(5, 10)):
        record = Record(path)
        for n in half:
            record.append(TurnLine(turn=n + 1, said=f"prompt {n}"))
        record.close()
    return path


def broken(path: Path) -> list[int]:
    return [read.number for read in resume(path).broken]


def test_a_whole_record_has_no_broken_line(path: Path):
    assert broken(path) == []


@pytest.mark.parametrize("at", [1, 4, 5, 8])
def test_a_line_that_was_cut_out_is_named(path: Path, at: int):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    assert broken(path) == [at + 1]


@pytest.mark.parametrize("at", [0, 4, 8])
def test_a_line_that_was_changed_is_named_by_the_next(path: Path, at: int):
    path.write_bytes(path.read_bytes().replace(b'"prompt %d"' % at, b'"Prompt %d"' % at))
    assert broken(path) == [at + 2]


@pytest.mark.parametrize("past", [{}, {"past": ""}, {"past": "0" * 16}])
def test_a_forged_line_at_the_end_is_named(path: Path, past: Any):
    line = {"at": 1.0, "kind": "turn", "turn": 11, "said": "forged", **past}
    with path.open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
    assert broken(path) == [11]
    record = Record(path)
    record.append(TurnLine(turn=12))
    record.close()
    assert broken(path) == [11]


def test_a_line_put_in_between_breaks_the_chain(path: Path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], lines[2], *lines[5:]]))
    assert broken(path) == [6, 7]


def test_lines_of_earlier_versions_are_taken_and_the_chain_begins_after_them(tmp_path: Path):
    path = tmp_path / "s.jsonl"
    old = [{"at": 1.0, "kind": "turn", "turn": n, "said": "x"} for n in (1, 2)]
    path.write_text("".join(json.dumps(line) + "\n" for line in old))
    record = Record(path)
    record.append(TurnLine(turn=3))
    record.append(TurnLine(turn=4))
    record.close()
    assert broken(path) == []
    path.write_text(path.read_text().replace('"turn": 2', '"turn": 7'))
    assert broken(path) == [3]


def test_a_line_of_a_later_version_that_is_written_again_has_a_digest_of_its_own(path: Path):
    record = Record(path)
    record.append(OtherLine("later", {"past": "0", "v": 9}))
    record.append(TurnLine(turn=12))
    record.close()
    assert broken(path) == []


def test_a_last_line_that_a_crash_cut_off_breaks_nothing(path: Path):
    path.write_bytes(path.read_bytes()[:-9])
    record = Record(path)
    record.append(TurnLine(turn=11))
    record.close()
    assert all(read.follows for read in read_record(path))


@settings(deadline=None)
@given(lines=st.lists(st.binary(max_size=200_000).filter(lambda it: b"\n" not in it), max_size=3))
def test_the_last_line_is_found_from_the_end(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
):
    path = tmp_path_factory.mktemp("tail") / "file"
    lines = [b"x" + line for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with path.open("rb") as file:
        assert last_line(file) == (lines[-1] if lines else b"")
