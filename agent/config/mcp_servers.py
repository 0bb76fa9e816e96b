"""MCP servers as a file configures them, such as `[mcp.NAME]` in TOML. Reads no file, starts none.

A project's file says what would run. Whether it runs, and whether it is trusted, is yours.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import SettingsError
from ..printable import printable
from ..protocol.verbatim_json import dumps

MCP_KEY = "mcp"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
MAX_SERVER_NAME = 64
YOURS_OF_SERVER = (
    *("trusted", "sampling", "required", "bearer_token", "bearer_token_env"),
    *("client_id", "client_secret_env", "redirect_port"),
)
"""Keys that only your own file sets. A project decides neither where a key goes, nor whom to trust.
"""
_OURS = ("name", "origin", "own", "folder")
_STDIO = ("args", "env", "cwd")
_HTTP = ("headers", "bearer_token", "bearer_token_env", "client_id", "client_secret_env")
_FILLED = ("command", "args", "env", "cwd", "url", "headers")
_PLACE = re.compile(r"\$\{([^{}]*)\}")
_KEYS = "docs/settings.md lists the keys of a server."

Servers = tuple["McpServer", ...]
Sentences = tuple[str, ...]
"""Sentences for the person."""


class McpServer(BaseModel):
    """One server: a program, or an address. Times in seconds.

    `bearer_token`: its name in the keyring. `client_id`: of a client that you registered there, and
    `redirect_port` the one that its redirect names. `origin`: the file. `own`: the file is yours,
    not a project's. `folder`: relative paths count from it, or else from the working folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    command: str | None = Field(None, min_length=1)
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = Field({}, repr=False)
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = Field({}, repr=False)
    bearer_token_env: str | None = Field(None, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    bearer_token: str | None = None
    client_id: str | None = Field(None, min_length=1)
    client_secret_env: str | None = Field(None, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
    redirect_port: int | None = Field(None, ge=1, le=65_535)
    enabled_tools: tuple[str, ...] | None = None
    disabled_tools: tuple[str, ...] = ()
    startup_timeout: float = Field(30, gt=0)
    tool_timeout: float = Field(300, gt=0)
    required: bool = False
    expose: Literal["auto", "direct", "search", "code", "off"] = "auto"
    trusted: bool = False
    mode: Literal["auto", "legacy"] = "auto"
    sampling: bool = False
    origin: str = ""
    own: bool = True
    folder: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.name.strip() or len(self.name) > MAX_SERVER_NAME or not self.name.isprintable():
            raise ValueError(f"a name has 1 to {MAX_SERVER_NAME} characters, all of them visible")
        if (self.command is None) == (self.url is None):
            raise ValueError("it needs either a command or a url")
        foreign = _STDIO if self.command is None else _HTTP
        if given := [key for key in foreign if getattr(self, key)]:
            raise ValueError(f"{given[0]} has no meaning beside {'url' if self.url else 'command'}")
        if self.url is not None and "${" not in self.url and not _is_address(self.url):
            raise ValueError(
                "url is an address such as https://example.org/mcp, without a password"
            )
        return self

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, so that a path of a folder means something to it."""
        return self.url is None or urlsplit(self.url).hostname in LOCAL_HOSTS

    def offers(self, tool: str) -> bool:
        """True if the configuration leaves this tool of the server."""
        listed = self.enabled_tools is None or tool in self.enabled_tools
        return listed and tool not in self.disabled_tools


def servers_in(values: Mapping[str, Any], path: Path, own: bool) -> tuple[Servers, Sentences]:
    """The servers among the values of a settings file, and sentences about what is not taken.

    Raises SettingsError naming file, server and key, if the file is your own.
    """
    folder = None if own else str(path.parent)
    found, refused = list[McpServer](), list[str]()
    given: Any = values.get(MCP_KEY, {})
    if not isinstance(given, dict):
        given, refused = {}, [f"{path}: `{MCP_KEY}` is no table; a server begins with [mcp.NAME]."]
    for name, table in cast("dict[str, Any]", given).items():
        server, said = server_of(name, table, {"origin": str(path), "own": own, "folder": folder})
        found += [server] if server else []
        refused += said
    if own and refused:
        raise SettingsError(refused[0], _KEYS)
    return tuple(found), tuple(refused)


def server_of(
    name: str, table: Any, place: Mapping[str, Any]
) -> tuple[McpServer | None, Sentences]:
    """The server that a table configures, or None; and sentences about what is not taken.

    `place`: its `origin`, `own` and `folder`.
    """
    where = f"{place['origin']}: the MCP server {_shown(name)}"
    if not isinstance(table, dict):
        return None, (f"{where} is no table.",)
    given, refused = cast("dict[str, Any]", table), ()
    if wrong := [key for key in given if key not in McpServer.model_fields or key in _OURS]:
        return None, (f"{where} is not taken: there is no key {_shown(wrong[0])}.",)
    if not place["own"]:
        refused = tuple(
            f"{where} sets {key}, which is not taken: only you may set it."
            for key in YOURS_OF_SERVER
            if given.get(key)
        )
        given = {key: it for key, it in given.items() if key not in YOURS_OF_SERVER}
    try:
        return McpServer.model_validate({**given, "name": name, **place}), refused
    except ValidationError as error:
        return None, (f"{where} is not taken: {_reason(error)}.",)


def first_of_each(servers: Iterable[McpServer]) -> tuple[Servers, Sentences]:
    """The first server of each name, and a sentence about each later one."""
    found: dict[str, McpServer] = {}
    refused: list[str] = []
    for server in servers:
        first = found.setdefault(server.name, server)
        if first is not server:
            refused.append(
                f"{server.origin}: the MCP server {server.name!r} is not taken:"
                f" {first.origin} has one of this name."
            )
    return tuple(found.values()), tuple(refused)


def filled(server: McpServer, environ: Mapping[str, str], cwd: Path) -> McpServer:
    """The server with values in place of `${VAR}`, `${env:VAR}`, `${VAR:-default}` and
    `${workspaceFolder}`, and a whole path as `cwd`.

    Raises SettingsError naming file, server, key and the variable that has no value.
    """
    folder = Path(server.folder or cwd)

    def fill(key: str, value: Any) -> Any:
        if isinstance(value, str):
            return _PLACE.sub(lambda it: _value(server, key, it[1], environ, folder), value)
        if isinstance(value, Mapping):
            named = cast("Mapping[str, str]", value)
            return {name: fill(f"{key}.{name}", it) for name, it in named.items()}
        return tuple(fill(key, it) for it in value)

    given = server.model_dump()
    given |= {key: fill(key, it) for key in _FILLED if (it := given[key]) is not None}
    if server.command is not None:
        given["cwd"] = str(folder / os.path.expanduser(given["cwd"] or ""))
    try:
        return McpServer.model_validate(given)
    except ValidationError as error:
        raise _wrong(server, f"it is not valid: {_reason(error)}", _KEYS) from None


def server_fingerprint(server: McpServer) -> str:
    """A hash of what would run, as it is configured, before `filled`.

    It changes with the command, its arguments, environment and folder, the address, the headers,
    and the names of keys and variables. A variable's value is not in it.
    """
    runs = (server.command, server.args, sorted(server.env.items()), server.cwd, server.folder)
    asks = (
        server.url,
        sorted(server.headers.items()),
        server.bearer_token,
        server.bearer_token_env,
    )
    return hashlib.sha256(dumps((runs, asks))).hexdigest()


def _value(
    server: McpServer, key: str, asked: str, environ: Mapping[str, str], folder: Path
) -> str:
    """The value for what is between `${` and `}`."""
    if asked == "workspaceFolder":
        return str(folder)
    name, has_default, default = asked.removeprefix("env:").partition(":-")
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        what = f"{key} has {_shown('${' + asked + '}')}, for which there is no value"
        raise _wrong(server, what, "Write the value, or `${VAR}` and set that variable.")
    if has_default:
        return environ.get(name) or default
    if name not in environ:
        what = f"{key} needs the variable {name}, which is not set"
        raise _wrong(server, what, f"Say `%env {name}=VALUE`, or set it before Jupyter starts.")
    return environ[name]


def _wrong(server: McpServer, what: str, hint: str) -> SettingsError:
    return SettingsError(f"{server.origin}: the MCP server {server.name!r}: {what}.", hint)


def _reason(error: ValidationError) -> str:
    """The key and what is wrong with it. Its value may be a secret."""
    first = error.errors(include_input=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, first["loc"]))
    return printable(f"{where}: {what}" if where else what)


def _shown(text: str) -> str:
    return f"{text!r:.{MAX_SERVER_NAME + 2}}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(known) and "@" not in parts.netloc and not any(it.isspace() for it in url)
