"""Cards that subcommands show: a title with rows or with a text. Each has a text and an HTML form.

Knows no subcommand.
"""

from collections.abc import Sequence

from ...agent.frozen import frozen
from ...agent.printable import printable
from ..render.sanitize import escape, said_html, words_html

PRE_STYLE = "white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"
"""JupyterLab's own style of a `pre` breaks lines within words."""

Rows = Sequence[tuple[str, str]]


@frozen
class Card:
    """A title line, and rows of a name and a value."""

    title: str
    rows: Rows = ()

    def bundle(self) -> dict[str, str]:
        """The card as text and as HTML."""
        wide = max((len(name) for name, _ in self.rows), default=0)
        start = f"\n{'':{wide + 4}}"
        lines = [f"  {name:<{wide}}  {value.replace(chr(10), start)}" for name, value in self.rows]
        cells = "".join(
            f"<tr><td style='text-align:left'><b>{words_html(name)}</b></td>"
            f"<td style='text-align:left;white-space:pre-wrap'>{said_html(value)}</td></tr>"
            for name, value in self.rows
        )
        table = f"<table>{cells}</table>" if cells else ""
        return {
            "text/plain": printable("\n".join([self.title, *lines])),
            "text/html": f"<div>{said_html(self.title)}</div>{table}",
        }


@frozen
class TextCard:
    """A title line, and a text shown verbatim."""

    title: str
    text: str

    def bundle(self) -> dict[str, str]:
        """The card as text and as HTML."""
        return {
            "text/plain": printable(f"{self.title}\n\n{self.text}"),
            "text/html": f"<div>{said_html(self.title)}</div>"
            f"<pre style='{PRE_STYLE}'>{escape(self.text)}</pre>",
        }
