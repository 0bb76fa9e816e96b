"""Which server and which model: the target, and how it is chosen. Does no I/O itself."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ..config.settings import (
    NAMES_OF_SERVER,
    ONLY_OF_SERVER,
    DialectName,
    Settings,
    shown_address,
)
from ..errors import AuthError, ModelError, NoModelError, SettingsError
from ..frozen import frozen
from ..protocol.failures import ServerAnswer
from ..text.masking import MASKED, Mask
from .catalog import (
    API_NAMES,
    LOCAL,
    OPENAI,
    PLAIN,
    PROVIDERS,
    REMOTE,
    USUAL,
    VERSIONS,
    Capabilities,
    Provider,
    known_at,
    maker_of,
    misspelt,
    provider_named,
    searching,
    speaking,
)
from .keys import Key, Keys

_ENDPOINTS: Mapping[str, DialectName] = {
    "/responses": "responses",
    "/chat/completions": "chat",
    "/messages": "messages",
}
PROBE_TIMEOUT = 0.25
"""Seconds in which a local server must answer to be found."""


@frozen
class Target:
    """The server and model of a session. `key` is never shown, only its source."""

    provider: str
    base_url: str
    model: str
    key: str | None = None
    key_source: str | None = None
    window: int | None = None
    reasons: bool = True
    scripted: bool = False
    traits: Capabilities = PLAIN

    def __repr__(self) -> str:
        return f"Target({self.provider}:{self.model} at {shown_address(self.base_url)})"

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    def url(self, path: str) -> str:
        """The address of `path`, before the query that base_url may have."""
        parts = urlsplit(self.base_url)
        return parts._replace(path=parts.path.rstrip("/") + path).geturl()

    @property
    def is_loopback(self) -> bool:
        """True if the server is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def is_tls(self) -> bool:
        """True if the server must show a certificate."""
        return urlsplit(self.base_url).scheme == "https"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request: the API's version, and the key if there is one."""
        names = self.traits.key_headers if self.key else ()
        keyed = {
            it: f"Bearer {self.key}" if it == "authorization" else f"{self.key}" for it in names
        }
        return {**VERSIONS.get(self.traits.dialect, {}), **keyed}

    def stores(self, settings: Settings) -> bool:
        """True if the server keeps our responses: it can, and the settings allow it."""
        return settings.store and self.traits.stores

    def hide(self, text: str) -> str:
        """The text without the key, which some servers repeat. Here a short key counts, too."""
        if not self.key:
            return text
        return Mask(frozenset([self.key])).text(text.replace(self.key, MASKED))

    def answer(
        self, status: int, headers: Mapping[str, str], body: bytes, path: str = ""
    ) -> ServerAnswer:
        """The server's answer that is no response. Its words are shown without the key.

        `path`: the one that was asked for.
        """
        source = self.key_source if self.key else None
        about = (source, self.hide, API_NAMES[self.traits.dialect], path)
        return ServerAnswer(self.server, self.model, status, headers, body, *about)


ListModels = Callable[[Target, float], Awaitable[list[str]]]
"""The models that a server lists within a time in seconds. Raises ModelError."""


async def find_target(settings: Settings, keys: Keys, list_models: ListModels) -> Target:
    """The target to use: the configured one, else one by a usual key, else a local server.

    Raises NoModelError naming these ways, and AuthError when a named source holds no key. Raises
    SettingsError for a provider that is not known or has no address. Raises the error of
    `list_models` when a configured server must be asked for its models.
    """
    found = chosen(settings) or await _find_keyed(settings.model, keys)
    if found is None:
        found = await _find_local(settings.model, keys, list_models)
    return await _at(*found, settings, keys, list_models)


def chosen(settings: Settings) -> tuple[Provider, str | None] | None:
    """Provider and model, if the settings alone decide them. Raises SettingsError."""
    prefix, model = _split(settings.model)
    if settings.base_url:
        return _own(settings), settings.model
    if prefix or settings.provider:
        provider = prefix or provider_named(str(settings.provider))
        # A named key is for the provider in the settings, or for OpenAI. A project's model may
        # not send it elsewhere.
        ours = provider.name == (settings.provider or OPENAI.name)
        return _keyed(provider, settings) if ours else provider, model
    if maker := maker_of(model):
        return maker, model
    return (_keyed(OPENAI, settings), model) if _names_key(settings) else None


def set_aside(model: str | None) -> dict[str, None]:
    """The settings of another server, which a model with a provider in front of it leaves."""
    prefix, _ = _split(model)
    return dict.fromkeys(("base_url", "dialect")) if prefix and prefix.base_url else {}


def typed_also(typed: Mapping[str, Any], present: Settings, key: str, value: str) -> dict[str, Any]:
    """All typed settings, with one more. Another server leaves the key of the present one."""
    known = getattr(present, key) if key in NAMES_OF_SERVER else None
    left = ONLY_OF_SERVER if known is not None and known != value else ()
    return {**{name: it for name, it in typed.items() if name not in left}, key: value}


def chosen_name(settings: Settings) -> str:
    """The name under which the keyring is asked for a key. Raises SettingsError."""
    found = chosen(settings)
    return found[0].name if found else OPENAI.name


def _split(model: str | None) -> tuple[Provider | None, str | None]:
    """`provider:name` in its two parts. A name may itself hold colons (`qwen3:8b`)."""
    prefix, colon, name = (model or "").partition(":")
    if colon and prefix in PROVIDERS:
        return PROVIDERS[prefix], name or None
    return None, model


