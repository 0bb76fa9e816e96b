"""The arguments of a tool: their schema for a model, how they are read, their signature for code.

Knows no tool. `FieldsOf` has the fields of a pydantic model. Tools of others bring JSON schemas.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache, cached_property
from typing import Any, Protocol, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError

from ..frozen import frozen
from ..protocol.items import arguments_of
from ..protocol.verbatim_json import dumps
from .json_schema import SchemaCheck, signature
from .repaired_schema import repaired

A = TypeVar("A", bound=BaseModel, covariant=True)
F = TypeVar("F", bound=BaseModel)

_UNSAID = frozenset(
    ("title", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
)
"""Keys of a schema that a request leaves out: pydantic's titles, and bounds."""

_BLANK = ("", "null", "none")
"""Texts that models write for a default."""


class ArgumentsError(ValueError):
    """The arguments of a call are wrong. The text says how."""


class ArgumentSchema(Protocol[A]):
    """The arguments that a tool takes. `signature`: as code writes them.

    `order`: the names of those that code may give without their name.
    """

    def parameters(self) -> dict[str, Any]:
        """The JSON schema as a request lists it. It has the same bytes every time."""
        ...

    def read(self, text: str) -> A:
        """The arguments in the JSON text of a call, mended if that is harmless.

        Raises ArgumentsError.
        """
        ...

    def take(self, values: Mapping[str, Any]) -> A:
        """The arguments that code gives by name. Raises ArgumentsError."""
        ...

    @property
    def signature(self) -> str: ...

    @property
    def order(self) -> tuple[str, ...]:
        """None, as in a JSON schema."""
        return ()


@frozen
class FieldsOf(ArgumentSchema[F]):
    """The fields of a pydantic model are the arguments."""

    of: type[F]

    def parameters(self) -> dict[str, Any]:
        """The schema of the model, without what costs tokens and says nothing."""
        return _parameters(self.of)

    def read(self, text: str) -> F:
        """The model. Another form of JSON, or a blank in place of a default, is mended."""
        try:
            return self.of.model_validate_json(text or "{}")
        except ValidationError as error:
            wrong = error
        if (values := arguments_of(text)) is not None:
            for _ in range(2):
                try:
                    return self.of.model_validate_json(dumps(values))
                except ValidationError as error:
                    wrong = error
                    _drop_blanks(values, error)
        raise ArgumentsError(_problems(wrong))

    def take(self, values: Mapping[str, Any]) -> F:
        """The model of these values."""
        try:
            return self.of.model_validate(values)
        except ValidationError as error:
            raise ArgumentsError(_problems(error)) from None

    @property
    def signature(self) -> str:
        """The parameters with their types and defaults."""
        return ", ".join(_named(name, field) for name, field in self.of.model_fields.items())

    @property
    def order(self) -> tuple[str, ...]:
        """All of them, as the model has them."""
        return tuple(self.of.model_fields)


class JsonArguments(RootModel[dict[str, Any]]):
    """Arguments by a foreign schema, as they are."""


class JsonSchema(ArgumentSchema[JsonArguments]):
    """A JSON schema that others made. It is checked as it is, and listed as providers take it."""

    def __init__(self, given: Mapping[str, Any], listed: Mapping[str, Any] | None = None) -> None:
        """`listed`: the form in which requests have it already, if they do."""
        self.given, self._listed = given, listed

    def parameters(self) -> dict[str, Any]:
        """The schema in a form that every provider accepts."""
        return self._repaired

    def read(self, text: str) -> JsonArguments:
        """The arguments. Harmless mistakes of models are mended."""
        values = arguments_of(text)
        if values is None:
            raise ArgumentsError("they are no JSON object")
        return self.take(self._check.mended(values))

    def take(self, values: Mapping[str, Any]) -> JsonArguments:
        """The same values, if the schema allows them."""
        if words := self._check.problems(values):
            raise ArgumentsError(words)
        return JsonArguments(dict(values))

    @property
    def signature(self) -> str:
        """The parameters, as Python would write them."""
        return self._signature

    @cached_property
    def _check(self) -> SchemaCheck:
        return SchemaCheck(self.given)

    @cached_property
    def _signature(self) -> str:
        return signature(self.given)

    @cached_property
    def _repaired(self) -> dict[str, Any]:
        return repaired(self.given) if self._listed is None else dict(self._listed)


def _drop_blanks(values: dict[str, Any], error: ValidationError) -> None:
    """Drop what is null or blank where something else belongs. The default takes its place."""
    for found in error.errors():
        blank = found["input"]
        if blank is None or (isinstance(blank, str) and blank.strip().lower() in _BLANK):
            *path, last = found["loc"] or ("",)
            inner: Any = values
            for key in path:
                with suppress(LookupError, TypeError):  # the tag of a union is no key
                    inner = inner[key]
            if isinstance(inner, dict):
                cast("dict[Any, Any]", inner).pop(last, None)


def _problems(error: ValidationError) -> str:
    """The errors in arguments, in words."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()
    )


def _named(name: str, field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    given = "" if field.is_required() else f" = {default!r}"
    return f"{name}: {_type(field.annotation)}{given}"


def _type(annotation: Any) -> str:
    """The annotation as code writes it. A model of fields is a dict."""
    if get_origin(annotation) is list:
        return f"list[{_type(get_args(annotation)[0])}]"
    if isinstance(annotation, type):
        return "dict" if issubclass(annotation, BaseModel) else annotation.__name__
    return str(annotation).replace("typing.", "")


@cache
def _parameters(arguments: type[BaseModel]) -> dict[str, Any]:
    """The schema, cached: pydantic takes half a millisecond, and each turn lists all tools."""
    schema = _lean(arguments.model_json_schema())
    return {key: value for key, value in schema.items() if key != "description"}


def _lean(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without parts that cost tokens and do not change how a call is read.

    Bounds are checked when a call is read, and the error names them. A field that may be left out
    needs neither `null` nor a blank default.
    """
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if kinds:
        kind = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        schema = {key: schema[key] for key in schema if key != "anyOf"} | kind
    blank = {key for key in schema if key == "default" and not schema[key]}
    return {key: _lean_part(key, schema[key]) for key in schema if key not in _UNSAID | blank}


def _lean_part(key: str, value: Any) -> Any:
    """The value of a schema's key. Some hold schemas."""
    match key:
        case "properties" | "$defs":
            return {name: _lean(schema) for name, schema in value.items()}
        case "items":
            return _lean(value)
        case "anyOf":
            return [_lean(schema) for schema in value]
        case _:
            return value
