"""Three hundred ordinary steps: none is a concern, most are plain, and the guard notices none."""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from inkernel.agent.permissions.code.findings import Surroundings
from inkernel.agent.permissions.reading import CodeReading, read_code
from inkernel.agent.protocol.trials import Walls
from tests.kernel_ext.conftest import skip_without_imports
from tests.kernel_ext.sandbox.test_guard import Workspace

FOLDER = Path(__file__).parent / "ordinary"
NOTEBOOKS = sorted(FOLDER.glob("*.txt"))
WALLS = Walls(workspace=("/ws", "/tmp/own"), protected=("/ws/.git",), secret=("/home/a/.ssh",))
_VARIES = re.compile(
    r"0x[0-9a-f]+|(?:CPU times|Wall time):[^\n]*|(?:/\w[\w.-]*)+/(?:ws|ipykernel_\d+)\b"
)
"""Addresses, times, the workspace and the cells' own folder, which no two runs share."""


def cells(notebook: Path) -> list[str]:
    return notebook.read_text(encoding="utf-8").split("# %%\n")


def readings(notebook: Path) -> Iterator[tuple[str, CodeReading]]:
    """Each cell as it reads after the cells above it."""
    defined: dict[str, str] = {}
    for cell in cells(notebook):
        code = TransformerManager().transform_cell(cell)
        yield cell, read_code(code, WALLS, Surroundings("/ws", "/home/a", defined.get))
        for node in ast.parse(code).body:
            match node:
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    for alias in names:
                        name = alias.asname or alias.name.partition(".")[0]
                        defined[name] = ast.unparse(node)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    defined[node.name] = ast.unparse(node)
                case _:
                    pass


def test_there_are_three_hundred():
    assert sum(len(cells(it)) for it in NOTEBOOKS) >= 300


def test_ordinary_code_is_no_concern_and_mostly_plain():
    found = [it for notebook in NOTEBOOKS for it in readings(notebook)]
    assert [(cell, it.concerns) for cell, it in found if it.concerns] == []
    plain = sum(it.plain for _, it in found)
    assert plain / len(found) >= 0.8, [it.unread for _, it in found if not it.plain]


@pytest.mark.kernel
@pytest.mark.timeout(600)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda it: it.stem)
def test_the_guard_notices_no_ordinary_step(notebook: Path, tmp_path: Path):
    skip_without_imports(notebook.read_text("utf-8"))
    guarded = run(notebook, tmp_path / "guarded", watched=True)
    free = run(notebook, tmp_path / "free", watched=False)
    for cell, one, other in zip(cells(notebook), guarded, free, strict=True):
        assert (one["asked"], one["refused"]) == ([], []), cell
        assert one["status"] == "ok", (cell, one["errors"])
        assert same(one) == same(other), cell


def run(notebook: Path, folder: Path, watched: bool) -> list[dict[str, Any]]:
    """The outcomes of a notebook's cells."""
    place = Workspace(folder)
    try:
        return [place.step(cell, watched=watched) for cell in cells(notebook)]
    finally:
        place.kernel.close()
        shutil.rmtree(folder, ignore_errors=True)


def same(outcome: dict[str, Any]) -> str:
    """What two runs of a cell have in common."""
    texts = [_VARIES.sub("…", text) for text in outcome["shown"]]
    return json.dumps([outcome["status"], texts, outcome["bound"]])
