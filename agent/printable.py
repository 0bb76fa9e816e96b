"""Text without the characters that act on a terminal. Knows no view and no failure."""

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, links, anything
    r"|[ -/]*[0-~])?"  # short sequences, or a lone ESC
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DECEIVING = re.compile(r"[\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` without escape sequences and control characters, except tabs and line ends. Direction
    overrides and lone surrogates become �."""
    return _DECEIVING.sub("\ufffd", _UNSEEN.sub("", _ESCAPES.sub("", text)))
