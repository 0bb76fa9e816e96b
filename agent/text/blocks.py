r"""Blocks of our own in what a model reads, and texts of others that cannot pass for one.

`</cells>` in a text of others becomes `<\/cells>`. Knows no content of a block.
"""

import re
from typing import Literal

Tag = Literal["cells", "names", "environment", "project_instructions", "digest", "budget", "window"]
_TAG = re.compile(
    r"<(?=\s*/?\s*(?:cells|names|environment|project_instructions|digest|budget|window)\b)",
    re.IGNORECASE,
)


def block(tag: Tag, text: str) -> str:
    """A block with a text of others."""
    return f"<{tag}>\n{untagged(text)}\n</{tag}>"


def untagged(text: str) -> str:
    """The text without tags of blocks. The same text once more gives the same."""
    return _TAG.sub(r"<\\", text) if "<" in text else text
