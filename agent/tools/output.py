"""The tool that reads the left-out lines of another output. Knows no record."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel, Field

from ..conversation.output_store import OutputStore
from ..conversation.runs import RunSummary
from ..errors import RecordError
from ..text.lines import FOLD_CHARS, Lines
from ..text.search import MAX_MATCHES, SearchError, find_matches
from ..text.tokens import estimate
from .schema import FieldsOf
from .tool import Tool, ToolCall, ToolOutput, always, text_output

DESCRIPTION = (
    "Read the full form of an output you were shown in part: where it says "
    "`lines 12–480 of out-3 left out`, out-3 is the handle. Give lines, or a pattern, or both."
)
CONTEXT_LINES = 2
"""Lines shown before and after a match."""

_SAY = 60
"""Tokens reserved for the text beside the lines."""


class ReadOutput(BaseModel):
    """The part to read."""

    handle: str = Field(description="such as out-3")
    start: int | None = Field(None, ge=1, description="first line, from 1")
    end: int | None = Field(None, ge=1, description="last line, included")
    grep: str | None = Field(
        None, min_length=1, max_length=1000, description="Python regular expression, within a line"
    )


def output_tool(
    outputs: OutputStore, output_tokens: int, hides: Callable[[RunSummary], bool]
) -> Tool[ReadOutput]:
    """The tool `output` over an output store. `output_tokens`: most tokens of one answer.

    `hides`: true for a run that the person hides from the model.
    """

    async def run(_call: ToolCall, arguments: ReadOutput) -> ToolOutput:
        head = outputs.runs.get(arguments.handle)
        if head and hides(head):
            return text_output(f"{head.handle} is hidden from you by the person.", "error")
        try:
            return text_output(
                await _answer(outputs, arguments, max(output_tokens - _SAY, FOLD_CHARS))
            )
        except (SearchError, RecordError) as error:
            return text_output(str(error), "error")

    return Tool("output", DESCRIPTION, FieldsOf(ReadOutput), run, always("look"))


async def _answer(outputs: OutputStore, asked: ReadOutput, limit: int) -> str:
    if asked.handle not in outputs.handles:
        last = outputs.handles[-1:]
        there = f"The last is {last[0]}." if last else "Nothing was kept yet."
        raise SearchError(f"There is no output {asked.handle!r}. {there}")
    lines = outputs.lines(asked.handle)
    first, last = asked.start or 1, min(asked.end or len(lines), len(lines))
    if first > last:
        raise SearchError(f"{asked.handle} has {len(lines)} lines; {first} to {last} is none.")
    if asked.grep is None:
        return _slice(lines, asked.handle, first, last, limit)
    start = lines.start(first)
    found = await find_matches(lines.cut(first, last), asked.grep)
    numbers = sorted({lines.number(start + at) for at in found})
    count = f"the first {len(numbers)}" if len(found) == MAX_MATCHES else str(len(numbers))
    head = f"[{count} matching lines in {asked.handle}]"
    return "\n".join([head, *_matches(lines, numbers, limit)])


def _slice(lines: Lines, handle: str, first: int, last: int, limit: int) -> str:
    """As many lines as fit, as they are, and how to get the rest."""
    end = first
    limit -= estimate(lines.cut(first, first))
    while end < last and (limit := limit - estimate(lines.cut(end + 1, end + 1))) >= 0:
        end += 1
    head = f"[lines {first}–{end} of {len(lines)} in {handle}]"
    said = [head, lines.cut(first, end).removesuffix("\n")]
    if end < last:
        said.append(f"[lines {end + 1}–{last} did not fit: go on with start={end + 1}]")
    return "\n".join(said)


def _matches(lines: Lines, numbers: Sequence[int], limit: int) -> list[str]:
    """As many matching lines as fit, with their numbers and the lines around them."""
    said: list[str] = []
    matching = set(numbers)
    upto = 0
    for number in numbers:
        group = list(_group(lines, number, upto, matching))
        upto = min(number + CONTEXT_LINES, len(lines))
        if not said and sum(map(estimate, group)) > limit:
            group, upto = [_numbered(lines, number, ":")], number
        limit -= sum(map(estimate, group))
        if limit < 0 and said:
            rest = len(numbers) - bisect_left(numbers, number)
            return [*said, f"[{rest} more matching lines: go on with start={number}]"]
        said += group
    return said


def _group(lines: Lines, number: int, upto: int, matching: set[int]) -> Iterator[str]:
    """The lines around a match, without those shown with the match before it."""
    first, last = max(number - CONTEXT_LINES, 1, upto + 1), min(number + CONTEXT_LINES, len(lines))
    if upto and first > upto + 1:
        yield "--"
    for at in range(first, last + 1):
        yield _numbered(lines, at, ":" if at in matching else "-")


def _numbered(lines: Lines, number: int, mark: str) -> str:
    return f"{number}{mark}{lines.cut(number, number).removesuffix(chr(10))}"
