"""Finds the Python source and the documentation of a live object. Runs none of its code.

It reads source from files, and from the cells that Python remembers (`linecache`, in which IPython
keeps every cell that ran). It searches the text alone: it imports nothing and calls no loader.
"""

import linecache
import re
import tokenize
from collections.abc import Iterator
from functools import cached_property, partial
from inspect import cleandoc, getblock
from itertools import islice
from os import stat
from stat import S_ISREG
from sys import modules
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, NamedTuple, cast

from .adapter import ShowValue, is_own
from .code import c_parameters, parameters
from .introspect import (
    MAX_SCANNED,
    c_member,
    class_item,
    class_items,
    clip,
    dict_items,
    exactly,
    find_item,
    is_a,
    label,
    mro,
    peek,
    type_name,
    type_words,
)

MAX_FILE_BYTES = 5_000_000
"""Bytes of a file that is read for source, at most."""
MAX_SEARCHED_CELLS = 200
"""Cells that are searched for a class, the latest first."""
MAX_WRAPPERS = 20
"""Wrappers around a function that are removed, at most."""
MAX_DOC_CHARS = 50_000
"""Characters of a docstring that are read."""

_IN_C = (
    *(BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, MethodWrapperType),
    *(ClassMethodDescriptorType, GetSetDescriptorType, MemberDescriptorType),
)
_HEAP_TYPE = 1 << 9


class FoundSource(NamedTuple):
    """The kind (`what`) and `place` in words, the lines, and the number of the `first`, from 1.

    `note`: a further remark.
    """

    what: str
    place: str
    lines: list[str]
    first: int = 1
    note: str = ""


class NoSource(Exception):
    """There is no source. The text gives the reason, as the rest of a sentence."""


def find_source(value: object) -> FoundSource:
    """The source of a function, class or module, or of an instance's class. Raises NoSource."""
    held, note = _unwrapped(value)
    code = _code(held)
    if code is not None:
        found = _function_source(code, held)
    elif is_a(held, ModuleType):
        found = _module_source(held)
    elif exactly(held, *_IN_C):
        raise NoSource(f"is a {type_words(held)}, written in C: it has no Python source.")
    elif is_a(held, type):
        found = _class_source(held)
    else:
        note = "it is an instance of this class"
        found = _class_source(type(value))
    return found._replace(note="; ".join(filter(None, (note, found.note))))


def find_docs(value: object, show: ShowValue) -> tuple[str, str]:
    """The signature or the instance's class, and the docstring. Empty if there is none."""
    if is_a(value, property):
        getter = c_member(value, property, "fget")
        name = clip(getter.__name__) if exactly(getter, FunctionType) else "(unnamed)"
        return f"property {name}", _text(c_member(value, property, "__doc__"))
    held, _ = _unwrapped(value)
    if exactly(held, FunctionType):
        return f"{clip(held.__name__)}({parameters(held, show)})", _text(held.__doc__)
    if exactly(held, *_IN_C):
        signature = c_parameters(getattr(held, "__text_signature__", None))
        return f"{clip(held.__name__)}{signature}", _text(held.__doc__)
    if is_a(held, ModuleType):
        return f"module {clip(peek(held, '__name__'))}", _text(peek(held, "__doc__"))
    if is_a(held, type):
        return _class_signature(held, show), _class_doc(held)
    if is_own(held, "numpy") and type_words(held) == "numpy.ufunc":
        return f"numpy ufunc {clip(held.__name__)}", _text(held.__doc__)
    kind = type(cast("object", held))
    return f"an instance of {_class_signature(kind, show)}", _class_doc(kind)


def _unwrapped(value: Any) -> tuple[Any, str]:
    """The function inside decorators, methods and partials, as far as it is stored, and a note."""
    held, note = value, ""
    for _ in range(MAX_WRAPPERS):
        inner = _inner(held)
        if inner is None:
            return held, note
        wraps = exactly(held, FunctionType) or is_a(held, partial)
        note = f"shown without the {'wrapper' if wraps else ''} around it" if wraps else note
        held = inner
    return held, note


def _inner(held: Any) -> Any:
    if exactly(held, MethodType, staticmethod, classmethod):
        return held.__func__
    if is_a(held, property):
        return c_member(held, property, "fget")
    if is_a(held, partial):
        return c_member(held, partial, "func")
    if exactly(held, cached_property):
        return peek(held, "func")
    if exactly(held, FunctionType) or type_words(held) == "functools._lru_cache_wrapper":
        return peek(held, "__wrapped__")
    return None


def _code(held: Any) -> CodeType | None:
    if exactly(held, FunctionType):
        return held.__code__
    if exactly(held, GeneratorType):
        return held.gi_code
    if exactly(held, CoroutineType):
        return held.cr_code
    return held if exactly(held, CodeType) else None


