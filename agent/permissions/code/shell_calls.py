"""Calls of the shell, as IPython writes them for `!command`, `%line` and `%%cell`."""

import ast

from .arguments import ReaderParts, one_text
from .magics import (
    CODE_MAGICS,
    FILE_MAGICS,
    OUR_MAGICS,
    PLAIN_MAGICS,
    SHELL_MAGICS,
    after_options,
)

SHELL = "get_ipython()"
_SYSTEM = frozenset(("system", "getoutput", "system_raw", "system_piped"))


def call_of_shell(reader: ReaderParts, name: str, node: ast.Call) -> None:
    """A call of a method of the shell."""
    texts = [one_text(reader, it) for it in node.args]
    call = f"{SHELL}.{name}" if name else SHELL
    if name in _SYSTEM:
        reader.findings.concern("command", (texts[0] if texts else None) or "…", call)
    elif name == "run_line_magic" and len(texts) > 1 and texts[0]:
        _magic(reader, texts[0], texts[1] or "", None)
    elif name == "run_cell_magic" and len(texts) > 2 and texts[0]:
        _magic(reader, texts[0], texts[1] or "", texts[2])
    elif name:
        reader.findings.concern("kernel", call, call)


def _magic(reader: ReaderParts, name: str, line: str, cell: str | None) -> None:
    """A magic. `cell`: the text below its line."""
    found, call = reader.findings, f"%{name}" if cell is None else f"%%{name}"
    if name in CODE_MAGICS:
        for text in (after_options(name, line), cell or ""):
            reader.read_inner(text)
    elif name in OUR_MAGICS or (name == "load_ext" and "inkernel" in line):
        found.concern("kernel", f"{call} {line}".strip(), call)
    elif name in SHELL_MAGICS:
        found.concern("command", f"{name} {line}".strip() + (f"\n{cell}" if cell else ""), call)
    elif name in FILE_MAGICS:
        words = [it for it in line.split() if it not in ("-a", "--append")]
        found.file("write", " ".join(words).strip("'\""), call)
    elif name in ("env", "set_env"):
        found.variable(line.strip() or None, call)
        found.not_plain(call)
    elif name not in PLAIN_MAGICS:
        found.not_plain(f"a magic that is not known: {call}")
