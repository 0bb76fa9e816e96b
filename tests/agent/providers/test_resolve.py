"""Which model is used, and where the key goes."""

from collections.abc import Mapping
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.errors import (
    AuthError,
    ModelError,
    NoModelError,
    SettingsError,
    UnreachableError,
)
from inkernel.agent.providers import keys as keys_module
from inkernel.agent.providers.catalog import (
    LOCAL,
    OPENAI,
    PROVIDERS,
    REMOTE,
    Capabilities,
    speaking,
)
from inkernel.agent.providers.keys import Keys
from inkernel.agent.providers.resolve import (
    PROBE_TIMEOUT,
    Target,
    chosen_name,
    find_target,
    set_aside,
    typed_also,
)

KEYED = {"OPENAI_API_KEY": "sk-openai"}
OWN = "https://models.example.org/v1"


class Servers:
    """Stands in for `list_models`: the models of each server that runs, and who was asked."""

    def __init__(self, models: Mapping[str, list[str]]) -> None:
        self.models = models
        self.asked: list[tuple[Target, float]] = []

    async def __call__(self, target: Target, timeout: float) -> list[str]:
        self.asked.append((target, timeout))
        if target.base_url not in self.models:
            raise UnreachableError("no")
        return self.models[target.base_url]


async def find(
    environ: Mapping[str, str], running: Mapping[str, list[str]] | None = None, **choices: Any
) -> Target:
    return await find_target(Settings(**choices), Keys(environ), Servers(running or {}))


async def test_with_its_key_openai_is_used():
    target = await find(KEYED)
    assert (target.provider, target.base_url) == ("openai", OPENAI.base_url)
    assert (target.model, target.key) == (OPENAI.default_model, "sk-openai")
    assert target.window == OPENAI.window
    assert (await find(KEYED, model="gpt-5-mini")).model == "gpt-5-mini"


async def test_a_named_provider_goes_before_the_key_of_openai():
    ollama = LOCAL[0].base_url
    target = await find(KEYED, model="ollama:qwen3:8b")
    assert (target.base_url, target.model, target.key) == (ollama, "qwen3:8b", None)
    assert (await find(KEYED, {ollama: ["a", "b"]}, model="ollama:")).model == "a"


async def test_an_address_goes_before_all_and_the_key_of_openai_never_goes_there():
    target = await find(KEYED, base_url=f"{OWN}/", model="openai:x")
    assert target == Target("models.example.org", OWN, "openai:x")
    assert target.key is None


async def test_only_a_named_variable_gives_an_address_its_key():
    environ = {**KEYED, "MY_KEY": "mine"}
    target = await find(environ, base_url=OWN, model="m", api_key_env="MY_KEY")
    assert (target.key, target.key_source) == ("mine", "MY_KEY")
    assert (await find(environ, api_key_env="MY_KEY")).key == "mine"


async def test_no_key_goes_to_a_local_server_that_was_found():
    servers = Servers({LOCAL[1].base_url: ["m"]})
    target = await find_target(Settings(), Keys({"OPENAI_API_KEY": ""}), servers)
    assert (target.provider, target.model, target.key) == ("lmstudio", "m", None)
    assert [(asked.base_url, asked.key) for asked, _ in servers.asked] == [
        (provider.base_url, None) for provider in LOCAL
    ]
    assert {timeout for _, timeout in servers.asked} == {PROBE_TIMEOUT}


