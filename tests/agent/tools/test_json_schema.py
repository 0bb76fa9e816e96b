"""Arguments by a foreign schema: written as Python has them, checked, and mended."""

import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.tools.json_schema import (
    MAX_PROBLEM_CHARS,
    MAX_PROBLEMS,
    MAX_REFERENCES,
    SchemaCheck,
    signature,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=4)


def of(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


LOG = of(
    "repo_path",
    max_count={"type": "integer", "default": 10},
    repo_path={"type": "string"},
    kind={"enum": ["a", "b"], "default": "a"},
    filters={"type": "object"},
)


def test_a_signature_is_written_as_python_writes_it():
    assert signature(LOG) == (
        "repo_path: str, max_count: int = 10, kind: Literal['a', 'b'] = 'a', filters: dict = …"
    )


def problems(schema: Any, values: Any) -> str:
    return SchemaCheck(schema).problems(values)


def mended(schema: Any, values: Any) -> Any:
    return SchemaCheck(schema).mended(values)


LISTS = "list[list[Literal[1]]]"


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int | None"),
        ({"type": "array"}, "list"),
        ({"type": "array", "items": {"type": "array", "items": {"const": 1}}}, LISTS),
        ({"type": "array", "items": {"$ref": "#/$defs/Point"}}, "list[dict]"),
        ({"enum": list(range(50))}, "Any"),
        ({"type": "string", "enum": [f"{at}" for at in range(50)]}, "str"),
        ({}, "Any"),
        (True, "Any"),
        ({"type": "file"}, "Any"),
    ],
)
def test_a_type_is_written_as_an_annotation(schema: Any, written: str):
    known = {**of("x", x=schema), "$defs": {"Point": {"type": "object"}}}
    assert signature(known) == f"x: {written}"


def test_names_that_are_no_keywords_are_the_keys_of_one_dict():
    odd: dict[str, Any] = {
        "from": {"type": "string"},
        "my-arg": {"type": "integer", "default": 3},
        "ﬁle": {},
        "limit": {"type": "integer", "default": 10},
    }
    written = "{'from': str, 'my-arg': int = 3, 'ﬁle': Any = …}, /, limit: int = 10"
    assert signature(of("from", **odd)) == written


def test_a_default_is_shown_in_short_and_without_hidden_characters():
    assert signature(of(x={"default": "y" * 100})) == "x: Any = …"
    assert signature(of(x={"default": "\u202e\x1b"})) == r"x: Any = '\u202e\x1b'"
    assert signature(of(x={"default": None}, y={"default": []})) == "x: Any = None, y: Any = []"


@given(objects)
def test_any_object_has_a_signature(schema: dict[str, Any]):
    assert signature(schema).isprintable()


@given(st.dictionaries(st.sampled_from("abcde"), st.sampled_from([{"type": "integer"}, {}])))
def test_a_signature_of_plain_names_is_one_of_python(properties: dict[str, Any]):
    written = signature(of("a b", **properties)).replace("…", "...")
    names: dict[str, Any] = {"Any": Any}
    exec(f"def tool({written}): ...", names)
    assert set(inspect.signature(names["tool"]).parameters) == set(properties)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"repo_path": "."}, ""),
        ({"repo_path": ".", "max_count": 3, "kind": "b", "filters": {"x": 1}, "other": 2}, ""),
        ({}, "arguments: 'repo_path' is a required property"),
        ({"repo_path": 1}, "repo_path: 1 is not of type 'string'"),
        ({"repo_path": ".", "kind": "c"}, "kind: 'c' is not one of ['a', 'b']"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(given: dict[str, Any], told: str):
    assert problems(LOG, given) == told


def test_places_within_arguments_are_named():
    schema = of(x={"type": "array", "items": of(y={"type": "integer"})})
    assert problems(schema, {"x": [{"y": 1}, {"y": "z"}]}) == "x.1.y: 'z' is not of type 'integer'"


def test_the_original_schema_decides():
    schema = of(x={"oneOf": [{"type": "integer"}, {"minimum": 3}]})
    assert problems(schema, {"x": 2}) == ""
    assert "under each of" in problems(schema, {"x": 4})


def test_many_and_long_problems_are_told_in_part():
    told = problems(of(x={"items": {"type": "integer"}}), {"x": ["y" * 10_000] * 100})
    parts = told.split("; ")
    assert len(parts) == MAX_PROBLEMS
    assert all(len(it) < MAX_PROBLEM_CHARS + 20 for it in parts)
    assert parts[0].startswith("x.0: 'yyy") and parts[0].endswith("is not of type 'integer'")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:9/never"},
        {"$id": "http://x.example/", "$ref": "other"},
        {"$schema": {"a": 1}},
        {"$schema": "https://x.example/draft-99"},
        {"required": "x"},
        {"properties": {"x": {"pattern": "("}}},
        {"properties": {"x": {"pattern": "(?=y)"}}},
        {"properties": {"x": {"minLength": "3"}}},
        {"$dynamicRef": "#x"},
        [],
        None,
    ],
)
def test_a_schema_that_is_wrong_or_leads_elsewhere_accepts_everything(schema: Any):
    assert problems(schema, {"x": "y"}) == ""


