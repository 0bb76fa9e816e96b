"""Blocks of a turn as HTML, Markdown and plain text, and the bundle a notebook keeps of it.

The HTML stands alone: inline style, `<details>`, images as data, no script and no style sheet, so
it reads in a saved notebook without a kernel, and where a viewer drops every style. Knows no
widget, and not how the events came.
"""

import re
from collections.abc import Callable
from typing import assert_never

from .markup import code_html, escape, markdown_html, printable, text_html
from .outputs import can_show, fenced, output_html, output_markdown, output_text
from .state import Block, Note, Reasoning, Said, Step, TurnState
from .words import (
    GLYPHS,
    arguments_text,
    footer_parts,
    footer_text,
    header_text,
    left_out_text,
    note_parts,
    note_text,
    reasoning_title,
    status_text,
    title_text,
)

__all__ = [
    "block_html",
    "bundle",
    "can_show",
    "footer_html",
    "header_html",
    "metadata",
    "turn_html",
]

_MUTED = "opacity:.7;font-size:.92em"
_RED, _AMBER, _BLUE, _GREEN = "#d1434b", "#b7791f", "#2f7fd1", "#2e8b57"
_GREY = "rgba(128,128,128,.4)"
_COLOURS = {
    "writing": _BLUE,
    "ready": _GREY,
    "asking": _AMBER,
    "running": _BLUE,
    "ok": _GREY,
    "error": _RED,
    "denied": _AMBER,
    "interrupted": _AMBER,
}
LONG_CODE = 14
"""Lines of code that stay unfolded when the step went well."""

LONG_TEXT = 6
"""Lines of a tool's text that stay unfolded."""


def block_html(block: Block, timing: bool, since: int | None = None) -> str:
    """A block as HTML. `since`: when it began to run or wait, in ms of the epoch, for a view whose
    script lets a clock run; None where nothing runs."""
    match block:
        case Reasoning():
            return _details(
                f'<span style="{_MUTED}">{escape(reasoning_title(block))}</span>',
                f'<div style="{_MUTED};padding-left:1em">'
                + "".join(map(markdown_html, block.parts))
                + "</div>",
                unfolded=False,
            )
        case Said():
            return f'<div style="margin:.5em 0">{markdown_html(block.text)}</div>'
        case Step():
            return _step_html(block, timing, since)
        case Note():
            return _note_html(block, timing, since)
        case _:
            assert_never(block)


def header_html(state: TurnState) -> str:
    """Who answers."""
    return f'<div style="{_MUTED};margin-bottom:.4em">{escape(header_text(state))}</div>'


def footer_html(state: TurnState, timing: bool, since: int | None = None) -> str:
    """How the turn stands; `since`: when it began, as in `block_html`."""
    parts = [escape(part) for part in footer_parts(state, timing)]
    if since is not None and state.ended is None:
        parts.insert(1, _clock(since))
    return f'<div style="{_MUTED};margin-top:.6em">{" · ".join(parts)}</div>'


def turn_html(state: TurnState, blocks: list[str], timing: bool) -> str:
    """The whole turn from its rendered blocks."""
    return "".join(["<div>", header_html(state), *blocks, footer_html(state, timing), "</div>"])


def bundle(state: TurnState, timing: bool) -> dict[str, str]:
    """The whole turn as a MIME bundle: `text/html`, `text/markdown`, `text/plain`.

    With `timing` False no wall-clock figure is in it: two like runs give the same bytes.
    """
    blocks = [block_html(block, timing) for block in state.blocks]
    return {
        "text/html": turn_html(state, blocks, timing),
        "text/markdown": _joined(state, timing, _block_markdown, _marked),
        "text/plain": _joined(state, timing, _block_text, printable),
    }


def metadata(state: TurnState, timing: bool) -> dict[str, object]:
    """The figures of the turn, for the output's metadata under `inkernel`."""
    facts: dict[str, object] = {"samples": state.samples, "usage": state.usage.model_dump()}
    if state.started:
        facts |= state.started.model_dump(exclude={"event"})
    if state.ended:
        facts |= state.ended.model_dump(include={"status", "samples", "usage", "cost"})
        facts |= {"seconds": round(state.ended.seconds, 3)} if timing else {}
    return {"inkernel": facts}


