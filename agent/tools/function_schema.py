"""The parameters of a Python function as the arguments of a tool. Knows neither tool nor kernel."""

import inspect
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from numbers import Complex, Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError

from ..protocol.verbatim_json import dumps
from .json_schema import signature
from .repaired_schema import repaired
from .schema import ArgumentSchema, ArgumentsError, FieldsOf

_NUMBERS: Mapping[type, type] = {int: Integral, float: Real, complex: Complex}
_UNCHECKED = (object, Awaitable, Coroutine)
"""Hints of results that are awaited before they are looked at."""
_UNREADABLE = (NameError, TypeError, ValueError, PydanticUserError)


class NoSchemaError(TypeError):
    """The parameters of a function make no arguments of a tool. The text is a sentence."""


class FunctionArguments(ArgumentSchema[BaseModel]):
    """The parameters of a function, checked and converted by pydantic."""

    def __init__(
        self, fields: FieldsOf[BaseModel], listed: Mapping[str, Any], order: tuple[str, ...]
    ) -> None:
        """`listed`: their schema as requests have it. `order`: those that need no name."""
        self._fields, self._listed, self._order = fields, dict(listed), order

    def parameters(self) -> dict[str, Any]:
        """The schema in a form that every provider accepts."""
        return self._listed

    def read(self, text: str) -> BaseModel:
        """The arguments. Harmless mistakes of models are mended."""
        return self._fields.read(text)

    def take(self, values: Mapping[str, Any]) -> BaseModel:
        """The arguments that code gives by name. They go into the record, as JSON."""
        try:
            dumps(values)
        except (TypeError, ValueError) as error:
            told = f"{error!s:.200}; code calls the function itself for such values"
            raise ArgumentsError(told) from None
        return self._fields.take(values)

    @property
    def signature(self) -> str:
        """The parameters as JSON types, as Python would write them."""
        return signature(self._fields.of.model_json_schema())

    @property
    def order(self) -> tuple[str, ...]:
        """Those that need no name, as the function has them."""
        return self._order

    def as_listed(self, listed: Mapping[str, Any]) -> "FunctionArguments":
        """The same, in the form in which requests have them already."""
        return FunctionArguments(self._fields, listed, self._order)


def arguments_of_function(function: Callable[..., Any]) -> FunctionArguments:
    """The arguments, by the function's hints. Raises NoSchemaError.

    A text in `Annotated` describes a parameter. One without a hint takes any value.
    """
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except NameError as error:
        raise NoSchemaError(f"its hints need {error.name}, which is not defined") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise NoSchemaError(f"its hints cannot be read: {error!s:.300}") from None
    fields: dict[str, Any] = {it.name: _field(it) for it in parameters}
    try:
        found = _fields_of(function.__name__, fields)
    except _UNREADABLE as error:
        raise NoSchemaError(_unreadable(parameters, fields, error)) from None
    order = tuple(it.name for it in parameters if it.kind is it.POSITIONAL_OR_KEYWORD)
    return FunctionArguments(found, repaired(found.parameters()), order)


def _fields_of(name: str, fields: Mapping[str, Any]) -> FieldsOf[BaseModel]:
    """The parameters as a model. Raises what pydantic raises, also where it has no JSON schema."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names such as `json`, which the model has, too
        settings = ConfigDict(protected_namespaces=(), extra="forbid")
        found = FieldsOf[BaseModel](create_model(name, __config__=settings, **fields))
        found.parameters()
        return found


def _unreadable(
    parameters: Iterable[inspect.Parameter], fields: Mapping[str, Any], error: Exception
) -> str:
    """The parameter whose hint no value of JSON fits."""
    for it in parameters:
        try:
            _fields_of("one", {it.name: fields[it.name]})
        except _UNREADABLE:
            return f"no JSON value fits the hint of {it}"
    return f"{error!s:.300}".splitlines()[0]


def fits_hint(hint: Any, value: object) -> bool:
    """Whether a result is of its hint's class. True for a hint that names no class."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        return any(fits_hint(it, value) for it in get_args(hint))
    kind = NoneType if hint is None else get_origin(hint) or hint
    if kind is inspect.Signature.empty or not isinstance(kind, type) or kind in _UNCHECKED:
        return True
    try:
        return isinstance(value, _NUMBERS.get(kind, kind))
    except TypeError:  # a protocol, which is no class of its values
        return True


def _field(parameter: inspect.Parameter) -> tuple[Any, Any]:
    """The type and the default of a parameter, as pydantic takes them."""
    named = (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    if parameter.kind not in named or parameter.name.startswith("model_"):
        raise NoSchemaError(f"the parameter {parameter} has no name that a call could use")
    hint: Any = Any if parameter.annotation is parameter.empty else parameter.annotation
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        words = [Field(description=it) if isinstance(it, str) else it for it in notes]
        hint = Annotated[(inner, *words)]
    return hint, (... if parameter.default is parameter.empty else parameter.default)
