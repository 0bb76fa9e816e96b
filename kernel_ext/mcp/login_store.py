"""Keeps the logins at servers: in the system's keyring, or else in a file. Knows no server.

The file is beside the sessions, where code of the agent does not read it, and for the person alone.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ...agent.config.mcp_servers import McpServer
from ...agent.errors import AgentError
from ...agent.frozen import frozen
from ...agent.providers.keys import keep_in_keyring, stored_secret
from ...agent.tools.mcp.logins import Logins

LOGINS_FILE = "mcp_logins.json"
"""In the data folder: for each server's address its login, where no keyring takes it."""
_SECRET = (("tokens", "access_token"), ("tokens", "refresh_token"), ("client", "client_secret"))


@frozen
class ServerSecrets:
    """The secrets that let us in at servers. `token`: the bearer token of one, if it has one."""

    token: Callable[[McpServer], str | None]
    logins: Logins


def kept_logins(folder: Callable[[], Path], secret: Callable[[str], object]) -> Logins:
    """The logins of a person. `folder`: of the data. `secret` hears every token that is in use."""

    def read(url: str) -> str | None:
        path, text = folder() / LOGINS_FILE, None
        with suppress(AgentError):
            text = stored_secret(f"login {url}")
        text = text or _in_file(path).get(url)
        return _masked(text, secret) if text else None

    def keep(url: str, text: str) -> None:
        _masked(text, secret)
        with suppress(AgentError):
            keep_in_keyring(f"mcp login {url}", text)
            if stored_secret(f"login {url}") == text:
                return
        path = folder() / LOGINS_FILE
        _write(path, {**_in_file(path), url: text})

    return Logins(read, keep)


def _masked(text: str, secret: Callable[[str], object]) -> str:
    with suppress(ValueError):
        login: dict[str, dict[str, str] | None] = json.loads(text)
        for part, name in _SECRET:
            if value := (login.get(part) or {}).get(name):
                secret(value)
    return text


def _in_file(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return cast("dict[str, str]", found)
    return {}


def _write(path: Path, values: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".new")
    with open(new, "w", encoding="utf-8", opener=_private) as file:
        file.write(json.dumps(values))
    new.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
