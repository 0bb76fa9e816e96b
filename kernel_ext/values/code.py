"""Reads functions, classes, modules, generators and exceptions. Runs none of them.

Each reader gets a value of exactly its type, and `show` for the values inside it.
"""

from collections.abc import Iterable, Iterator
from inspect import CO_VARARGS, CO_VARKEYWORDS
from itertools import islice
from re import sub
from sys import version_info
from types import FunctionType, GenericAlias, MethodType, ModuleType, NoneType, UnionType
from typing import Any

from .adapter import FIRST_VALUES, Reading, ReadingEntry, ShowValue
from .introspect import (
    MAX_SCANNED,
    c_member,
    class_item,
    class_items,
    clip,
    defaults,
    dict_items,
    exactly,
    is_a,
    label,
    mro,
    own_items,
    peek,
    type_name,
    type_words,
)
from .redact import redacted

MAX_SHOWN_DOC_CHARS = 4_000
"""Characters of a docstring that are read."""


def _doc(text: object) -> Iterator[str]:
    if type(text) is str and text.strip():
        yield " ".join(text[:MAX_SHOWN_DOC_CHARS].strip().split("\n\n")[0].split())


def read_function(value: FunctionType, show: ShowValue) -> Reading:
    code = value.__code__

    def entries() -> Iterator[ReadingEntry]:
        yield from _doc(value.__doc__)
        yield f"{clip(code.co_filename, 120)}:{code.co_firstlineno}"
        wrapped = peek(value, "__wrapped__")
        if wrapped is not None:
            yield "wraps ", wrapped

    said = "".join(f": {clip(line)}" for line in _doc(value.__doc__))
    return Reading(f"function {clip(value.__name__)}({parameters(value, show)}){said}", entries())


def parameters(function: FunctionType, show: ShowValue) -> str:
    """The text between the parentheses of its signature."""
    code, names = function.__code__, function.__code__.co_varnames
    count, only = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    # since Python 3.14, reading annotations runs their code
    noted = None if version_info >= (3, 14) else function.__annotations__
    notes = list(islice(dict_items(noted), MAX_SCANNED))
    given = [(name, redacted(name, held)) for name, held in defaults(function)]

    def one(name: str) -> str:
        return name + _said(": ", notes, name, _annotation) + _said(" = ", given, name, show)

    parts = [one(name) for name in names[:count]]
    if code.co_posonlyargcount:
        parts.insert(code.co_posonlyargcount, "/")
    starred = bool(code.co_flags & CO_VARARGS)
    if starred or only > count:
        parts.append(f"*{one(names[only]) if starred else ''}")
    parts += [one(name) for name in names[count:only]]
    if code.co_flags & CO_VARKEYWORDS:
        parts.append(f"**{one(names[only + starred])}")
    return ", ".join(parts)


def _said(before: str, pairs: Iterable[tuple[object, object]], name: str, tell: ShowValue) -> str:
    told = (tell(held) for key, held in pairs if type(key) is str and key == name)
    return next((before + text for text in told), "")


def _annotation(note: Any, inner: int = 2) -> str:
    if exactly(note, str):
        return clip(note)
    if note is None or note is NoneType:
        return "None"
    if is_a(note, type):
        return clip(type_name(note)[1])
    if inner and exactly(note, UnionType, GenericAlias):
        inside = [_annotation(each, inner - 1) for each in note.__args__[:FIRST_VALUES]]
        if exactly(note, UnionType):
            return " | ".join(inside)
        return f"{_annotation(note.__origin__)}[{', '.join(inside)}]"
    return "…"


def read_method(value: MethodType, show: ShowValue) -> Reading:
    held: object = value.__func__
    return Reading(f"method of {type_words(value.__self__)}: {show(held)}", iter([("", held)]))


def c_parameters(signature: str | None) -> str:
    """The parentheses of a text signature, without parameters that a call does not give."""
    return sub(r"\$(module|self|type)(, )?", "", signature or "") or "(…)"


def read_builtin_function(value: Any, show: ShowValue) -> Reading:
    text = clip(c_parameters(value.__text_signature__))
    return Reading(f"builtin function {clip(value.__name__)}{text}", _doc(value.__doc__))


def read_generator(value: Any, show: ShowValue) -> Reading:
    state = "finished" if value.gi_frame is None else "not advanced"
    return Reading(f"generator {clip(value.__name__)}, {state}")


def read_module(value: ModuleType, show: ShowValue) -> Reading:
    name, version, file, text = (
        peek(value, key) for key in ("__name__", "__version__", "__file__", "__doc__")
    )

    def entries() -> Iterator[ReadingEntry]:
        yield from _doc(text)
        yield f"file {show(file)}"
        yield f"names {_public(own_items(value))}"

    head = f"module {clip(name)}"
    return Reading(f"{head} {clip(version)}" if exactly(version, str) else head, entries())


def _public(pairs: Iterable[tuple[object, object]]) -> str:
    names = (clip(name, 40) for name, _ in islice(pairs, MAX_SCANNED))
    return ", ".join(name for name in names if name[:1] != "_")


def read_class_(value: Any, show: ShowValue) -> Reading:
    bases = ", ".join(label(base) for base in mro(value)[1:-1][:FIRST_VALUES])
    start = class_item(value, "__init__")

    def entries() -> Iterator[ReadingEntry]:
        yield from _doc(class_item(value, "__doc__"))
        if type(start) is FunctionType:
            yield "", start
        yield f"names {_public(class_items(value))}"

    return Reading(f"class {label(value)}" + (f" ({bases})" if bases else ""), entries())


def read_exception(value: object, show: ShowValue) -> Reading:
    def held(name: str) -> Any:
        return c_member(value, BaseException, name)

    def entries() -> Iterator[ReadingEntry]:
        trace = held("__traceback__")
        for _ in range(MAX_SCANNED):
            if trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
        if trace is not None:
            code = trace.tb_frame.f_code
            file = clip(code.co_filename, 120)
            yield f"raised at {file}:{trace.tb_lineno} in {clip(code.co_name)}"
        if held("__cause__") is not None:
            yield "caused by ", held("__cause__")

    arguments = ", ".join(map(show, held("args")[:FIRST_VALUES]))
    return Reading(f"{type_words(value)}({arguments})", entries())
