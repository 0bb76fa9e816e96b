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
