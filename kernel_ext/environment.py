"""Where this shell is: folder, time, versions, notebook, cell, who can be asked. Only looks."""

import os
import platform
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from ..agent.config.project import read_docs
from ..agent.context.changes import Environment
from .shell import Shell

PACKAGES = (
    *("numpy", "pandas", "polars", "pyarrow", "duckdb", "scipy", "sklearn", "statsmodels"),
    *("matplotlib", "seaborn", "plotly", "altair", "torch", "tensorflow", "jax", "xarray"),
    *("dask", "geopandas", "networkx", "sympy", "requests", "sqlalchemy"),
)

Surface = Literal["terminal", "headless", "notebook", "jupyterlab"]
"""`headless`: a kernel nobody sits at. `jupyterlab`: one whose front end shows our live view."""


def find_environment(shell: Shell, user_folder: Path, docs_bytes: int) -> Environment:
    """The snapshot a turn starts with."""
    now = datetime.now().astimezone()
    cwd = Path.cwd()
    return Environment(
        cwd=str(cwd),
        date=now.date().isoformat(),
        timezone=now.tzname() or now.strftime("%z"),
        python=platform.python_version(),
        packages=_imported(sys.modules),
        notebook=find_notebook(shell),
        docs=read_docs(cwd, user_folder, docs_bytes),
    )


def find_notebook(shell: Shell) -> str | None:
    """Where the notebook is: VS Code's name, else that of the server's session at its start."""
    path: object = shell.user_ns.get("__vsc_ipynb_file__")
    path = path or os.environ.get("JPY_SESSION_NAME")
    return path if isinstance(path, str) and path.endswith(".ipynb") else None


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


def user_names(shell: Shell) -> dict[str, object]:
    """The names that are the user's: neither IPython's own nor with an underscore."""
    hidden: Mapping[str, object] = shell.user_ns_hidden
    return {
        name: value
        for name, value in shell.user_ns.items()
        if type(name) is str
        and not name.startswith("_")
        and not (name in hidden and hidden[name] is value)
    }


def _imported(modules: Mapping[str, ModuleType]) -> dict[str, str]:
    found = {name: vars(modules[name]).get("__version__") for name in PACKAGES if name in modules}
    return {name: version for name, version in found.items() if isinstance(version, str)}
