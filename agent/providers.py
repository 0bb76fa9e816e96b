"""Which server and which model: a table of providers, and the choice. Does no I/O itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from .errors import AuthError, ModelError, NoModelError
from .settings import Settings

PROBE_TIMEOUT = 0.25
"""Seconds in which a local server must answer to be found."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of one kind of server.

    `key_env`: the variable its key is in; without one it gets no key. `silent`: models that refuse
    a `reasoning` field.
    """

    name: str
    base_url: str
    key_env: str | None = None
    default_model: str | None = None
    window: int | None = None
    silent: tuple[str, ...] = ()


OPENAI = Provider(
    "openai",
    "https://api.openai.com/v1",
    key_env="OPENAI_API_KEY",
    default_model="gpt-5.5",
    window=272_000,
    silent=("gpt-4", "gpt-3", "chatgpt-"),
)
LOCAL = (
    Provider("ollama", "http://127.0.0.1:11434/v1"),
    Provider("lmstudio", "http://127.0.0.1:1234/v1"),
    Provider("llamacpp", "http://127.0.0.1:8080/v1"),
    Provider("vllm", "http://127.0.0.1:8000/v1"),
)
PROVIDERS = {provider.name: provider for provider in (OPENAI, *LOCAL)}


@dataclass(frozen=True, slots=True)
class Target:
    """The server and model of a session. `key` is never shown; `key_env` says where it is from."""

    provider: str
    base_url: str
    model: str
    key: str | None = None
    key_env: str | None = None
    window: int | None = None
    reasons: bool = True
    scripted: bool = False

    def __repr__(self) -> str:
        return f"Target({self.provider}:{self.model} at {self.base_url})"

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc


ListModels = Callable[[Target, float], Awaitable[list[str]]]
"""The models a server lists, within a time in seconds. Raises ModelError."""


async def find_target(
    settings: Settings, environ: Mapping[str, str], list_models: ListModels
) -> Target:
    """The model to use: what is configured, else OpenAI when its key is set, else a local server.

    Raises NoModelError naming these ways, AuthError when a named key variable holds no key,
    and whatever `list_models` raises when a configured server must be asked for its models.
    """
    provider, model = _split(settings.model)
    if settings.base_url:
        address = settings.base_url.rstrip("/")
        own = Provider(urlsplit(address).netloc, address, key_env=settings.api_key_env)
        return await _at(own, settings.model, settings, environ, list_models)
    openai = replace(OPENAI, key_env=settings.api_key_env or OPENAI.key_env)
    if provider is not None:
        chosen = openai if provider is OPENAI else provider
        return await _at(chosen, model, settings, environ, list_models)
    if settings.api_key_env or environ.get(str(OPENAI.key_env)):
        return await _at(openai, model, settings, environ, list_models)
    found = await asyncio.gather(*(_probe(local, list_models) for local in LOCAL))
    for local, models in zip(LOCAL, found, strict=True):
        if models and (model is None or model in models):
            return await _at(local, model or models[0], settings, environ, list_models)
    raise _no_model(model)


def _split(model: str | None) -> tuple[Provider | None, str | None]:
    """`provider:name` taken apart; a name may itself hold colons (`qwen3:8b`)."""
    if model is None:
        return None, None
    prefix, colon, name = model.partition(":")
    if colon and prefix in PROVIDERS:
        return PROVIDERS[prefix], name or None
    return None, model


async def _at(
    provider: Provider,
    model: str | None,
    settings: Settings,
    environ: Mapping[str, str],
    list_models: ListModels,
) -> Target:
    key = _read_key(provider.key_env, provider, environ) if provider.key_env else None
    name = model or provider.default_model
    target = Target(provider.name, provider.base_url, name or "", key, provider.key_env)
    if name is None:
        listed = await list_models(target, settings.connect_timeout)
        if not listed:
            raise NoModelError(
                f"{target.server} lists no model.", "Load one there, or set `%agent model NAME`."
            )
        name = listed[0]
    return Target(
        provider=provider.name,
        base_url=provider.base_url,
        model=name,
        key=key,
        key_env=provider.key_env,
        window=settings.window or provider.window,
        reasons=not name.startswith(provider.silent) if provider.silent else True,
    )


def _read_key(name: str, provider: Provider, environ: Mapping[str, str]) -> str:
    """The key in a variable. It must be such as a header can carry, or an error would show it."""
    key = environ.get(name, "").strip()
    if key and key.isascii() and key.isprintable():
        return key
    what = "holds characters no key has" if key else "is not set"
    raise AuthError(
        f"{provider.name} needs a key in {name}, which {what}.",
        f"Set {name} before the kernel starts, or choose another model: `%agent model`.",
    )


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