def _step_html(step: Step, timing: bool, since: int | None) -> str:
    colour = _COLOURS[step.status]
    code, told = step.code, _told(step)
    title = f"<b>{escape(title_text(step))}</b>"
    if code is None:
        title += f" <code>{escape(arguments_text(step))}</code>" if arguments_text(step) else ""
    aside = escape(status_text(step, timing))
    if since is not None and step.status == "running":
        aside += f" {_clock(since)}"
    aside = f' <span style="{_MUTED}">{aside}</span>' if aside else ""
    tint = _GREEN if step.status == "ok" else colour
    sign = f'<span style="color:{tint}">{GLYPHS[step.status]}</span>'
    body = code_html(code.rstrip(), step.status == "writing") if code else ""
    body += text_html(told) if told else ""
    line = f"{sign} {title}{aside}"
    return (
        f'<div style="border-left:3px solid {colour};padding-left:.8em;margin:.7em 0">'
        + (_details(line, body, _unfolded(step, code, told)) if body else f"<div>{line}</div>")
        + _outputs_html(step)
        + "</div>"
    )


def _outputs_html(step: Step) -> str:
    cut = left_out_text(step.left_out, "outputs")
    parts = [f'<div style="{_MUTED}">{cut}</div>'] if step.left_out else []
    growing = step.status == "running"
    return "".join([*parts, *(output_html(output, growing) for output in step.outputs)])


def _unfolded(step: Step, code: str | None, told: str) -> bool:
    """Whether a reader should see what was run or told without asking for it."""
    if step.status != "ok":
        return True
    return told.count("\n") < LONG_TEXT if code is None else code.count("\n") < LONG_CODE


def _told(step: Step) -> str:
    """What the model was told, where the user has not seen it as outputs already."""
    return printable(step.told).strip("\n") if step.code is None or not step.ran else ""


def _note_html(note: Note, timing: bool, since: int | None) -> str:
    text = escape(note_text(note, timing))
    if note.wait is None:
        return f'<div style="{_MUTED};margin:.5em 0">{text}</div>'
    if since is not None:
        until = since + round(note.wait * 1000)
        first, rest = map(escape, note_parts(note))
        text = f'{first} <span data-until="{until}"></span>{rest}'
    return f'<div style="color:{_AMBER};margin:.5em 0">{text}</div>'


def _details(summary: str, body: str, unfolded: bool) -> str:
    opened = "<details open>" if unfolded else "<details>"
    return f'{opened}<summary style="cursor:pointer">{summary}</summary>{body}</details>'


def _clock(since: int) -> str:
    return f'<span data-since="{since}"></span>'


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
        case Reasoning():
            text = "\n\n".join([f"*{_marked(reasoning_title(block))}*", *map(_inert, block.parts)])
            return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        case Said():
            return _inert(block.text)
        case Step():
            return _step_markdown(block, timing)
        case Note():
            return _marked(note_text(block, timing))
        case _:
            assert_never(block)


def _step_markdown(step: Step, timing: bool) -> str:
    aside = status_text(step, timing)
    words = ("" if step.code else arguments_text(step), aside)
    line = [f"**{GLYPHS[step.status]} {_marked(title_text(step))}**", *map(_marked, words)]
    parts = [" · ".join(word for word in line if word)]
    if step.code is not None:
        parts.append(fenced(printable(step.code).rstrip(), "python"))
    if _told(step):
        parts.append(fenced(_told(step)))
    return "\n\n".join([*parts, *map(output_markdown, step.outputs)])


def _block_text(block: Block, timing: bool) -> str:
    match block:
        case Reasoning():
            return printable("\n".join([reasoning_title(block), *block.parts]))
        case Said():
            return printable(block.text)
        case Step():
            return _step_text(block, timing)
        case Note():
            return printable(note_text(block, timing))
        case _:
            assert_never(block)


def _step_text(step: Step, timing: bool) -> str:
    words = (title_text(step), "" if step.code else arguments_text(step), status_text(step, timing))
    line = f"{GLYPHS[step.status]} " + " · ".join(word for word in words if word)
    body = [step.code.rstrip()] if step.code else []
    body += [_told(step)] if _told(step) else []
    indented = [f"    {text}".replace("\n", "\n    ") for text in map(printable, body)]
    return "\n".join([printable(line), *indented, *map(output_text, step.outputs)])


def _marked(text: str) -> str:
    """`text` as Markdown that means only its letters."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(printable(text).split()))


def _inert(text: str) -> str:
    """The model's Markdown without images and tags, which a viewer might load; fences are kept."""
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
