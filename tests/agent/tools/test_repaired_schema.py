"""A foreign schema becomes one that providers accept, whatever it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from inkernel.agent.tools.repaired_schema import (
    CUT,
    MAX_DESCRIPTION,
    MAX_SCHEMA_CHARS,
    Schema,
    repaired,
)

REFUSED = {"oneOf", "allOf", "not", "if", "prefixItems", "$schema", "$id", "title", "const"}
"""Keys that some provider refuses, or that cost tokens and say nothing."""
KINDS = ("string", "number", "integer", "boolean", "array", "object", "null")

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
names = st.sampled_from(["a", "b", "title", "type", "$ref", "properties", "größe", "x y"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
pointers = st.sampled_from(
    ["#", "#/$defs/A", "#/$defs/B", "#/definitions/A", "#/properties/a", "http://x.example/s", "#x"]
)


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas in which some keys hold what `inner` makes."""
    named = st.dictionaries(names, inner, max_size=3)
    several = st.lists(inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), max_size=3),
            "title": st.just("T"),
            "description": st.text(max_size=5),
            "properties": named,
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "not": inner,
            "enum": st.lists(values, max_size=3),
            "const": values,
            "default": values,
            "minimum": st.integers(-2, 2),
            "maxLength": st.integers(0, 3),
            "$ref": pointers,
            "$id": st.just("http://x.example/s"),
        },
    )


schemas = st.recursive(st.booleans() | st.just({}), schemas_of, max_leaves=12)
roots = st.builds(
    lambda top, one, other: {**top, "$defs": {"A": one, "B": other}, "definitions": {"A": other}},
    schemas_of(schemas),
    schemas,
    schemas,
)


def parts(schema: Any) -> list[Schema]:
    """The schema, and all schemas within it."""
    kept = [schema.get("items"), schema.get("additionalProperties")]
    inner = [*schema.get("anyOf", ()), *(it for it in kept if isinstance(it, dict))]
    inner += [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    return [schema, *(each for it in inner for each in parts(it))]


def assert_acceptable(schema: Schema) -> None:
    json.dumps(schema, allow_nan=False)
    assert schema["type"] == "object"
    assert not schema.keys() & {"anyOf", "enum", "$ref"}
    for part in parts(schema):
        assert not part.keys() & REFUSED
        assert part.get("type") != "array" or "items" in part
        assert part.get("type") != "object" or "properties" in part
        assert set(part.get("required", ())) <= set(part.get("properties", {}))
        assert len(part.get("description", "")) <= MAX_DESCRIPTION
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]
    assert_no_circle(schema)
    Draft202012Validator.check_schema(schema)


def assert_no_circle(schema: Schema, seen: tuple[str, ...] = ()) -> None:
    definitions = schema.get("$defs", {})

    def follow(part: Schema, seen: tuple[str, ...]) -> None:
        for it in parts({key: part[key] for key in part if key != "$defs"}):
            if "$ref" in it:
                assert it["$ref"] not in seen
                follow(definitions[it["$ref"].removeprefix("#/$defs/")], (*seen, it["$ref"]))

    follow(schema, seen)


@given(roots)
def test_any_schema_becomes_acceptable_and_then_stays_as_it_is(schema: Schema):
    found = repaired(schema)
    assert_acceptable(found)
    assert json.dumps(repaired(schema)) == json.dumps(found)
    assert repaired(found) == found


@given(values | st.lists(schemas))
def test_anything_that_is_json_has_a_schema(garbage: Any):
    assert_acceptable(repaired(garbage))


@given(st.dictionaries(names, values, max_size=4))
def test_any_object_is_taken_for_a_schema(garbage: dict[str, Any]):
    assert_acceptable(repaired(garbage))


@given(schemas, schemas, schemas, st.dictionaries(names, values, max_size=2))
def test_what_the_schema_allows_the_repaired_one_allows(one: Any, a: Any, b: Any, given: Any):
    """But for alternatives at the top, whose properties are merged."""
    defs = {"$defs": {"A": a, "B": b}, "definitions": {"A": b}}
    root = {"type": "object", "properties": {"a": one, "title": a}, **defs}
    right = Draft202012Validator(without_ids(root), registry=Registry())
    try:
        allowed = right.is_valid(given)
    except Exception:  # a reference to nowhere
        return
    if allowed:
        assert Draft202012Validator(repaired(root)).is_valid(given)


def without_ids(value: Any) -> Any:
    """The schema without `$id`, which moves the place that a reference counts from."""
    if isinstance(value, dict):
        return {key: without_ids(it) for key, it in value.items() if key != "$id"}
    return [without_ids(it) for it in value] if isinstance(value, list) else value


def properties(schema: Schema) -> Schema:
    found = repaired(schema)["properties"]
    assert isinstance(found, dict)
    return found


