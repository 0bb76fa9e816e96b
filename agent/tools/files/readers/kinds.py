"""Which reader reads a file, by its ending. Knows no index."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ....config.extras import install_command
from ..places import PlacedText, UnreadableFile

DocumentReader = Callable[[Path], Iterator[PlacedText]]

MAX_DOCUMENT_BYTES = 50 << 20
"""Most bytes of a file that is read."""
KINDS: dict[str, tuple[str, ...]] = {
    "pdf": (".pdf",),
    "word": (".docx", ".docm"),
    "slides": (".pptx", ".pptm"),
    "sheet": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    "html": (".html", ".htm", ".xhtml"),
    "notebook": (".ipynb",),
    "markdown": (".md", ".markdown", ".mdx", ".qmd", ".rmd"),
    "text": (
        *(".txt", ".rst", ".tex", ".log", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml"),
        *(".toml", ".ini", ".cfg", ".xml", ".bib", ".srt", ".vtt", ".eml"),
    ),
    "code": (
        *(".py", ".pyi", ".r", ".jl", ".sql", ".sh", ".js", ".ts", ".tsx", ".jsx", ".css", ".c"),
        *(".h", ".cpp", ".hpp", ".cc", ".java", ".go", ".rs", ".rb", ".php", ".scala", ".kt"),
        *(".swift", ".cs", ".lua", ".pl", ".m", ".f90", ".do", ".sas", ".stan"),
    ),
}
"""The kinds of files that are read, by name, and the endings of each."""
_KIND_OF = {ending: kind for kind, endings in KINDS.items() for ending in endings}


def document_kind(path: str) -> str:
    """The kind of a file, by its ending. Empty if no reader reads it."""
    return _KIND_OF.get(Path(path).suffix.lower(), "")


def read_document(path: Path) -> Iterator[PlacedText]:
    """The texts of a file by place. Raises UnreadableFile, also where a package is missing."""
    with _problems_told():
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise UnreadableFile("it is larger than 50 MB")
        yield from _reader(document_kind(path.name))(path)


def page_picture(path: Path, number: int) -> Any:
    """A page of a PDF, from 1, as a picture of PIL. Raises UnreadableFile."""
    with _problems_told():
        if document_kind(path.name) != "pdf":
            raise UnreadableFile("only pages of PDF files can be shown as pictures")
        from .pdf import page_image

        return page_image(path, number)


@contextmanager
def _problems_told() -> Generator[None]:
    try:
        yield
    except ImportError as error:
        how = install_command("files")
        raise UnreadableFile(f"{error.name} is not installed: `{how}`") from None
    except OSError as error:
        raise UnreadableFile(error.strerror or str(error)) from None


def _reader(kind: str) -> DocumentReader:
    """The reader of a kind. Each loads with the first file of its kind."""
    match kind:
        case "pdf":
            from .pdf import read_pdf as reader
        case "word":
            from .word import read_word as reader
        case "slides":
            from .slides import read_slides as reader
        case "sheet":
            from .sheets import read_sheets as reader
        case "html":
            from .web_page import read_web_page as reader
        case "notebook":
            from .notebook_cells import read_notebook_cells as reader
        case "markdown":
            from .plain import read_markdown as reader
        case _:
            from .plain import read_plain_lines as reader
    return reader
