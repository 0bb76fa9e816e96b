"""The guard stops a live step at its first deed that nobody allowed. Real kernels."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.conftest import Kernel

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

SETUP = """
import asyncio, json, os
from inkernel.agent.permissions.walls import workspace_walls
from inkernel.agent.protocol.cells import StreamOutput, ErrorOutput
from inkernel.agent.protocol.trials import Cover, Deed
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import CodeStep, Host, run_code
from inkernel.kernel_ext.sandbox.walls.folders import find_folders
from inkernel.kernel_ext.sandbox.guard import Guard, Watch
from inkernel.kernel_ext.sandbox.walls.readable import cache_folders, read_freely
_guard, _walls = Guard(), workspace_walls({ws!r}, {tmp!r}, {home!r})
async def _guarded(code, yes=(), allowed=(), watched=True, readable=()):
    asked = []
    def consent(deed):
        asked.append([deed.kind, deed.target])
        return deed.target in yes
    deeds = tuple(Deed(*it) for it in allowed)
    cover = Cover(walls=_walls, caches=cache_folders(find_folders()), allowed=deeds,
                  readable=(*read_freely({home!r}), *readable))
    with OutputCapture(get_ipython()) as taps:
        host = Host(get_ipython(), taps, Interruption())
        watch = Watch(cover, consent) if watched else None
        with _guard.over(watch) as refused:
            step = CodeStep(code=code, mark="step", take=lambda change: True, seconds=100)
            run = await run_code(host, step)
    shown = [str(getattr(it, "text", "") or getattr(it, "data", {{}}).get("text/plain", "")
             or getattr(it, "evalue", "")) for it in run.outputs]
    errors = [f"{{it.ename}}: {{it.evalue}}" for it in run.outputs if isinstance(it, ErrorOutput)]
    return dict(status=run.status, shown=shown, errors=errors, asked=asked,
                refused=[[it.kind, it.target] for it in refused], bound=list(run.bound))
