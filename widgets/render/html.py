"""Blocks of a turn as HTML, and the bundle a notebook keeps of it.

The HTML needs nothing else: it has inline styles, `<details>` and images as data, but no script
and no style sheet. You can read it in a saved notebook without a kernel, and in a viewer that drops
every style. Knows no widget, and not how the events came.
"""

from dataclasses import asdict
from typing import assert_never

from ..state import blocks
from ..state.fold import TurnState
from ..state.outputs import Shown
from . import labels
from .outputs import can_show, output_html
from .plain_text import turn_markdown, turn_text
from .sanitize import (
    code_html,
    link_html,
    markdown_html,
    said_html,
    text_html,
    whole_html,
    words_html,
)

__all__ = [
    "block_html",
    "bundle",
    "can_show",
    "footer_html",
    "header_html",
    "metadata",
    "seen_html",
    "step_output_html",
    "turn_html",
]

_MUTED = "opacity:.7;font-size:.92em"
_RED, _AMBER, _BLUE, _GREEN = "#d1434b", "#b7791f", "#2f7fd1", "#2e8b57"
_GREY = "#80808066"
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
MAX_OPEN_CODE_LINES = 14
"""Lines of code that stay unfolded when the step went well."""

MAX_OPEN_TEXT_LINES = 6
"""Lines of a tool's text that stay unfolded."""


def block_html(block: blocks.Block, timing: bool, since: int | None = None) -> str:
    """A block as HTML. `since`: when it began to run or wait, in ms since the epoch, for a view
    whose script runs a clock. None: no clock."""
    match block:
        case blocks.ReasoningBlock():
            return _details(
                f'<span style="{_MUTED}">{words_html(labels.reasoning_title(block))}</span>',
                f'<div style="{_MUTED};padding-left:1em">'
                + "".join(map(markdown_html, block.parts))
                + "</div>",
                unfolded=False,
            )
        case blocks.AnswerBlock():
            return _said_html(block)
        case blocks.StepBlock():
            return _step_html(block, timing, since)
        case blocks.HostedBlock():
            return _hosted_html(block)
        case blocks.Note():
            return _note_html(block, timing, since)
        case blocks.CompactionBlock():
            return _room_html(block, timing, since)
        case _:
            assert_never(block)


def header_html(state: TurnState, began: float | None = None) -> str:
    """The line that names the model, and says when the turn began if that is given."""
    text = words_html(labels.began_text(state, began))
    return f'<div style="{_MUTED};margin-bottom:.4em">{text}</div>'


def footer_html(state: TurnState, timing: bool, since: int | None = None) -> str:
    """The turn's status line. `since`: when the turn began, as in `block_html`."""
    parts = [words_html(part) for part in labels.footer_parts(state, timing)]
    if since is not None and state.ended is None:
        parts.insert(1, _clock(since))
    return _status_line(" · ".join(parts))


def seen_html(state: TurnState, timing: bool, now: float) -> str:
    """The status line of a turn that is shown in pieces, as of `now`."""
    return _status_line(words_html(labels.seen_text(state, timing, now)))


def step_output_html(output: Shown) -> str:
    """An output of a step, shown by itself below the step."""
    return _framed("ok", output_html(output, False), "0")


def turn_html(state: TurnState, rendered: list[str], timing: bool) -> str:
    """The whole turn from its rendered blocks."""
    return "".join(["<div>", header_html(state), *rendered, footer_html(state, timing), "</div>"])


def bundle(state: TurnState, timing: bool) -> dict[str, str]:
    """The whole turn as a MIME bundle: `text/html`, `text/markdown`, `text/plain`.

    The HTML is for people, and holds every output. The Markdown is for diffs and for models that
    read the notebook, and holds a long output by its ends. The text is for terminals, with a line
    for each output. Both name a figure.
    With `timing` False it has no wall-clock figure, so two equal runs give the same bytes.
    """
    rendered = [block_html(block, timing) for block in state.blocks]
    return {
        "text/html": turn_html(state, rendered, timing),
        "text/markdown": turn_markdown(state, timing),
        "text/plain": turn_text(state, timing),
    }


def metadata(state: TurnState, timing: bool) -> dict[str, object]:
    """The figures of the turn, for the output's metadata under `inkernel`."""
    facts: dict[str, object] = {"samples": state.samples, "usage": asdict(state.usage)}
    if state.started:
        facts |= asdict(state.started)
    if state.ended:
        ended = asdict(state.ended)
        facts |= {name: ended[name] for name in ("status", "samples", "usage", "cost")}
        facts |= {"seconds": round(state.ended.seconds, 3)} if timing else {}
    facts.pop("event", None)
    return {"inkernel": facts}


