"""The model's notes on a conversation before it is shortened, and how its answer is read.

Pure. Knows neither who asks for notes nor the digest they go into.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from ..protocol.events import Usage
from ..protocol.items import Item, Message
from .references import HANDLE

_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


def _one_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


def _many(value: object) -> object:
    """The value as a list. A text or an object alone becomes a list of one."""
    if isinstance(value, str | dict):
        return [cast("object", value)]
    return value or ()


def _handles(value: object) -> object:
    """The handles in a text, or in several. Other text could pass for lines of the digest."""
    held = _many(value)
    texts = cast("Iterable[object]", held) if isinstance(held, list | tuple) else ()
    return tuple(it for text in texts if isinstance(text, str) for it in HANDLE.findall(text))


def _as_text(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_one_line)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PlanStep(_Frozen):
    """One step of the plan."""

    text: Words
    done: bool = False


class Cited(_Frozen):
    """Something to remember. `sources`: handles of the runs that show it."""

    text: Words
    sources: Annotated[tuple[str, ...], BeforeValidator(_handles)] = Field(
        (), validation_alias=AliasChoices("from", "sources")
    )


Steps = Annotated[
    tuple[Annotated[PlanStep, BeforeValidator(_as_text)], ...], BeforeValidator(_many)
]
Things = Annotated[tuple[Annotated[Cited, BeforeValidator(_as_text)], ...], BeforeValidator(_many)]


class Notes(_Frozen):
    """The model's notes. All parts may be empty, because the model may fail."""

    state: Words = ""
    plan: Steps = ()
    decisions: Things = ()
    facts: Things = ()

    @property
    def empty(self) -> bool:
        """True if nothing was noted."""
        return not (self.state or self.plan or self.decisions or self.facts)


NO_NOTES = Notes()


def read_notes(items: Iterable[Item]) -> Notes | None:
    """The notes in a response, or None when it has none that can be read."""
    said = [item.text for item in items if isinstance(item, Message)]
    for text in reversed(said):
        found = _OBJECT.search(text)
        if found is None:
            continue
        try:
            value: Any = from_json(found[0], allow_partial=True)
            notes = Notes.model_validate(cast("object", value))
        except (ValueError, ValidationError):
            continue
        if not notes.empty:
            return notes
    return None


class Noted(NamedTuple):
    """Notes, if there are any, and the tokens of asking for them.

    `failed`: why there are none. `asked`: the model was asked.
    """

    notes: Notes | None
    usage: Usage
    failed: str = ""
    asked: bool = True


NOT_NOTED = Noted(None, Usage(), asked=False)


NO_ANSWER = Noted(None, Usage(), "The model gave none in time.")


@dataclass(slots=True)
class Preparation:
    """Notes in the making. `rewrites`: of the window that they are about.

    `again`: those of the window before failed. `failed`: so did these, and nobody waits for them.
    """

    task: "asyncio.Task[Noted]"
    rewrites: int
    again: bool = False
    failed: bool = False

    @property
    def notes(self) -> Notes | None:
        """The notes, once they are made."""
        task = self.task
        made = task.done() and not task.cancelled() and task.exception() is None
        return task.result().notes if made else None

    def give_up(self) -> None:
        """End the asking, if it goes on."""
        self.failed = True
        self.task.cancel()
