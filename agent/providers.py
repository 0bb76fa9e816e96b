"""Which server and which model: the target, and how it is chosen. Does no I/O itself."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from .errors import AuthError, ModelError, NoModelError, SettingsError
from .faults import Answer
from .keys import Key, Keys
from .provider_table import LOCAL, OPENAI, PLAIN, PROVIDERS, Provider, Traits, known_at, named
from .settings import Settings

PROBE_TIMEOUT = 0.25
"""Seconds in which a local server must answer to be found."""

_HIDDEN = b"[key]"


@dataclass(frozen=True, slots=True)
class Target:
    """The server and model of a session. `key` is never shown, only where it is from."""

    provider: str
    base_url: str
    model: str
    key: str | None = None
    key_source: str | None = None
    window: int | None = None
    reasons: bool = True
    scripted: bool = False
    traits: Traits = PLAIN

    def __repr__(self) -> str:
        return f"Target({self.provider}:{self.model} at {self.base_url})"

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    @property
    def is_loopback(self) -> bool:
        """It is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def headers(self) -> dict[str, str]:
        """What shows that we may ask."""
        if not self.key:
            return {}
        name = self.traits.key_header
        return {name: f"Bearer {self.key}" if name == "authorization" else self.key}

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """What the server said instead of a response, without the key that some repeat."""
        if self.key:
            body = body.replace(self.key.encode(), _HIDDEN)
        source = self.key_source if self.key else None
        return Answer(self.server, self.model, status, headers, body, source)


ListModels = Callable[[Target, float], Awaitable[list[str]]]
"""The models a server lists, within a time in seconds. Raises ModelError."""


async def find_target(settings: Settings, keys: Keys, list_models: ListModels) -> Target:
    """The model to use: what is configured, else OpenAI when its key is set, else a local server.

    Raises NoModelError naming these ways, AuthError when a named source holds no key, SettingsError
    for a provider that is not known or has no address, and whatever `list_models` raises when a
    configured server must be asked for its models.
    """
    prefix, model = _split(settings.model)
    if settings.base_url:
        provider, model = _own(settings), settings.model
    elif prefix or settings.provider:
        provider = prefix or named(str(settings.provider))
        # A key that was named without a server is for the provider of the settings, or OpenAI.
        if not prefix or prefix is OPENAI:
            provider = _keyed(provider, settings)
    elif _names_key(settings) or await keys.find(OPENAI.name, OPENAI.key_env):
        provider = _keyed(OPENAI, settings)
    else:
        provider, model = await _find_local(model, list_models)
    return await _at(provider, model, settings, keys, list_models)


def _split(model: str | None) -> tuple[Provider | None, str | None]:
    """`provider:name` taken apart; a name may itself hold colons (`qwen3:8b`)."""
    prefix, colon, name = (model or "").partition(":")
    if colon and prefix in PROVIDERS:
        return PROVIDERS[prefix], name or None
    return None, model


def _names_key(settings: Settings) -> bool:
    return bool(settings.api_key_env or settings.api_key_command)


def _keyed(provider: Provider, settings: Settings) -> Provider:
    """The provider with the key that the settings name, if they do."""
    if not _names_key(settings):
        return provider
    return replace(provider, key_env=settings.api_key_env, key_command=settings.api_key_command)


def _own(settings: Settings) -> Provider:
    """The server at `base_url`: of the kind that was named, else the one it is known to be.

    A key that belongs to a provider goes only to that provider's own address.
    """
    address = str(settings.base_url).rstrip("/")
    known = known_at(address)
    if known and settings.provider in (None, known.name):
        return _keyed(replace(known, base_url=address), settings)
    kind = named(settings.provider) if settings.provider else Provider("", "")
    own = replace(kind, name=urlsplit(address).netloc, base_url=address, key_env=None)
    return _keyed(replace(own, default_model=None, window=None), settings)


async def _find_local(model: str | None, list_models: ListModels) -> tuple[Provider, str]:
    found = await asyncio.gather(*(_probe(local, list_models) for local in LOCAL))
    for local, models in zip(LOCAL, found, strict=True):
        if models and (model is None or model in models):
            return local, model or models[0]
    raise _no_model(model)


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
            "Name yours, up to and with its /v1: `%agent config base_url URL`.",
        )
    key = None if provider in LOCAL else await _key(provider, keys)
    target = Target(
        provider=provider.name,
        base_url=provider.base_url,
        model=model or provider.default_model or "",
        key=key.value if key else None,
        key_source=key.source if key else None,
        window=settings.window or provider.window,
        traits=provider.traits,
    )
    if not target.model:
        listed = await list_models(target, settings.connect_timeout)
        if not listed:
            raise NoModelError(
                f"{target.server} lists no model.", "Load one there, or set `%agent model NAME`."
            )
        target = replace(target, model=listed[0])
    silent = bool(provider.silent) and target.model.startswith(provider.silent)
    return replace(target, reasons=not silent)


async def _key(provider: Provider, keys: Keys) -> Key | None:
    key = await keys.find(provider.name, provider.key_env, provider.key_command)
    if key is None and provider.key_env:
        raise AuthError(
            f"{provider.name} needs a key in {provider.key_env}, which is not set.",
            f"Set {provider.key_env} before the kernel starts, or keep the key with"
            f" `%agent key {provider.name}`, or choose another model: `%agent model`.",
        )
    return key


async def _probe(provider: Provider, list_models: ListModels) -> list[str]:
    try:
        return await list_models(Target(provider.name, provider.base_url, ""), PROBE_TIMEOUT)
    except ModelError:
        return []


def _no_model(model: str | None) -> NoModelError:
    wanted = f"No server for the model {model!r} was found" if model else "No model was found"
    ports = ", ".join(f"{p.name} {urlsplit(p.base_url).port}" for p in LOCAL)
    return NoModelError(
        f"{wanted}: nothing is configured, OPENAI_API_KEY is not set, and no local server answers"
        f" ({ports}).",
        "Set OPENAI_API_KEY; or start a local server, such as Ollama; or name any Responses server:"
        " `%agent config base_url URL` and `%agent model NAME`. To see a turn without a model,"
        " run the demo: `make demo` in a clone of the repository.",
    )
