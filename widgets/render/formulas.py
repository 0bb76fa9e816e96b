"""Which part of a text is mathematics, and which dollar is only a dollar. Knows no markup."""

import re

FORMULA = re.compile(
    r"(\$\$(?![$),.;:])(?:\\.|[^\\$`])+\$\$(?!\$)"
    r"|(?<![\w$\\])\$(?![\s$])(?!\d[^$]*\s[A-Za-z]{2})(?:\\.|[^\\$`])+(?<![\s(])\$(?![\d$_A-Z])"
    r"|(?<!\\)\\\((?:(?!\\[()]).)+\\\)"
    r"|(?<!\\)\\\[(?:(?!\\[\[\]]).)+\\\])",
    re.DOTALL,
)
"""All that is plainly mathematics: `$$…$$`, `$…$`, `\\(…\\)`, `\\[…\\]`, in one group.

A `$…$` has no space inside its ends, and no digit after. It is neither a price in a sentence, as
in `$5 a month`, nor names such as `$HOME/$USER`.
"""

_CODE = r"(?<!`)(`+)(?!`).*?(?<!`)\2(?!`)"
_PRICE = re.compile(rf"{FORMULA.pattern}|{_CODE}|(\\*)\$", re.DOTALL)


def escaped_dollars(markdown: str) -> str:
    """Markdown with a backslash before each dollar that is outside formulas and code."""
    return _PRICE.sub(_escaped, markdown)


def _escaped(found: re.Match[str]) -> str:
    slashes = found[3]
    return found[0] if slashes is None or len(slashes) % 2 else f"{slashes}\\$"