"""


class Workspace:
    """A kernel whose steps are guarded, with a folder outside its workspace."""

    def __init__(self, folder: Path) -> None:
        self.ws, self.outside, self.home = folder / "ws", folder / "outside", folder / "home"
        for each in (self.ws / ".git", self.outside / "__pycache__", self.home / ".ssh"):
            each.mkdir(parents=True)
        (folder / "tmp").mkdir()
        (self.outside / "mine.txt").write_text("mine")
        (self.home / ".ssh" / "id_rsa").write_text("CANARY")
        environ = {"HOME": str(self.home), "TMPDIR": str(folder / "tmp"), "MPLBACKEND": "agg"}
        self.kernel = Kernel(self.ws, environ | {"IPYTHONDIR": str(folder / "ipython")})
        places = {"ws": self.ws, "tmp": folder / "tmp", "home": self.home}
        texts = {name: str(it) for name, it in places.items()} | {
            "cache": str(self.home / ".cache")
        }
        ran = self.kernel.run(SETUP.format(**texts))
        assert ran.status == "ok", ran.traceback

    def step(self, code: str, **how: Any) -> dict[str, Any]:
        """The outcome of a step under the guard. `$OUT`, `$HOME`: folders outside."""
        code = code.replace("$OUT", str(self.outside)).replace("$HOME", str(self.home))
        ran = self.kernel.run(f"print('§' + json.dumps(await _guarded({code!r}, **{how!r})))")
        assert ran.status == "ok", ran.traceback
        return json.loads(ran.text.rpartition("§")[2])

    def changed(self) -> bool:
        """Whether anything outside is other than it was."""
        files = [it for it in self.outside.rglob("*") if it.is_file()]
        kept = [it.name for it in files] == ["mine.txt"] and files[0].read_text() == "mine"
        return not kept or (self.ws / ".git" / "HEAD").exists()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    place = Workspace(tmp_path_factory.mktemp("guard"))
    yield place
    place.kernel.close()


DEEDS = {
    "open": "open('$OUT/new', 'w')",
    "a name made while it runs": "open('/'.join(['$OUT', 'new']), 'w')",
    "os.open": "import os\nos.open('$OUT/new', os.O_WRONLY | os.O_CREAT)",
    "a folder's descriptor": "import os\nfd = os.open('$OUT', os.O_RDONLY)\n"
    "os.open('new', os.O_WRONLY | os.O_CREAT, dir_fd=fd)",
    "a removal by a descriptor": "import os\nfd = os.open('$OUT', os.O_RDONLY)\n"
    "os.remove('mine.txt', dir_fd=fd)",
    "a link": "import os\nos.symlink('$OUT', 'link')\nopen('link/new', 'w')",
    "a hard link": "import os\nos.link('$OUT/mine.txt', 'hard')\nopen('hard', 'w')",
    "a move out": "import os\nopen('in.txt', 'w').close()\nos.rename('in.txt', '$OUT/new')",
    "a move in": "import os\nos.rename('$OUT/mine.txt', 'in.txt')",
    "a removal": "import os\nos.remove('$OUT/mine.txt')",
    "a removed tree": "import shutil\nshutil.rmtree('$OUT')",
    "a mode": "import os\nos.chmod('$OUT/mine.txt', 0)",
    "a truncation": "import os\nos.truncate('$OUT/mine.txt', 0)",
    "a compiled module": "open('$OUT/__pycache__/x.pyc', 'wb')",
    "the repository": "open('.git/HEAD', 'w')",
    "a frame": "import pandas as pd\npd.DataFrame({'a': [1]}).to_csv('$OUT/new')",
    "an array": "import numpy as np\nnp.save('$OUT/new', np.ones(2))",
    "a figure": "import matplotlib.pyplot as plt\nplt.savefig('$OUT/new.png')",
    "a database": "import sqlite3\nsqlite3.connect('$OUT/new')",
    "a finaliser": "class A:\n    def __del__(self):\n"
    "        open('$OUT/new', 'w')\na = A()\ndel a",
    "a thread": "import threading\nt = threading.Thread(target=open, args=('$OUT/new', 'w'))\n"
    "t.start()\nt.join()",
    "a thread of a thread": "import threading\ndef f():\n"
    "    t = threading.Thread(target=open, args=('$OUT/new', 'w'))\n    t.start()\n    t.join()\n"
    "t = threading.Thread(target=f)\nt.start()\nt.join()",
    "a raw thread": "import _thread, time\n_thread.start_new_thread(open, ('$OUT/new', 'w'))\n"
    "time.sleep(0.2)",
    "a pool": "from concurrent.futures import ThreadPoolExecutor\n"
    "ThreadPoolExecutor().submit(open, '$OUT/new', 'w').result()",
    "the loop's pool": "import asyncio\nawait asyncio.to_thread(open, '$OUT/new', 'w')",
    "the loop's pool again": "import asyncio\n"
    "await asyncio.get_running_loop().run_in_executor(None, open, '$OUT/new', 'w')",
    "a task": "import asyncio\nasync def f():\n"
    "    open('$OUT/new', 'w')\nawait asyncio.create_task(f())",
    "a process": "import subprocess\nsubprocess.run(['touch', '$OUT/new'])",
    "a command": "import os\nos.system('touch $OUT/new')",
    "a shell": "!touch $OUT/new",
    "a cell of a shell": "%%bash\ntouch $OUT/new",
    "a fork": "import os\nif os.fork() == 0:\n    open('$OUT/new', 'w')\n    os._exit(0)",
    "ctypes": "import ctypes\nctypes.CDLL(None).creat(b'$OUT/new', 0o600)",
    "a secret": "open('$HOME/.ssh/id_rsa').read()",
    "names of secrets": "import os\nos.listdir('$HOME/.ssh')",
    "names of secrets, one by one": "from pathlib import Path\nlist(Path('$HOME/.ssh').iterdir())",
    "a tree with secrets": "import os\nlist(os.walk('$HOME'))",
    "the whole workspace": "import shutil\nshutil.rmtree('.')",
}


@pytest.mark.parametrize("code", DEEDS.values(), ids=DEEDS)
def test_a_deed_that_nobody_allowed_does_not_happen(workspace: Workspace, code: str):
    done = workspace.step(code)
    assert not workspace.changed()
    assert done["refused"]
    assert "CANARY" not in str(done["shown"])
    assert workspace.ws.exists()


def test_nothing_is_sent(workspace: Workspace):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = workspace.step(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))")
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert done["errors"][0].startswith("PermissionError: nobody allowed this step to do this")


def test_the_person_is_asked_in_place_and_the_code_goes_on(workspace: Workspace):
    path = str(workspace.outside / "allowed")
    code = f"for n in range(3):\n    open({path!r}, 'a').write('x')"
    done = workspace.step(code, yes=[path])
    assert done["asked"] == [["write", path]]
    assert (done["status"], done["refused"]) == ("ok", [])
    assert Path(path).read_text() == "xxx"
    os.remove(path)


def test_a_deed_that_was_allowed_before_is_not_asked(workspace: Workspace):
    path = str(workspace.outside / "allowed")
    done = workspace.step(f"open({path!r}, 'w').write('x')", allowed=[["write", path]])
    assert (done["asked"], done["refused"]) == ([], [])
    assert Path(path).read_text() == "x"
    os.remove(path)
    done = workspace.step("!echo $((40 + 2))", allowed=[["command", "echo $((40 + 2))"]])
    assert (done["asked"], done["refused"]) == ([], [])
    assert "42" in "".join(done["shown"])


def test_whoever_may_look_up_a_host_may_connect_to_it(workspace: Workspace):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket\nsocket.create_connection(('localhost', {port})).close()"
        done = workspace.step(code, allowed=[["network", "localhost"]])
    assert (done["status"], done["refused"]) == ("ok", [])


def test_a_refusal_that_code_swallows_is_told(workspace: Workspace):
    done = workspace.step("try:\n    open('$OUT/new', 'w')\nexcept Exception:\n    pass")
    assert done["status"] == "ok"
    assert done["refused"] == [["write", str(workspace.outside / "new")]]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nfound = [it for _, *names in os.walk('$HOME') for it in sum(names, [])]",
        "from pathlib import Path\nfound = [it.name for it in Path('$HOME').rglob('*')]",
        "import glob\nfound = glob.glob('$HOME/**', recursive=True, include_hidden=True)",
    ],
)
def test_a_walk_leaves_the_folders_of_secrets_out_and_asks_for_none(
    workspace: Workspace, code: str
):
    (workspace.home / "notes").mkdir(exist_ok=True)
    (workspace.home / "notes" / "mine.txt").touch()
    done = workspace.step(f"{code}\nprint(found)")
    assert (done["status"], done["asked"]) == ("ok", [])
    assert "mine.txt" in str(done["shown"]) and "id_rsa" not in str(done["shown"])
    assert done["refused"] == [["read", str(workspace.home / ".ssh")]]
    named = workspace.step("import os\nos.listdir('$HOME/.ssh')")
    assert named["asked"] == [["read", str(workspace.home / ".ssh")]]


def test_what_a_step_leaves_running_stays_guarded(workspace: Workspace):
    code = """
