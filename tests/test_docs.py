"""The prose for people: its links resolve, its sentences are short, its tables know the code."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from inkernel.agent.config.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))]
PAGES += sorted((ROOT / "docs").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLAN = ROOT / "docs" / "architecture.md"
FOLDERS = ("agent", "bench", "kernel_ext", "widgets")
"""Folders whose docstrings follow the rules of the pages."""
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MOST_WORDS = 30
MOST_README_LINES = 150
IDIOMS = re.compile(r"\b(?:(?:is|are) (?:told|said)|stands|lies|looks whether)\b", re.IGNORECASE)
GENERATED = re.compile(r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", re.MULTILINE | re.DOTALL)
MARKDOWN = MarkdownIt("commonmark").enable("table")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Its Markdown, without the parts that a bench writes. Of a module, its docstrings."""
    if path.suffix == ".py":
        return "\n\n".join(docstrings(path))
    if path.suffix == ".md":
        return GENERATED.sub("", path.read_text(encoding="utf-8"))
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module, and those below its constants and fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield inspect.cleandoc(text)


def paragraphs(text: str) -> Iterator[str]:
    """Its prose, without code, tables, headings and images; `code` in a line is one word."""
    inside = ""
    for token in MARKDOWN.parse(text):
        if token.type in ("table_open", "heading_open"):
            inside = token.type
        elif token.type in ("table_close", "heading_close"):
            inside = ""
        elif token.type == "inline" and not inside:
            yield "".join(map(_words, token.children or ())).strip()


def _words(part: Token) -> str:
    match part.type:
        case "code_inline":
            return re.sub(r"\W+", "_", part.content)
        case "text":
            return part.content
        case "softbreak" | "hardbreak":
            return " "
        case _:
            return ""


def sentences(text: str) -> list[str]:
    """Its sentences. A colon or semicolon ends none."""
    ends = re.compile(r"(?<=[.!?])[\"”)]?\s+")
    return [it for paragraph in paragraphs(text) for it in ends.split(paragraph) if it]


def links(text: str) -> Iterator[str]:
    for token in MARKDOWN.parse(text):
        for part in token.children or ():
            if target := part.attrGet("href") or part.attrGet("src"):
                yield str(target)


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


each_page = pytest.mark.parametrize("path", PAGES, ids=name_of)
each_text = pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS, *MODULES], ids=name_of)


@each_page
def test_links_and_images_resolve(path: Path) -> None:
    for link in links(text_of(path)):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        assert target.exists(), f"{name_of(path)}: {link}"
        assert not parts.fragment or parts.fragment in anchors(target), f"{name_of(path)}: {link}"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link in links(text_of(PAGES[0]))}
    assert {page.resolve() for page in PAGES[1:]} <= linked


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES


@each_text
def test_sentences_are_short(path: Path) -> None:
    long = [it for it in sentences(text_of(path)) if len(it.split()) > MOST_WORDS]
    assert not long, "\n".join(long)


@each_text
def test_the_subject_comes_first(path: Path) -> None:
    wrong = [it for it in sentences(text_of(path)) if it.startswith("What ") and it[-1] != "?"]
    assert not wrong, "\n".join(wrong)


@each_text
def test_the_english_is_plain(path: Path) -> None:
    wrong = [it for it in sentences(text_of(path)) if IDIOMS.search(it)]
    assert not wrong, "\n".join(wrong)


def test_prose_is_found() -> None:
    """Else the tests above would pass on nothing."""
    page = (
        "# What is\n\nOne. What two\nthree `a b` (is told).\n\n| a |\n| - |\n| b |\n\n- ![x](y) z"
    )
    assert sentences(page) == ["One.", "What two three a_b (is told).", "z"]
    assert list(links("[a](b#c) ![d](e)")) == ["b#c", "e"]
    assert MODULES
    assert sentences(text_of(Path(__file__)))[0].startswith("The prose for people: ")


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (?:`([^`]+)`)? ?\|", text_of(ROOT / "docs/settings.md"), re.M
    )
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    said = {n: str(it).lower() if it not in (None, ()) else "" for n, it in defaults.items()}
    assert dict(rows) == said


def test_every_subcommand_is_documented() -> None:
    code = "%load_ext inkernel\n%agent help"
    shown = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = re.findall(r"^ *%agent (\w+)", shown, re.MULTILINE)
    table = text_of(ROOT / "docs/commands.md")
    assert "help" in commands
    assert [name for name in commands if f"`%agent {name}" not in table] == []


def test_the_plan_names_files_that_there_are() -> None:
    named = re.findall(r"`((?:agent|widgets|kernel_ext)/[\w/]+(?:/|\.py))`", text_of(PLAN))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
