"""The tools that search files and read one, as the model and code call them."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.tools.files.folder_indexes import FolderIndexes
from inkernel.agent.tools.files.tools import file_tools
from inkernel.agent.tools.tool import TEXT_ALONE, ToolCall, ToolOutput
from tests.agent.tools.files.documents import MAKERS, marker, needs_files

Call = Callable[..., ToolOutput]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.fixture
def call(folder: Path, tmp_path: Path) -> Iterator[Call]:
    """Calls a tool by its name, with arguments as a model gives them."""
    indexes = FolderIndexes(tmp_path / "cache")
    tools = {it.name: it for it in file_tools(lambda: folder, lambda: indexes)}
    shown: list[Any] = []

    def call(name: str, **arguments: object) -> ToolOutput:
        tool: Any = tools[name]
        return asyncio.run(tool.run(ToolCall("c1", shown.append), tool.arguments.take(arguments)))

    yield call
    asyncio.run(indexes.close())


def test_hits_name_path_and_place_and_code_gets_them_as_rows(call: Call, folder: Path):
    MAKERS["rain.pdf"](folder / "rain.pdf")
    output = call("search_files", queries=[marker(7), "marker of this page"], limit=3)
    first = output.text.splitlines()[0]
    assert first.startswith("1. rain.pdf, page 7: ") and f"«{marker(7)}»" in first
    rows: Any = output.value
    assert len(rows) == 3 and rows[0]["path"] == "rain.pdf" and rows[0]["page"] == 7
    assert rows[0]["text"][: rows[0]["end"]].startswith("It rains.") and rows[0]["start"] == 0


@needs_files
def test_nothing_found_and_files_without_text_are_said(call: Call, folder: Path):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    output = call("search_files", queries=["absent"])
    assert "Nothing found in 1 files." in output.text and output.value == []
    assert "[without text: broken.pdf: it is no PDF, or broken]" in output.text


def test_a_path_or_a_kind_narrows_a_search(call: Call, folder: Path):
    (folder / "in").mkdir()
    for name in ("a.txt", "b.md", "in/c.txt"):
        (folder / name).write_text("apples")

    def paths(**narrow: str) -> list[str]:
        rows: Any = call("search_files", queries=["apples"], **narrow).value
        return sorted(it["path"] for it in rows)

    assert paths() == ["a.txt", "b.md", "in/c.txt"]
    assert paths(path="in") == paths(path="./in/") == paths(path=str(folder / "in")) == ["in/c.txt"]
    assert paths(path="*.md") == paths(kind="markdown") == ["b.md"]
    assert paths(path="a.txt") == ["a.txt"] and paths(path=".") == paths()


@pytest.mark.parametrize(
    ("name", "place", "told"),
    [
        ("rain.pdf", "page 12", "[rain.pdf, page 12]\nIt rains."),
        ("rain.pdf", "pages 12-13", marker(13)),
        ("contract.docx", "Clause 5,", marker(5)),
        ("contract.docx", "Clause 100 › Notes", "penalty | 40 euros"),
        ("talk.pptx", "slide 4", f"Slide on rain 4\n{marker(4)}"),
        ("towns.xlsx", "Town 9, rows 1–14", "month | mm"),
        ("notes.md", "Town 3,", marker(3)),
        ("module.py", "lines 50-70", marker(2)),
        ("work.ipynb", "cell 2", marker(2)),
    ],
)
def test_a_file_is_read_by_place(call: Call, folder: Path, name: str, place: str, told: str):
    MAKERS[name](folder / name)
    output = call("read_file", path=name, place=place)
    assert output.status == "ok" and told in output.text
    rows: Any = output.value
    assert 1 <= len(rows) <= 3 and output.value is not TEXT_ALONE


def test_a_file_without_such_a_place_says_which_there_are(call: Call, folder: Path):
    MAKERS["rain.pdf"](folder / "rain.pdf")
    output = call("read_file", path="rain.pdf", place="page 101")
    assert output.status == "error" and "There are: page 1, page 2" in output.text
    assert output.text.endswith("page 30 …")


@pytest.mark.parametrize("name", ["missing.txt", "broken.pdf", "folder.txt", "binary.bin"])
def test_a_file_that_cannot_be_read_is_an_error_in_words(call: Call, folder: Path, name: str):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / "folder.txt").mkdir()
    (folder / "binary.bin").write_bytes(b"\0\1")
    output = call("read_file", path=name)
    assert output.status == "error" and output.text.startswith(f"{name} cannot be read: ")


@needs_files
def test_a_page_can_be_seen(call: Call, folder: Path):
    MAKERS["rain.pdf"](folder / "rain.pdf")
    output = call("read_file", path="rain.pdf", place="page 3", as_image=True)
    assert output.parts[0]["type"] == "input_image"
    assert bytes(output.value).startswith(b"\x89PNG")  # pyright: ignore[reportArgumentType]
    assert "it has 100 pages" in call("read_file", path="rain.pdf", place="200", as_image=True).text
    (folder / "a.txt").write_text("x")
    assert "only pages of PDF" in call("read_file", path="a.txt", as_image=True).text


@pytest.mark.parametrize(
    ("path", "looks"),
    [
        ("a.txt", True),
        ("in/../a.txt", True),
        ("/etc/hosts", False),
        ("../other.txt", False),
        (".env", False),
        (".git/config", False),
        ("link.txt", False),
    ],
)
def test_a_file_outside_or_hidden_is_not_only_looked_at(
    folder: Path, tmp_path: Path, path: str, looks: bool
):
    (folder / "link.txt").symlink_to("/etc/hosts")
    _, read = file_tools(lambda: folder, lambda: FolderIndexes(tmp_path))
    touched = read.touches(read.arguments.take({"path": path}))
    assert touched.reads_only is looks
    assert touched.paths == (() if looks else (str(folder / path),))