async def test_local_servers_are_taken_in_order_and_by_the_model_wanted():
    running = {LOCAL[3].base_url: ["b"], LOCAL[0].base_url: [], LOCAL[2].base_url: ["a", "b"]}
    assert (await find({}, running)).provider == LOCAL[2].name
    assert (await find({}, running, model="b")).provider == LOCAL[2].name
    running[LOCAL[2].base_url] = ["a"]
    assert (await find({}, running, model="b")).provider == LOCAL[3].name


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "sk-openai"}])
@pytest.mark.parametrize(
    ("model", "meant"),
    [("olama:qwen3:8b", "ollama"), ("Ollama:qwen3", "ollama"), ("openrouer:a/b", "openrouter")],
)
async def test_a_provider_that_is_misspelt_is_named_and_openai_does_not_get_it(
    environ: dict[str, str], model: str, meant: str
):
    wrong = rf"There is no provider '{model.partition(':')[0]}'\. Did you mean {meant}\?"
    with pytest.raises((NoModelError, SettingsError), match=wrong):
        await find(environ, model=model)


async def test_a_name_with_a_colon_that_is_like_no_provider_is_a_models_name():
    target = await find({"OPENAI_API_KEY": "sk-openai"}, model="ft:gpt-4o:acme")
    assert (target.provider, target.model) == ("openai", "ft:gpt-4o:acme")
    listed = {LOCAL[0].base_url: ["llama3:8b"]}
    assert (await find({}, listed, model="llama3:8b")).model == "llama3:8b"


async def test_a_server_without_a_named_model_is_asked_for_its_first():
    servers = Servers({OWN: ["first", "second"]})
    target = await find_target(Settings(base_url=OWN), Keys({}), servers)
    assert target.model == "first"
    assert servers.asked[0][1] == Settings().connect_timeout


async def test_a_server_that_lists_no_model_is_named():
    with pytest.raises(NoModelError, match=r"models\.example\.org lists no model"):
        await find({}, {OWN: []}, base_url=OWN)


async def test_a_server_that_was_named_and_is_not_there_is_an_error():
    with pytest.raises(UnreachableError):
        await find({}, base_url=OWN)


@pytest.mark.parametrize(
    ("environ", "choices", "name"),
    [
        ({}, {"model": "openai:gpt-5.5"}, "OPENAI_API_KEY"),
        ({"MY_KEY": ""}, {"base_url": OWN, "model": "m", "api_key_env": "MY_KEY"}, "MY_KEY"),
        ({"MY_KEY": " \n"}, {"base_url": OWN, "model": "m", "api_key_env": "MY_KEY"}, "MY_KEY"),
        (KEYED, {"api_key_env": "MY_KEY"}, "MY_KEY"),
    ],
)
async def test_a_missing_key_is_named_by_its_variable(
    environ: dict[str, str], choices: dict[str, str], name: str
):
    with pytest.raises(AuthError, match=f"needs a key in {name}, which is not set") as raised:
        await find(environ, **choices)
    assert name in raised.value.hint


async def test_space_around_a_key_is_no_part_of_it():
    assert (await find({"OPENAI_API_KEY": " sk-openai\n"})).key == "sk-openai"


@pytest.mark.parametrize("key", ["sk-“quoted”", "sk-a\nsk-b", "sk-\x00"])
async def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str):
    with pytest.raises(AuthError, match="OPENAI_API_KEY") as raised:
        await find({"OPENAI_API_KEY": key})
    assert "sk-" not in str(raised.value)


@pytest.mark.parametrize("model", [None, "qwen3:8b"])
async def test_when_nothing_is_found_the_ways_are_named(model: str | None):
    with pytest.raises(NoModelError) as raised:
        await find({}, model=model)
    told = str(raised.value)
    for way in ("OPENAI_API_KEY", "Ollama", "base_url", "%agent model", "%agent demo"):
        assert way in told
    assert (model or "No model") in told
    assert isinstance(raised.value, ModelError)


@pytest.mark.parametrize(
    ("model", "reasons"),
    [("gpt-5.5", True), ("o3", True), ("gpt-4.1", False), ("chatgpt-4o-latest", False)],
)
async def test_models_that_refuse_reasoning_are_known(model: str, reasons: bool):
    assert (await find(KEYED, model=model)).reasons is reasons
    assert (await find({}, base_url=OWN, model=model)).reasons is True


async def test_a_chosen_window_goes_before_the_known_one():
    assert (await find(KEYED, window=9)).window == 9


