"""Measures five MCP servers with 241 tools in a real kernel, beside a kernel that has none.

A turn is one answer of a scripted model, without a step. Its whole time is compared. The servers
start with the first turn: in a kernel of a person who never had them, and in the next kernel, where
it is known what they list. Medians.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

from .kernel import printed, running

SERVER = Path(__file__).with_name("tool_server.py")
TOOLS = (211, 12, 9, 6, 3)
"""Of each server."""
TURNS, CALLS, RUNS = 40, 100, 3
TURN = "%%agent\nSay something."
CALL = "%%agent\nCall them."
CALLING = """
import statistics, time
ms = []
for _ in range({calls}):
    started = time.perf_counter()
    await agent_tools.server0.find_things_117(query="rain")
    ms.append(1e3 * (time.perf_counter() - started))
"""
SCRIPT = """
[[turn]]
on = "call them"
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = {{ title = "Call", code = {code} }}
[[turn.response]]
say = "Done."
[[turn]]
on = "say something"
[[turn.response]]
say = "Something."
"""


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds that servers add to a first turn and to later ones, and of a call from code."""
    turns, calls, runs = (3, 5, 1) if quick else (TURNS, CALLS, RUNS)
    without = [times(0, turns, calls) for _ in range(runs)]
    having = [times(len(TOOLS), turns, calls) for _ in range(runs)]
    added = {
        name: median(it[name] for it in having) - median(it[name] for it in without)
        for name in ("never", "first", "later")
    }
    return {
        **{name: 1e3 * seconds for name, seconds in added.items()},
        "call": median(it["call"] for it in having),
        "servers": len(TOOLS),
        "tools": sum(TOOLS),
    }


def times(servers: int, turns: int, calls: int) -> Mapping[str, float]:
    """Seconds of the very first turn, of another kernel's first and later ones; ms of a call."""
    with TemporaryDirectory(prefix="ink") as folder:
        script, own = Path(folder, "script.toml"), Path(folder, "inkernel")
        own.mkdir()
        own.joinpath("inkernel.toml").write_text(configured(servers), encoding="utf-8")
        code = json.dumps(CALLING.format(calls=calls))
        script.write_text(SCRIPT.format(code=code), encoding="utf-8")
        homes = {"XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder, "INKERNEL_DATA_DIR": folder}
        environ = {"INKERNEL_MODEL": f"scripted:{script}", "INKERNEL_POLICY": "full", **homes}
        with running(**environ) as (_, client):
            printed(client, "%load_ext inkernel")
            never = taken(client)
        with running(**environ) as (_, client):
            printed(client, "%load_ext inkernel")
            seconds = [taken(client)]
            while shown(client, "%agent mcp").count("ready: ") < servers:
                sleep(0.1)
            seconds += [taken(client) for _ in range(turns)]
            if servers:
                printed(client, CALL)
            call = float(printed(client, "print(statistics.median(ms))")) if servers else 0.0
    return {"never": never, "first": seconds[0], "later": median(seconds[1:]), "call": call}


def shown(client: Any, code: str) -> str:
    """The text of what a cell displays."""
    texts: list[str] = []

    def take(message: dict[str, Any]) -> None:
        texts.append(message["content"].get("data", {}).get("text/plain", ""))

    client.execute_interactive(code, output_hook=take)
    return "".join(texts)


def taken(client: Any) -> float:
    """Seconds of a turn."""
    started = perf_counter()
    printed(client, TURN)
    return perf_counter() - started


def configured(servers: int) -> str:
    """The settings of so many servers."""
    lines: list[str] = []
    for number, tools in enumerate(TOOLS[:servers]):
        args = json.dumps([str(SERVER), str(tools)])
        lines += [f"[mcp.server{number}]", f"command = {json.dumps(sys.executable)}"]
        lines += [f"args = {args}"]
    return "\n".join(lines)
