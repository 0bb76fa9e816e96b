"""The parameters of a Python function as the arguments of a tool. Knows neither tool nor kernel."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError

from .json_schema import signature
from .repaired_schema import repaired
from .schema import ArgumentSchema, FieldsOf


class NoSchemaError(TypeError):
    """The parameters of a function make no arguments of a tool. The text is a sentence."""


class FunctionArguments(ArgumentSchema[BaseModel]):
    """The parameters of a function, checked and converted by pydantic."""

    def __init__(self, of: type[BaseModel], listed: Mapping[str, Any] | None = None) -> None:
        """`listed`: the form in which requests have them, if it is not that of now."""
        self._fields, self._given = FieldsOf(of), of.model_json_schema()
        self._listed = repaired(self._fields.parameters()) if listed is None else dict(listed)

    def parameters(self) -> dict[str, Any]:
        """The schema in a form that every provider accepts."""
        return self._listed

    def read(self, text: str) -> BaseModel:
        """The arguments. Harmless mistakes of models are mended."""
        return self._fields.read(text)

    def take(self, values: Mapping[str, Any]) -> BaseModel:
        """The arguments that code gives by name."""
        return self._fields.take(values)

    @property
    def signature(self) -> str:
        """The parameters as JSON types, as Python would write them."""
        return signature(self._given)

    def as_listed(self, listed: Mapping[str, Any]) -> "FunctionArguments":
        """The same, in the form in which requests have them already."""
        return FunctionArguments(self._fields.of, listed)


def arguments_of_function(function: Callable[..., Any]) -> FunctionArguments:
    """The arguments, by the function's hints. Raises NoSchemaError.

    A text in `Annotated` describes a parameter. One without a hint takes any value.
    """
    try:
        found = inspect.signature(function, eval_str=True).parameters.values()
        fields: dict[str, Any] = {it.name: _field(it) for it in found}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names such as `json`, which the model has, too
            settings = ConfigDict(protected_namespaces=(), extra="forbid")
            model: Any = create_model(function.__name__, __config__=settings, **fields)
            return FunctionArguments(model)
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
