"""Finds the environment of this shell: folder, time, versions, notebook."""

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import platformdirs

from ..agent.config.project import Docs
from ..agent.context.changes import Environment
from .shell import Shell

_MAX_NAME, _DIGITS = 40, 12
_NO_FILE_NAME = re.compile(r"[^\w.-]")
PACKAGES = (
    *("numpy", "pandas", "polars", "pyarrow", "duckdb", "scipy", "sklearn", "statsmodels"),
    *("matplotlib", "seaborn", "plotly", "altair", "torch", "tensorflow", "jax", "xarray"),
    *("dask", "geopandas", "networkx", "sympy", "requests", "sqlalchemy"),
)


def working_folder() -> Path:
    """The working folder. Of one that code has deleted, the path says so, and nothing is in it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        here = "/proc/self/cwd"
        return Path(os.readlink(here) if os.path.lexists(here) else "(deleted)")


def find_environment(shell: Shell, docs: Docs) -> Environment:
    """The present environment, with these instructions."""
    now = datetime.now().astimezone()
    cwd = working_folder()
    return Environment(
        cwd=str(cwd),
        date=now.date().isoformat(),
        timezone=now.tzname() or now.strftime("%z"),
        python=platform.python_version(),
        packages=_imported(sys.modules),
        notebook=find_notebook(shell),
        docs=docs.docs,
        notices=docs.notices,
    )


def find_notebook(shell: Shell) -> str | None:
    """The notebook's path: from VS Code, else from the server's session at the kernel's start."""
    path: object = shell.user_ns.get("__vsc_ipynb_file__")
    path = path or os.environ.get("JPY_SESSION_NAME")
    return path if isinstance(path, str) and path.endswith(".ipynb") else None


def variables_now() -> Mapping[Any, Any]:
    """The variables of this process, to be compared: `os.environ` keeps them encoded, and decodes
    each that is read."""
    return dict(getattr(os.environ, "_data", os.environ))


def data_folder(chosen: Path | None) -> Path:
    """The folder of session records: the chosen one, or the system's usual place."""
    return chosen or platformdirs.user_data_path("inkernel", appauthor=False)


def jupyter_secrets(shell: Shell) -> frozenset[str]:
    """The token of the server that started this kernel, and the key of the kernel's messages."""
    session = getattr(getattr(shell, "kernel", None), "session", None)
    if session is None:
        return frozenset()
    from jupyter_core.paths import jupyter_runtime_dir

    server = Path(jupyter_runtime_dir(), f"jpserver-{os.environ.get('JPY_PARENT_PID')}.json")
    token = ""
    with suppress(OSError, ValueError, AttributeError):
        token = json.loads(server.read_text("utf-8")).get("token", "")
    return frozenset((session.key.decode("latin-1"), str(token)))


def cache_folder() -> Path:
    """The folder of what we can make anew."""
    return platformdirs.user_cache_path("inkernel", appauthor=False)


def logs_folder(project: Path) -> Path:
    """The folder of what programs that we start for a project write to stderr."""
    digest = hashlib.sha256(os.fsencode(project)).hexdigest()[:_DIGITS]
    name = f"{_NO_FILE_NAME.sub('_', project.name)[:_MAX_NAME]}-{digest}"
    return platformdirs.user_log_path("inkernel", appauthor=False) / name


def _imported(modules: Mapping[str, ModuleType]) -> dict[str, str]:
    found = {name: vars(modules[name]).get("__version__") for name in PACKAGES if name in modules}
    return {name: version for name, version in found.items() if isinstance(version, str)}
