"""Reads, writes and exports notebook files. nbformat loads at the first use. Runs nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...agent.config.extras import install_command
from ...agent.errors import UsageError

if TYPE_CHECKING:
    from nbformat import NotebookNode


def read_notebook(path: Path) -> "NotebookNode":
    """The notebook in a file, as format 4. Raises UsageError when it cannot be read."""
    import nbformat

    read = cast("Any", nbformat).read
    try:
        return read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise UsageError(f"{path} cannot be read as a notebook: {reason}") from None


def write_notebook(notebook: "NotebookNode", path: Path) -> None:
    """Write the notebook, and make the folders above it."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    cast("Any", nbformat).write(notebook, path)


def new_notebook() -> "NotebookNode":
    """A notebook without cells."""
    from nbformat import v4

    return cast("Any", v4).new_notebook()


def append_code(notebook: "NotebookNode", source: str, cell_id: str) -> None:
    """Add a code cell at the end."""
    from nbformat import v4

    cell = cast("Any", v4).new_code_cell(source, id=cell_id)
    cast("list[Any]", notebook.cells).append(cell)


def as_html(notebook: "NotebookNode") -> str:
    """The notebook as an HTML page. Raises UsageError when nbconvert is not installed."""
    try:
        from nbconvert import HTMLExporter
    except ModuleNotFoundError as error:
        raise UsageError(
            f"HTML needs the package {error.name}.", install_command("headless")
        ) from None
    body, _resources = cast("Any", HTMLExporter()).from_notebook_node(notebook)
    return body