def test_a_key_is_not_shown_with_its_target():
    assert "secret" not in repr(Target("p", OWN, "m", key="secret"))


@pytest.mark.parametrize("local", ["ollama", "lmstudio", "llamacpp", "vllm"])
async def test_a_key_is_not_for_whoever_listens_on_a_local_port(local: str):
    target = await find({"MY_KEY": "mine"}, model=f"{local}:m", api_key_env="MY_KEY")
    assert (target.model, target.key, target.key_source) == ("m", None, None)


@pytest.mark.parametrize(
    ("choices", "key"),
    [
        ({"provider": "openrouter", "model": "openai:x"}, None),
        ({"provider": "vllm", "model": "ollama:x"}, None),
        ({"model": "xai:x"}, None),
        ({"provider": "openrouter", "model": "openrouter:x"}, "mine"),
        ({"provider": "openrouter", "model": "x"}, "mine"),
        ({"model": "openai:x"}, "mine"),
    ],
)
async def test_a_key_is_for_the_provider_of_the_settings_not_for_that_of_a_model(
    choices: dict[str, str], key: str | None
):
    try:
        target = await find({"MY_KEY": "mine"}, **choices, api_key_env="MY_KEY")
    except AuthError as error:
        assert "API_KEY, which is not set" in error.message
        assert key is None
    else:
        assert (target.model, target.key) == ("x", key)


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({}, "openai"),
        ({"model": "gpt-5.5"}, "openai"),
        ({"api_key_env": "K"}, "openai"),
        ({"model": "openrouter:x/y"}, "openrouter"),
        ({"provider": "xai"}, "xai"),
        ({"base_url": "https://gpu.example:8/v1", "provider": "vllm"}, "gpu.example:8"),
        ({"base_url": "https://r.openai.azure.com/openai/v1"}, "azure"),
        ({"base_url": OPENAI.base_url}, "openai"),
    ],
)
async def test_the_keyring_is_asked_by_the_name_of_what_was_chosen(
    choices: dict[str, str], name: str
):
    class Ring(Keys):
        asked: tuple[str, ...] = ()

        async def find(self, provider: str, variable: str | None, command: str | None = None):
            self.asked = (*self.asked, provider)
            return await super().find(provider, "THE_KEY", command)

    ring = Ring({"THE_KEY": "k"})
    await find_target(Settings(**{"model": "m", **choices}), ring, Servers({}))
    assert ring.asked[-1] == name == chosen_name(Settings(**choices))


async def test_a_server_at_an_address_of_its_own_is_not_given_the_key_of_its_kind():
    environ = {"AZURE_OPENAI_API_KEY": "azure", "OPENAI_API_KEY": "openai"}
    for kind in ("azure", "openai"):
        assert (await find(environ, base_url=OWN, provider=kind, model="m")).key is None


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_key_goes_to_its_provider_only_over_https(scheme: str):
    environ = {"AZURE_OPENAI_API_KEY": "azure", "OPENAI_API_KEY": "openai"}
    for address, key in (
        ("r.openai.azure.com/openai/v1", "azure"),
        ("api.openai.com/v1", "openai"),
    ):
        target = await find(environ, base_url=f"{scheme}://{address}", model="m")
        assert target.key == (key if scheme == "https" else None)


async def test_litellm_is_asked_without_a_key_when_there_is_none():
    assert (await find({}, model="litellm:m")).key is None
    assert (await find({"LITELLM_API_KEY": "k"}, model="litellm:m")).key == "k"
    with pytest.raises(AuthError, match="MY_KEY"):
        await find({}, provider="litellm", model="m", api_key_env="MY_KEY")
    assert PROVIDERS["litellm"].key_env == "LITELLM_API_KEY"


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (OWN, f"{OWN}/models"),
        (f"{OWN}?api-version=preview", f"{OWN}/models?api-version=preview"),
        (f"{OWN}/?api-version=preview", f"{OWN}/models?api-version=preview"),
    ],
)
def test_a_path_stands_before_the_query_of_an_address(base_url: str, url: str):
    assert Target("p", base_url, "m").url("/models") == url


