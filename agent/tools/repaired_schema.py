"""A foreign JSON schema, made one that providers accept. Knows neither tool nor provider.

One tool with a schema that a provider refuses makes every request an error. A repair may allow more
than the schema did, because the original decides whether arguments are right. It allows less in
two places: of an alternative at the top that does not name a property, and behind a tuple's items.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

from ..printable import printable

MAX_DESCRIPTION = 1_024
"""Most characters of a description, the limit of several providers."""
MAX_RECURSION = 3
"""So often a definition is written out within itself. Below that, anything is allowed."""
MAX_WITHIN, MAX_DEFINITIONS, MAX_SCHEMA_CHARS = 20, 100, 60_000
"""Most schemas within each other, definitions, and characters of JSON, roughly."""
MAX_VALUES_CHARS = 4_000
"""Most characters of an enum, a default or the examples."""
CUT = "[This schema was too large or too deep. Parts are left out.]"
"""The last words of a top-level description where something is left out for its size."""

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_ANNOTATIONS = frozenset(("description", "default", "examples"))
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_MOST_NUMBER = 2**63
_OVERHEAD, _MAX_WORD, _MAX_NAME = 20, 500, 48

Schema = dict[str, Any]


class _At(NamedTuple):
    """A place: schemas around it, and how often a definition is within itself there, from 1."""

    depth: int = 0
    level: int = 1

    @property
    def within(self) -> "_At":
        return self._replace(depth=self.depth + 1)


def repaired(schema: Mapping[str, Any]) -> Schema:
    """A schema that providers accept. Its top level is an object without combinators.

    Of alternatives at the top it has all properties, and requires those that all require. `oneOf`
    becomes `anyOf`, and `allOf` one schema. Definitions are in `$defs`. Keys that state more than
    a request needs are gone: `title`, `not`, `if`, `patternProperties`. Any JSON may be given. A
    repaired schema stays as it is. One that is cut says so in its description.
    """
    repair = _Repair(schema)
    try:
        top = repair.top()
    except RecursionError:  # a caller that is deep in its own stack
        top, repair.cut = Schema(type="object", properties={}), True
    if repair.cut:
        words = str(top.get("description", ""))[: MAX_DESCRIPTION - len(CUT) - 1]
        top["description"] = f"{words.removesuffix(CUT).rstrip()} {CUT}".strip()
    return top


class _Repair:
    """One schema that is being repaired: its definitions so far, and the room that is left."""

    def __init__(self, root: object) -> None:
        self.cut = False
        self._root = root
        self._room = MAX_SCHEMA_CHARS
        self._names: dict[tuple[str, int], str] = {}
        self._open = set[tuple[str, int]]()
        self._defs: dict[str, Schema] = {}

    def top(self) -> Schema:
        """The whole schema, with the definitions that it uses."""
        found = self._as_object(self._node(self._root, _At()))
        used = dict[str, Schema]()
        waiting = _references(found)
        while waiting:
            name = waiting.pop(0)
            if name not in used and name in self._defs:
                used[name] = self._defs[name]
                waiting += _references(used[name])
        return {**found, "$defs": used} if used else found

    def _node(self, given: object, at: _At) -> Schema:
        return _settled(self._merged(given, at))

    def _merged(self, given: object, at: _At) -> Schema:
        """A schema in which the properties that it requires may still be missing."""
        if not isinstance(given, Mapping):
            return {}
        schema = cast("Mapping[str, Any]", given)
        own = _scalars(schema)
        # The top is free: its description may have become longer, to say CUT.
        cost = len(_json(own) or "") + _OVERHEAD if at.depth else 0
        if at.depth > MAX_WITHIN or not self._pay(cost):
            self.cut = True
            return {}
        self.cut = self.cut or _has_long_values(schema)
        own |= self._inner(schema, at.within)
        parts = [own]
        if len(own.get("anyOf", ())) == 1:
            parts += own.pop("anyOf")
        if "$ref" in schema:
            parts.append(self._reference(schema["$ref"], at.within))
        parts += [self._merged(it, at.within) for it in _list(schema.get("allOf"))]
        return reduce(self._both, parts)

    def _inner(self, schema: Mapping[str, Any], at: _At) -> Schema:
        """The parts of a schema that hold schemas."""
        found: Schema = {}
        if isinstance(properties := schema.get("properties"), Mapping):
            found["properties"] = self._properties(cast("Mapping[str, Any]", properties), at)
        more = cast("object", schema.get("additionalProperties"))
        if isinstance(more, bool | Mapping) and "patternProperties" not in schema:
            inner = self._node(cast("object", more), at)
            found["additionalProperties"] = more is not False and (inner or True)
        if "items" in schema or "prefixItems" in schema:
            rest = cast("object", schema.get("items"))
            first = [*_list(schema.get("prefixItems")), *_list(rest)]
            listed = [*first, *[rest] * isinstance(rest, Mapping)]
            found["items"] = _any_of([self._node(it, at) for it in listed])
        if kinds := _list(schema.get("anyOf")) or _list(schema.get("oneOf")):
            found["anyOf"] = _distinct([self._node(it, at) for it in kinds])
        return found

    def _properties(self, properties: Mapping[str, Any], at: _At) -> Schema:
        found: Schema = {}
        for name, schema in properties.items():
            if not self._pay(len(name)):
                self.cut = True
                break
            if schema is not False:
                found[name] = self._node(schema, at)
        return found

    def _reference(self, pointer: object, at: _At) -> Schema:
        """A reference to a definition that is made if there is none. {} if it leads nowhere."""
        target = self._target(pointer)
        if not isinstance(target, Mapping):
            return {}
        key = (str(pointer), at.level)
        if key in self._open:
            at = at._replace(level=at.level + 1)
            key = (str(pointer), at.level)
        if at.level > MAX_RECURSION:
            return {}
        if key not in self._names:
            if len(self._names) >= MAX_DEFINITIONS:
                self.cut = True
                return {}
            name = self._names[key] = _definition_name(*key, set(self._names.values()))
            self._open.add(key)
            self._defs[name] = self._node(cast("object", target), at)
            self._open.discard(key)
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _target(self, pointer: object) -> Any:
        """The value to which a local pointer (RFC 6901) leads. None for all others."""
        if not isinstance(pointer, str) or not re.match(r"#(?:/|$)", pointer):
            return None
        found: Any = self._root
        for part in unquote(pointer).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = cast("Mapping[str, Any]", found).get(part)
            elif isinstance(found, list) and part.isdecimal() and len(part) < _MAX_NAME:
                found = dict(enumerate(cast("list[Any]", found))).get(int(part))
            else:
                return None
        return found

    def _resolved(self, schema: Schema) -> Schema:
        """The schema with the definition's keys in place of a reference."""
        while name := _name_in(schema):
            body = self._defs.get(name, {})  # one that is not yet done allows anything
            if not self._pay(len(_json(body) or "")):
                self.cut, body = True, {}
            schema = {**body, **{key: schema[key] for key in schema if key in _ANNOTATIONS}}
        return schema

    def _both(self, one: Schema, other: Schema) -> Schema:
        """One schema for what two say. Where they differ, the first counts."""
        if not (one.keys() - _ANNOTATIONS and other.keys() - _ANNOTATIONS):
            return {**other, **one}
        one, other = self._resolved(one), self._resolved(other)
        found = {**other, **one}
        found.pop("additionalProperties", None)  # one of them does not know the other's properties
        if "properties" in one and "properties" in other:
            ours, theirs = one["properties"], other["properties"]
            both = {name: self._both(ours[name], theirs[name]) for name in ours if name in theirs}
            found["properties"] = {**ours, **theirs, **both}
        if "items" in one and "items" in other:
            found["items"] = self._both(one["items"], other["items"])
        if required := [*one.get("required", ()), *other.get("required", ())]:
            found["required"] = required
        if "type" in one and "type" in other:
            found["type"] = _shared_types(one["type"], other["type"]) or one["type"]
        if "enum" in one and "enum" in other:
            known = set(map(_json, other["enum"]))
            found["enum"] = [it for it in one["enum"] if _json(it) in known] or one["enum"]
        return found

    def _as_object(self, schema: Schema) -> Schema:
        """The schema of an object, with the properties of all its alternatives."""
        schema = self._resolved(schema)
        kinds = [self._as_object(it) for it in schema.get("anyOf", ()) if self._may_be_object(it)]
        properties: Schema = {}
        for name, it in (entry for kind in kinds for entry in kind["properties"].items()):
            properties[name] = _either(properties[name], it) if name in properties else it
        for name, it in schema.get("properties", {}).items():
            properties[name] = self._both(it, properties[name]) if name in properties else it
        needed = set[str](schema.get("required", ()))
        if kinds:
            needed |= reduce(set[str].intersection, [set(it.get("required", ())) for it in kinds])
        found: Schema = {"type": "object"}
        if "description" in schema:
            found["description"] = schema["description"]
        found["properties"] = {name: _settled(it) for name, it in properties.items()}
        found["required"] = [name for name in properties if name in needed]
        if not kinds and "additionalProperties" in schema:
            found["additionalProperties"] = schema["additionalProperties"]
        return _settled(found)

    def _may_be_object(self, schema: Schema) -> bool:
        kind = self._resolved(schema).get("type", "object")
        return kind == "object" or "object" in _list(kind)

    def _pay(self, chars: int) -> bool:
        """Whether there is room for so many characters. When there is not, nothing more fits."""
        self._room = self._room - chars if chars <= self._room else -1
        return self._room >= 0


