"""What tests of servers share: turns of a scripted model that calls tools, and what it was sent."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Step = dict[str, Any]


def code(text: str) -> Step:
    """A step with this code."""
    return {"name": "run_cell", "arguments": {"title": "step", "code": text}}


def call_of(server: str, tool: str, /, **arguments: object) -> Step:
    """A call of a server's tool."""
    return {"name": f"mcp__{server}__{tool}", "arguments": arguments}


def loaded_call(server: str, tool: str, /, again: int = 1, **arguments: object) -> Step:
    """A call of a tool that a search has loaded. `again`: for the nth time from that server."""
    namespace = f"mcp__{server}" if again == 1 else f"mcp__{server}__{again}"
    return {"name": tool, "namespace": namespace, "arguments": arguments}


def search(query: str, **more: object) -> Step:
    """A search for tools."""
    return {"name": "tool_search", "arguments": {"query": query, **more}}


def script(*turns: tuple[str, list[Step]]) -> str:
    """A script in which each call of a turn is a response of its own."""
    lines = ['model = "scripted/test"']
    for on, steps in turns:
        lines += ["[[turn]]", f"on = {json.dumps(on)}"]
        for it in steps:
            pairs = ", ".join(f"{k} = {_toml(v)}" for k, v in it["arguments"].items())
            lines += ["[[turn.response]]", "[[turn.response.call]]"]
            lines += [f"name = {json.dumps(it['name'])}", f"arguments = {{{pairs}}}"]
            lines += [f"namespace = {json.dumps(it['namespace'])}"] if "namespace" in it else []
        lines += ["[[turn.response]]", 'say = "Done."']
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(it)}" for k, it in value.items()) + "}"
    return json.dumps(value)


def table(name: str, program: Path, *arguments: str) -> str:
    """The lines of a server that is a Python program."""
    args = json.dumps([str(program), *arguments])
    return f"[mcp.{name}]\ncommand = {json.dumps(sys.executable)}\nargs = {args}\n"


def bodies(server: Any) -> list[dict[str, Any]]:
    """The requests of the model."""
    return [json.loads(it) for it in server.requests]


def outputs(server: Any) -> list[str]:
    """The texts of the outputs of all calls, in order."""
    items = bodies(server)[-1]["input"]
    found = [it["output"] for it in items if it["type"] == "function_call_output"]
    return [it if isinstance(it, str) else " ".join(map(str, it)) for it in found]


@contextmanager
def over_http(program: Path, *arguments: str) -> Iterator[str]:
    """The address of a server that is a Python program with its port as first argument."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, program, str(port), *arguments])
    end = time.monotonic() + 60
    while time.monotonic() < end and not _listens(port):
        time.sleep(0.1)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.kill()  # it would wait for open streams
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
