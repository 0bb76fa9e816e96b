"""Several MCP servers of one kernel: over pipes and HTTP, late, resumed, while a cell computes."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import bodies, call_of, code, outputs, over_http, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
HABITS, CATALOGUE = (Path(__file__).with_name(f"{it}.py") for it in ("habits", "catalogue"))
UP = call_of("towns", "look_up", name="Ulm")


def told_once(server: Any) -> None:
    """Each request begins with the one before."""
    for before, after in pairwise(bodies(server)):
        assert after["tools"] == before["tools"]
        assert after["input"][: len(before["input"])] == before["input"]


def test_a_server_over_http_is_called_directly_and_from_code(serving: Callable[..., Any]):
    names = "{'names': ['Ulm', 'Bonn']}"
    many = f"found = await agent_tools.towns.towns({names}); one = await agent_tools.towns"
    steps = [UP, code(f"{many}['look up'](name='Köln')"), call_of("towns", "look_up")]
    with over_http(CATALOGUE) as url:
        kernel, server = serving(script(("go", steps)), f'[mcp.towns]\nurl = "{url}"\n')
        assert kernel.run("%%agent\ngo").status == "ok"
        assert kernel.run("found[1]['inhabitants'], one['name']").text == "(4000, 'Köln')"
    direct, _, wrong = outputs(server)
    told = kernel.run("%agent mcp tools towns").text
    assert "['look up'](name: str, seconds: float = 0) -> dict" in told
    assert "agent_tools.towns.towns(names: list[str]) -> list[dict]" in told
    assert direct == '{"name":"Ulm","inhabitants":3000}' and "name" in wrong
    told_once(server)


def test_calls_are_answered_though_the_cell_computes(serving: Callable[..., Any]):
    """Their limit is over before the cell has computed. The answers came long before that."""
    text = (
        "import asyncio, time\n"
        "up = agent_tools.towns['look up']\n"
        "tasks = [asyncio.ensure_future(up(name='x' * n, seconds=0.3)) for n in range(3)]\n"
        "await asyncio.sleep(0.1)\ntime.sleep(3)\n"
        "print([it['inhabitants'] for it in await asyncio.gather(*tasks)])"
    )
    servers = f"{table('towns', CATALOGUE)}tool_timeout = 2\n"
    kernel, server = serving(script(("go", [code(text)])), servers)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "[0, 1000, 2000]" in outputs(server)[0]


def test_a_late_server_is_told_and_the_list_stays(serving: Callable[..., Any]):
    turns = ("go", [UP]), ("again", [code("print(await agent_tools.towns.towns(names=['Ulm']))")])
    servers = table("habits", HABITS) + table("towns", CATALOGUE, "0", "4")
    kernel, server = serving(script(*turns), servers)
    kernel.run("import inkernel.kernel_ext.mcp.session_servers as it; it.MOST_WAIT_SECONDS = 2")
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok" and "towns is still starting" in ran.text
    assert "There is no tool" in outputs(server)[0]
    assert kernel.run("%agent mcp restart towns").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    assert "3000" in outputs(server)[-1] and "server towns: 2 tools" in json.dumps(bodies(server))
    told_once(server)


def test_a_session_that_another_kernel_resumes_goes_on_with_its_list(
    serving: Callable[..., Any], kernel: Callable[..., Any], tmp_path: Path
):
    again = ("again", [UP, call_of("habits", "wettest", town="Bonn")])
    turns = script(("go", [UP, call_of("habits", "wettest", town="Ulm")]), again)
    both = table("habits", HABITS) + table("towns", CATALOGUE)
    first, server = serving(turns, both)
    assert first.run("%%agent\ngo").status == "ok"
    first.manager.shutdown_kernel(now=True)
    own = tmp_path / "own" / "inkernel" / "inkernel.toml"
    own.write_text(table("habits", HABITS))  # one server is gone
    folders = {"XDG_CONFIG_HOME": str(tmp_path / "own"), "XDG_STATE_HOME": str(tmp_path / "state")}
    model = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
    other = kernel(INKERNEL_POLICY="full", **folders, **model)
    for line in ("%load_ext inkernel", "%agent resume", "%%agent\nagain"):
        assert other.run(line).status == "ok"
    gone, there = outputs(server)[-2:]
    assert "There is no server 'towns'" in gone and there.startswith('{"month":7.0')
    told_once(server)


def test_five_servers_of_one_file(serving: Callable[..., Any], tmp_path: Path):
    with over_http(CATALOGUE) as url:
        python, more = sys.executable, {"env": {"MARK": "${MARK:-none}"}}
        servers = {
            "habits": {"command": python, "args": [str(HABITS)], **more},
            "two hundred": {"command": python, "args": [str(HABITS), "200"]},
            "towns": {"command": python, "args": [str(CATALOGUE)]},
            "web": {"type": "http", "url": url},
            "off": {"command": python, "args": [str(CATALOGUE)], "disabled": True},
            "gone": {"command": "/nowhere/server"},
        }
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        text = (
            "print(await agent_tools.habits.variable(name='MARK'),"
            " await agent_tools['two hundred'].find_things_117(query='x'),"
            " (await agent_tools.towns.towns(names=['Ulm']))[0]['name'],"
            " (await agent_tools.web['look up'](name='Bonn'))['name'],"
            " hasattr(agent_tools, 'off'))"
        )
        find = {"name": "find_tools", "arguments": {"query": "entry of a town"}}
        kernel, server = serving(
            script(("go", [find, code(text)])), "", INKERNEL_MCP_FILES=str(path)
        )
        for name in servers:
            assert kernel.run(f"%agent mcp allow {name}").status == "ok"
        ran = kernel.run("%%agent\ngo")
        assert ran.status == "ok" and "gone does not run" in ran.text
    found, printed = outputs(server)
    assert "agent_tools.towns['look up'](name: str" in found
    assert "none x 10 None Ulm Bonn False" in printed
    assert [it["name"] for it in bodies(server)[0]["tools"]][-1] == "find_tools"