def _scalars(schema: Mapping[str, Any]) -> Schema:
    """The valid ones among the keys that hold no schemas."""
    found: Schema = {}
    kinds = [it for it in _TYPES if it == schema.get("type") or it in _list(schema.get("type"))]
    if kinds:
        found["type"] = kinds if kinds[1:] else kinds[0]
    if isinstance(words := schema.get("description"), str) and (words := printable(words).strip()):
        long = len(words) > MAX_DESCRIPTION
        found["description"] = f"{words[: MAX_DESCRIPTION - 1]}…" if long else words
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    for key, value in (("enum", _distinct(values)), ("examples", _list(schema.get("examples")))):
        if value and _is_short(value):
            found[key] = value
    if "default" in schema and _is_short(schema["default"]):
        found["default"] = schema["default"]
    for key in ("format", "pattern"):
        if isinstance(word := schema.get(key), str) and len(word) <= _MAX_WORD:
            found[key] = word
    found |= {key: schema[key] for key in _NUMBERS if _is_number(schema.get(key))}
    found |= {key: schema[key] for key in _COUNTS if _is_count(schema.get(key))}
    if schema.get("uniqueItems") is True:
        found["uniqueItems"] = True
    if required := [it for it in _list(schema.get("required")) if isinstance(it, str)]:
        found["required"] = required
    return found


