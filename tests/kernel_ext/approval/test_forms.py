"""A form of a server in words, and what is typed into it as values."""

import json
from typing import Any

import pytest

from inkernel.agent.errors import TurnInterrupted
from inkernel.kernel_ext.approval.elicitation import elicited
from inkernel.kernel_ext.approval.forms import FormField, fields_of

CHOICES = {"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "b"}]}
SEVERAL = {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 2}


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string"}, "Ulm", "Ulm"),
        ({"type": "integer"}, "12", 12),
        ({"type": "number"}, "1,5", 1.5),
        ({"type": "boolean"}, "No", False),
        (CHOICES, "red", "r"),
        (CHOICES, "b", "b"),
        (SEVERAL, "a, C", ["a", "c"]),
        ({"enum": ["x", "y"], "enumNames": ["Ex", "Why"]}, "why", "y"),
    ],
)
def test_what_is_typed_becomes_the_value_that_the_schema_wants(
    schema: dict[str, Any], typed: str, value: object
):
    field = FormField("it", schema)
    assert field.read(typed) == value
    assert field.read(field.shown(value)) == value


@pytest.mark.parametrize(
    ("schema", "typed"),
    [
        ({"type": "integer"}, "many"),
        ({"type": "number"}, "inf"),
        ({"type": "boolean"}, "perhaps"),
        ({"type": "string", "maxLength": 2}, "abc"),
        (CHOICES, "green"),
        (SEVERAL, "a, b, c"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(schema: dict[str, Any], typed: str):
    with pytest.raises(ValueError, match=r"\.$"):
        FormField("it", schema).read(typed)


@pytest.mark.parametrize("schema", [None, [], {"properties": []}, {"properties": {"a": 1}}])
def test_a_form_that_is_none_harms_nobody(schema: Any):
    assert all(isinstance(it.words, str) for it in fields_of(schema))


def ask_with(*answers: str | None) -> Any:
    left, asked = list(answers), list[str]()

    def ask(text: str) -> str | None:
        asked.append(text)
        return left.pop(0)

    return ask, asked


def test_a_form_that_is_whole_goes_with_its_defaults():
    schema = {"properties": {"n": {"type": "integer", "default": 3}, "word": {"type": "string"}}}
    ask, asked = ask_with("y")
    assert elicited("git", {"message": "How many?", "requestedSchema": schema}, ask) == {
        "action": "accept",
        "content": {"n": 3},
    }
    assert json.dumps(asked).count("= 3") == 1


FORM = {
    "required": ["town"],
    "properties": {
        "town": {"type": "string", "title": "Town"},
        "days": {"type": "integer", "maximum": 14},
        "kind": {"enum": ["walk", "swim"]},
    },
}


def test_an_answer_that_is_none_says_what_is_wrong_and_with_which_field():
    typed = ("y", "tomorrow", "f", "Ulm", "99", "3", "fly", "swim", "y")
    ask, asked = ask_with(*typed)
    told = elicited("git", {"message": "Where?", "requestedSchema": FORM}, ask)
    assert told["content"] == {"town": "Ulm", "days": 3, "kind": "swim"}
    first, unfilled, odd, _, _, days, _, kind, whole = asked
    assert "not sent" not in first and "It is not sent: Town must be filled in." in unfilled
    assert "'tomorrow' is none of the answers." in odd
    assert days.startswith("days: 99 is greater than the maximum of 14.\n")
    assert kind.startswith("kind: It is one of walk, swim.\n")
    assert "none of the answers" not in whole and "= swim" in whole


def test_a_page_is_declined_by_no_alone():
    ask, asked = ask_with("what?", "n")
    page = {"mode": "url", "message": "x", "url": "https://a.example/"}
    assert elicited("git", page, ask)["action"] == "decline"
    assert "'what?' is none of the answers.\n[d]one" in asked[1]


@pytest.mark.parametrize("url", ["http://a.example/", "javascript:1", "https://u:p@a.example/", ""])
def test_only_https_pages_are_offered(url: str):
    ask, asked = ask_with()
    assert elicited("git", {"mode": "url", "message": "x", "url": url}, ask)["action"] == "decline"
    assert not asked


def test_a_host_in_other_letters_is_named_as_a_browser_finds_it():
    ask, asked = ask_with("s")
    with pytest.raises(TurnInterrupted):
        elicited("git", {"mode": "url", "message": "x", "url": "https://gіthub.com/"}, ask)
    assert "a page of xn--" in asked[0]