def test_alternatives_at_the_top_are_merged_and_only_what_all_require_is_required():
    one = {"properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}}
    other = {"properties": {"kind": {"const": "b"}, "x": {"type": "string"}}}
    both = [{**one, "required": ["kind", "x"]}, {**other, "required": ["kind"]}]
    for name in ("oneOf", "anyOf"):
        assert repaired({"type": "object", name: both}) == {
            "type": "object",
            "properties": {
                "kind": {"enum": ["a", "b"]},
                "x": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            },
            "required": ["kind"],
        }


def test_all_of_is_merged():
    base = {"$ref": "#/$defs/Base"}
    more = {"properties": {"b": {"type": "integer"}}, "required": ["a", "b"]}
    defs = {"Base": {"type": "object", "properties": {"a": {"type": "string"}}}}
    assert properties({"properties": {"x": {"allOf": [base, more]}}, "$defs": defs})["x"] == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }


def test_a_definition_with_a_description_of_its_own_stays_a_reference():
    wrapped = {"allOf": [{"$ref": "#/definitions/A"}], "description": "of this place"}
    found = repaired({"properties": {"x": wrapped}, "definitions": {"A": {"type": "string"}}})
    assert found["properties"]["x"] == {"$ref": "#/$defs/A", "description": "of this place"}
    assert found["$defs"] == {"A": {"type": "string"}}


def test_recursion_is_cut_after_three_levels():
    node = {"type": "object", "properties": {"child": {"$ref": "#/$defs/Node"}}}
    found = repaired({"properties": {"tree": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}})
    children = [it["properties"]["child"] for it in found["$defs"].values()]
    assert children == [{"$ref": "#/$defs/Node_2"}, {"$ref": "#/$defs/Node_3"}, {}]


def test_a_title_goes_only_where_it_is_a_schemas_own():
    told = {"title": "kept", "type": "object"}
    schema = {
        "title": "gone",
        "properties": {
            "title": {"type": "string", "title": "gone"},
            "d": {"type": "object", "default": told, "examples": [told]},
            "e": {"enum": [told]},
            "c": {"const": told},
        },
    }
    assert properties(schema) == {
        "title": {"type": "string"},
        "d": {"type": "object", "default": told, "examples": [told], "properties": {}},
        "e": {"enum": [told]},
        "c": {"enum": [told]},
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        (True, {}),
        ([1], {}),
        ({"type": "any"}, {}),
        ({"type": ["string"]}, {"type": "string"}),
        ({"$ref": "https://x.example/s.json#/a"}, {}),
        ({"$ref": "#/nowhere"}, {}),
        ({"minimum": True, "maximum": 3, "exclusiveMinimum": True}, {"maximum": 3}),
        ({"prefixItems": [{"type": "string"}]}, {"items": {"type": "string"}}),
        ({"enum": [1, True, 1]}, {"enum": [1, True]}),
        ({"type": "integer", "allOf": [{"type": "number"}]}, {"type": "integer"}),
        (
            {"type": ["integer", "number"], "allOf": [{"type": ["null", "number"]}]},
            {"type": "number"},
        ),
        ({"description": "\x1b[31mred\u202e"}, {"description": "red\ufffd"}),
    ],
)
def test_a_part_is_repaired(given: Any, found: Schema):
    assert properties({"properties": {"x": given}}) == {"x": found}


def test_a_property_that_nothing_fits_is_left_out():
    assert repaired({"properties": {"x": False, "y": True}, "required": ["x", "y"]}) == {
        "type": "object",
        "properties": {"y": {}},
        "required": ["y"],
    }


def nested(depth: int) -> Schema:
    found: Schema = {"type": "string"}
    for _ in range(depth):
        found = {"type": "object", "properties": {"x": found}}
    return found


def doubled(depth: int) -> Schema:
    """Definitions each of which merges the next one twice, with two names."""
    defs: Schema = {f"D{depth}": {"type": "object", "properties": {"x": {}}}}
    for at in range(depth):
        part = {"allOf": [{"$ref": f"#/$defs/D{at + 1}"}, {"required": ["x"]}]}
        defs[f"D{at}"] = {"type": "object", "properties": {"x": part, "y": part}}
    return {"allOf": [{"$ref": "#/$defs/D0"}, {"minProperties": 1}], "$defs": defs}


@pytest.mark.parametrize(
    "hostile",
    [
        nested(300),
        {"properties": {f"p{at}": {"type": "string"} for at in range(20_000)}},
        {"properties": {"x" * 10**6: {}}},
        {"properties": {"x": {"anyOf": [{"minimum": at} for at in range(20_000)]}}},
        {"properties": {"x": {"enum": list(range(10**5))}}},
        {"properties": {f"p{at}": {"description": "d" * 5_000} for at in range(1_000)}},
        doubled(40),
    ],
    ids=["deep", "wide", "long name", "alternatives", "enum", "words", "doubled"],
)
def test_a_hostile_schema_is_bounded_and_says_that_it_is_cut(hostile: Schema):
    found = repaired({**hostile, "description": "what it is for"})
    assert_acceptable(found)
    assert len(json.dumps(found)) < 3 * MAX_SCHEMA_CHARS
    assert found["description"] == f"what it is for {CUT}"
    assert repaired(found) == found


def test_a_chain_of_definitions_has_an_end():
    defs = {f"D{at}": {"properties": {"x": {"$ref": f"#/$defs/D{at + 1}"}}} for at in range(5_000)}
    found = repaired({"properties": {"x": {"$ref": "#/$defs/D0"}}, "$defs": defs})
    assert_acceptable(found)
    assert found["description"] == CUT
