"""A form that a server puts to the person: its fields in words, and values from what was typed.

Pure. Shapes: `requestedSchema` and `content` of MCP's elicitation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...agent.frozen import frozen
from ...agent.printable import visible
from ...agent.tools.json_schema import SchemaCheck

YES, NO = ("y", "yes", "true"), ("n", "no", "false")
_BOUNDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "from {}",
    "maximum": "up to {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}
_KINDS = {"string": "text", "integer": "whole number", "boolean": "yes or no", "array": "several"}


@frozen
class FormField:
    """One field. `choices`: the values to choose from, each with its words."""

    name: str
    schema: Mapping[str, Any]
    required: bool = False

    @property
    def is_list(self) -> bool:
        """Whether it takes several of its choices."""
        return self.schema.get("type") == "array"

    @property
    def choices(self) -> tuple[tuple[Any, str], ...]:
        """The values to choose from, each with its words. Empty if any value goes."""
        schema = _table(self.schema.get("items")) if self.is_list else self.schema
        if (named := schema.get("oneOf") or schema.get("anyOf")) is not None:
            return tuple((it.get("const"), str(it.get("title", it.get("const")))) for it in named)
        values: Sequence[Any] = schema.get("enum") or ()
        words: Sequence[Any] = schema.get("enumNames") or values
        return tuple((value, str(word)) for value, word in zip(values, words, strict=False))

    @property
    def title(self) -> str:
        """Its name for the person."""
        return visible(str(self.schema.get("title") or self.name))

    @property
    def words(self) -> str:
        """The line that says its name and its kind."""
        schema = self.schema
        kind = _KINDS.get(str(schema.get("type")), str(schema.get("type", "text")))
        choices = ", ".join(word for _, word in self.choices)
        told = [
            f"{kind} of {choices}" if self.is_list else f"one of {choices}" if choices else kind,
            *([str(schema["format"])] if "format" in schema else []),
            *(words.format(schema[key]) for key, words in _BOUNDS.items() if key in schema),
            *([] if self.required else ["may be left out"]),
        ]
        about = f": {schema['description']}" if schema.get("description") else ""
        return f"{self.title} ({visible('; '.join(told))}){visible(about)}"

    def read(self, text: str) -> Any:
        """The value that a text means. Raises ValueError with a sentence."""
        value = self._value(text)
        properties = {"type": "object", "properties": {self.name: dict(self.schema)}}
        if words := SchemaCheck(properties).problems({self.name: value}):
            raise ValueError(f"{words.removeprefix(f'{self.name}: ')}.")
        return value

    def shown(self, value: Any) -> str:
        """A value as the person would type it."""
        if self.is_list and isinstance(value, list):
            return ", ".join(map(self._word, cast("list[Any]", value)))
        return self._word(value)

    def _word(self, value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return visible(next((word for known, word in self.choices if known == value), str(value)))

    def _value(self, text: str) -> Any:
        if self.is_list:
            return [self._chosen(it.strip()) for it in text.split(",") if it.strip()]
        if self.choices:
            return self._chosen(text)
        match self.schema.get("type"):
            case "boolean":
                return _truth(text)
            case "integer":
                return _number(text, int, "a whole number")
            case "number":
                return _number(text, float, "a number")
            case _:
                return text

    def _chosen(self, text: str) -> Any:
        for value, word in self.choices:
            if text.casefold() in (word.casefold(), str(value).casefold()):
                return value
        words = ", ".join(word for _, word in self.choices)
        raise ValueError(visible(f"It is one of {words}."))


def fields_of(schema: Any) -> tuple[FormField, ...]:
    """The fields of a form, in its order. There may be none."""
    form = _table(schema)
    required: Any = form.get("required") or ()
    fields = _table(form.get("properties")).items()
    return tuple(FormField(name, _table(it), name in required) for name, it in fields)


def form_words(fields: Sequence[FormField], values: Mapping[str, Any]) -> str:
    """The form as it is filled in, a line a field."""
    return "\n".join(
        f"  {it.words} = {it.shown(values[it.name]) if it.name in values else '…'}" for it in fields
    )


def _table(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _truth(text: str) -> bool:
    if text.casefold() in YES:
        return True
    if text.casefold() in NO:
        return False
    raise ValueError("It is yes or no.")


def _number(text: str, kind: type[int] | type[float], words: str) -> int | float:
    try:
        value = kind(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"It is {words}.") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"It is {words}.")
    return value