def _function_source(code: CodeType, held: Any) -> FoundSource:
    file, first = code.co_filename, code.co_firstlineno
    if file.startswith("<frozen") and exactly(held, FunctionType):
        file = find_item(dict_items(held.__globals__), "__file__")
    lines = _lines(file)
    what = f"function {clip(code.co_name)}"
    if first > len(lines):
        raise NoSource(f"is a {what} of {_place(file)}, which has changed since.")
    block = _block(lines, first)
    kept = re.match(r"\s*(@|def\b|async\s+def\b|class\b)", block[0]) or "lambda" in block[0]
    note = "" if kept or code.co_name.startswith("<") else "the file seems to have changed since"
    return FoundSource(what, _place(file), block, first, note)


def _module_source(module: Any) -> FoundSource:
    name, file = (peek(module, key) for key in ("__name__", "__file__"))
    if not exactly(file, str):
        raise NoSource(f"is the module {clip(name)}, which has no file.")
    return FoundSource(f"module {clip(name)}", _place(file), _lines(file))


def _class_source(kind: type) -> FoundSource:
    if not type.__dict__["__flags__"].__get__(kind) & _HEAP_TYPE:
        raise NoSource(f"is of the class {label(kind)}, written in C: it has no Python source.")
    name = type_name(kind)[1].rpartition(".")[2]
    start = re.compile(rf"(\s*)class\s+{re.escape(name)}\b")
    stored = class_item(kind, "__firstlineno__")
    for file, before in _class_files(kind):
        try:
            lines = _lines(file)
        except NoSource:
            continue
        at = [i for i, line in enumerate(lines[:before], 1) if start.match(line)]
        if at:
            first = at[-1]
            while first > 1 and lines[first - 2].lstrip().startswith("@"):
                first -= 1
            if exactly(stored, int) and 0 < stored <= at[-1]:
                first = stored
            return FoundSource(f"class {label(kind)}", _place(file), _block(lines, first), first)
    raise NoSource(f"is of the class {label(kind)}, whose source cannot be found.")


def _class_files(kind: type) -> Iterator[tuple[Any, int | None]]:
    """Files that may define it, each with a line before which it begins."""
    module, name = type_name(kind)
    held = (each for _, each in islice(class_items(kind), MAX_SCANNED))
    codes = [each.__code__ for each in held if type(each) is FunctionType]
    own = [code for code in codes if code.co_qualname.startswith(f"{name}.")]
    files = {code.co_filename: code.co_firstlineno for code in reversed(own)}
    yield from ((file, before) for file, before in files.items() if file != "<string>")
    home = modules.get(module)
    if type(home) is ModuleType:
        yield peek(home, "__file__"), None
    if module == "__main__":
        cells = (file for file in reversed(linecache.cache) if _is_cell(file))
        yield from ((file, None) for file in islice(cells, MAX_SEARCHED_CELLS))


def _block(lines: list[str], first: int) -> list[str]:
    try:
        return getblock(lines[first - 1 :])
    except (SyntaxError, tokenize.TokenError, RecursionError):
        return lines[first - 1 : first]


def _lines(file: Any) -> list[str]:
    """The lines of a file or cell. Raises NoSource."""
    if not exactly(file, str):
        raise NoSource("is of no file.")
    held: Any = linecache.cache.get(file)
    if held is not None and len(held) == 4:  # an entry of length 1 has a foreign loader
        return held[2]
    if _is_cell(file):
        raise NoSource("was defined in a notebook cell whose source is not kept any more.")
    if not file.endswith((".py", ".pyw")):
        raise NoSource(f"is of {clip(file, 200)}, which is no file of Python source.")
    try:
        state = stat(file)
        if not S_ISREG(state.st_mode) or state.st_size > MAX_FILE_BYTES:
            raise NoSource(f"is of {clip(file, 200)}, which is no file of source.")
        with tokenize.open(file) as opened:
            return opened.readlines()
    except (OSError, SyntaxError, ValueError):
        raise NoSource(f"is of {clip(file, 200)}, which cannot be read.") from None


def _place(file: Any) -> str:
    return "a notebook cell" if _is_cell(file) else clip(file, 200)


def _is_cell(file: str) -> bool:
    return file.startswith("<ipython-input-") or "/ipykernel_" in file.replace("\\", "/")


def _text(doc: Any) -> str:
    return cleandoc(str.__getitem__(doc, slice(MAX_DOC_CHARS))) if is_a(doc, str) else ""


def _class_signature(kind: type, show: ShowValue) -> str:
    for base in mro(kind):
        for name in ("__init__", "__new__"):
            made = class_item(base, name)
            made = made.__func__ if exactly(made, staticmethod) else made
            if exactly(made, FunctionType):
                return f"{label(kind)}({parameters(made, show)})"
    return f"{label(kind)}{c_parameters(type.__dict__['__text_signature__'].__get__(kind))}"


def _class_doc(kind: type) -> str:
    docs = (class_item(base, "__doc__") for base in mro(kind)[:-1])
    return next((_text(doc) for doc in docs if is_a(doc, str)), "")
