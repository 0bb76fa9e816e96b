"""Files beside the notebook with the names of modules that we import, in fresh shells."""

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import sys
from IPython.core.interactiveshell import InteractiveShell
sys.path.insert(0, "")
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "inkernel")
for cell in ("%%agent\\nhello", "%agent status"):
    print(f"<{shell.run_cell(cell).error_in_exec}>")
"""


def ran(folder: Path) -> str:
    probe = [sys.executable, "-c", PROBE]
    return subprocess.run(probe, capture_output=True, text=True, check=True, cwd=folder).stdout


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("httpx.py", "x = 1"),
        ("pydantic.py", "import nothing_of_the_kind"),
        ("platformdirs.py", ""),
        ("h11/__init__.py", "print 'of another Python'"),
        ("pydantic_core/__init__.py", ""),
    ],
)
def test_a_file_with_the_name_of_a_module_that_we_need_is_named(
    file: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    shown = ran(tmp_path)
    name = file.partition("/")[0].removesuffix(".py")
    what = f"{file} is imported in place of the installed module '{name}'. Rename the file"
    assert shown.count(f"{what}, and restart the kernel.>") == 2, shown


def test_one_that_only_some_servers_need_is_named_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets" / "__init__.py").write_text("raise RuntimeError('mine')")
    monkeypatch.setenv("INKERNEL_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("INKERNEL_MODEL", "m")
    monkeypatch.setenv("INKERNEL_TRANSPORT", "websocket")
    what = "of the installed module 'websockets'. Rename the file, and restart the kernel.>"
    assert ran(tmp_path).count(what) == 1


def test_files_that_hide_nothing_we_need_are_not_named(tmp_path: Path) -> None:
    for name in ("helpers.py", "this.py", "nbformat.py"):
        (tmp_path / name).write_text("raise RuntimeError('mine')")
    assert "in place of" not in ran(tmp_path)
