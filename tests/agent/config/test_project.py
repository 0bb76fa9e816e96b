"""A project's root, and the AGENTS.md texts that hold in a folder."""

from pathlib import Path

import pytest

from inkernel.agent.config.project import ProjectDocs, project_folders, read_docs

PLENTY = 10_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in a folder that has instructions of its own, with two folders inside."""
    folder = tmp_path / "outside" / "root"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder.parent / "AGENTS.md").write_text("outside")
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's settings folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def texts(cwd: Path, own: Path, budget: int = PLENTY) -> list[tuple[str, bool]]:
    return [(doc.text, doc.cut) for doc in read_docs(cwd, own, budget).docs]


def test_the_folders_of_a_project_go_from_its_root_down(root: Path):
    assert project_folders(root / "a" / "b") == (root, root / "a", root / "a" / "b")
    assert project_folders(root) == (root,)


def test_the_mark_of_a_root_may_be_a_file_as_in_a_worktree(root: Path):
    (root / "a" / ".git").write_text("gitdir: elsewhere")
    assert project_folders(root / "a" / "b") == (root / "a", root / "a" / "b")


def test_without_a_root_only_the_folder_itself_counts(tmp_path: Path, own: Path):
    cwd = tmp_path / "x" / "y"
    cwd.mkdir(parents=True)
    (tmp_path / "x" / "AGENTS.md").write_text("above")
    assert project_folders(cwd) == (cwd,)
    assert texts(cwd, own) == []


def test_instructions_come_in_order_the_users_own_first(root: Path, own: Path):
    for folder, text in [(root / "a" / "b", "three"), (root, "two"), (own, "one")]:
        (folder / "AGENTS.md").write_text(text)
    docs = read_docs(root / "a" / "b", own, PLENTY).docs
    assert [doc.text for doc in docs] == ["one", "two", "three"]
    assert [doc.path.parent for doc in docs] == [own, root, root / "a" / "b"]


def test_an_override_replaces_the_file_beside_it_unless_it_is_empty(root: Path, own: Path):
    (root / "AGENTS.md").write_text("shared")
    (root / "AGENTS.override.md").write_text("mine")
    assert texts(root, own) == [("mine", False)]
    (root / "AGENTS.override.md").write_text(" \n")
    assert texts(root, own) == [("shared", False)]


def test_the_file_that_crosses_the_budget_is_cut_and_later_ones_left_out(root: Path, own: Path):
    (root / "AGENTS.md").write_text("12345")
    (root / "a" / "AGENTS.md").write_text("67890")
    (root / "a" / "b" / "AGENTS.md").write_text("abcde")
    cwd = root / "a" / "b"
    assert texts(cwd, own, 15) == [("12345", False), ("67890", False), ("abcde", False)]
    assert texts(cwd, own, 8) == [("12345", False), ("678", True)]
    assert texts(cwd, own, 5) == [("12345", False)]
    assert texts(cwd, own, 0) == []


def test_the_users_own_file_is_not_counted(root: Path, own: Path):
    (own / "AGENTS.md").write_text("x" * 100)
    (root / "AGENTS.md").write_text("12345")
    assert texts(root, own, 5) == [("x" * 100, False), ("12345", False)]


def test_a_cut_inside_a_character_and_odd_bytes_are_no_failure(root: Path, own: Path):
    (root / "AGENTS.md").write_bytes("é\n".encode())
    assert texts(root, own, 1) == [("\ufffd", True)]
    (root / "AGENTS.md").write_bytes(b"a\xff")
    assert texts(root, own) == [("a\ufffd", False)]


def test_a_folder_of_that_name_is_no_instructions(root: Path, own: Path):
    (root / "AGENTS.md").mkdir()
    assert texts(root, own) == []


def test_only_files_that_may_have_changed_are_read_again(
    root: Path, own: Path, monkeypatch: pytest.MonkeyPatch
):
    docs, cwd = ProjectDocs(own), root / "a"
    none = docs.read(cwd, PLENTY)
    assert docs.read(cwd, PLENTY) is none
    monkeypatch.setattr("inkernel.agent.config.project._SETTLED_SECONDS", 0)
    for folder in (cwd, root, own):
        (folder / "AGENTS.md").write_text("one")
        before = docs.read(cwd, PLENTY)
        assert before == read_docs(cwd, own, PLENTY) and docs.read(cwd, PLENTY) is before
        (folder / "AGENTS.md").write_text("other")
        assert docs.read(cwd, PLENTY) == read_docs(cwd, own, PLENTY) != before
    (root / ".git").rmdir()
    for more in (docs.read(cwd, 3), docs.read(root, PLENTY)):
        assert more != docs.read(cwd, PLENTY) == read_docs(cwd, own, PLENTY)


def test_a_file_that_has_just_been_written_is_always_read_again(root: Path, own: Path):
    (root / "AGENTS.md").write_text("one")
    docs = ProjectDocs(own)
    assert docs.read(root, PLENTY) is not docs.read(root, PLENTY)
