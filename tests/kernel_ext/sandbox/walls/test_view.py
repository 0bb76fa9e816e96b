"""A copy sees the workspace as it is, however it is named and mounted. Its writes go elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

IN_COPY = """
import json, os, sys
from inkernel.agent.protocol.trials import Walls
from inkernel.kernel_ext.sandbox.walls.confine import enter_view
ws, scratch, inner = sys.argv[1:]
view = enter_view(Walls(workspace=(ws,)), scratch)
read = open(f"{inner}/data.csv").read()
open(f"{inner}/new.txt", "w").write("x")
listed = {path: os.listdir(upper) for path, upper in view.uppers}
print(json.dumps([read, sorted(os.listdir(inner)), listed]))
"""


@pytest.mark.parametrize("name", ["plain", "a,b:c\\d", "blank and ünïcode"])
def test_a_workspace_of_any_name_is_seen_and_not_written(tmp_path: Path, name: str):
    ws = tmp_path / name
    ws.mkdir()
    (ws / "data.csv").write_text("a,b")
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-c", IN_COPY, ws, tmp_path / "scratch", ws]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == ["a,b", ["data.csv", "new.txt"], {str(ws): ["new.txt"]}]
    assert [it.name for it in ws.iterdir()] == ["data.csv"]


def test_a_mount_within_the_workspace_is_seen_and_not_written(tmp_path: Path):
    ws, inner = tmp_path / "ws", tmp_path / "ws" / "a mount"
    inner.mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "seen_in_copy.py").write_text(IN_COPY)
    shell = (
        'mount -t tmpfs none "$2" && printf a,b > "$2/data.csv" && "$3" "$4" "$1" "$5" "$2"'
        ' && ls "$2"'
    )
    places = [ws, inner, sys.executable, tmp_path / "seen_in_copy.py", tmp_path / "scratch"]
    command = ["unshare", "-Urm", "sh", "-c", shell, "sh", *map(str, places)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    told, *left = ran.stdout.splitlines()
    assert json.loads(told)[:2] == ["a,b", ["data.csv", "new.txt"]]
    assert json.loads(told)[2][str(inner)] == ["new.txt"]
    assert left == ["data.csv"]
