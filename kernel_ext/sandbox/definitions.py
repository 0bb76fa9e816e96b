"""Finds the Python that defines a live name, so that it can be read. Runs nothing of it."""

import ast
import linecache
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, cast

from ..shell import Shell
from ..values.introspect import mro

NOT_READABLE = "?"
"""In place of a definition that nobody can read."""
_MISSING = object()


def definitions(shell: Shell) -> Callable[[str], str | None]:
    """A function from a name to its definition. None for a plain value or a missing name.

    A module, and a function or class of a library, are an import. An object of a class of the
    person's is defined by that class.
    """

    def source_of(name: str) -> str | None:
        value = shell.user_ns.get(name, _MISSING)
        if value is _MISSING or name in ("get_ipython", "exit", "quit", "open", "In", "Out"):
            return None
        if type(value) is ModuleType:
            return f"import {value.__name__} as {name}"
        if type(value) is FunctionType:
            return _of_function(name, value)
        if isinstance(value, type):
            return _of_class(name, value)
        if isinstance(value, BuiltinFunctionType):
            return _imported(name, value.__module__, value.__name__, value)
        if type(value).__module__ == "numpy" and type(value).__name__ == "ufunc":
            return _imported(name, "numpy", cast("Any", value).__name__, value)
        kind = type(value)
        return _of_class(kind.__name__, kind) if kind.__module__ == "__main__" else None

    return source_of


def _of_function(name: str, value: FunctionType) -> str:
    if value.__module__ != "__main__":
        return _imported(name, value.__module__, value.__name__, value)
    return _of_cell(value.__code__, value.__code__.co_name)


def _of_class(name: str, value: type) -> str:
    if value.__module__ != "__main__":
        return _imported(name, value.__module__, value.__name__, value)
    for member in vars(value).values():
        member = getattr(member, "__func__", member)
        if isinstance(member, FunctionType) and member.__code__.co_filename != "<string>":
            return _of_cell(member.__code__, value.__name__)
    own = [base for base in mro(value) if base.__module__ == "__main__" and base is not value]
    return "\n".join(_of_class(base.__name__, base) for base in own) or f"class {name}: pass"


def _imported(name: str, module: str | None, there: str, value: object) -> str:
    """The import that would give this value. Code can lie about where it comes from."""
    found = vars(sys.modules[module]).get(there) if module in sys.modules else None
    return f"from {module} import {there} as {name}" if found is value else NOT_READABLE


def _of_cell(code: CodeType, name: str) -> str:
    """The definition of this name at the top of the cell, if the code is of it."""
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except (SyntaxError, ValueError, RecursionError):
        return NOT_READABLE
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(it.lineno for it in node.decorator_list)])
            if node.name == name and first <= code.co_firstlineno <= (node.end_lineno or first):
                return ast.unparse(node)
    return NOT_READABLE
