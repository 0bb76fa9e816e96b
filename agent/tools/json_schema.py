"""Arguments by a foreign JSON schema: as Python would write them, and whether values are right.

Knows neither tool nor server. A schema that is itself wrong accepts everything, because the server
that sent it decides.
"""

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from keyword import iskeyword
from math import isfinite
from typing import Any, cast

from .repaired_schema import repaired

MAX_PROBLEMS, MAX_PROBLEM_CHARS = 5, 200
"""Most problems of arguments that are named, and most characters of the words of each."""
MAX_REFERENCES = 2_000
"""Most references that one validation follows. A hostile schema doubles them at each level."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The dialect of a schema that names none, as MCP says."""

_MAX_KINDS, _MAX_DEFAULT, _MAX_DEEP = 12, 60, 3
_PYTHON = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict",
}
_BLANK = ("", "null", "none")
"""Texts that models write for a value that is left out."""

Problems = Iterator[Any]


class _Unbounded(Exception):
    """A validation that takes too long."""


def signature(schema: Mapping[str, Any]) -> str:
    """The arguments as the parameters of a Python function, those that must be given first.

    `repo_path: str, max_count: int = 10, kind: Literal['a', 'b'] = 'a', since: str = …`. The sign …
    is the server's own default. Names that Python does not take as keywords are the keys of one
    dict, the only positional argument: `{'from': str, 'my-arg': int = 3}, /, limit: int = 10`.
    """
    known = repaired(schema)
    required = known.get("required", ())
    definitions = known.get("$defs", {})
    odd, named = list[str](), list[str]()
    entries = known["properties"].items()
    for name, it in sorted(entries, key=lambda entry: entry[0] not in required):
        default = f" = {_default(it)}" if name not in required else ""
        written = f"{_annotation(it, definitions)}{default}"
        if _is_keyword_name(name):
            named.append(f"{name}: {written}")
        else:
            odd.append(f"{name!r}: {written}")
    return ", ".join([*([f"{{{', '.join(odd)}}}", "/"] if odd else []), *named])


def returned(schema: Mapping[str, Any]) -> str:
    """The type of a result, as Python would write it.

    A server wraps a value that is no object in one with the only key `result`.
    """
    properties: Any = schema.get("properties")
    if not isinstance(properties, Mapping) or list(cast("Any", properties)) != ["result"]:
        return "dict"
    known = repaired(schema)
    return _annotation(known["properties"]["result"], known.get("$defs", {}))


class SchemaCheck:
    """Checks values by a schema. It reads the schema once, which takes some milliseconds.

    A reference to elsewhere is never fetched. It accepts everything, and so does a pattern that
    needs more than linear time.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema, self._left = schema, 0

    def problems(self, values: Mapping[str, Any]) -> str:
        """The errors in arguments, in words. Empty if there are none."""
        self._left = MAX_REFERENCES
        try:
            return _told(self._validator.iter_errors(values))
        except _foreign_errors():
            return ""

    def mended(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments without the harmless mistakes of models. Right ones stay as they are.

        A null or blank in place of an optional value is dropped. A text is read as JSON where
        something else belongs.
        """
        known, lenient = self._lenient
        return _mended_object(known, known.get("$defs", {}), values, lenient._is_right)

    @cached_property
    def _validator(self) -> Any:
        return _validator(self._schema, self._follow)

    @cached_property
    def _lenient(self) -> "tuple[dict[str, Any], SchemaCheck]":
        known = repaired(self._schema)
        return known, SchemaCheck(known)

    def _is_right(self, part: Mapping[str, Any], value: object) -> bool:
        self._left = MAX_REFERENCES
        try:
            return bool(self._validator.evolve(schema=part).is_valid(value))
        except _foreign_errors():
            return True

    def _follow(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Unbounded


def _mended_object(
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any],
    values: Mapping[str, Any],
    is_right: Callable[[Mapping[str, Any], object], bool],
) -> dict[str, Any]:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    found: dict[str, Any] = {}
    for name, value in values.items():
        part = properties.get(name, {})
        if is_right(part, value):
            found[name] = value
        elif name in required or not _is_blank(value):
            found[name] = _mended(_resolved(part, definitions), definitions, value, is_right)
    return found


def _mended(
    schema: Mapping[str, Any],
    definitions: Mapping[str, Any],
    value: Any,
    is_right: Callable[[Mapping[str, Any], object], bool],
) -> Any:
    """The value in a form that the schema allows, or as it is if there is none."""
    for form in (value, *_read(value)):
        inner = form
        if isinstance(form, dict):
            inner = _mended_object(schema, definitions, cast("dict[str, Any]", form), is_right)
        elif isinstance(form, list):
            items = _resolved(schema.get("items", {}), definitions)
            entries = cast("list[Any]", form)
            inner = [
                it if is_right(items, it) else _mended(items, definitions, it, is_right)
                for it in entries
            ]
        if is_right(schema, inner):
            return inner
    return value


