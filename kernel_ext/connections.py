"""Finds the target for settings and opens its client. Has the keys, counters, scripted servers.

Knows no shell and no conversation.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..agent.config.dotenv import read_dotenv
from ..agent.config.mcp_servers import McpServer
from ..agent.config.settings import SCRIPTED, Settings
from ..agent.errors import AgentError
from ..agent.providers.catalog import Capabilities, searching, speaking
from ..agent.providers.keys import Keys, bare, stored_secret
from ..agent.providers.pricing import preload
from ..agent.providers.resolve import Target, find_target
from ..agent.providers.secrets import secrets_of
from ..agent.text.masking import Mask
from ..agent.text.secret_names import may_be_secret, secret_entries, secrets_in_code
from ..agent.text.tokenizers import counter_for
from ..agent.text.tokens import Counter, Estimate
from ..agent.transport.client import Client
from .environment import variables_now, working_folder
from .mcp.login_store import ServerSecrets, kept_logins

if TYPE_CHECKING:
    from ..agent.scripted.script import Script
    from ..agent.scripted.server import ScriptedServer

MOST_SECRETS = 100
"""Values that are masked for their names, at most. Each costs some looks for every text."""
SCRIPTED_CAPABILITIES = Capabilities(stores=True, websocket=True, compact=True)
UNASKED = Target("none", "http://127.0.0.1:9/v1", "")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is masked for its name. `place`: where it was found."""

    name: str
    place: str
    value: str = field(repr=False)


class Connections:
    """One shell's connections to its models. `forget_keys` makes it read the keys again."""

    def __init__(self) -> None:
        self._keys = Keys(os.environ)
        self.forget_keys = self._keys.forget
        self._mask = Mask(formats=True)
        self._masked: tuple[object, ...] = ()
        self._in_cells: dict[str, Secret] = {}
        self._allowed = frozenset[str]()
        self._client: tuple[Target, Settings, Client] | None = None
        self._counter: tuple[str, Counter] | None = None
        self._servers: dict[Path, tuple[Script, ScriptedServer]] = {}

    @property
    def client(self) -> Client | None:
        """The client in use. None before the first turn."""
        return self._client[2] if self._client else None

    def keep_secret(self, value: str) -> None:
        """Mask a value from now on that was typed where none belongs."""
        self._keys.found.add(bare(value))

    def server_secrets(self, folder: Callable[[], Path]) -> ServerSecrets:
        """The secrets for MCP servers. `folder`: has the logins that no keyring takes."""
        return ServerSecrets(self.server_token, kept_logins(folder, self.keep_secret))

    def server_token(self, server: McpServer) -> str | None:
        """The bearer token of an MCP server, or None. All that may let it in is masked from now."""
        token = stored_secret(server.bearer_token) if server.bearer_token else None
        if server.bearer_token_env:
            token = os.environ.get(server.bearer_token_env)
        sent = [it for it in map(bare, server.headers.values()) if may_be_secret(it)]
        of_client = os.environ.get(server.client_secret_env or "")
        named = filter(None, [token, of_client])
        for value in (*sent, *secret_entries(server.env).values(), *named):
            self.keep_secret(value)
        return token

    def read_cells(self, sources: Iterable[tuple[str, str]]) -> None:
        """Mask from now on the keys that cells bind to names. `sources`: place and source."""
        for place, source in sources:
            for name, value in secrets_in_code(source):
                self._in_cells[value] = Secret(name, place, value)

    def secrets(self) -> list[Secret]:
        """The values that look like secrets by their names, of variables, `.env` and cells.

        The path of a file that holds a key is no key.
        """
        named = [("the environment", os.environ), (".env", read_dotenv(working_folder()))]
        found = [
            Secret(name, place, value)
            for place, values in named
            for name, value in secret_entries(values).items()
            if not (os.path.isabs(value) and os.path.lexists(value))
        ]
        return [*found, *self._in_cells.values()][:MOST_SECRETS]

    @property
    def allowed(self) -> frozenset[str]:
        """The names of secrets and formats that the person allowed to be shown."""
        return self._allowed

    def allow(self, name: str) -> None:
        """Mask no longer what has that name. Keys of providers stay masked."""
        self._allowed |= {name}
        self._mask, self._masked = Mask(formats=True, allowed=self._allowed), ()

    def mask(self, settings: Settings, more: frozenset[str] = frozenset()) -> Mask:
        """The mask of all keys known so far, and of `more`. The same object while none is new.

        Names and values are read again only if one of them has changed: each cell asks.
        """
        named = (variables_now(), read_dotenv(working_folder()), {*self._in_cells})
        seen = (*named, {*self._keys.found}, settings.api_key_env, settings.base_url, more)
        if seen == self._masked:
            return self._mask
        self._masked = seen
        shown = {it.value for it in self.secrets() if it.name not in self._allowed}
        known = secrets_of(settings, os.environ) | self._keys.found | more | shown
        if not known <= self._mask.secrets:
            self._mask = replace(self._mask, secrets=self._mask.secrets | known)
        return self._mask

    async def find(self, settings: Settings) -> Target:
        """The server and model for these settings. Raises AgentError when there is none."""
        if settings.model is None or not settings.model.startswith(SCRIPTED):
            return await find_target(settings, self._keys, _list_models)
        server, script = self._scripted(working_folder() / settings.model.removeprefix(SCRIPTED))
        traits = speaking(SCRIPTED_CAPABILITIES, settings.dialect)
        traits = searching(traits, settings.tool_search)
        return Target("scripted", server.base_url, script.model, scripted=True, traits=traits)

    async def found(self, settings: Settings) -> Target | AgentError:
        """The same, or the error that says why there is none."""
        try:
            return await self.find(settings)
        except AgentError as error:
            return error

    async def open(self, target: Target, settings: Settings) -> Client:
        """The client in use, or a new one when it is for another model or other settings."""
        if self._client is not None:
            if self._client[:2] == (target, settings):
                return self._client[2]
            await self._client[2].close()
        asyncio.get_running_loop().run_in_executor(None, preload)
        self.counter(target)
        client = Client(target, settings)
        self._client = (target, settings, client)
        return client

    def counter(self, target: Target) -> Counter:
        """The token counter of the model. Its tokenizer is loaded in the background, once.

        A scripted model has no tokenizer: an estimate gives the same notebook each time.
        """
        if target.scripted:
            return Estimate()
        if self._counter is None or self._counter[0] != target.model:
            self._counter = (target.model, counter_for(target.model))
        return self._counter[1]

    def close(self) -> None:
        """Close the client and the servers."""
        if self._client is not None:
            with contextlib.suppress(RuntimeError):  # no event loop runs when the process ends
                asyncio.get_running_loop().create_task(self._client[2].close())
            self._client = None
        for _, server in self._servers.values():
            server.close()
        self._servers.clear()

    def _scripted(self, path: Path) -> "tuple[ScriptedServer, Script]":
        """The server that plays a script, restarted when the script has changed."""
        # Imported here: a turn with a real model never loads the scripted one.
        from ..agent.scripted.script import load_script
        from ..agent.scripted.server import ScriptedServer

        script = load_script(path)
        known, server = self._servers.get(path, (None, None))
        if server is None or known != script:
            if server is not None:
                server.close()
            server = ScriptedServer(script).start()
            self._servers[path] = (script, server)
        return server, script


async def _list_models(target: Target, seconds: float) -> list[str]:
    """List the models. It suspends first: a caller that cannot await ends it before a request."""
    await asyncio.sleep(0)
    # Imported here: most targets are found without a request.
    from ..agent.transport.http import list_models

    return await list_models(target, seconds)
