"""The kinds of servers there are, and what each can do: data. Chooses none.

`Provider.source` names the page that a row was read from, in 2026-11. Tried with a real server:
transformers 5.23, litellm 1.106. Models and windows are those of genai-prices 0.2.3.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from ..config.settings import DialectName, SearchChoice, nearest
from ..errors import SettingsError
from ..frozen import frozen


@frozen
class Capabilities:
    """The capabilities of a kind of server, beyond a streamed response to a whole request.

    `stores`: it goes on from a stored response. `websocket`, `compact`: it has them. `encrypted`:
    it gives reasoning to send back. `tool_search`: its model may search for tools that we load.
    `hosted`: tools it runs itself. `omits`: request fields it
    refuses. `key_headers`: the headers for its key. `dialect`: the API that it speaks.
    In dialects alone: `images`: its models see images, and others get a line of text for each. In
    Chat Completions alone: `unsigned_call`: JSON members for the calls that another model made.
    `answer_lacks`: those for messages of the model that came without them.
    """

    stores: bool = False
    websocket: bool = False
    compact: bool = False
    encrypted: bool = True
    tool_search: bool = False
    hosted: tuple[str, ...] = ()
    omits: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ("authorization",)
    dialect: DialectName = "responses"
    images: bool = True
    unsigned_call: str = "{}"
    answer_lacks: str = "{}"


PLAIN = Capabilities()
VERSIONS: Mapping[DialectName, Mapping[str, str]] = {
    "messages": {"anthropic-version": "2023-06-01"},
}
"""The headers that name the version of an API."""
API_NAMES: Mapping[DialectName, str] = {
    "responses": "Responses API",
    "messages": "Messages API",
    "chat": "Chat Completions API",
}


@frozen
class Provider:
    """One kind of server. `source`: the page that tells what it can do.

    `base_url`: its address, or "" when only its user knows. `hosts`: the names of its hosts, with
    `*` for a label. `key_env`: the variable that holds its key. `key_command`: a command that
    prints it. Without either, or when `keyless`, it needs no key. `silent`: beginnings of the names
    of models that refuse a `reasoning` field. `searching`: the pattern of names of models that may
    search for tools. `makes`: beginnings of the names of models that only it makes.
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
    searching: str = ""
    makes: tuple[str, ...] = ()
    source: str = ""

    def is_at(self, address: str) -> bool:
        """True if `address` is one of this provider's own."""
        own, other = urlsplit(self.base_url), urlsplit(address)
        if other.netloc == own.netloc:
            return other.scheme == own.scheme
        host = str(other.hostname)
        return other.scheme == "https" and any(_is_like(host, like) for like in self.hosts)


def _is_like(host: str, pattern: str) -> bool:
    """True if the host's name is that of the pattern, in which `*` is any one label."""
    labels, wanted = host.split("."), pattern.split(".")
    fits = (it in ("*", label) for label, it in zip(labels, wanted, strict=False))
    return len(labels) == len(wanted) and all(fits)


_HOSTED = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "computer")
_STATELESS = Capabilities(encrypted=False)
_MESSAGES = Capabilities(encrypted=False, dialect="messages")
_CHAT = Capabilities(encrypted=False, dialect="chat")
_NO_SIGNATURE = (
    '{"extra_content":{"google":{"thought_signature":"skip_thought_signature_validator"}}}'
)
"""Gemini 3 refuses a call without a signature. It names this stand-in for those of other models:
ai.google.dev/gemini-api/docs/thought-signatures.
"""
_NO_THOUGHT = '{"reasoning_content":" "}'
"""DeepSeek refuses a message of the model without a thought once tools were called, and an empty
one, too. It takes a space: api-docs.deepseek.com/guides/thinking_mode, openclaw/openclaw#73417,
NousResearch/hermes-agent#18263.
"""
_USUAL_WINDOW = 200_000
"""Tokens. Larger windows exist. Above this size, several models cost twice as much a token."""

_SEARCHING = r"gpt-(5\.([4-9]|\d\d)|[6-9]|\d\d)(?!.*nano)"
"""GPT-5.4 and later: developers.openai.com/api/docs/guides/tools-tool-search, and for Azure
learn.microsoft.com/azure/foundry/openai/how-to/tool-search. GPT-5.4 nano refuses it:
openclaw/openclaw#85819.
"""

OPENAI = Provider(
    "openai",
    "https://api.openai.com/v1",
    Capabilities(stores=True, websocket=True, compact=True, hosted=_HOSTED),
    key_env="OPENAI_API_KEY",
    default_model="gpt-5.5",
    window=272_000,
    silent=("gpt-4", "gpt-3", "chatgpt-"),
    searching=_SEARCHING,
    source="developers.openai.com/docs/guides/websocket-mode",
)
ANTHROPIC = Provider(
    "anthropic",
    "https://api.anthropic.com/v1",
    replace(_MESSAGES, key_headers=("x-api-key",)),
    key_env="ANTHROPIC_API_KEY",
    default_model="claude-sonnet-5-5",
    window=_USUAL_WINDOW,
    makes=("claude-",),
    source="platform.claude.com/docs/en/api/messages",
)
GEMINI = Provider(
    "gemini",
    "https://generativelanguage.googleapis.com/v1beta/openai",
    replace(_CHAT, unsigned_call=_NO_SIGNATURE),
    key_env="GEMINI_API_KEY",
    default_model="gemini-3.8-flash",
    window=_USUAL_WINDOW,
    makes=("gemini-",),
    source="ai.google.dev/gemini-api/docs/openai",
)
USUAL = (OPENAI, ANTHROPIC, GEMINI)
"""Providers that are used without being named, when there is a key. The first one goes first."""

