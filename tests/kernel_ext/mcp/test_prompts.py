"""`%agent mcp prompt` in a real kernel."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import bodies, script, table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
ASKING = table("asking", Path(__file__).with_name("asking.py"))


def test_a_prompt_is_what_the_person_says_even_before_the_first_turn(serving: Callable[..., Any]):
    kernel, server = serving(script(("Review", [])), ASKING)
    listed = kernel.run("%agent mcp prompt asking").text
    assert "review" in listed and "branch=… [focus=…]: Reviews a branch." in listed
    ran = kernel.run('%agent mcp prompt asking review branch=main focus="odd names"')
    assert ran.status == "ok" and "Review main for odd names." in ran.text
    said = bodies(server)[0]["input"][-1]
    assert said["role"] == "user" and "Review main for odd names." in json.dumps(said)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("asking none", "asking has no prompt 'none'"),
        ("asking review", "The prompt review needs branch=…"),
        ("asking review branch=main far=1", "has no argument 'far'"),
        ("asking review main", "is no `key=value`"),
        ("nobody review", "There is no server 'nobody'"),
    ],
)
def test_a_prompt_that_is_none_is_refused_in_words(
    serving: Callable[..., Any], line: str, told: str
):
    kernel, server = serving(script(("Review", [])), ASKING)
    ran = kernel.run(f"%agent mcp prompt {line}")
    assert ran.status == "error" and told in ran.evalue and not server.requests
