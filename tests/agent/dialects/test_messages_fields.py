"""The fixed fields of a request, by model and settings, and whole requests in golden files.

`UPDATE_GOLDEN=1 pytest tests/agent/dialects/test_messages_fields.py` writes the files anew.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.instructions import instructions
from inkernel.agent.dialects.blocks.model_rules import rules_of
from inkernel.agent.dialects.messages import Messages
from inkernel.agent.protocol.items import image_part, message, parse_item, text_part
from inkernel.agent.protocol.verbatim_json import dumps, loads

from .messages_rules import check
from .messages_wire import (
    STREAMS,
    Window,
    answered,
    called,
    dialect,
    end,
    fields,
    items_in,
    output,
    read,
    said,
    start,
    target,
    text,
    thinking,
)

FOLDER = Path(__file__).parents[1] / "golden" / "messages"


def head(model: str, head: bytes | None = None, **choices: Any) -> dict[str, Any]:
    window = Window(said(), head=head or fields(model, **choices))
    body = dialect(model, **choices).body(window.request())
    check(body)
    request = json.loads(body)
    assert dumps(request) == body
    return request


@pytest.mark.parametrize(
    ("model", "effort", "thinks", "level"),
    [
        ("claude-opus-5-5", None, "adaptive", None),
        ("claude-opus-5-5", "max", "adaptive", "max"),
        ("claude-opus-5-5", "minimal", "adaptive", "low"),
        ("claude-opus-5-5", "none", None, "low"),
        ("claude-fable-5-1", "none", None, "low"),
        ("claude-fable-5", "none", None, "low"),
        ("claude-mythos-preview", "xhigh", "adaptive", "high"),
        ("claude-sonnet-5-5", "none", "between_tools", None),
        ("claude-haiku-5-5", "none", "disabled", None),
        ("claude-opus-6", "xhigh", "adaptive", "xhigh"),
        ("claude-opus-5", "none", "disabled", None),
        ("claude-sonnet-5", "xhigh", "adaptive", "xhigh"),
        ("claude-opus-4-8", None, "adaptive", None),
        ("claude-opus-4-7-20260401", "max", "adaptive", "max"),
        ("anthropic/claude-opus-4.6", "xhigh", "adaptive", "high"),
        ("us.anthropic.claude-sonnet-4-6-v1:0", "max", "adaptive", "max"),
        ("claude-opus-4-5-20251101", "max", 24_000, "high"),
        ("claude-opus-4-5", "low", 4_000, "low"),
        ("claude-sonnet-4-5@20250929", None, 16_000, None),
        ("claude-haiku-4-5-20251001", "medium", 10_000, None),
        ("claude-haiku-4-5", "minimal", 4_000, None),
        ("claude-haiku-4-5", "none", "disabled", None),
        ("claude-opus-4-1-20250805", "max", 24_000, None),
        ("claude-sonnet-4-20250514", "high", 16_000, None),
        ("claude-opus-4-0", None, 16_000, None),
        ("claude-3-7-sonnet-20250219", None, 16_000, None),
        ("claude-3-5-haiku-20241022", "high", None, None),
        ("claude-3-haiku-20240307", "none", None, None),
        ("deepseek-v4", None, None, None),
        ("deepseek-v4", "xhigh", 24_000, "high"),
        ("qwen3:8b", "high", 16_000, None),
        ("qwen3:8b", "none", "disabled", None),
    ],
)
def test_a_model_is_asked_to_think_as_it_can_be(
    model: str, effort: str | None, thinks: str | int | None, level: str | None
):
    request = head(model, **({"effort": effort} if effort else {}))
    asked = request.get("thinking") or {}
    assert (asked.get("budget_tokens") or asked.get("type")) == thinks
    assert request.get("output_config", {}).get("effort") == level


def test_a_summary_is_asked_for_as_chosen():
    assert head("claude-opus-5-5")["thinking"]["display"] == "summarized"
    chosen = head("claude-opus-5-5", effort="low", summary="none")["thinking"]
    assert chosen == {"type": "adaptive", "display": "omitted"}
    assert "thinking" not in head("claude-opus-5-5", summary="none")


def test_newer_models_bind_thoughts_and_older_ones_do_not():
    binding = ("fable-5-1", "fable-5-2", "mythos-5-1", "opus-5-5", "sonnet-5-5", "haiku-5-5")
    free = ("fable-5", "opus-5", "sonnet-5", "opus-4-8", "opus-4-6", "haiku-4-5", "mythos-preview")
    assert all(rules_of(f"claude-{name}").binds for name in binding)
    assert not any(rules_of(f"claude-{name}").binds for name in free)
    assert not rules_of("deepseek-v4").binds


@pytest.mark.parametrize(
    ("model", "window", "most"),
    [
        ("claude-opus-5-5", None, 128_000),
        ("claude-opus-5-5", 200_000, 128_000),
        ("claude-opus-5-5", 60_000, 15_000),
        ("claude-sonnet-4-6", 200_000, 128_000),
        ("claude-haiku-4-5", 200_000, 64_000),
        ("claude-opus-4-1", 200_000, 32_000),
        ("deepseek-v4-pro", None, 32_000),
        ("claude-3-haiku-20240307", 200_000, 4_096),
        ("qwen3:8b", 8_192, 2_048),
    ],
)
def test_an_answer_has_room(model: str, window: int | None, most: int):
    by = Messages(target(model, window=window), Settings(effort="high"))
    body = by.body(Window(said(), head=fields(model, effort="high")).request())
    check(body)
    assert json.loads(body)["max_tokens"] == most


def test_the_most_tokens_of_an_answer_may_be_chosen():
    chosen = dumps({**loads(b"{" + fields() + b"}"), "max_output_tokens": 900})[1:-1]
    assert head("claude-haiku-4-5", chosen)["max_tokens"] == 900


@pytest.mark.parametrize(
    ("omitted", "gone"),
    [("thinking", "thinking"), ("output_config", "output_config"), ("tools", "tools")],
)
def test_a_field_that_a_server_refuses_is_not_sent(omitted: str, gone: str):
    assert gone in head("claude-opus-5-5", effort="high")
    assert gone not in head("claude-opus-5-5", effort="high", omit=(omitted,))


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "name": "look"}}, {"type": "tool", "name": "look"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_how_tools_are_called_is_chosen(given: dict[str, Any], choice: Any):
    base = {**loads(b"{" + fields() + b"}"), **given}
    assert head("claude-opus-5", dumps(base)[1:-1]).get("tool_choice") == choice


def test_only_functions_are_offered():
    function = {"type": "function", "name": "f", "description": "", "strict": True}
    base = {**loads(b"{" + fields() + b"}"), "tools": [{"type": "web_search"}, function]}
    assert head("claude-opus-5", dumps(base)[1:-1])["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}, "strict": True}
    ]
    none = dumps({**base, "tools": [{"type": "web_search"}], "instructions": ""})[1:-1]
    request = head("claude-opus-5", none)
    assert not {"tools", "tool_choice", "system"} & set(request)


PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
    "DwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def fresh() -> Window:
    return Window(
        message("user", text_part("<environment>\ncwd: /home/ada\n</environment>")),
        message("user", text_part("How much rain fell?"), text_part("<variable>mm</variable>")),
    )


def talk(by: Messages) -> Window:
    """Calls and images, in a conversation that this API alone has had."""
    window = fresh()
    by.body(window.request())
    plot = parse_item(
        {
            "type": "function_call_output",
            "call_id": "toolu_2",
            "output": [text_part("<Axes>"), image_part(PNG)],
        }
    )
    window.add(*items_in(read(STREAMS["parallel"], by=by.reader())))
    window.add(output("toolu_1", "365 rows"), plot, output("toolu_3", ""))
    by.body(window.request())
    last = [start("msg_2"), *thinking(0, "Sum."), *text(1, "96.5 mm."), *end()]
    return window.add(*items_in(read(last, by=by.reader())), said("In inches?"))


def switched(by: Messages) -> Window:
    """A conversation that began over another API, and whose first turns are only a digest."""
    sealed = parse_item({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"})
    window = Window(said("(A digest of 3 turns.)"), sealed, answered("I look."))
    window.add(called("call.1", '{"what": 1e0}'), called("call.2", "no JSON"))
    window.add(said("Hurry."), output("call.2", "wrong arguments"), answered("So it is."))
    return window


@pytest.mark.parametrize(
    ("name", "model", "make", "choices"),
    [
        ("fresh", "claude-sonnet-5-5", lambda _: fresh(), {}),
        ("talk", "claude-opus-5-5", talk, {"effort": "high", "cache_ttl": "1h"}),
        ("older", "claude-haiku-4-5", talk, {}),
        ("switched", "claude-opus-5", switched, {"effort": "none"}),
    ],
)
def test_a_request_is_the_golden_one(name: str, model: str, make: Any, choices: dict[str, Any]):
    by = dialect(model, **choices)
    window = make(by)
    window.head = fields(model, **choices)
    body = by.body(window.request())
    check(body)
    request = json.loads(body)
    assert request["system"][0]["text"] == instructions()
    request["system"][0]["text"] = "(prompts/agent.md)"
    shown = json.dumps(request, indent=2, ensure_ascii=False) + "\n"
    path = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
