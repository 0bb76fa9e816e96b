"""A turn as Markdown that loads nothing, and as plain text. Knows no HTML."""

import re
from collections.abc import Callable
from itertools import groupby
from typing import assert_never
from urllib.parse import quote

from ...agent.printable import printable
from ...agent.text.lines import fenced
from ..state import blocks
from ..state.fold import TurnState
from . import labels
from .formulas import escaped_dollars
from .outputs import output_line, output_markdown, shortened
from .sanitize import web_host

_IN_URLS = "%/:=&?~#+!$,;'@*()[]"
_LIVE = re.compile(r"(\\*)(!(?=\[)|<(?=[A-Za-z/!?]))")
"""The start of an image or a tag, with the backslashes before it."""


def turn_markdown(state: TurnState, timing: bool) -> str:
    """The whole turn as Markdown. Of a long output it has both ends."""
    return _joined(state, timing, _block_markdown, _marked)


def turn_text(state: TurnState, timing: bool) -> str:
    """The whole turn as plain text, with a line for each output."""
    return _joined(state, timing, block_text, printable)


def _joined(
    state: TurnState,
    timing: bool,
    block_form: Callable[[blocks.Block, bool], str],
    line_form: Callable[[str], str],
) -> str:
    parts = [line_form(labels.header_text(state))]
    parts += [block_form(block, timing) for block in state.blocks]
    return "\n\n".join([*parts, line_form(labels.footer_text(state, timing))])


def _block_markdown(block: blocks.Block, timing: bool) -> str:
    match block:
        case blocks.ReasoningBlock():
            title = _marked(labels.reasoning_title(block))
            text = "\n\n".join([f"*{title}*", *map(_inert, block.parts)])
            return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        case blocks.AnswerBlock():
            refused = labels.REFUSED * block.refused
            parts = [refused, _inert(block.text), _sources_markdown(block.sources)]
            return "\n\n".join(filter(None, parts))
        case blocks.StepBlock():
            return _step_markdown(block, timing)
        case blocks.HostedBlock():
            return _hosted_markdown(block)
        case blocks.Note():
            return _marked(labels.note_text(block, timing))
        case blocks.CompactionBlock():
            return _marked(labels.room_text(block, timing))
        case _:
            assert_never(block)


def _step_markdown(step: blocks.StepBlock, timing: bool) -> str:
    aside = labels.status_text(step, timing)
    words = ("" if step.code else labels.arguments_text(step), aside)
    title = f"**{labels.GLYPHS[step.status]} {_marked(labels.title_text(step))}**"
    line = [title, *map(_marked, words)]
    parts = [" · ".join(word for word in line if word)]
    if literal := labels.literal_text(step):
        parts.append(fenced(literal))
    elif step.code is not None:
        parts.append(fenced(printable(step.code).rstrip(), "python"))
    if objects := "" if literal else printable(labels.objects_text(step)):
        parts.append(fenced(objects))
    if evidence := labels.evidence_text(step):
        parts.append(fenced(evidence))
    if told := printable(labels.told_text(step)):
        parts.append(fenced(shortened(told)))
    return "\n\n".join([*parts, *map(output_markdown, step.outputs)])


def block_text(block: blocks.Block, timing: bool) -> str:
    """A part of a turn as plain text."""
    match block:
        case blocks.ReasoningBlock():
            return printable("\n".join([labels.reasoning_title(block), *block.parts]))
        case blocks.AnswerBlock():
            lines = [labels.REFUSED] * block.refused
            return "\n".join([*lines, printable(block.text), *sources_lines(block.sources)])
        case blocks.StepBlock():
            return _step_text(block, timing)
        case blocks.HostedBlock():
            return _hosted_text(block)
        case blocks.Note():
            return printable(labels.note_text(block, timing))
        case blocks.CompactionBlock():
            return printable(labels.room_text(block, timing))
        case _:
            assert_never(block)


