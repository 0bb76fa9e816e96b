"""Each rule of Anthropic's Messages API, with a request that breaks it."""

import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.scripted.messages import asked_of, check_thoughts, prompt_blocks
from inkernel.agent.scripted.messages_rules import read_body
from inkernel.agent.scripted.model import seal_thought
from inkernel.agent.scripted.request import RequestError
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

anthropic = pytest.importorskip("anthropic")

SCRIPT = Script.model_validate(
    tomllib.loads("""
[[turn]]
[[turn.response]]
reasoning = "First."
call = [{name = "f"}, {name = "g"}]
[[turn.response]]
reasoning = "Second."
redacted = true
call = [{name = "f"}]
[[turn.response]]
say = "Done."
[[turn]]
[[turn.response]]
say = "Again."
""")
)
Fields = dict[str, Any]
MARK = {"cache_control": {"type": "ephemeral"}}


def thought(response: int, text: str) -> Fields:
    sealed = seal_thought(f"rs_t0r{response}i0", text)
    return {"type": "thinking", "thinking": text, "signature": sealed}


def redacted(response: int) -> Fields:
    return {"type": "redacted_thinking", "data": seal_thought(f"rs_t0r{response}i0", "")}


def call(response: int, index: int) -> Fields:
    own = f"toolu_t0r{response}i{index}"
    return {"type": "tool_use", "id": own, "name": "f", "input": {}}


def result(response: int, index: int, content: object = "ok") -> Fields:
    own = f"toolu_t0r{response}i{index}"
    return {"type": "tool_result", "tool_use_id": own, "content": content}


def text(words: str, **more: Any) -> Fields:
    return {"type": "text", "text": words, **more}


def request() -> Fields:
    """A request that keeps every rule, in the middle of a turn."""
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [thought(0, "First."), call(0, 1), call(0, 2)]},
        {"role": "user", "content": [result(0, 1), result(0, 2), text("More.")]},
        {"role": "assistant", "content": [redacted(1), call(1, 1)]},
        {"role": "user", "content": [result(1, 1, [text("ok")])]},
    ]
    thinking = {"type": "adaptive"}
    return {"model": "m", "max_tokens": 2000, "thinking": thinking, "messages": messages}


def refusal(fields: Fields) -> str:
    """The words of the refusal. Empty if there is none."""
    try:
        check_thoughts(read_body(fields), SCRIPT)
    except RequestError as error:
        assert error.status == 400
        return str(error)
    return ""


def content(at: int, *blocks: Fields) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields["messages"][at]["content"] = list(blocks)

    return change


def update(**more: Any) -> Callable[[Fields], None]:
    return lambda fields: fields.update(more)


def say(*messages: tuple[str, object]) -> Callable[[Fields], None]:
    said = [{"role": role, "content": content} for role, content in messages]
    return lambda fields: fields.update(messages=said)


def test_the_request_that_is_spoilt_below_breaks_no_rule():
    assert refusal(request()) == ""