import asyncio, threading, time
async def later():
    await asyncio.sleep(0.5)
    open('$OUT/new', 'w')
def wait():
    time.sleep(0.5)
    open('$OUT/new', 'w')
task = asyncio.create_task(later())
threading.Thread(target=wait).start()
"""
    assert workspace.step(code)["refused"] == []
    time.sleep(1.5)
    workspace.kernel.run("await asyncio.sleep(0.1)")
    assert not workspace.changed()


def test_the_persons_own_cells_are_not_guarded(workspace: Workspace):
    path = workspace.outside / "theirs"
    workspace.step("x = 1")
    assert workspace.kernel.run(f"open({str(path)!r}, 'w').close()").status == "ok"
    path.unlink()
    ran = workspace.kernel.run("import subprocess; subprocess.run(['true']).returncode")
    assert ran.text == "0"


@pytest.mark.parametrize(
    "code",
    [
        "open('a.txt', 'w').write('x')\nimport os\nos.rename('a.txt', 'b.txt')\nos.remove('b.txt')",
        "import tempfile\nwith tempfile.TemporaryDirectory() as d:\n    open(d + '/x', 'w')",
        "import colorsys, wave, sched",
        "open('/etc/hosts').read()",
        "import threading\nt = threading.Thread(target=open, args=('c.txt', 'w'))\n"
        "t.start()\nt.join()",
        "import asyncio\nawait asyncio.to_thread(open, 'd.txt', 'w')",
    ],
)
def test_work_within_the_walls_is_not_noticed(workspace: Workspace, code: str):
    done = workspace.step(code)
    assert (done["status"], done["asked"], done["refused"]) == ("ok", [], [])
