"""What shows this shell's output, which cell runs there, and who can answer. Only looks."""

import os
import sys
from collections.abc import Mapping
from typing import Any, Literal

from .shell import Shell

Surface = Literal["terminal", "headless", "notebook", "jupyterlab"]
"""`headless`: a kernel nobody sits at. `jupyterlab`: one whose front end shows our live view."""


def find_surface(shell: Shell) -> Surface:
    """What shows this shell's output just now."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    if not getattr(kernel, "_allow_stdin", False):
        return "headless"
    elsewhere = "VSCODE_PID" in os.environ or "google.colab" in sys.modules
    return "notebook" if elsewhere else "jupyterlab"


def can_ask(shell: Shell) -> bool:
    """A person may answer `input()`."""
    surface = find_surface(shell)
    return sys.stdin.isatty() if surface == "terminal" else surface != "headless"


def find_cell(shell: Shell) -> str | None:
    """The notebook's id of the running cell, when the front end tells (JupyterLab, Notebook 7)."""
    get_parent = getattr(shell, "get_parent", None)
    if get_parent is None:
        return None
    parent: Mapping[str, Any] = get_parent() or {}  # the execute request of the cell
    cell = parent.get("metadata", {}).get("cellId")
    return cell if isinstance(cell, str) else None


def find_count(shell: Shell) -> int | None:
    """In [count] of the running cell.

    The shell's own counter is ahead of it since IPython 9; its inputs are stored before a cell runs
    in every version.
    """
    inputs = getattr(shell.history_manager, "input_hist_parsed", None)
    return len(inputs) - 1 if inputs else None
