"""Which notebooks can be executed, and where the result is saved. Runs nothing."""

import json
import os
import re
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from ...agent.config.extras import install_command
from ...agent.errors import UsageError
from ..notebook.file.ipynb import MINOR, Ipynb, save_file, write_ipynb
from .working_copy import WorkingCopy

_OURS = ("", "python", "python3")
"""Names that the kernel of any Python has."""
_EMPTY: dict[str, object] = {
    "cells": [],
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": MINOR,
}


def new_notebook() -> bytes:
    """A notebook without cells."""
    return json.dumps(_EMPTY, indent=1).encode() + b"\n"


def check_language(notebook: Ipynb, path: Path) -> str:
    """The kernel that runs the notebook, in words, if it asks for another one.

    Raises UsageError for a notebook of another language.
    """
    spec = _dict(notebook.metadata.get("kernelspec"))
    name, title = (str(spec.get(key) or "") for key in ("name", "display_name"))
    language = _language(notebook.metadata, spec) or _guessed(name, title)
    if not re.match("i?python", language, re.IGNORECASE):
        known = f"in {language}" if language else "in a language that it does not name"
        hint = "" if language else " If it is Python, say so in its metadata: kernelspec.language."
        raise UsageError(
            f"{path} is {known}, for the kernel {name!r}. Only Python can be executed here.",
            f"Nothing was run or written.{hint}",
        )
    if name in _OURS:
        return ""
    return f"{path} asks for the kernel {name!r}. It runs in this Python: {sys.executable}"


def _language(metadata: dict[str, Any], spec: dict[str, Any]) -> str:
    info = _dict(metadata.get("language_info"))
    found = (spec.get("language"), info.get("name"), metadata.get("language"))
    return next((each for each in found if isinstance(each, str) and each), "")


def _guessed(name: str, title: str) -> str:
    """The language of a kernel that does not tell it."""
    return "python" if not name or "python" in f"{name} {title}".lower() else ""


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def make_writable(path: Path) -> None:
    """Make the folder of a file that will be written. Raises UsageError if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written.")


def save(copy: WorkingCopy, given: Path | None, before: bytes, output: Path | None) -> Path | None:
    """Save what came of a notebook, and return where. Raises UsageError.

    Without `output`, the notebook itself gets it if the agent changed it, else nothing does.
    """
    data = copy.data(added=output is not None)
    target = output or (given if copy.edited else None)
    try:
        if output:
            save_file(output, data)
        elif target:
            write_ipynb(target, before, data)
    except (OSError, UsageError) as error:
        kept = Path(mkdtemp(prefix="inkernel-")) / (target or copy.path).name
        kept.write_bytes(data)
        said = error.message if isinstance(error, UsageError) else f"{target}: {error.strerror}."
        raise UsageError(said, f"The result is kept in {kept}.") from None
    return target


def as_html(data: bytes) -> str:
    """The notebook as an HTML page. Raises UsageError when nbconvert is not installed."""
    try:
        from nbconvert import HTMLExporter
        from nbformat import v4
    except ModuleNotFoundError as error:
        raise UsageError(
            f"HTML needs the package {error.name}.", install_command("headless")
        ) from None
    notebook = cast("Any", v4).reads(data.decode("utf-8-sig"))
    body, _resources = cast("Any", HTMLExporter()).from_notebook_node(notebook)
    return body
