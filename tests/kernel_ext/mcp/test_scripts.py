"""The script of a server that lies in the workspace runs as the person allowed it. Real kernels."""

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.config.mcp_servers import McpServer
from inkernel.kernel_ext.mcp.consent import Consents
from inkernel.kernel_ext.mcp.scripts import scripts_of
from tests.kernel_ext.mcp.turns import call_of, code, outputs, script

pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp")
call = partial(call_of, "mine")
OWN = f'[mcp.mine]\ncommand = {json.dumps(sys.executable)}\nargs = ["server.py"]\n'
CHANGES = code("open('server.py', 'a').write('\\n# changed')")
ASKS = call("wettest", town="Ulm")
ANSWER = '{"month":7.0'


@pytest.fixture
def start(serving: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Starts a kernel in a folder with the script of a server."""

    def begin(
        *turns: tuple[str, list[Any]], servers: str = OWN, more: str = "", **environ: str
    ) -> Any:
        text = Path(__file__).with_name("habits.py").read_text()
        (tmp_path / "server.py").write_text(text + more)
        kernel, server = serving(script(*turns), servers, **environ)
        kernel.run("%agent mcp restart mine")  # which waits, however long it takes
        return kernel, server

    return begin


def told(ran: Any) -> bool:
    shown = str(ran.outputs) + str(ran.comms)
    return "The MCP server mine does not run: " in shown and "which it runs, has changed" in shown


@pytest.mark.kernel
def test_a_script_that_a_step_changed_starts_after_a_yes_alone(start: Callable[..., Any]):
    first = [ASKS, CHANGES, call("crash"), ASKS]
    kernel, server = start(("go", first), ("again", [ASKS]), ("now", [ASKS]))
    assert not told(kernel.run("%%agent\ngo"))
    before, _, crashed, after = outputs(server)
    assert before.startswith(ANSWER) and "ended during the call" in crashed
    assert "has changed" in after and "%agent mcp allow mine" in after
    assert told(kernel.run("%%agent\nagain"))
    assert "has changed" in outputs(server)[-1]
    assert "has changed" in kernel.run("%agent mcp").text
    says_yes = "get_ipython().run_line_magic('agent', 'mcp al' + 'low mine')"
    assert kernel.run(says_yes).status == "error"
    assert kernel.run("%agent mcp allow mine").status == "ok"
    assert not told(kernel.run("%%agent\nnow"))
    assert outputs(server)[-1].startswith(ANSWER)


@pytest.mark.kernel
def test_a_change_while_no_kernel_ran_is_named_in_the_next_one(start: Callable[..., Any]):
    for turn in ("first", "second"):
        kernel, server = start((turn, [ASKS]), more="# changed" if turn == "second" else "")
        assert told(kernel.run(f"%%agent\n{turn}")) == (turn == "second")
        assert outputs(server)[-1].startswith(ANSWER) == (turn == "first")


@pytest.mark.kernel
def test_a_step_is_asked_before_it_writes_a_script_and_writes_its_data_freely(
    start: Callable[..., Any], tmp_path: Path
):
    servers = OWN.replace('"server.py"', '"server.py", "--db", "rain.db"')
    wants = [CHANGES, code("open('rain.db', 'w').write('x')")]
    kernel, server = start(("go", wants), servers=servers, INKERNEL_POLICY="auto")
    kernel.run("%%agent\ngo")
    refused, _ = outputs(server)
    assert "server.py" in refused and "nobody can answer" in refused
    assert "# changed" not in (tmp_path / "server.py").read_text()
    assert (tmp_path / "rain.db").exists()


def test_a_command_line_names_scripts_by_all_its_words(tmp_path: Path):
    (tmp_path / "out").symlink_to("/usr/lib/other.py")

    def named(*args: str, command: str = "python", workspace: Path = tmp_path) -> list[str]:
        server = McpServer(name="x", command=command, args=args, cwd=str(tmp_path))
        return [str(Path(it).relative_to(tmp_path)) for it in scripts_of(server, [str(workspace)])]

    assert named("server.py", "data.csv", "-v", "--config=a.js") == ["server.py", "a.js"]
    assert named("-m", "my.server") == ["my/server.py", "my/server/__main__.py"]
    assert named("-c", "print('x.py')", "sub/../b.SH") == ["b.SH"]
    assert named("x.py", command="./run") == ["run", "x.py"]
    assert named("server.py", workspace=tmp_path / "other") == []
    assert named("\0.py", "x" * 5000 + ".py") != ["server.py"]
    assert not scripts_of(McpServer(name="x", url="https://a.example/mcp"), [str(tmp_path)])


def test_a_script_is_new_once_and_one_that_appears_later_has_changed(tmp_path: Path):
    consents, path = Consents(tmp_path / "settings"), str(tmp_path / "server.py")
    assert consents.changed({}) == [] and not (tmp_path / "settings").exists()
    assert consents.changed({path: ""}) == [] == consents.changed({path: ""})
    assert consents.changed({path: "a"}) == [path] == consents.changed({path: "a"})
    own = McpServer(name="x", command="python", args=("server.py",))
    consents.give(own, {path: "a"})
    assert consents.changed({path: "a"}) == [] and consents.holds(own)
    theirs = own.model_copy(update={"own": False})
    assert not consents.holds(theirs)
    consents.give(theirs, {path: "b"})
    assert consents.holds(theirs) and consents.changed({path: "a"}) == [path]
