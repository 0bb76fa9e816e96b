"""Untrusted text to safe HTML: plain, coloured, code, Markdown, HTML. Knows no turn and no event.

You may set the result as `innerHTML`: it has no script and no handler, loads nothing from
elsewhere, and closes every tag that it opens. Colours are variables of JupyterLab's theme, with
fallbacks that are legible on light and on dark. A viewer may drop them and still shows the text.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...agent.printable import printable
from .formulas import FORMULA

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_PALETTE = (
    *("#3e424d", "#e75c58", "#00a250", "#ddb62b", "#208ffb", "#d160c4", "#60c6c8", "#c5c1b4"),
    *("#282c36", "#b22b31", "#007427", "#b27d12", "#0065ca", "#a03196", "#258f8f", "#a1a6b2"),
)
_SET = {
    1: ("font-weight", "bold"),
    2: ("opacity", ".7"),
    3: ("font-style", "italic"),
    4: ("text-decoration", "underline"),
    **{30 + n: ("color", _PALETTE[n]) for n in range(8)},
    **{40 + n: ("background-color", _PALETTE[n]) for n in range(8)},
    **{90 + n: ("color", _PALETTE[8 + n]) for n in range(8)},
    **{100 + n: ("background-color", _PALETTE[8 + n]) for n in range(8)},
}
_UNSET = {
    22: ("font-weight", "opacity"),
    23: ("font-style",),
    24: ("text-decoration",),
    39: ("color",),
    49: ("background-color",),
}

_TOKENS = {
    "Token.Keyword": ("keyword", "#1a7f37"),
    "Token.Operator.Word": ("keyword", "#1a7f37"),
    "Token.Name.Builtin": ("builtin", "#1a7f37"),
    "Token.Name.Function": ("def", "#2f74d0"),
    "Token.Name.Class": ("def", "#2f74d0"),
    "Token.Name.Decorator": ("meta", "#9a5fc9"),
    "Token.Literal.String": ("string", "#c0504d"),
    "Token.Literal.Number": ("number", "#1a7f37"),
    "Token.Operator": ("operator", "#9a5fc9"),
    "Token.Comment": ("comment", "#5f8787"),
}

MONO = "font:.92em/1.3 var(--jp-code-font-family,monospace)"
"""A viewer that strips variables has a font of its own for code."""

_CODE = f"{MONO};margin:.3em 0 .5em;padding:.5em .8em;background:#80808017;overflow:auto"
_MAY_BE_HIGH = 1_000
"""Characters. A longer text gets a height of its own, and a bar to scroll it."""
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*")
_DOLLAR = "<span>$</span>"
"""A dollar that begins no formula: no page looks for the end of one beyond a tag."""
_CODE_WORDS = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
_DECLARATION = re.compile(
    r"(?:color|background-color|text-align|vertical-align|white-space|text-decoration|opacity"
    r"|font-(?:weight|style|family|size)|overflow|max-height|background"
    r"|(?:padding|border|width|min-width|max-width)(?:-[a-z]+)*)"
    r"\s*:\s*[\w#%.,\s()'!+-]+"
)


def escape(text: str) -> str:
    """`text` as HTML text, or as the value of an attribute in quotes."""
    return html.escape(printable(text))


def words_html(text: str) -> str:
    """`text` as HTML text, in which a page sets formulas alone. Not for an attribute."""
    pieces = [escape(piece) for piece in FORMULA.split(printable(text))]
    pieces[::2] = [piece.replace("$", _DOLLAR) for piece in pieces[::2]]
    return "".join(pieces)


def said_html(text: str) -> str:
    """A sentence of ours as HTML. Text in backticks is code."""
    pieces = _CODE_WORDS.split(text)
    pieces[::2] = map(words_html, pieces[::2])
    pieces[1::2] = (f"<code>{escape(piece)}</code>" for piece in pieces[1::2])
    return "".join(pieces)


def ansi_lines(text: str) -> list[str]:
    """The lines of `text` as HTML, its colours as spans. No span crosses a line end."""
    lines: list[str] = []
    style: Mapping[str, str] = {}
    for line in text.split("\n"):
        pieces: list[str] = []
        start = 0
        for mark in _SGR.finditer(line):
            pieces.append(_span(style, line[start : mark.start()]))
            style = _restyled(style, mark[1])
            start = mark.end()
        lines.append("".join([*pieces, _span(style, line[start:])]))
    return lines


def code_html(code: str, growing: bool = False) -> str:
    """Python code as a coloured block. `growing`: a live view keeps scrolling to its end."""
    stick = " data-stick" if growing else ""
    return f'<pre style="{_CODE}{_height(code)};white-space:pre"{stick}>{_coloured(code)}</pre>'


def text_html(text: str) -> str:
    """Plain text as a block that looks like a code block."""
    return f'<pre style="{_CODE}{_height(text)};white-space:pre-wrap">{escape(text)}</pre>'


def whole_html(text: str) -> str:
    """Plain text of which nothing may be out of sight: its lines wrap, and the block has no limit
    of height."""
    wrap = "white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<pre style="{_CODE};max-height:none;{wrap}">{escape(text)}</pre>'


def _height(text: str) -> str:
    return ";max-height:28em" if len(text) > _MAY_BE_HIGH else ""


def _coloured(code: str) -> str:
    from pygments.lexers.python import PythonLexer  # pyright: ignore[reportMissingTypeStubs]

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return "".join(
        _span(_token_style(str(token)), text) for token, text in lexer.get_tokens(printable(code))
    )


def markdown_html(text: str) -> str:
    """CommonMark with tables, as HTML. HTML in it is shown as text, a remote image as its words."""
    return clean_html(_markdown().render(printable(text)))


def clean_html(markup: str) -> str:
    """HTML without scripts, handlers, forms, frames, styles that could cover the page, images from
    elsewhere, and links other than to a web or mail address. Tags are balanced."""
    import nh3

    return nh3.clean(
        printable(markup),
        attributes=_attributes(),
        attribute_filter=_kept,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes={"http", "https", "mailto", "data"},
    )


def link_html(words: str, url: str) -> str:
    """The words. Where `url` is a web address, they are a link, and its host is shown."""
    host = web_host(url)
    if not host:
        return words_html(words)
    link = clean_html(f'<a href="{escape(url)}" style="color:inherit">{words_html(words)}</a>')
    return link if host in words else f"{link} · {escape(host)}"


def web_host(url: str) -> str:
    """The host of a web address. Empty when `url` is none."""
    try:
        parts = urlsplit(printable(url))
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


def _kept(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if _IMAGE.fullmatch(value) else None
    if name == "href":
        return value if _LINK.match(value) else None
    if name == "style":
        declarations = (part.strip() for part in value.split(";"))
        return ";".join(d for d in declarations if _DECLARATION.fullmatch(d)) or None
    return value


@cache
def _attributes() -> dict[str, set[str]]:
    import nh3

    allowed = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
    allowed["*"] = {"style", "title", "dir", "lang"}
    allowed["blockquote"] = allowed["q"] = set()
    allowed["details"] = {"open"}
    return allowed


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    options = {"html": False, "highlight": _fence}
    markdown = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.add_render_rule("formula", _formula_html)
    markdown.add_render_rule("text", _text_html)
    return markdown


def _formula(state: "StateInline", silent: bool) -> bool:
    """A rule of the Markdown parser: a formula is one token, with its signs."""
    found = FORMULA.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("formula", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _formula_html(_self: object, tokens: "Sequence[Token]", at: int, *_: object) -> str:
    return html.escape(tokens[at].content)


def _text_html(_self: object, tokens: "Sequence[Token]", at: int, *_: object) -> str:
    return html.escape(tokens[at].content).replace("$", _DOLLAR)


def _fence(code: str, language: str, _attrs: str) -> str:
    is_python = language in ("python", "py", "python3", "ipython")
    return code_html(code.rstrip()) if is_python else text_html(code.rstrip())


def _span(style: Mapping[str, str], text: str) -> str:
    if not style or not text.strip():
        return escape(text)
    css = ";".join(f"{name}:{value}" for name, value in style.items())
    return f'<span style="{css}">{escape(text)}</span>'


def _restyled(style: Mapping[str, str], codes: str) -> Mapping[str, str]:
    """The style after one SGR sequence (ECMA-48 8.3.117, with 256 and direct colours)."""
    new = dict(style)
    numbers = (int(code or 0) for code in re.split("[;:]", codes))
    for number in numbers:
        if number == 0:
            new.clear()
        elif number in _SET:
            name, value = _SET[number]
            new[name] = value
        elif number in (38, 48):
            new["color" if number == 38 else "background-color"] = _extended(numbers)
        for name in _UNSET.get(number, ()):
            new.pop(name, None)
    return new


def _extended(numbers: Iterator[int]) -> str:
    """The colour given by the numbers after a 38 or 48."""
    if next(numbers, 5) == 2:
        return "#" + "".join(f"{next(numbers, 0) & 255:02x}" for _ in range(3))
    index = next(numbers, 0) & 255
    if index < 16:
        return _PALETTE[index]
    if index >= 232:
        return "#" + f"{8 + 10 * (index - 232):02x}" * 3
    cube = (0, 95, 135, 175, 215, 255)
    red, green, blue = (cube[(index - 16) // step % 6] for step in (36, 6, 1))
    return f"#{red:02x}{green:02x}{blue:02x}"


@cache
def _token_style(token: str) -> Mapping[str, str]:
    """The style of a pygments token, or of the nearest kind it belongs to."""
    while token and token not in _TOKENS:
        token = token.rpartition(".")[0]
    if not token:
        return {}
    variable, fallback = _TOKENS[token]
    colour = {"color": f"var(--jp-mirror-editor-{variable}-color,{fallback})"}
    return colour | ({"font-weight": "bold"} if variable == "keyword" else {})