TOOL = {"name": "f", "input_schema": {"type": "object"}}
USE = call(0, 1)
BROKEN: list[tuple[str, Callable[[Fields], object]]] = [
    ("max_tokens: Field required", lambda it: it.pop("max_tokens")),
    ("messages: Field required", lambda it: it.pop("messages")),
    ("model: Field required", lambda it: it.pop("model")),
    ("foo: Extra inputs are not permitted", update(foo=1)),
    ("max_tokens: Input should be a valid integer", update(max_tokens="9")),
    ("messages: at least one message is required", say()),
    ('first message must use the "user" role', say(("assistant", "Hello."))),
    ('Unexpected role "system"', say(("system", "Hello."))),
    ("messages.0.role: Input should be 'user' or 'assistant'", say(("tool", "Hello."))),
    ("messages.0: all messages must have non-empty content", say(("user", []))),
    ("messages: text content blocks must be non-empty", say(("user", ""))),
    ("messages: text content blocks must be non-empty", content(2, result(0, 1, ""), result(0, 2))),
    ("system: text content blocks must be non-empty", update(system="")),
    ("messages: text content blocks must contain non-whitespace", say(("user", " \n"))),
    (
        "content.0.text: cache_control cannot be set for empty text blocks",
        say(("user", [text("", **MARK)])),
    ),
    (
        "final assistant content cannot end with trailing whitespace",
        say(("user", "Go."), ("assistant", "Well, ")),
    ),
    (
        "messages.0: `tool_use` blocks can only be in `assistant` messages",
        say(("user", [USE])),
    ),
    (
        "messages.1: `tool_result` blocks can only be in `user` messages",
        say(("user", "Go."), ("assistant", [result(0, 1)])),
    ),
    (
        "messages.0.content.0: Input tag 'sound' found using 'type' does not match",
        say(("user", [{"type": "sound"}])),
    ),
    (
        "messages.0.content.0.text.foo: Extra inputs are not permitted",
        say(("user", [text("Go.", foo=1)])),
    ),
    (
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        say(("user", "Go."), ("assistant", [{**USE, "id": "call:1"}])),
    ),
    (
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
        say(("user", "Go."), ("assistant", [{**USE, "input": "{}"}])),
    ),
    (
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after:"
        " toolu_t0r0i2. Each",
        content(2, result(0, 1)),
    ),
    (
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after:"
        " toolu_t0r0i1, toolu_t0r0i2. Each",
        content(2, text("first"), result(0, 1), result(0, 2)),
    ),
    (
        "messages.3: `tool_use` ids were found without `tool_result` blocks",
        lambda it: it["messages"].pop(),
    ),
    (
        "messages.2.content.2: unexpected `tool_use_id` found in `tool_result` blocks: toolu_t0r1",
        content(2, result(0, 1), result(0, 2), result(1, 1)),
    ),
    (
        "messages.2.content.2: each tool_use must have a single result. Found multiple",
        content(2, result(0, 1), result(0, 2), result(0, 2)),
    ),
    (
        "messages.1.content.2: `tool_use` ids must be unique",
        content(1, thought(0, "First."), call(0, 1), call(0, 1)),
    ),
    (
        "messages.2.content.0.tool_result: all content must be type `text` if `is_error` is true",
        content(
            2,
            {**result(0, 1, [{"type": "image", "source": {}}]), "is_error": True},
            result(0, 2),
        ),
    ),
    (
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        update(system=[text("a", **MARK)] * 5),
    ),
    (
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        update(system=[text("a", **MARK)] * 3, tools=[{**TOOL, **MARK}], **MARK),
    ),
    (
        "system.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'",
        update(
            system=[text("a", cache_control={"type": "ephemeral", "ttl": "1h"})],
            tools=[{**TOOL, **MARK}],
        ),
    ),
    (
        "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
        content(1, {**thought(0, "First."), **MARK}, call(0, 1), call(0, 2)),
    ),
    ("tools.0.custom.name: String should match pattern", update(tools=[{**TOOL, "name": "a.b"}])),
    ("tools.0.custom.foo: Extra inputs", update(tools=[{**TOOL, "foo": 1}])),
    ("tools.0.custom.input_schema.type: Field req", update(tools=[{**TOOL, "input_schema": {}}])),
    ("Thinking may not be enabled when tool_choice forces", update(tool_choice={"type": "any"})),
    (
        "`max_tokens` must be greater than `thinking.budget_tokens`",
        update(thinking={"type": "enabled", "budget_tokens": 2000}),
    ),
    ("thinking.enabled.budget_tokens: Field required", update(thinking={"type": "enabled"})),
    ("output_config.effort: Input should be 'low'", update(output_config={"effort": "huge"})),
    (
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        content(1, {**thought(0, "First."), "thinking": "Other."}, call(0, 1), call(0, 2)),
    ),
    (
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        content(
            1, {"type": "thinking", "thinking": "First.", "signature": "EqQB"}, USE, call(0, 2)
        ),
    ),
    (
        "messages.3.content.0: Invalid `data` in `redacted_thinking` block",
        content(3, {"type": "redacted_thinking", "data": "EqQB"}, call(1, 1)),
    ),
    (
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found"
        " `tool_use`. When `thinking` is enabled",
        content(1, call(0, 1), call(0, 2)),
    ),
    ("messages.3.content.0.type: Expected `thinking`", content(3, call(1, 1))),
    (
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant"
        " message cannot be modified",
        content(1, call(0, 1), thought(0, "First."), call(0, 2)),
    ),
    (
        "messages.1.content.1: `thinking` or `redacted_thinking` blocks in the latest",
        content(1, thought(0, "First."), thought(0, "First."), call(0, 1), call(0, 2)),
    ),
    (
        "messages.3.content.0: `thinking` or `redacted_thinking` blocks in the latest",
        content(3, thought(0, "First."), redacted(1), call(1, 1)),
    ),
    (
        "messages.3: The final block in an assistant message cannot be `redacted_thinking`",
        content(3, call(1, 1), redacted(1)),
    ),
]