REMOTE = (
    *USUAL,
    Provider(
        "azure",
        "",
        Capabilities(stores=True, websocket=True, hosted=_HOSTED, key_headers=("api-key",)),
        hosts=(
            *("*.openai.azure.com", "*.services.ai.azure.com"),
            "*.cognitiveservices.azure.com",
        ),
        key_env="AZURE_OPENAI_API_KEY",
        silent=OPENAI.silent,
        searching=_SEARCHING,
        source="learn.microsoft.com/azure/foundry/openai/how-to/responses",
    ),
    Provider(
        "openrouter",
        "https://openrouter.ai/api/v1",
        Capabilities(hosted=("web_search",)),
        key_env="OPENROUTER_API_KEY",
        source="openrouter.ai/docs",
    ),
    Provider(
        "xai",
        "https://api.x.ai/v1",
        Capabilities(stores=True, websocket=True, hosted=("web_search", "code_interpreter", "mcp")),
        key_env="XAI_API_KEY",
        source="docs.x.ai/developers/advanced-api-usage/websocket-mode",
    ),
    Provider(
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        Capabilities(websocket=True),
        key_env="AI_GATEWAY_API_KEY",
        source="vercel.com/docs/ai-gateway/sdks-and-apis/responses",
    ),
    Provider(
        "mistral",
        "https://api.mistral.ai/v1",
        _STATELESS,
        key_env="MISTRAL_API_KEY",
        source="docs.mistral.ai/studio/conversations/responses",
    ),
    Provider(
        "groq",
        "https://api.groq.com/openai/v1",
        _STATELESS,
        key_env="GROQ_API_KEY",
        source="console.groq.com/docs/responses-api",
    ),
    Provider(
        "together",
        "https://api.together.ai/v1",
        _STATELESS,
        key_env="TOGETHER_API_KEY",
        source="docs.together.ai/docs/inference/responses-api",
    ),
    Provider(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        Capabilities(stores=True, encrypted=False),
        key_env="FIREWORKS_API_KEY",
        source="docs.fireworks.ai/guides/response-api",
    ),
    Provider(
        "huggingface",
        "https://router.huggingface.co/v1",
        _STATELESS,
        key_env="HF_TOKEN",
        source="huggingface.co/docs/inference-providers/guides/responses-api",
    ),
    Provider(
        "bedrock",
        "",
        _STATELESS,
        hosts=("bedrock-runtime.*.amazonaws.com", "bedrock-mantle.*.api.aws"),
        key_env="AWS_BEARER_TOKEN_BEDROCK",
        source="docs.aws.amazon.com/bedrock: Responses API",
    ),
    Provider(
        "deepseek",
        "https://api.deepseek.com/anthropic/v1",
        replace(_MESSAGES, key_headers=("x-api-key",), images=False, answer_lacks=_NO_THOUGHT),
        key_env="DEEPSEEK_API_KEY",
        source="api-docs.deepseek.com/guides/anthropic_api",
    ),
    Provider(
        "cerebras",
        "https://api.cerebras.ai/v1",
        replace(_CHAT, images=False),
        key_env="CEREBRAS_API_KEY",
        source="inference-docs.cerebras.ai/resources/openai",
    ),
)
LOCAL = (
    Provider(
        "ollama",
        "http://127.0.0.1:11434/v1",
        _STATELESS,
        source="docs.ollama.com/api/openai-compatibility",
    ),
    Provider(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        Capabilities(stores=True, encrypted=False),
        source="lmstudio.ai/blog/lmstudio-v0.3.29",
    ),
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


def maker_of(model: str | None) -> Provider | None:
    """The provider that alone makes models of such a name."""
    return next((it for it in USUAL if it.makes and (model or "").startswith(it.makes)), None)


def speaking(traits: Capabilities, dialect: DialectName | None) -> Capabilities:
    """The capabilities of a server that is asked in that dialect. None: in its own."""
    if dialect in (None, traits.dialect):
        return traits
    keys = ("x-api-key", "authorization") if dialect == "messages" else ("authorization",)
    return Capabilities(
        encrypted=False,
        omits=traits.omits,
        key_headers=keys,
        dialect=dialect,
        images=traits.images,
        answer_lacks=traits.answer_lacks,
    )


def searching(
    traits: Capabilities, wanted: SearchChoice, pattern: str = "", model: str = ""
) -> Capabilities:
    """The capabilities with the search for tools, if that is wanted or the model has it.

    `pattern`: of the names of models that have it. Other APIs than Responses have no such search.
    """
    known = bool(pattern and re.match(pattern, model))
    has = traits.dialect == "responses" and (known if wanted == "auto" else wanted == "always")
    return replace(traits, tool_search=has)