def _settled(schema: Schema) -> Schema:
    """The schema with the keys that its type needs, and only properties required that it has."""
    found = {key: schema[key] for key in schema if key != "required"}
    kinds = [found.get("type"), *_list(found.get("type"))]
    if "object" in kinds:
        found.setdefault("properties", {})
    if "array" in kinds:
        found.setdefault("items", {})
    there = found.get("properties", {})
    needed = [name for name in dict.fromkeys(schema.get("required", ())) if name in there]
    return {**found, "required": needed} if needed else found


def _either(one: Schema, other: Schema) -> Schema:
    """A schema for what either of two allows."""
    if {**one, "enum": 0} == {**other, "enum": 0} and "enum" in one and "enum" in other:
        return {**one, "enum": _distinct([*one["enum"], *other["enum"]])}
    kinds = [it["anyOf"] if it.keys() == {"anyOf"} else [it] for it in (one, other)]
    return _any_of([*kinds[0], *kinds[1]])


def _any_of(kinds: Sequence[Schema]) -> Schema:
    kinds = _distinct(kinds)
    return {"anyOf": kinds} if len(kinds) > 1 else (kinds or [Schema()])[0]


def _distinct(values: Sequence[Any]) -> list[Any]:
    """The values that are JSON, each once. `True` is not 1."""
    return list({text: it for it in values if (text := _json(it)) is not None}.values())


def _shared_types(one: Any, other: Any) -> Any:
    """The types that both allow. An integer is a number."""
    sides = [set(_list(it) or [it]) for it in (one, other)]
    sides = [side | {"integer"} if "number" in side else side for side in sides]
    both = [it for it in _TYPES if all(it in side for side in sides)]
    both = [it for it in both if it != "integer" or "number" not in both]
    return both if len(both) != 1 else both[0]


def _references(value: object) -> list[str]:
    """The names of the definitions that a repaired schema refers to, in order."""
    if isinstance(value, list):
        return [name for it in cast("list[object]", value) for name in _references(it)]
    if not isinstance(value, dict):
        return []
    schema = cast("Schema", value)
    kept = [schema.get(key) for key in ("anyOf", "items", "additionalProperties")]
    inner = [*kept, list(schema.get("properties", {}).values())]
    return [*filter(None, [_name_in(schema)]), *_references(inner)]


def _name_in(schema: Schema) -> str:
    return str(schema.get("$ref", "")).removeprefix("#/$defs/")


def _definition_name(pointer: str, level: int, taken: set[str]) -> str:
    last = re.sub(r"[^A-Za-z0-9_.-]", "_", pointer.rpartition("/")[2].lstrip("#"))[:_MAX_NAME]
    name = (last or "root") + (f"_{level}" if level > 1 else "")
    while name in taken:
        name += "_"
    return name


def _has_long_values(schema: Mapping[str, Any]) -> bool:
    return isinstance(schema.get("enum"), list) and not _is_short(schema["enum"])


def _is_short(value: object) -> bool:
    text = _json(value)
    return text is not None and len(text) <= MAX_VALUES_CHARS


def _json(value: object) -> str | None:
    """The value as JSON. None if it is none, or too deep."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _MOST_NUMBER  # neither NaN nor infinite


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