@pytest.mark.parametrize(("words", "spoil"), BROKEN, ids=[words for words, _ in BROKEN])
def test_a_broken_rule_is_told_in_the_apis_words(words: str, spoil: Callable[[Fields], object]):
    fields = request()
    spoil(fields)
    assert words in refusal(fields)


KEPT: dict[str, Callable[[Fields], object]] = {
    "results in neighbouring messages are one turn": lambda it: it["messages"].__setitem__(
        slice(2, 3),
        [{"role": "user", "content": [result(0, index)]} for index in (1, 2)],
    ),
    "thoughts before the last words of the user may be gone": say(
        ("user", "Go."),
        ("assistant", [call(0, 1)]),
        ("user", [result(0, 1)]),
        ("assistant", "Done."),
        ("user", "Thanks."),
    ),
    "thoughts may be gone when the model is not to think": lambda it: (
        it.update(thinking={"type": "disabled"}),
        it["messages"][1]["content"].pop(0),
    ),
    "a longer time to live before a shorter one": update(
        system=[text("a", cache_control={"type": "ephemeral", "ttl": "1h"}), text("b", **MARK)]
    ),
    "calls of another server": say(
        ("user", "Go."),
        ("assistant", [{**USE, "id": "call_1"}]),
        ("user", [{**result(0, 1), "tool_use_id": "call_1"}]),
    ),
    "an image, a document, an empty result and a hosted tool": lambda it: (
        it["messages"][0].update(
            content=[
                {"type": "image", "source": {"type": "base64"}},
                {"type": "document", "source": {}},
            ]
        ),
        it["messages"][2]["content"][0].pop("content"),
        it.update(tools=[{"type": "web_search_20260209", "name": "web_search", "max_uses": 1}]),
    ),
    "a prefill": say(("user", "Go."), ("assistant", "Well,")),
    "an empty last answer": say(("user", "Go."), ("assistant", [])),
}


@pytest.mark.parametrize("allowed", KEPT.values(), ids=KEPT)
def test_what_breaks_no_rule_is_accepted(allowed: Callable[[Fields], object]):
    fields = request()
    allowed(fields)
    assert refusal(fields) == ""


@given(
    st.lists(
        st.sampled_from(
            [thought(0, "First."), redacted(1), call(0, 1), call(1, 1), result(0, 1), text("a")]
        ),
        max_size=5,
    ),
    st.lists(st.sampled_from([result(0, 1), result(1, 1), text("b"), {}, {"type": []}, None])),
)
def test_any_blocks_are_accepted_or_refused(made: list[Any], said: list[Any]):
    fields = request()
    fields["messages"][1]["content"], fields["messages"][2]["content"] = made, said
    before = deepcopy(fields)
    try:
        body = read_body(fields)
        check_thoughts(body, SCRIPT)
    except RequestError:
        pass
    else:
        asked_of(body)
        assert prompt_blocks(body)
    assert fields == before


@pytest.fixture(scope="module")
def sdk() -> Iterator[Any]:
    with ScriptedServer(SCRIPT) as server:
        url = server.base_url.removesuffix("/v1")
        with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as client:
            yield client


def test_the_sdk_raises_its_error_for_a_broken_rule(sdk: Any):
    fields = request()
    fields["messages"].pop()
    for ask in (sdk.messages.create, sdk.messages.count_tokens):
        counted = {} if ask == sdk.messages.create else {"max_tokens": anthropic.omit}
        sent = {name: it for name, it in (fields | counted).items() if it is not anthropic.omit}
        with pytest.raises(anthropic.BadRequestError) as caught:
            ask(**sent)
        error = caught.value.body["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith("messages.3: `tool_use` ids were found without")


def test_a_turn_goes_on_where_its_blocks_say_and_a_text_beside_results_begins_one(sdk: Any):
    fields = request()
    assert sdk.messages.create(**fields).content[0].text == "Done."
    context = [text("<window>\nhalf\n</window>"), text("<place>\nhere\n</place>")]
    fields["messages"][4]["content"] += context
    assert sdk.messages.create(**fields).content[0].text == "Done."
    fields["messages"][4]["content"].append(text("Stop."))
    assert sdk.messages.create(**fields).content[0].text == "Again."
