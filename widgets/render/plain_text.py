"""A turn as Markdown that loads nothing, and as plain text. Knows no HTML."""

import re
from collections.abc import Callable
from typing import assert_never
from urllib.parse import quote

from ...agent.text.lines import fenced
from ..state.blocks import (
    AnswerBlock,
    AnswerSource,
    Block,
    CompactionBlock,
    HostedBlock,
    Note,
    ReasoningBlock,
    StepBlock,
)
from ..state.fold import TurnState
from .labels import (
    GLYPHS,
    REFUSED,
    arguments_text,
    clip,
    footer_text,
    header_text,
    hosted_text,
    note_text,
    objects_text,
    reasoning_title,
    room_text,
    source_text,
    status_text,
    title_text,
    told_text,
)
from .outputs import output_markdown, shown_text
from .sanitize import printable, web_host

_IN_URLS = "%/:=&?~#+!$,;'@*()[]"


def turn_markdown(state: TurnState, timing: bool) -> str:
    """The whole turn as Markdown."""
    return _joined(state, timing, _block_markdown, _marked)


def turn_text(state: TurnState, timing: bool) -> str:
    """The whole turn as plain text."""
    return _joined(state, timing, _block_text, printable)


def _joined(
    state: TurnState,
    timing: bool,
    block_form: Callable[[Block, bool], str],
    line_form: Callable[[str], str],
) -> str:
    parts = [line_form(header_text(state))]
    parts += [block_form(block, timing) for block in state.blocks]
    return "\n\n".join([*parts, line_form(footer_text(state, timing))])


def _block_markdown(block: Block, timing: bool) -> str:
    match block:
        case ReasoningBlock():
            text = "\n\n".join([f"*{_marked(reasoning_title(block))}*", *map(_inert, block.parts)])
            return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        case AnswerBlock():
            parts = [REFUSED * block.refused, _inert(block.text), _sources_markdown(block.sources)]
            return "\n\n".join(filter(None, parts))
        case StepBlock():
            return _step_markdown(block, timing)
        case HostedBlock():
            return _hosted_markdown(block)
        case Note():
            return _marked(note_text(block, timing))
        case CompactionBlock():
            return _marked(room_text(block, timing))
        case _:
            assert_never(block)


def _step_markdown(step: StepBlock, timing: bool) -> str:
    aside = status_text(step, timing)
    words = ("" if step.code else arguments_text(step), aside)
    line = [f"**{GLYPHS[step.status]} {_marked(title_text(step))}**", *map(_marked, words)]
    parts = [" · ".join(word for word in line if word)]
    if step.code is not None:
        parts.append(fenced(printable(step.code).rstrip(), "python"))
    if objects := printable(objects_text(step)):
        parts.append(fenced(objects))
    if told := printable(told_text(step)):
        parts.append(fenced(told))
    return "\n\n".join([*parts, *map(output_markdown, step.outputs)])


def _block_text(block: Block, timing: bool) -> str:
    match block:
        case ReasoningBlock():
            return printable("\n".join([reasoning_title(block), *block.parts]))
        case AnswerBlock():
            lines = [REFUSED] * block.refused
            return "\n".join([*lines, printable(block.text), *sources_lines(block.sources)])
        case StepBlock():
            return _step_text(block, timing)
        case HostedBlock():
            return _hosted_text(block)
        case Note():
            return printable(note_text(block, timing))
        case CompactionBlock():
            return printable(room_text(block, timing))
        case _:
            assert_never(block)


def _step_text(step: StepBlock, timing: bool) -> str:
    words = (title_text(step), "" if step.code else arguments_text(step), status_text(step, timing))
    line = f"{GLYPHS[step.status]} " + " · ".join(word for word in words if word)
    body = [step.code.rstrip()] if step.code else []
    body += [text for text in (objects_text(step), told_text(step)) if text]
    return "\n".join([printable(line), *_indented(body), *map(shown_text, step.outputs)])


def _hosted_markdown(block: HostedBlock) -> str:
    line = [f"**{GLYPHS[block.status]} {_marked(clip(block.title, 120))}**"]
    line += map(_marked, (clip(block.detail, 120), hosted_text(block)))
    parts = [" · ".join(word for word in line if word)]
    parts += [fenced(printable(block.code).rstrip(), "python")] if block.code else []
    parts += [fenced(printable(block.told).strip("\n"))] if block.told else []
    parts += map(output_markdown, block.outputs)
    return "\n\n".join(filter(None, [*parts, _sources_markdown(block.sources)]))


def _hosted_text(block: HostedBlock) -> str:
    words = (clip(block.title, 120), clip(block.detail, 120), hosted_text(block))
    line = f"{GLYPHS[block.status]} " + " · ".join(word for word in words if word)
    body = [text.strip("\n") for text in (block.code, block.told) if text]
    outputs = map(shown_text, block.outputs)
    return "\n".join([printable(line), *_indented(body), *outputs, *sources_lines(block.sources)])


def sources_lines(sources: tuple[AnswerSource, ...]) -> list[str]:
    """The sources as numbered lines."""
    return [f"[{at}] {printable(source_text(source))}" for at, source in enumerate(sources, 1)]


def _sources_markdown(sources: tuple[AnswerSource, ...]) -> str:
    return "\n".join(f"{at}. {_link(source)}" for at, source in enumerate(sources, 1))


def _link(source: AnswerSource) -> str:
    words = _marked(source.title)
    if not web_host(source.url):
        return words
    return f"[{words}](<{quote(printable(source.url), safe=_IN_URLS)}>)"


def _indented(texts: list[str]) -> list[str]:
    return [f"    {text}".replace("\n", "\n    ") for text in map(printable, texts)]


def _marked(text: str) -> str:
    """`text` with every Markdown character escaped, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(printable(text).split()))


def _inert(text: str) -> str:
    """The model's Markdown with images and tags escaped, except within fences.

    A viewer might load what they point to.
    """
    lines = printable(text).split("\n")
    kept = _fenced_lines(text)
    return "\n".join(
        line if at in kept else re.sub(r"!(?=\[)|<(?=[A-Za-z/!?])", r"\\\g<0>", line)
        for at, line in enumerate(lines)
    )


def _fenced_lines(text: str) -> set[int]:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse(printable(text))
    spans = (token.map for token in tokens if token.type == "fence" and token.map)
    return {line for start, end in spans for line in range(start, end)}
