"""Keeps what libraries log on our behalf out of the person's cells. Knows no request and no view.

The person's code may turn logging on, for all libraries. Ours log each request, and each block of
Markdown. The person's own use of the same libraries is logged as before.
"""

import inspect
import logging

_BLOCKS = ("code", "fence", "blockquote", "hr", "list", "reference", "html_block", "heading")
LOGGERS = (
    "httpx",
    *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")),
    "markdown_it.parser_block",
    "markdown_it.rules_core.replacements",
    *(f"markdown_it.rules_block.{name}" for name in (*_BLOCKS, "lheading", "paragraph")),
    *("keyring", "keyring.core", "keyring.backend"),
    *("asyncio", "urllib3.connectionpool"),
)
"""The loggers of the libraries that we use. A filter of a logger does not hold for those below."""

_PACKAGE = __name__.partition(".")[0]
_PERSONS = "__main__"


def hide_own_lines() -> None:
    """Drop the lines of these loggers that come from our code."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_persons)


def show_own_lines() -> None:
    """Drop them no more."""
    for name in LOGGERS:
        logging.getLogger(name).removeFilter(_is_persons)


def _is_persons(_record: logging.LogRecord) -> bool:
    """Whether the line comes from no code of ours, or from code that a step runs."""
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in (_PACKAGE, _PERSONS):
            return package == _PERSONS
    return True
