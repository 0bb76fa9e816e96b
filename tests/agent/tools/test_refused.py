"""Which tools a server's error is about, in the words of several servers."""

import pytest

from inkernel.agent.tools.refused import refused_tools

SENT = ("run_cell", "mcp__a__find", "mcp__a__find_all", "far")
FOREIGN = SENT[1:]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Invalid schema for function 'mcp__a__find': In context=(), 'x' is bad.", [SENT[1]]),
        ("Invalid 'tools[3].function.parameters': $ref is not supported.", [SENT[3]]),
        ("tools.2.custom.input_schema: JSON schema is invalid.", [SENT[2]]),
        ("* GenerateContentRequest.tools[0].function_declarations[2].parameters: no", [SENT[2]]),
        ("Invalid 'tools[9].name': too long.", FOREIGN),
        ("failed to parse grammar", FOREIGN),
        ("Invalid schema for function 'run_cell'.", []),
        ("temperature must be 1.", []),
    ],
)
def test_an_error_names_its_tools(said: str, found: list[str]):
    assert list(refused_tools(said, SENT, FOREIGN)) == list(found)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Invalid schema for function 'log': 'x' is bad.", "mcp__git__log"),
        ("Missing namespace for function_call 'log'.", "mcp__git__log"),
        ("Duplicate namespace name 'a' in input[7].tools[0].", "tool_search"),
        ("Tool 'tool_search' is not supported with m.", "tool_search"),
        ("Invalid value: 'tool_search'. Supported values are: 'function'.", "tool_search"),
    ],
)
def test_an_error_about_what_a_search_has_loaded_leaves_the_others_alone(said: str, found: str):
    sent, loaded = (*SENT, "tool_search"), {"log": "mcp__git__log"}
    assert refused_tools(said, sent, (*FOREIGN, "tool_search"), loaded) == (found,)
