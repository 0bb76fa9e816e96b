"""A tool's schema, as a request lists it."""

from typing import Any, Literal, cast

import pytest
from pydantic import BaseModel, Field

from inkernel.agent.protocol.items import FunctionCall, parse_item
from inkernel.agent.tools.schema import FieldsOf
from inkernel.agent.tools.tool import (
    Tool,
    ToolCall,
    ToolOutput,
    always,
    read_arguments,
    text_output,
)


class Part(BaseModel):
    """One part."""

    title: str
    kind: Literal["a", "b"] = "a"


class Given(BaseModel):
    """The arguments."""

    default: str = Field(description="a field whose name is a word of schemas")
    count: int = Field(3, ge=0, le=9)
    parts: list[Part] = Field(default=[], max_length=5)
    words: list[str | None] = []
    text: str | None = Field(None, max_length=10, description="some text")
    either: int | str | None = None
    on: bool = True
    off: bool = False


async def _run(_call: ToolCall, _given: Given) -> ToolOutput:
    return text_output("")


TOOL: Tool[Given] = Tool("try", "Tries.", FieldsOf(Given), _run, always("look"))


def field(name: str) -> Any:
    return TOOL.schema["parameters"]["properties"][name]


def test_a_schema_has_no_titles_bounds_nulls_or_blank_defaults() -> None:
    assert TOOL.schema["parameters"].keys() == {"type", "properties", "required", "$defs"}
    assert field("count") == {"type": "integer", "default": 3}
    assert field("text") == {"type": "string", "description": "some text"}
    assert field("words") == {"type": "array", "items": {"type": "string"}}
    assert field("either") == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert field("on") == {"type": "boolean", "default": True}
    assert field("off") == {"type": "boolean"}


def test_fields_may_have_the_names_of_schema_words() -> None:
    assert field("default")["type"] == "string"
    assert TOOL.schema["parameters"]["$defs"]["Part"]["properties"] == {
        "title": {"type": "string"},
        "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
    }
    assert TOOL.schema["parameters"]["required"] == ["default"]


def test_a_model_of_fields_is_named_once() -> None:
    assert field("parts") == {"type": "array", "items": {"$ref": "#/$defs/Part"}}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"default": "x", "count": 10}', "count: Input should be less than or equal to 9"),
        ('{"default": "x", "text": "eleven chars"}', "text: String should have at most 10"),
    ],
)
def test_a_bound_that_the_schema_leaves_out_is_told_when_it_is_passed(
    arguments: str, problem: str
) -> None:
    call = {"type": "function_call", "call_id": "1", "name": "try", "arguments": arguments}
    told = read_arguments(TOOL, cast("FunctionCall", parse_item(call)))
    assert isinstance(told, ToolOutput)
    assert problem in told.text
