"""Adds a server to the person's own settings file, or takes one out. The rest stays as it is.

Knows no server that runs. A change that would touch anything else of the file is refused.
"""

import json
import os
import re
import shlex
import tomllib
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

from ....agent.config.mcp_servers import MCP_KEY, server_of
from ....agent.config.settings import FILE_NAME
from ....agent.errors import UsageError
from ....widgets.panels.cards import Card
from ...host import KernelAgent
from ...mcp.consent import words_of_server

_ADD = "Say `%agent mcp add NAME COMMAND…`, or `%agent mcp add NAME URL`."
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = re.compile(r"\s*\[")
_BETWEEN = re.compile(r"\s*(#.*)?")


def add_server(agent: KernelAgent, rest: str) -> Card:
    """Write a server behind all that is in the file."""
    try:
        name, *words = shlex.split(rest)
    except ValueError as error:
        raise UsageError(f"The line cannot be read: {error}.", _ADD) from None
    if not words:
        raise UsageError("A server needs a command or an address.", _ADD)
    is_address = words[0].startswith(("http://", "https://"))
    given: dict[str, Any] = {"url": words[0]} if is_address else {"command": words[0]}
    given |= {"args": words[1:]} if words[1:] else {}
    here = agent.folders.now.working
    if not is_address and any(os.path.exists(os.path.join(here, it)) for it in words):
        given["cwd"] = here  # a file of this folder, also when another one is open
    path = agent.user_folder / FILE_NAME
    server, refused = server_of(name, given, {"origin": str(path), "own": True, "folder": None})
    if server is None:
        raise UsageError(" ".join(refused), _ADD)
    text, values = _read(path)
    known = _servers(values)
    if name in known:
        raise UsageError(f"{path} has a server {name!r}.", "`%agent mcp remove NAME` removes one.")
    key = name if _BARE.fullmatch(name) else _toml(name)
    lines = [f"[{MCP_KEY}.{key}]", *(f"{it} = {_toml(value)}" for it, value in given.items())]
    head = f"{text.rstrip()}\n\n" if text.strip() else ""
    new = "{}{}\n".format(head, "\n".join(lines))
    _write(agent, path, new, {**values, MCP_KEY: {**known, name: given}})
    return Card(f"The server {name} starts with the next %%agent. It {words_of_server(server)}.")


def remove_server(agent: KernelAgent, name: str) -> Card:
    """Take a server's tables out of the file, and leave comments above other tables."""
    path = agent.user_folder / FILE_NAME
    text, values = _read(path)
    known = _servers(values)
    if name not in known:
        raise UsageError(f"{path} has no server {name!r}.", "`%agent mcp` says where each one is.")
    left = {it: table for it, table in known.items() if it != name}
    rest = {key: value for key, value in values.items() if key != MCP_KEY}
    _write(agent, path, _without(text, name), {**rest, MCP_KEY: left} if left else rest)
    return Card(f"The server {name} is no longer in {path}.")


def _without(text: str, name: str) -> str:
    names = "|".join(map(re.escape, {name, _toml(name), f"'{name}'"}))
    own = re.compile(rf"\s*\[\s*{MCP_KEY}\s*\.\s*(?:{names})\s*(?:\..*)?\]\s*(?:#.*)?")
    kept, block, inside = list[str](), list[str](), False
    for line in [*text.splitlines(keepends=True), "["]:
        if not _HEAD.match(line):
            (block if inside else kept).append(line)
            continue
        at = len(block)
        while at and _BETWEEN.fullmatch(block[at - 1].rstrip("\r\n")):
            at -= 1
        kept += [it for it in block[at:] if it.strip()]
        inside, block = own.fullmatch(line.rstrip("\r\n")) is not None, []
        kept += [] if inside else [line]
    return "".join(kept[:-1])


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        return "", {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Mend it by hand.") from None


def _servers(values: dict[str, Any]) -> dict[str, Any]:
    found: object = values.get(MCP_KEY, {})
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _write(agent: KernelAgent, path: Path, text: str, values: dict[str, Any]) -> None:
    """Write the file, if its text has just these values."""
    try:
        right = tomllib.loads(text) == values
    except ValueError:
        right = False
    if not right:
        raise UsageError(f"{path} is written in a way that this cannot change.", "Edit it by hand.")
    real = Path(os.path.realpath(path))
    try:
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile("w", dir=real.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        os.replace(file.name, real)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    agent.obeyed.written(path)


def _toml(value: object) -> str:
    """A text or a list of texts. JSON's are also TOML's."""
    return json.dumps(value, ensure_ascii=False)
