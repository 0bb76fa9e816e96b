"""Where we are, and what of it the model has not been told yet. A value and a pure difference.

Knows neither the shell that takes the snapshot nor the conversation it goes into.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .items import Item, message, text_part
from .project import Doc


@dataclass(frozen=True, slots=True)
class Place:
    """A snapshot. `packages`: names and versions of those already imported. `date`: YYYY-MM-DD."""

    cwd: str
    date: str
    timezone: str
    python: str
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    notebook: str | None = None
    docs: tuple[Doc, ...] = ()


def difference(told: Place | None, now: Place) -> list[Item]:
    """Items that tell what changed since `told` (None: nothing was told yet), in fixed order."""
    items: list[Item] = []
    if now.docs != (told.docs if told else ()):
        items.append(message("user", text_part(_docs_text(now.docs))))
    if told is None or _facts(told) != _facts(now):
        items.append(message("user", text_part(_environment_text(told, now))))
    return items


def _facts(place: Place) -> dict[str, str]:
    return {
        "cwd": place.cwd,
        "date": place.date,
        "timezone": place.timezone,
        "python": place.python,
        "notebook": place.notebook or "",
        "imported": ", ".join(f"{n} {v}" for n, v in sorted(place.packages.items())),
    }


def _environment_text(told: Place | None, now: Place) -> str:
    """The facts that are new, one a line."""
    known = _facts(told) if told else {}
    lines = [f"{key}: {value}" for key, value in _facts(now).items() if value != known.get(key, "")]
    return "\n".join(["<environment>", *lines, "</environment>"])


def _docs_text(docs: tuple[Doc, ...]) -> str:
    if not docs:
        return "<project_instructions>\nThere are none any more.\n</project_instructions>"
    parts = [
        f"# {doc.path}\n\n{doc.text.strip()}" + ("\n\n[cut off here]" if doc.cut else "")
        for doc in docs
    ]
    return "\n".join(
        ["<project_instructions>", "\n\n".join(parts), "</project_instructions>"],
    )