def _step_html(step: blocks.StepBlock, timing: bool, since: int | None) -> str:
    code, told = step.code, labels.told_text(step)
    title = f"<b>{words_html(labels.title_text(step))}</b>"
    if code is None and (arguments := labels.arguments_text(step)):
        title += f" <code>{words_html(arguments)}</code>"
    aside = words_html(labels.status_text(step, timing))
    if since is not None and step.status == "running":
        aside += f" {_clock(since)}"
    aside = f' <span style="{_MUTED}">{aside}</span>' if aside else ""
    if literal := labels.literal_text(step):
        body = whole_html(literal)
    else:
        body = code_html(code.rstrip(), step.status == "writing") if code else ""
        body += text_html(objects) if (objects := labels.objects_text(step)) else ""
    body += whole_html(evidence) if (evidence := labels.evidence_text(step)) else ""
    body += text_html(told) if told else ""
    line = f"{_sign(step.status)} {title}{aside}"
    unfolded = _unfolded(step, code, told)
    return _framed(step.status, _folding(line, body, unfolded) + _outputs_html(step))


def _outputs_html(step: blocks.StepBlock) -> str:
    cut = labels.left_out_text(step.left_out, "output")
    parts = [f'<div style="{_MUTED}">{cut}</div>'] if step.left_out else []
    growing = step.status == "running"
    return "".join([*parts, *(output_html(output, growing) for output in step.outputs)])


def _unfolded(step: blocks.StepBlock, code: str | None, told: str) -> bool:
    """Whether the code or the tool's text is shown without a click."""
    if step.status != "ok":
        return True
    return (
        told.count("\n") < MAX_OPEN_TEXT_LINES
        if code is None
        else code.count("\n") < MAX_OPEN_CODE_LINES
    )


def _hosted_html(block: blocks.HostedBlock) -> str:
    detail = f" <code>{words_html(labels.clip(block.detail, 120))}</code>" if block.detail else ""
    aside = labels.hosted_text(block)
    line = f"{_sign(block.status)} <b>{words_html(labels.clip(block.title, 120))}</b>{detail}" + (
        f' <span style="{_MUTED}">{words_html(aside)}</span>' if aside else ""
    )
    running = block.status == "running"
    body = code_html(block.code.rstrip(), running) if block.code else ""
    body += text_html(block.told.strip("\n")) if block.told else ""
    body += _sources_html(block.sources)
    lines = max(block.code.count("\n"), block.told.count("\n"), len(block.sources))
    unfolded = block.status != "ok" or lines < MAX_OPEN_TEXT_LINES
    outputs = "".join(output_html(output, running) for output in block.outputs)
    return _framed(block.status, _folding(line, body, unfolded) + outputs)


def _said_html(block: blocks.AnswerBlock) -> str:
    mark = f'<div style="color:{_AMBER}">{labels.REFUSED}</div>' if block.refused else ""
    text = markdown_html(block.text)
    return f'<div style="margin:.5em 0">{mark}{text}{_sources_html(block.sources)}</div>'


def _sources_html(sources: tuple[blocks.AnswerSource, ...]) -> str:
    items = "".join(f"<li>{link_html(source.title, source.url)}</li>" for source in sources)
    return f'<ol style="{_MUTED};margin:.3em 0">{items}</ol>' if items else ""


def _status_line(inside: str) -> str:
    return f'<div style="{_MUTED};margin-top:.6em">{inside}</div>'


def _framed(status: str, inside: str, margin: str = ".7em 0") -> str:
    edge = f"border-left:3px solid {_COLOURS[status]}"
    return f'<div style="{edge};padding-left:.8em;margin:{margin}">{inside}</div>'


def _sign(status: str) -> str:
    tint = _GREEN if status == "ok" else _COLOURS[status]
    return f'<span style="color:{tint}">{labels.GLYPHS[status]}</span>'


def _folding(line: str, body: str, unfolded: bool) -> str:
    return _details(line, body, unfolded) if body else f"<div>{line}</div>"


def _note_html(note: blocks.Note, timing: bool, since: int | None) -> str:
    text = said_html(labels.note_text(note, timing))
    if note.wait is None:
        return f'<div style="{_MUTED};margin:.5em 0">{text}</div>'
    if since is not None:
        until = since + round(note.wait * 1000)
        first, rest = map(said_html, labels.note_parts(note))
        text = f'{first} <span data-until="{until}"></span>{rest}'
    return f'<div style="color:{_AMBER};margin:.5em 0">{text}</div>'


def _room_html(room: blocks.CompactionBlock, timing: bool, since: int | None) -> str:
    text = words_html(labels.room_text(room, timing))
    if room.status != "running":
        return f'<div style="{_MUTED};margin:.5em 0">{text}</div>'
    clock = f" · {_clock(since)}" if since is not None else ""
    return f'<div style="color:{_AMBER};margin:.5em 0">{text}{clock}</div>'


def _details(summary: str, body: str, unfolded: bool) -> str:
    opened = "<details open>" if unfolded else "<details>"
    return f"{opened}<summary>{summary}</summary>{body}</details>"


def _clock(since: int) -> str:
    return f'<span data-since="{since}"></span>'
