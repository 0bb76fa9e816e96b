"""Outputs of code as HTML, Markdown and plain text. Knows no step and no turn."""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, assert_never, cast

from ...agent.printable import printable
from ...agent.protocol.cells import DisplayOutput, ErrorOutput
from ...agent.text.lines import count_of, fenced
from ..state.outputs import Shown, StreamText
from .labels import clip, figure_text, left_out_text
from .sanitize import MONO, ansi_lines, clean_html, escape, markdown_html

IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
_KINDS = ("text/html", "text/markdown", "text/latex", *IMAGES, "text/plain")
_ACTIVE = re.compile(
    r"<\s*(?:script|iframe|object|embed|video|audio|canvas|form|input|button|select|svg|link)\b",
    re.IGNORECASE,
)
_ID = re.compile(r"""\bid\s*=\s*["']?([\w-]+)""")
_TO_ID = re.compile(r"#([\w-]+)")
_SCROLL = "margin:.3em 0;overflow:auto;max-height:28em"
_PRE = f"{MONO};{_SCROLL};white-space:pre-wrap"
MAX_OPEN_TRACEBACK_LINES = 8
"""A traceback with more lines is folded, except for its message."""


MAX_SHORT_CHARS, HEAD_CHARS, TAIL_CHARS = 400, 80, 40
"""Characters of a text that Markdown holds whole, and of the two ends of a longer one."""
MAX_LINE_CHARS = 60
"""Characters of the line that plain text holds of an output."""


def can_show(data: Mapping[str, Any]) -> bool:
    """Whether a view can show this MIME bundle as the front end would.

    False for widgets, for plots that are JSON or JavaScript, and for kinds unknown here. False also
    for HTML with active elements, or with links or styles that use its own ids.
    """
    if any(_is_foreign(mime) for mime in data):
        return False
    markup = _text(data.get("text/html", ""))
    if _ACTIVE.search(markup) or not set(_ID.findall(markup)).isdisjoint(_TO_ID.findall(markup)):
        return False
    return any(mime in data for mime in _KINDS)


def output_html(output: Shown, stick: bool) -> str:
    """The output as HTML. `stick`: it may grow, so a live view keeps scrolling to its end."""
    match output:
        case StreamText():
            ground = ";background:rgba(219,68,55,.12);padding:.2em .5em"
            style = _PRE + (ground if output.name == "stderr" else "")
            cut = _muted(left_out_text(output.left_out, "character")) if output.left_out else ""
            follow = " data-stick" if stick else ""
            lines = "\n".join(ansi_lines(output.text.rstrip("\n")))
            return f'{cut}<pre style="{style}"{follow}>{lines}</pre>'
        case DisplayOutput():
            return _display_html(output)
        case ErrorOutput():
            return _error_html(output)
        case _:
            assert_never(output)


def shown_text(output: Shown) -> str:
    """The output as plain text. A figure is given by its size, an error by its last line."""
    match output:
        case StreamText():
            cut = left_out_text(output.left_out, "character") + "\n" if output.left_out else ""
            return cut + printable(output.text).rstrip("\n")
        case DisplayOutput(data=data):
            kind = _kind(data)
            if kind in IMAGES:
                return f"[{_figure(data, kind)}]"
            return printable(_text(data.get("text/plain") or data.get(kind, ""))) or _foreign(data)
        case ErrorOutput():
            return printable(f"{output.ename}: {output.evalue}".removesuffix(": "))
        case _:
            assert_never(output)


def output_markdown(output: Shown) -> str:
    """The output as Markdown: short text in a fence, and for a figure a line with its size."""
    if isinstance(output, DisplayOutput) and (kind := _kind(output.data)) in IMAGES:
        return f"*[{_figure(output.data, kind)}]*"
    return fenced(shortened(shown_text(output)))


def output_line(output: Shown) -> str:
    """The output on one line of plain text: the first of its lines, and how many follow."""
    first, *more = shown_text(output).strip("\n").split("\n")
    line = clip(first, MAX_LINE_CHARS)
    return f"{line} … {count_of(len(more), 'more line')}" if more else line


