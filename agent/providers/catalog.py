"""The kinds of servers there are, and what each can do: data. Chooses none.

Read in 2026-11: developers.openai.com/docs/guides/websocket-mode; learn.microsoft.com/azure/foundry
/openai/how-to/responses and /websockets; docs.x.ai/developers/advanced-api-usage/websocket-mode;
vercel.com/docs/ai-gateway/sdks-and-apis/responses; openrouter.ai/docs; docs.ollama.com/api
/openai-compatibility; lmstudio.ai/blog/lmstudio-v0.3.29. Tried: transformers 5.23, litellm 1.106.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..config.settings import DialectName, nearest
from ..errors import SettingsError


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a kind of server, beyond a streamed response to a whole request.

    `stores`: it goes on from a stored response. `websocket`, `compact`: it has them. `encrypted`:
    it gives reasoning to send back. `hosted`: tools it runs itself. `omits`: request fields it
    refuses. `key_headers`: the headers for its key. `dialect`: the API that it speaks.
    """

    stores: bool = False
    websocket: bool = False
    compact: bool = False
    encrypted: bool = True
    hosted: tuple[str, ...] = ()
    omits: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ("authorization",)
    dialect: DialectName = "responses"


PLAIN = Capabilities()
VERSIONS: Mapping[DialectName, Mapping[str, str]] = {
    "messages": {"anthropic-version": "2023-06-01"},
}
"""The headers that name the version of an API."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One kind of server.

    `base_url`: its address, or "" when only its user knows. `hosts`: ends of the names of its
    hosts. `key_env`: the variable that holds its key. `key_command`: a command that prints it.
    Without either, or when `keyless`, it needs no key. `silent`: beginnings of the names of models
    that refuse a `reasoning` field.
    """

    name: str
    base_url: str
    traits: Capabilities = PLAIN
    hosts: tuple[str, ...] = ()
    key_env: str | None = None
    key_command: str | None = None
    keyless: bool = False
    default_model: str | None = None
    window: int | None = None
    silent: tuple[str, ...] = ()

    def is_at(self, address: str) -> bool:
        """True if `address` is one of this provider's own."""
        own, other = urlsplit(self.base_url), urlsplit(address)
        if other.netloc == own.netloc:
            return other.scheme == own.scheme
        return other.scheme == "https" and str(other.hostname).endswith(self.hosts or "//")


_HOSTED = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "computer")
_STATELESS = Capabilities(encrypted=False)

OPENAI = Provider(
    "openai",
    "https://api.openai.com/v1",
    Capabilities(stores=True, websocket=True, compact=True, hosted=_HOSTED),
    key_env="OPENAI_API_KEY",
    default_model="gpt-5.5",
    window=272_000,
    silent=("gpt-4", "gpt-3", "chatgpt-"),
)
REMOTE = (
    OPENAI,
    Provider(
        "azure",
        "",
        Capabilities(stores=True, websocket=True, hosted=_HOSTED, key_headers=("api-key",)),
        hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        key_env="AZURE_OPENAI_API_KEY",
        silent=OPENAI.silent,
    ),
    Provider(
        "openrouter",
        "https://openrouter.ai/api/v1",
        Capabilities(hosted=("web_search",)),
        key_env="OPENROUTER_API_KEY",
    ),
    Provider(
        "xai",
        "https://api.x.ai/v1",
        Capabilities(stores=True, websocket=True, hosted=("web_search", "code_interpreter", "mcp")),
        key_env="XAI_API_KEY",
    ),
    Provider(
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        Capabilities(websocket=True),
        key_env="AI_GATEWAY_API_KEY",
    ),
)
LOCAL = (
    Provider("ollama", "http://127.0.0.1:11434/v1", _STATELESS),
    Provider("lmstudio", "http://127.0.0.1:1234/v1", Capabilities(stores=True, encrypted=False)),
    Provider("llamacpp", "http://127.0.0.1:8080/v1", _STATELESS),
    Provider("vllm", "http://127.0.0.1:8000/v1", _STATELESS),
)
ONLY_NAMED = (
    Provider("transformers", "http://127.0.0.1:8000/v1", _STATELESS),
    Provider(
        "litellm",
        "http://127.0.0.1:4000/v1",
        # It passes the cache key on to chat servers, and some refuse fields they do not know.
        Capabilities(encrypted=False, omits=("prompt_cache_key",)),
        key_env="LITELLM_API_KEY",
        keyless=True,
    ),
)
"""Servers that are used when you name them, never searched for."""

PROVIDERS = {provider.name: provider for provider in (*REMOTE, *LOCAL, *ONLY_NAMED)}


def provider_named(name: str) -> Provider:
    """The provider of that name. Raises SettingsError."""
    if name not in PROVIDERS:
        known = list(PROVIDERS)
        raise SettingsError(
            f"There is no provider {name!r}.{nearest(name, known)}",
            f"There are: {', '.join(known)}.",
        )
    return PROVIDERS[name]


def misspelt(model: str | None) -> str:
    """A sentence on a name that begins nearly as a provider, such as `olama:qwen3`. Or nothing."""
    prefix, colon, _ = (model or "").partition(":")
    known = not colon or prefix in PROVIDERS
    near = "" if known else nearest(prefix.lower(), list(PROVIDERS))
    return f"There is no provider {prefix!r}.{near}" if near else ""


def known_at(address: str) -> Provider | None:
    """The remote provider whose own address this is."""
    return next((provider for provider in REMOTE if provider.is_at(address)), None)
