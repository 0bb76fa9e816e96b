"""Finds the names of the namespace that a cell's code reads. Runs nothing."""

import ast
import builtins
import dis
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType

from ..user_names import is_public

_LOADS = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
_STORES = {"STORE_NAME", "STORE_GLOBAL"}
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_MAGICS = {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun"}
"""Magics whose text after the options is Python."""
_OPTIONS = re.compile(r"(?:\s*-\w+(?:\s*[\d.]+)?)*\s*")
_NOT_THEIRS = {*dir(builtins), "get_ipython", "display", "In", "Out", "exit", "quit"}


@dataclass(slots=True)
class _Names:
    """Names that code loads before it binds them, that its functions load, and that it binds."""

    read: set[str] = field(default_factory=set[str])
    later: set[str] = field(default_factory=set[str])
    bound: set[str] = field(default_factory=set[str])


def reads(code: str, transform: Callable[[str], str]) -> tuple[str, ...]:
    """Names that `code`, a transformed cell, loads before it binds them, sorted.

    A function's body counts as if it ran at the cell's end. Python in magics counts, too, after
    `transform`. Names read by files, shells and `eval` are unknown. () if it does not compile.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = _names(code)
        found = names.read | (names.later - names.bound)
        for text in _in_magics(code):
            try:
                inner = transform(text)
            except Exception:  # the user may have added transformers
                continue
            found.update(set(reads(inner, transform)) - names.bound)
    return tuple(sorted(filter(is_public, found - _NOT_THEIRS)))


def _names(source: str) -> _Names:
    try:
        code = compile(source, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Names()
    return _loaded(code)


def _loaded(code: CodeType) -> _Names:
    """The names in compiled code, in which the compiler has already resolved locals."""
    names = _Names()
    for step in dis.get_instructions(code):
        if step.opname in _LOADS and step.argval not in names.bound:
            names.read.add(step.argval)
        elif step.opname in _STORES:
            names.bound.add(step.argval)
        elif isinstance(step.argval, CodeType):
            inner = _loaded(step.argval)
            names.later |= inner.later
            if _runs_at_once(step.argval):
                names.read |= inner.read - names.bound
            else:
                names.later |= inner.read
    return names


def _runs_at_once(code: CodeType) -> bool:
    is_class = not code.co_flags & inspect.CO_OPTIMIZED
    return is_class or code.co_name in _COMPREHENSIONS


def _in_magics(code: str) -> Iterator[str]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="run_line_magic" | "run_cell_magic"),
                args=[ast.Constant(value=magic), *texts],
            ) if magic in _MAGICS:
                for text in texts[magic == "capture" :]:  # the line of %%capture names its result
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield _OPTIONS.sub("", text.value, count=1)
            case _:
                pass