def _names_key(settings: Settings) -> bool:
    return bool(settings.api_key_env or settings.api_key_command)


def _keyed(provider: Provider, settings: Settings) -> Provider:
    """The provider with the key that the settings name, if they name one."""
    if not _names_key(settings):
        return provider
    variable, command = settings.api_key_env, settings.api_key_command
    return replace(provider, key_env=variable, key_command=command, keyless=False)


def _own(settings: Settings) -> Provider:
    """The server at `base_url`, as the named kind of server, else as the kind known by its address.

    A key that belongs to a provider goes only to that provider's own address.
    """
    address = _without_endpoint(str(settings.base_url))
    known = known_at(address)
    if known and settings.provider in (None, known.name):
        return _keyed(replace(known, base_url=address), settings)
    kind = provider_named(settings.provider) if settings.provider else Provider("", "")
    kind = replace(kind, traits=speaking(kind.traits, _spoken_at(str(settings.base_url))))
    own = replace(kind, name=urlsplit(address).netloc, base_url=address, key_env=None)
    return _keyed(replace(own, default_model=None, window=None), settings)


def _without_endpoint(address: str) -> str:
    """The address without the name of an endpoint, which people copy with it."""
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint)
    return parts._replace(path=path.rstrip("/")).geturl()


def _spoken_at(address: str) -> DialectName | None:
    """The dialect of the endpoint whose name was copied with the address. None if none was."""
    path = urlsplit(address).path.rstrip("/")
    return next((it for end, it in _ENDPOINTS.items() if path.endswith(end)), None)


async def _find_keyed(model: str | None, keys: Keys) -> tuple[Provider, str | None] | None:
    """The first usual provider that there is a key for."""
    for provider in USUAL:
        others = provider.makes and model and not model.startswith(provider.makes)
        if not others and await keys.find(provider.name, provider.key_env):
            if wrong := misspelt(model):  # it would get a prompt that is for another
                raise SettingsError(
                    wrong, f"For {provider.name}: `%agent model {provider.name}:NAME`."
                )
            return provider, model
    return None


async def _find_local(
    model: str | None, keys: Keys, list_models: ListModels
) -> tuple[Provider, str]:
    found = await asyncio.gather(*(_probe(local, list_models) for local in LOCAL))
    for local, models in zip(LOCAL, found, strict=True):
        if models and (model is None or model in models):
            return local, model or models[0]
    raise _no_model(model, [it for it in REMOTE if keys.is_set(it.key_env)])


async def _at(
    provider: Provider,
    model: str | None,
    settings: Settings,
    keys: Keys,
    list_models: ListModels,
) -> Target:
    if not provider.base_url:
        raise SettingsError(
            f"{provider.name} has no address of its own.",
            "Give the address of yours, with its /v1: `%agent config base_url URL`.",
        )
    key = None if provider in LOCAL else await _key(provider, keys)
    target = Target(
        provider=provider.name,
        base_url=provider.base_url,
        model=model or provider.default_model or "",
        key=key.value if key else None,
        key_source=key.source if key else None,
        window=settings.window or provider.window,
        traits=speaking(provider.traits, settings.dialect),
    )
    if not target.model:
        listed = await list_models(target, settings.connect_timeout)
        if not listed:
            raise NoModelError(
                f"{target.server} lists no model.", "Load one there, or set `%agent model NAME`."
            )
        target = replace(target, model=listed[0])
    silent = bool(provider.silent) and target.model.startswith(provider.silent)
    choice, pattern = settings.tool_search, provider.searching
    traits = searching(target.traits, choice, pattern, target.model)
    return replace(target, reasons=not silent, traits=traits)


async def _key(provider: Provider, keys: Keys) -> Key | None:
    key = await keys.find(provider.name, provider.key_env, provider.key_command)
    if key is None and provider.key_env and not provider.keyless:
        raise AuthError(
            f"{provider.name} needs a key in {provider.key_env}, which is not set.",
            f"`%agent key {provider.name}` asks for the key and keeps it. Or set it for this kernel"
            f" alone: `%env {provider.key_env}=KEY`. Or choose another model: `%agent model`.",
        )
    return key


async def _probe(provider: Provider, list_models: ListModels) -> list[str]:
    try:
        return await list_models(Target(provider.name, provider.base_url, ""), PROBE_TIMEOUT)
    except ModelError:
        return []


def _no_model(model: str | None, keyed: Sequence[Provider]) -> NoModelError:
    wanted = f"No server for the model {model!r} was found" if model else "No model was found"
    ports = ", ".join(f"{p.name} {urlsplit(p.base_url).port}" for p in LOCAL)
    variables = ", ".join(f"{it.key_env}" for it in USUAL)
    found = "".join(f" {it.key_env} is set: `%agent model {it.name}:NAME`." for it in keyed)
    return NoModelError(
        f"{wanted}: nothing is configured, no usual key is set ({variables}), and no local server"
        f" answers ({ports}). {misspelt(model)}".rstrip(),
        f"{found} `%agent key openai` asks for a key and keeps it. Or set one of these for this"
        " kernel alone: `%env OPENAI_API_KEY=KEY`. Or take a gateway, with its key: `%agent model"
        " openrouter:NAME`. Or start a local server such as Ollama, or name one of"
        " your own: `%agent config base_url URL` and `%agent model NAME`."
        " `%agent demo` shows a turn without a model.".lstrip(),
    )
