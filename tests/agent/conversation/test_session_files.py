"""Which session goes on: the latest of this notebook, never somebody else's by chance."""

import os
from pathlib import Path

import pytest

from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.session_files import (
    Place,
    all_sessions,
    latest_session,
    named_session,
    session_file,
)
from inkernel.agent.errors import UsageError
from inkernel.agent.protocol.record_lines import SessionLine, TurnLine

A, B = Place("/rain", "/rain/a.ipynb"), Place("/rain", "/rain/b.ipynb")
TERMINAL, ELSEWHERE = Place("/rain"), Place("/tmp")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sessions in the order in which their records changed: the last one changed last."""
    for number, place in enumerate((A, B, TERMINAL, A, ELSEWHERE, B)):
        path = tmp_path / "2026-11" / f"s{number}.jsonl"
        record = Record(path)
        record.append(SessionLine(session=path.stem, cwd=place.cwd, notebook=place.notebook))
        record.append(TurnLine(turn=1, said=f"Prompt {number}\nand more"))
        record.close()
        os.utime(path, (1_000 + number, 1_000 + number))
    return tmp_path


@pytest.mark.parametrize(
    ("here", "present", "found"),
    [
        (A, "new", "s3"),
        (A, "s3", "s0"),
        (B, "new", "s5"),
        (TERMINAL, "new", "s2"),
        (ELSEWHERE, "new", "s4"),
        (Place("/rain", "/rain/c.ipynb"), "new", "s2"),
    ],
)
def test_the_latest_of_this_notebook_goes_on_or_else_of_this_folder_without_a_notebook(
    folder: Path, here: Place, present: str, found: str
):
    assert latest_session(folder, here, present).stem == found


@pytest.mark.parametrize(
    ("here", "present", "resumed"),
    [
        (A, "s3", True),  # again, though s0 is earlier
        (Place("/rain", "/rain/c.ipynb"), "s2", True),
        (TERMINAL, "s2", False),  # the only one
        (ELSEWHERE, "s4", True),
    ],
)
def test_the_session_of_this_place_that_is_open_here_is_not_left_for_another(
    folder: Path, here: Place, present: str, resumed: bool
):
    assert latest_session(folder, here, present, resumed).stem == present


def test_a_notebooks_only_session_is_not_left_for_one_of_its_folder(folder: Path):
    (folder / "2026-11" / "s0.jsonl").unlink()
    assert latest_session(folder, A, "s3").stem == "s3"


def test_a_resumed_session_of_another_place_is_left_for_one_of_this_place(folder: Path):
    assert latest_session(folder, A, "s5", resumed=True).stem == "s3"


@pytest.mark.parametrize("here", [Place("/other"), Place("/other", "/other/a.ipynb")])
def test_without_one_of_this_place_the_latest_is_named_and_not_taken(folder: Path, here: Place):
    with pytest.raises(UsageError, match="no earlier session of /other") as raised:
        latest_session(folder, here, "new")
    assert "/rain/b.ipynb: Prompt 5" in raised.value.hint
    assert "`%agent resume s5`" in raised.value.hint


def test_a_session_that_is_open_elsewhere_is_left_alone_while_there_is_another(folder: Path):
    record = Record(folder / "2026-11" / "s3.jsonl")
    assert latest_session(folder, A, "new").stem == "s0"
    record.close()
    assert latest_session(folder, A, "new").stem == "s3"


def test_a_session_is_named_by_the_start_of_its_name_if_only_one_has_it(folder: Path):
    assert named_session(folder, "s3").stem == "s3"
    (folder / "2026-11" / "s3.jsonl").rename(folder / "2026-11" / "s30.jsonl")
    assert named_session(folder, "s3").stem == "s30"
    for name in ("s", "x"):
        with pytest.raises(UsageError, match=f"{name!r}"):
            named_session(folder, name)


def test_a_session_is_listed_with_its_place_and_first_prompt(folder: Path):
    words = [session_file(path).words for path in all_sessions(folder)]
    assert words[0].endswith("/rain/b.ipynb: Prompt 5")
    assert words[1].endswith("/tmp: Prompt 4")


def test_a_record_that_cannot_be_read_hides_no_other_one(folder: Path):
    gone = folder / "2026-11" / "s9.jsonl"
    gone.symlink_to(folder / "nowhere.jsonl")
    assert session_file(gone).said == "it cannot be read"
    assert latest_session(folder, A, "new").stem == "s3"
    assert len(all_sessions(folder)) == 7