@pytest.mark.parametrize("may", [True, False])
@pytest.mark.parametrize("can", [True, False])
def test_responses_are_stored_where_it_is_possible_and_allowed(may: bool, can: bool):
    target = Target("p", OWN, "m", traits=Capabilities(stores=can))
    assert target.stores(Settings(store=may)) is (may and can)


@pytest.mark.parametrize("more", ["", "/", "/responses", "/responses/", "/chat/completions"])
async def test_an_endpoint_that_was_copied_with_the_address_is_taken_off(more: str):
    assert (await find({}, base_url=f"{OWN}{more}", model="m")).base_url == OWN
    target = await find({}, base_url=f"{OWN}{more}?version=1", model="m")
    assert target.url("/responses") == f"{OWN}/responses?version=1"


ANTHROPIC = {"ANTHROPIC_API_KEY": "sk-ant-key"}


@pytest.mark.parametrize(
    ("environ", "provider", "model", "dialect"),
    [
        (ANTHROPIC, "anthropic", PROVIDERS["anthropic"].default_model, "messages"),
        ({"GEMINI_API_KEY": "g"}, "gemini", PROVIDERS["gemini"].default_model, "chat"),
        ({**ANTHROPIC, "GEMINI_API_KEY": "g"}, "anthropic", "claude-sonnet-5-5", "messages"),
        ({**ANTHROPIC, **KEYED}, "openai", PROVIDERS["openai"].default_model, "responses"),
    ],
)
async def test_each_usual_key_is_found(
    environ: dict[str, str], provider: str, model: str, dialect: str
):
    target = await find(environ)
    assert (target.provider, target.model) == (provider, model)
    assert target.traits.dialect == dialect


async def test_a_model_s_name_shows_its_maker_and_its_key_goes_there_alone():
    target = await find({**ANTHROPIC, **KEYED}, model="claude-opus-5-5")
    assert (target.provider, target.key) == ("anthropic", "sk-ant-key")
    with pytest.raises(AuthError, match="ANTHROPIC_API_KEY"):
        await find(KEYED, model="claude-opus-5-5")
    own = await find({**ANTHROPIC, **KEYED}, model="claude-opus-5-5", base_url=OWN)
    assert (own.base_url, own.key, own.traits.dialect) == (OWN, None, "responses")


async def test_each_api_has_its_headers():
    assert (await find(ANTHROPIC)).headers == {
        "anthropic-version": "2023-06-01",
        "x-api-key": "sk-ant-key",
    }
    assert (await find(KEYED)).headers == {"authorization": "Bearer sk-openai"}
    own = await find(
        {"MY_KEY": "k"}, base_url=OWN, model="m", dialect="messages", api_key_env="MY_KEY"
    )
    assert own.headers == {
        "anthropic-version": "2023-06-01",
        "x-api-key": "k",
        "authorization": "Bearer k",
    }


@pytest.mark.parametrize(
    ("endpoint", "dialect"),
    [("", "responses"), ("/chat/completions", "chat"), ("/messages", "messages")],
)
async def test_an_endpoint_that_was_copied_with_the_address_names_the_api(
    endpoint: str, dialect: str
):
    found = await find({}, base_url=f"{OWN}{endpoint}", model="m")
    assert found.traits.dialect == dialect
    assert (await find({}, base_url=f"{OWN}{endpoint}", model="m", dialect="chat")).traits == (
        speaking(Capabilities(), "chat")
    )


async def test_a_server_that_is_asked_in_another_dialect_has_no_websocket_and_stores_nothing():
    found = await find({}, model="lmstudio:m", dialect="chat")
    assert not found.stores(Settings(store=True))
    assert not found.traits.websocket
    assert found.traits.dialect == "chat"


