"""MCP servers from the files of other programs, as they write them. Starts none.

Formats: `mcpServers` (Claude Code, Cursor, Windsurf) and `servers` (VS Code) in JSON, `mcp_servers`
(Codex) in TOML. Keys that are of their program alone are passed over.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from ..protocol.verbatim_json import loads
from .mcp_servers import McpServer, Sentences, Servers, first_of_each, server_of
from .planted import NOTHING_HELD, Held, is_ours, read_planted_text, reason
from .project import ROOT_MARKER, project_folders
from .settings import Chosen

MAX_MCP_FILE_BYTES = 1 << 20
_TABLES = ("mcpServers", "servers", "mcp_servers")
_SAME = (
    *("command", "args", "cwd", "url", "enabled_tools", "disabled_tools", "required"),
    *("startup_timeout", "tool_timeout"),
)
_THEIR_NAMES = {
    "serverUrl": "url",
    "httpUrl": "url",
    "bearer_token_env_var": "bearer_token_env",
    "startup_timeout_sec": "startup_timeout",
    "tool_timeout_sec": "tool_timeout",
}


class _Place(NamedTuple):
    """A file. `root`: of the project that it is of. `folder`: where relative paths begin."""

    path: Path
    root: Path | None
    folder: Path | None
    own: bool


def with_mcp_files(chosen: Chosen, cwd: Path, held: Held = NOTHING_HELD) -> Chosen:
    """The same, with the servers of the files in `mcp_files` behind those that are there."""
    found, refused = read_mcp_files(chosen.settings.mcp_files, cwd, held)
    servers, twice = first_of_each((*chosen.servers, *found))
    return replace(chosen, servers=servers, refused=(*chosen.refused, *refused, *twice))


def read_mcp_files(
    names: Iterable[str], cwd: Path, held: Held = NOTHING_HELD
) -> tuple[Servers, Sentences]:
    """The servers of all files that are there, in order, and sentences about what is not taken.

    A relative name is of the project: the nearest such file from `cwd` up to the root. A file that
    belongs to you and is in no project is your own.
    """
    servers, refused = list[McpServer](), list[str]()
    for name in names:
        if place := _place(name, cwd):
            found, said = _read(place, held)
            servers += found
            refused += said
    return tuple(servers), tuple(refused)


def _place(name: str, cwd: Path) -> _Place | None:
    folders = project_folders(cwd)
    given = Path(os.path.expanduser(name))  # which keeps a "~nobody"
    if given.is_absolute():
        inside = given.is_relative_to(folders[0])
        root = folders[0] if inside else None
        return _Place(given, root, root, not inside and _is_own(given))
    for folder in reversed(folders):
        if os.path.lexists(folder / given):
            return _Place(folder / given, folders[0], folder, False)
    return None


def _is_own(path: Path) -> bool:
    real = Path(os.path.realpath(path))
    in_project = any((folder / ROOT_MARKER).exists() for folder in (*path.parents, *real.parents))
    return not in_project and real.exists() and is_ours(real)


def _read(place: _Place, held: Held) -> tuple[list[McpServer], list[str]]:
    path = place.path
    try:
        text = read_planted_text(path, MAX_MCP_FILE_BYTES, place.root, held)
        values = _parsed(text, path.suffix)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{path} is not read: {reason(error)}."]
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        return [], [f"{path} is not read: it is no {kind}: {error!s:.100}."]
    servers, refused = list[McpServer](), list[str]()
    origin = {"origin": str(path), "own": place.own}
    known = {**origin, "folder": str(place.folder) if place.folder else None}
    for name, table in _tables(values):
        if table.get("type") == "sse" or table.get("transport") == "sse":
            refused.append(
                f"{path}: the MCP server {name!r:.66} is not taken: it speaks the transport of"
                " 2024 (sse). Ask for its address of streamable HTTP."
            )
            continue
        server, said = server_of(name, _converted(table), known)
        servers += [server] if server else []
        refused += said
    return servers, refused


def _parsed(text: str, suffix: str) -> Any:
    if suffix != ".toml":
        return loads(text.encode())
    import tomllib  # most people have no such file

    return tomllib.loads(text)


def _tables(values: Any) -> Iterable[tuple[str, dict[str, Any]]]:
    """Name and table of each server. An entry that is no table is an empty one."""
    for key in _TABLES:
        for name, table in _mapping(_mapping(values).get(key)).items():
            yield name, dict(_mapping(table))


def _converted(table: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a server as `[mcp.NAME]` has them. Values are not checked here."""
    found = {key: table[key] for key in _SAME if table.get(key) is not None}
    found |= {ours: table[key] for key, ours in _THEIR_NAMES.items() if table.get(key) is not None}
    names: Any = table.get("env_vars")
    wanted = cast("list[Any]", names) if isinstance(names, list) else []
    env = {name: f"${{{name}:-}}" for name in wanted if isinstance(name, str)}
    env |= _texts(table.get("env"))
    given = {**_mapping(table.get("headers")), **_mapping(table.get("http_headers"))}
    asked = _texts(table.get("env_http_headers")).items()
    headers = _texts(given) | {key: f"${{{name}}}" for key, name in asked}
    found |= {key: it for key, it in (("env", env), ("headers", headers)) if it}
    if table.get("disabled") is True or table.get("enabled") is False:
        found["expose"] = "off"
    return found


def _texts(value: Any) -> dict[str, str]:
    """The entries as text. JSON has numbers there, too, and null for none."""
    entries = _mapping(value).items()
    return {
        key: it if isinstance(it, str) else str(it).lower() if isinstance(it, bool) else str(it)
        for key, it in entries
        if isinstance(it, str | int | float)
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
