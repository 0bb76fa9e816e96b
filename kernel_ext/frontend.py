"""Finds the surface that shows this shell's output, its running cell, and whether it can ask."""

import os
import sys
from collections.abc import Mapping
from typing import Any, Literal

from .shell import Shell

Surface = Literal["terminal", "headless", "notebook", "jupyterlab"]
"""`headless`: a kernel without a user. `jupyterlab`: JupyterLab, Notebook 7 and their like, where
widgets work. `notebook`: VS Code and Colab, without widgets."""


def find_surface(shell: Shell) -> Surface:
    """The surface that shows this shell's output at the moment."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    if not getattr(kernel, "_allow_stdin", False):
        return "headless"
    elsewhere = "VSCODE_PID" in os.environ or "google.colab" in sys.modules
    return "notebook" if elsewhere else "jupyterlab"


def can_ask(shell: Shell) -> bool:
    """Whether someone can answer `input()`."""
    surface = find_surface(shell)
    return sys.stdin.isatty() if surface == "terminal" else surface != "headless"


def find_cell(shell: Shell) -> str | None:
    """The running cell's id in the notebook, if the front end gives it (JupyterLab, Notebook 7)."""
    get_parent = getattr(shell, "get_parent", None)
    if get_parent is None:
        return None
    parent: Mapping[str, Any] = get_parent() or {}  # the execute request of the cell
    cell = parent.get("metadata", {}).get("cellId")
    return cell if isinstance(cell, str) else None


def find_count(shell: Shell) -> int | None:
    """In [count] of the running cell. The shell's own counter is ahead of it since IPython 9."""
    return getattr(shell.displayhook, "prompt_count", None)