async def test_a_search_in_vain_asks_the_keyring_for_the_usual_providers_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    asked: list[str] = []

    async def ask(provider: str, _command: str | None) -> None:
        asked.append(provider)

    monkeypatch.setattr(keys_module, "_ask", ask)
    with pytest.raises(NoModelError):
        await find({})
    assert asked == ["openai", "anthropic", "gemini"]


async def test_a_key_that_only_a_named_provider_takes_is_named_with_the_way_to_use_it():
    with pytest.raises(NoModelError) as raised:
        await find({"MISTRAL_API_KEY": "m"})
    assert "MISTRAL_API_KEY is set: `%agent model mistral:NAME`" in raised.value.hint


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", True),
        ("bedrock-mantle.us-east-1.api.aws", True),
        ("bucket.s3.amazonaws.com", False),
        ("bedrock-runtime.x.s3.amazonaws.com", False),
        ("evil-bedrock-runtime.eu.amazonaws.com", False),
    ],
)
async def test_the_key_of_bedrock_goes_to_bedrock_alone(host: str, known: bool):
    environ = {"AWS_BEARER_TOKEN_BEDROCK": "b"}
    target = await find(environ, base_url=f"https://{host}/openai/v1", model="m")
    assert target.key == ("b" if known else None)


def test_each_remote_provider_names_the_page_it_was_read_from():
    assert all(it.source for it in REMOTE)


@pytest.mark.parametrize(
    ("model", "named"),
    [("gemini:x", True), ("ollama:qwen3:8b", True), ("azure:x", False), ("ft:gpt", False)],
)
def test_a_provider_with_an_address_leaves_that_of_another_server(model: str, named: bool):
    assert set_aside(model) == ({"base_url": None, "dialect": None} if named else {})


@pytest.mark.parametrize("model", ["gpt-5.5", "foobar:xyz", "gemini"])
async def test_a_model_that_a_maker_does_not_make_is_not_asked_of_it(model: str):
    with pytest.raises(NoModelError, match=model):
        await find({**ANTHROPIC, "GEMINI_API_KEY": "g"}, model=model)


def test_another_server_leaves_the_key_that_was_typed_for_the_present_one():
    here = Settings(base_url="http://a.test/v1")
    typed = {"base_url": here.base_url, "api_key_env": "A_KEY", "effort": "low"}
    other = typed_also(typed, here, "base_url", "http://b.test/v1")
    assert other == {"base_url": "http://b.test/v1", "effort": "low"}
    assert typed_also(typed, here, "base_url", "http://a.test/v1") == typed
    assert typed_also({"api_key_env": "K"}, Settings(), "provider", "azure")["api_key_env"] == "K"


@pytest.mark.parametrize(
    ("model", "searches"),
    [
        *(("gpt-5.4", True), ("gpt-5.4-mini", True), ("gpt-5.10-2027", True), ("gpt-6", True)),
        *(("gpt-5.4-nano", False), ("gpt-5.3-codex", False), ("gpt-4.1", False), ("o5", False)),
    ],
)
async def test_models_of_openai_that_can_search_for_tools_do(model: str, searches: bool):
    assert (await find(KEYED, model=model)).traits.tool_search is searches
    never = await find(KEYED, model=model, tool_search="never")
    always = await find(KEYED, model=model, tool_search="always")
    assert (never.traits.tool_search, always.traits.tool_search) == (False, True)
    chat = await find(KEYED, model=model, dialect="chat", tool_search="always")
    assert not chat.traits.tool_search


async def test_another_server_searches_if_that_is_forced():
    assert not (await find({}, base_url=OWN, model="gpt-5.5")).traits.tool_search
    assert (await find({}, base_url=OWN, model="x", tool_search="always")).traits.tool_search
    azure = await find(
        {"AZURE_OPENAI_API_KEY": "a"}, base_url="https://x.openai.azure.com/v1", model="gpt-5.5"
    )
    assert azure.traits.tool_search