def shortened(text: str) -> str:
    """The text, or both ends of a long one with the line that says how much is between.

    The ends are whole lines, or else whole words.
    """
    if len(text) <= MAX_SHORT_CHARS:
        return text
    head, tail = text[:HEAD_CHARS], text[-TAIL_CHARS:]
    head = next((head[: head.rfind(mark) + 1] for mark in "\n " if mark in head), head)
    tail = next((tail[tail.find(mark) + 1 :] for mark in "\n " if mark in tail), tail)
    cut = left_out_text(len(text) - len(head + tail), "character")
    return "\n".join([head.rstrip("\n "), cut, tail])


def split_traceback(output: ErrorOutput) -> tuple[list[str], list[str]]:
    """The lines to fold and the lines to show. Of a long traceback only the message is shown."""
    lines = "\n".join(output.traceback or (f"{output.ename}: {output.evalue}",)).split("\n")
    if len(lines) <= MAX_OPEN_TRACEBACK_LINES:
        return [], lines
    starts = [at for at, line in enumerate(lines) if printable(line).startswith(output.ename)]
    start = starts[-1] if starts else len(lines) - MAX_OPEN_TRACEBACK_LINES
    return lines[:start], lines[start:]


def _display_html(output: DisplayOutput) -> str:
    data = output.data
    kind = _kind(data)
    if kind in IMAGES:
        return _image_html(output, kind)
    text = _text(data.get(kind, ""))
    match kind:
        case "text/html":
            return f'<div style="{_SCROLL}">{clean_html(text)}</div>'
        case "text/markdown":
            return f"<div>{markdown_html(text)}</div>"
        case "text/latex":
            return f"<div>{escape(text)}</div>"
        case "text/plain":
            return f'<pre style="{_PRE}">' + "\n".join(ansi_lines(text)) + "</pre>"
        case _:
            return _muted(escape(_foreign(data)))


def _image_html(output: DisplayOutput, kind: str) -> str:
    payload = _payload(output.data[kind], kind)
    size: dict[str, Any] = output.metadata.get(kind) or output.metadata
    given = "".join(
        f' {name}="{size[name]}"' for name in ("width", "height") if isinstance(size.get(name), int)
    )
    return (
        f'<img src="data:{kind};base64,{payload}" alt="{_figure(output.data, kind)}"{given}'
        ' style="display:block;max-width:100%;margin:.3em 0">'
    )


def _error_html(output: ErrorOutput) -> str:
    first, last = split_traceback(output)
    lines = ansi_lines("\n".join(first + last))
    ground = f"{_PRE};background:rgba(219,68,55,.12);padding:.4em .7em"
    above = (
        f'<details><summary style="opacity:.7">{count_of(len(first), "line")}'
        f' of traceback</summary><pre style="{ground}">'
        + "\n".join(lines[: len(first)])
        + "</pre></details>"
    )
    message = f'<pre style="{ground}">' + "\n".join(lines[len(first) :]) + "</pre>"
    return above + message if first else message


def _kind(data: Mapping[str, Any]) -> str:
    """The richest kind in `data` that can be shown; empty when none can."""
    if not can_show(data):
        return ""
    return next(kind for kind in _KINDS if kind in data)


def _is_foreign(mime: str) -> bool:
    return mime.startswith(("application/", "video/", "audio/"))


def _foreign(data: Mapping[str, Any]) -> str:
    kinds = [mime for mime in data if _is_foreign(mime)] or ["interactive HTML"]
    return f"[{', '.join(kinds)}: shown by the notebook itself]"


def _figure(data: Mapping[str, Any], kind: str) -> str:
    return figure_text(kind, _payload(data[kind], kind))


def _payload(value: Any, kind: str) -> str:
    """The image in base64. In a bundle, SVG is text and the others are base64 or raw bytes."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    text = _text(value)
    if kind == "image/svg+xml":
        return b64encode(text.encode("utf-8", "replace")).decode()
    return re.sub("[^A-Za-z0-9+/=]", "", text)


def _text(value: Any) -> str:
    """A MIME value as text. A notebook file may hold it as a list of lines."""
    if isinstance(value, list):
        return "".join(map(str, cast("list[object]", value)))
    return value if isinstance(value, str) else str(value)


def _muted(text: str) -> str:
    return f'<div style="opacity:.7">{text}</div>'
