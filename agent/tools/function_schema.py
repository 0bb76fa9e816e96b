"""The parameters of a Python function as the arguments of a tool. Knows neither tool nor kernel."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError

from ..protocol.verbatim_json import dumps
from .json_schema import signature
from .repaired_schema import repaired
from .schema import ArgumentSchema, ArgumentsError, FieldsOf


class NoSchemaError(TypeError):
    """The parameters of a function make no arguments of a tool. The text is a sentence."""


class FunctionArguments(ArgumentSchema[BaseModel]):
    """The parameters of a function, checked and converted by pydantic."""

    def __init__(self, fields: FieldsOf[BaseModel], listed: Mapping[str, Any]) -> None:
        """`listed`: their schema as requests have it."""
        self._fields, self._listed = fields, dict(listed)

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

    def as_listed(self, listed: Mapping[str, Any]) -> "FunctionArguments":
        """The same, in the form in which requests have them already."""
        return FunctionArguments(self._fields, listed)


def arguments_of_function(function: Callable[..., Any]) -> FunctionArguments:
    """The arguments, by the function's hints. Raises NoSchemaError.

    A text in `Annotated` describes a parameter. One without a hint takes any value.
    """
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
        fields: dict[str, Any] = {it.name: _field(it) for it in parameters}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names such as `json`, which the model has, too
            settings = ConfigDict(protected_namespaces=(), extra="forbid")
            model: Any = create_model(function.__name__, __config__=settings, **fields)
            found = FieldsOf[BaseModel](model)
            return FunctionArguments(found, repaired(found.parameters()))
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        raise NoSchemaError(f"{error!s:.300}".splitlines()[0]) from None


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