def _read(value: object) -> Iterator[Any]:
    """The JSON value that a text is, if it is one."""
    if not isinstance(value, str):
        return
    text = value.strip()
    for form in (text, text.lower()):
        try:
            found = json.loads(form, strict=False)
        except (ValueError, RecursionError):
            continue
        if not isinstance(found, float) or isfinite(found):
            yield found


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _BLANK)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, or the definition that a repaired one refers to, which has no circle."""
    while "$ref" in schema:
        schema = definitions.get(schema["$ref"].removeprefix("#/$defs/"), {})
    return schema


def _annotation(schema: Mapping[str, Any], definitions: Mapping[str, Any], deep: int = 0) -> str:
    schema = _resolved(schema, definitions)
    values: Sequence[Any] = schema.get("enum", ())
    if values and len(values) <= _MAX_KINDS:
        return f"Literal[{', '.join(map(_literal, values))}]"
    if "anyOf" in schema:
        kinds = [_annotation(it, definitions, deep + 1) for it in schema["anyOf"]]
        return " | ".join(dict.fromkeys(kinds)) if len(kinds) <= _MAX_KINDS else "Any"
    given = schema.get("type", "Any")
    return " | ".join(
        _list_annotation(schema, definitions, deep) if it == "array" else _PYTHON.get(it, "Any")
        for it in ([given] if isinstance(given, str) else given)
    )


def _list_annotation(schema: Mapping[str, Any], definitions: Mapping[str, Any], deep: int) -> str:
    inner = "Any" if deep >= _MAX_DEEP else _annotation(schema["items"], definitions, deep + 1)
    return "list" if inner == "Any" else f"list[{inner}]"


def _default(schema: Mapping[str, Any]) -> str:
    return _literal(schema["default"]) if "default" in schema else "…"


def _literal(value: object) -> str:
    text = repr(value)  # which names each character without a sign
    return text if len(text) <= _MAX_DEFAULT else "…"


def _is_keyword_name(name: str) -> bool:
    """True if Python takes the name as a keyword argument, as it is."""
    is_name = name.isidentifier() and not iskeyword(name)
    return is_name and unicodedata.normalize("NFKC", name) == name


def _told(errors: Iterator[Any]) -> str:
    """The first errors by their place, each once."""
    told: dict[str, None] = {}
    for error in errors:
        where = ".".join(map(str, error.absolute_path)) or "arguments"
        what = str(error.message)  # it begins with the value, and ends with the reason
        half = MAX_PROBLEM_CHARS // 2
        short = what if len(what) <= MAX_PROBLEM_CHARS else f"{what[:half]} … {what[-half:]}"
        told[f"{where[:half]}: {short}"] = None
        if len(told) == MAX_PROBLEMS:
            break
    return "; ".join(told)


def _validator(given: object, follow: Callable[[], None]) -> Any:
    """A validator that fetches nothing. It accepts everything if the schema is wrong.

    `follow` is called at each reference.
    """
    jsonschema, referencing = _libraries()
    schema = cast("Mapping[str, Any]", given if isinstance(given, Mapping) else {})
    said = schema.get("$schema")
    dialect = {"$schema": said if isinstance(said, str) else DIALECT}
    kind = jsonschema.validators.validator_for(dialect, jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema, format_checker=None)
    except (jsonschema.SchemaError, *_foreign_errors()):
        schema = {}
    checks = {"$ref": _counted(kind.VALIDATORS["$ref"], follow), **_CHECKS}
    return jsonschema.validators.extend(kind, checks)(schema, registry=referencing.Registry())


@cache
def _libraries() -> tuple[Any, Any]:
    import jsonschema  # most sessions have no foreign schema
    import referencing

    return cast("Any", jsonschema), cast("Any", referencing)


def _foreign_errors() -> tuple[type[Exception], ...]:
    """The errors of a validation by a schema that is wrong in a way that no dialect checks."""
    _, referencing = _libraries()
    unresolved = referencing.exceptions.Unresolvable
    return (unresolved, _Unbounded, RecursionError, ArithmeticError, TypeError, ValueError)


def _counted(
    referred: Callable[..., Problems | None], follow: Callable[[], None]
) -> Callable[..., Problems]:
    def check(validator: Any, reference: Any, value: Any, schema: Any) -> Problems:
        follow()
        yield from referred(validator, reference, value, schema) or ()

    return check


def _nothing(_validator: Any, _said: Any, _value: Any, _schema: Any) -> Problems:
    yield from ()


def _pattern(_validator: Any, pattern: Any, value: Any, _schema: Any) -> Problems:
    if isinstance(value, str) and not _matches(pattern, value):
        from jsonschema import ValidationError

        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, _schema: Any) -> Problems:
    for pattern, part in patterns.items() if isinstance(value, dict) else ():
        for name, inner in cast("dict[str, Any]", value).items():
            if _matches(pattern, name):
                yield from validator.descend(inner, part, path=name, schema_path=pattern)


def _more_properties(validator: Any, said: Any, value: Any, schema: Any) -> Problems:
    """Without patterns, which the library would match in any time."""
    if "patternProperties" not in schema:
        check = _libraries()[0].Draft202012Validator.VALIDATORS["additionalProperties"]
        yield from check(validator, said, value, schema) or ()


def _matches(pattern: str, text: str) -> bool:
    """Whether a text has the pattern, in linear time. True for one that needs more, or is wrong."""
    from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern)).validate_python(text)
    except SchemaError:
        return True
    except ValidationError:
        return False
    return True


_CHECKS = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _more_properties,
    "unevaluatedProperties": _nothing,
    "$dynamicRef": _nothing,
    "$recursiveRef": _nothing,
}
"""In place of the library's: its patterns take any time, its dynamic references are not counted."""
