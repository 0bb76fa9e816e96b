"""IPython's own syntax, `!command`, `%line` and `%%cell`, and its effects. Runs nothing."""

import re

CODE_MAGICS = frozenset(("time", "timeit", "capture", "prun", "memit"))
"""Magics that run the Python after their options."""
PLAIN_MAGICS = frozenset(
    (
        *("matplotlib", "config", "precision", "pylab", "who", "whos", "who_ls", "pwd", "pdoc"),
        *("pinfo", "pinfo2", "psource", "pprint", "xmode", "colors", "markdown", "latex", "html"),
        *("svg", "lsmagic", "quickref"),
    )
)
SHELL_MAGICS = frozenset(
    (
        *("bash", "sh", "script", "system", "sx", "perl", "ruby", "pypy", "python2", "python3"),
        *("python", "cmd", "node", "ls", "ll", "lf", "lk", "ldir", "lx", "cp", "mv", "rm", "mkdir"),
        *("rmdir", "cat", "less", "more", "man", "pip", "uv", "conda", "mamba", "micromamba"),
    )
)
"""Magics that start a program, also by the names of commands."""
OUR_MAGICS = frozenset(("agent",))
FILE_MAGICS = frozenset(("writefile", "file"))
_CELL = re.compile(r"\s*%%(\w+)[ \t]*([^\n]*)\n?(.*)\Z", re.DOTALL)
_LINE = re.compile(r"^([ \t]*)(?:([\w ,]+?)=[ \t]*)?(!!?|%)[ \t]*(.*)$", re.MULTILINE)
_OPTIONS = re.compile(r"(?:\s*-\w+(?:\s*[\d.]+)?)*\s*")


def after_options(magic: str, line: str) -> str:
    """The Python in the line of a magic that runs code."""
    return "" if magic == "capture" else line[_OPTIONS.match(line).end() :]  # pyright: ignore[reportOptionalMemberAccess]


def as_python(cell: str) -> str:
    """A cell as IPython would rewrite it: roughly, for reading. Plain Python is as it was."""
    found = _CELL.match(cell)
    if found:
        name, line, body = found.groups()
        return f"get_ipython().run_cell_magic({name!r}, {line!r}, {body!r})"
    return _LINE.sub(_line_as_call, cell)


def _line_as_call(found: "re.Match[str]") -> str:
    blank, target, kind, rest = found.groups()
    if kind == "%":
        name, _, line = rest.partition(" ")
        if not name.isidentifier() or (target is None and not name):
            return found.group()
        call = f"get_ipython().run_line_magic({name!r}, {line.strip()!r})"
    else:
        function = "getoutput" if target is not None or kind == "!!" else "system"
        call = f"get_ipython().{function}({rest!r})"
    return f"{blank}{target}= {call}" if target is not None else f"{blank}{call}"
