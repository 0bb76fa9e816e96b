"""The tool `inspect`: shows live variables without running their code.

Knows no shell: the host gives it the names. `describe` decides how a value is shown.
"""

from collections.abc import Callable, Mapping
from types import ModuleType

from pydantic import BaseModel, Field

from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from ..values.adapter import Refused
from ..values.describe import MAX_DEPTH, brief, describe
from ..values.introspect import clip, find_item, is_a, own_items
from ..values.paths import follow, unknown
from ..values.redact import redacted
from ..values.watchdog import watching

MAX_LISTED_NAMES, MAX_LISTING_CHARS = 200, 8_000
"""Names and characters of a listing, at most."""
MAX_DESCRIBED_CHARS = 16_000
"""Characters after which no further name is described."""
DESCRIPTION = (
    "Show types, shapes, columns and first values of the person's live variables without running "
    "code. Without arguments: the list of names. For anything computed use run_cell."
)


class Inspect(BaseModel):
    """The variables to show."""

    names: list[str] = Field(default=[], max_length=50, description="variables to describe")
    expression: str | None = Field(
        default=None,
        description="a plain path, such as df['price'], model.coef_, text[:500]; no calls",
    )
    depth: int = Field(
        default=1, ge=0, le=MAX_DEPTH, description=f"nested levels shown, at most {MAX_DEPTH}"
    )


def inspect_tool(namespace: Callable[[], Mapping[str, object]]) -> Tool[Inspect]:
    """The tool `inspect` over the user's names. It calls `namespace` at each call."""

    async def run(_call: ToolCall, arguments: Inspect) -> ToolOutput:
        names = namespace()
        with watching():
            if arguments.names or arguments.expression:
                return _look(arguments, names)
            return text_output(_listing(names))

    return Tool("inspect", DESCRIPTION, FieldsOf(Inspect), run, always("look"))


def _look(arguments: Inspect, names: Mapping[str, object]) -> ToolOutput:
    found = [name for name in dict.fromkeys(arguments.names) if name in names]
    texts = [unknown(name, names) for name in dict.fromkeys(arguments.names) if name not in names]
    told_of, room = 0, MAX_DESCRIBED_CHARS
    for name in found:
        if room < 0:
            texts.append(f"No room to describe {len(found) - told_of} more: ask for fewer names.")
            break
        texts.append(f"{clip(name)}: {describe(redacted(name, names[name]), arguments.depth)}")
        told_of, room = told_of + 1, room - len(texts[-1])
    if arguments.expression:
        path = clip(arguments.expression, 120)
        try:
            last = arguments.expression.rstrip("]'\" ")
            held = redacted(last, follow(arguments.expression, names))
            texts.append(f"{path}: {describe(held, arguments.depth)}")
            told_of += 1
        except Refused as refusal:
            texts.append(f"`{path}` {refusal}")
    return text_output("\n\n".join(texts), "ok" if told_of else "error")


def _listing(names: Mapping[str, object]) -> str:
    modules = [(name, held) for name, held in names.items() if is_a(held, ModuleType)]
    others = [(name, held) for name, held in names.items() if not is_a(held, ModuleType)]
    if not names:
        return "The person has no names in the live namespace."
    lines = [
        f"{len(names):,} names"
        + (", the first of them:" if len(others) > MAX_LISTED_NAMES else ":")
    ]
    if modules:
        told_of = (
            f"{clip(name)} ({clip(find_item(own_items(m), '__name__'))})" for name, m in modules
        )
        lines.append(clip(f"modules: {', '.join(told_of)}", MAX_LISTING_CHARS // 4))
    room = MAX_LISTING_CHARS - sum(map(len, lines))
    for shown, (name, held) in enumerate(others):
        line = f"{clip(name)}: {brief(redacted(name, held))}"
        room -= len(line) + 1
        if room < 0 or shown == MAX_LISTED_NAMES:
            return "\n".join([*lines, f"… {len(others) - shown:,} more names are left out"])
        lines.append(line)
    return "\n".join(lines)