@given(objects, objects)
def test_any_object_may_be_a_schema(schema: dict[str, Any], given: dict[str, Any]):
    problems(schema, given)
    mended(schema, given)


def test_a_pattern_takes_linear_time():
    evil = of(x={"pattern": "^(a+)+$"}) | {"patternProperties": {"^(b+)+$": {"type": "integer"}}}
    told = problems(evil, {"x": "a" * 50_000 + "!", "b" * 50_000: 1, "bb": "c"})
    assert "x: 'aaa" in told and "does not match '^(a+)+$'" in told
    assert "bb: 'c' is not of type 'integer'" in told


def test_patterns_of_names_do_not_forbid_other_names():
    schema = {"patternProperties": {"^x": {}}, "additionalProperties": False}
    assert problems(schema, {"x1": 1, "y": 2}) == ""
    assert "unexpected" in problems({"additionalProperties": False}, {"y": 2})


def test_references_that_double_have_an_end():
    defs: dict[str, Any] = {
        f"D{at}": {"allOf": [{"$ref": f"#/$defs/D{at + 1}"}] * 2} for at in range(60)
    }
    assert problems({"$ref": "#/$defs/D0", "$defs": {**defs, "D60": {"type": "string"}}}, {}) == ""


def test_a_schema_is_checked_as_often_as_you_like():
    check = SchemaCheck({**of(x={"$ref": "#/$defs/N"}), "$defs": {"N": {"type": "integer"}}})
    for _ in range(MAX_REFERENCES + 1):
        assert check.problems({"x": 1}) == "" and check.mended({"x": "1"}) == {"x": 1}
    assert "is not of type" in check.problems({"x": "y"})


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-04/schema#", None])
def test_a_schema_may_be_of_an_older_draft(draft: str | None):
    schema = of("x", x={"minimum": 3, "exclusiveMinimum": True}) | (
        {"$schema": draft} if draft else {}
    )
    assert bool(problems(schema, {"x": 3})) is (draft is not None)


@pytest.mark.parametrize(
    ("part", "given", "found"),
    [
        ({"type": "integer"}, "5", 5),
        ({"type": "number"}, " 2.5 ", 2.5),
        ({"type": "integer"}, "2.5", "2.5"),
        ({"type": "number"}, "1e999", "1e999"),
        ({"type": "boolean"}, "True", True),
        ({"type": "boolean"}, "yes", "yes"),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": "array"}, "[1]", [1]),
        ({"type": "array", "items": {"type": "integer"}}, '["1"]', [1]),
        ({"type": "array", "items": {"type": "integer"}}, ["1", 2], [1, 2]),
        ({"type": "string"}, "5", "5"),
        ({"type": ["string", "integer"]}, "5", "5"),
        ({}, "[1]", "[1]"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "7", 7),
        ({"$ref": "#/$defs/Many"}, "[1]", [1]),
        (of(y={"type": "integer"}), {"y": "1"}, {"y": 1}),
        (of(y={"type": "integer"}), {"y": None}, {}),
        ({"type": "object"}, "[1]", "[1]"),
    ],
)
def test_a_harmless_mistake_is_mended(part: Any, given: Any, found: Any):
    schema = {**of(x=part), "$defs": {"Many": {"type": "array"}}}
    assert mended(schema, {"x": given}) == {"x": found}


@pytest.mark.parametrize("blank", [None, "", " ", "null", "None"])
def test_a_blank_is_dropped_where_the_schema_does_not_allow_it(blank: object):
    schema = of("x", x={"type": "integer"}, y={"type": "integer"}, z={"type": ["null", "string"]})
    assert mended(schema, {"x": blank, "y": blank, "z": blank}) == {"x": blank, "z": blank}


@given(st.dictionaries(st.sampled_from(["repo_path", "max_count", "kind", "filters"]), values))
def test_what_is_right_stays_as_it_is(given: dict[str, Any]):
    if not problems(LOG, given):
        assert mended(LOG, given) is not given
        assert repr(mended(LOG, given)) == repr(given)


def test_a_schema_is_not_changed():
    before = json.dumps(LOG)
    mended(LOG, {"filters": "{}"})
    assert json.dumps(LOG) == before