def _step_text(step: blocks.StepBlock, timing: bool) -> str:
    words = (
        labels.title_text(step),
        "" if step.code else labels.arguments_text(step),
        labels.status_text(step, timing),
    )
    line = f"{labels.GLYPHS[step.status]} " + " · ".join(word for word in words if word)
    literal, told = labels.literal_text(step), shortened(labels.told_text(step))
    shown = [literal] if literal else [(step.code or "").rstrip(), labels.objects_text(step)]
    body = [text for text in (*shown, labels.evidence_text(step), told) if text]
    return "\n".join([printable(line), *_indented(body), *map(output_line, step.outputs)])


def _hosted_markdown(block: blocks.HostedBlock) -> str:
    line = [f"**{labels.GLYPHS[block.status]} {_marked(labels.clip(block.title, 120))}**"]
    line += map(_marked, (labels.clip(block.detail, 120), labels.hosted_text(block)))
    parts = [" · ".join(word for word in line if word)]
    parts += [fenced(printable(block.code).rstrip(), "python")] if block.code else []
    parts += [fenced(shortened(printable(block.told).strip("\n")))] if block.told else []
    parts += map(output_markdown, block.outputs)
    return "\n\n".join(filter(None, [*parts, _sources_markdown(block.sources)]))


def _hosted_text(block: blocks.HostedBlock) -> str:
    words = (
        labels.clip(block.title, 120),
        labels.clip(block.detail, 120),
        labels.hosted_text(block),
    )
    line = f"{labels.GLYPHS[block.status]} " + " · ".join(word for word in words if word)
    body = [text.strip("\n") for text in (block.code, shortened(block.told)) if text]
    outputs = map(output_line, block.outputs)
    return "\n".join([printable(line), *_indented(body), *outputs, *sources_lines(block.sources)])


def sources_lines(sources: tuple[blocks.AnswerSource, ...]) -> list[str]:
    """The sources as numbered lines."""
    texts = map(printable, map(labels.source_text, sources))
    return [f"[{at}] {text}" for at, text in enumerate(texts, 1)]


def _sources_markdown(sources: tuple[blocks.AnswerSource, ...]) -> str:
    return "\n".join(f"{at}. {_link(source)}" for at, source in enumerate(sources, 1))


def _link(source: blocks.AnswerSource) -> str:
    words = _marked(source.title)
    if not web_host(source.url):
        return words
    return f"[{words}](<{quote(printable(source.url), safe=_IN_URLS)}>)"


def _indented(texts: list[str]) -> list[str]:
    return [f"    {text}".replace("\n", "\n    ") for text in map(printable, texts)]


def _marked(text: str) -> str:
    """`text` with every Markdown character escaped, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", " ".join(printable(text).split()))


def _inert(text: str) -> str:
    """The model's Markdown with images, tags and prices escaped, except within fences.

    A viewer might load what they point to. A fence without an end gets one: else the next fence of
    the document would end it, and its text would be live.
    """
    lines = printable(text).split("\n")
    kept, end = _fenced_lines(lines)
    parts = groupby(enumerate(lines), lambda numbered: numbered[0] in kept)
    texts = ((fenced, "\n".join(line for _, line in part)) for fenced, part in parts)
    inert = (it if fenced else escaped_dollars(_LIVE.sub(_escaped, it)) for fenced, it in texts)
    return "\n".join([*inert, *end])


def _escaped(live: re.Match[str]) -> str:
    """With one backslash more, unless an odd number of them escapes it already."""
    return live[0] if len(live[1]) % 2 else f"{live[1]}\\{live[2]}"


def _fenced_lines(lines: list[str]) -> tuple[set[int], list[str]]:
    """The numbers of the lines in fences, and the line that ends the last one if none does."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse("\n".join([*lines, "", "after"]))
    spans = (token.map for token in tokens if token.type == "fence" and token.map)
    fenced_lines = {line for start, end in spans for line in range(start, end)}
    return fenced_lines, [tokens[-1].markup] if tokens[-1].type == "fence" else []
