"""The shared parts of readers of calls: the arguments of a call, and their texts."""

import ast
from collections.abc import Sequence
from typing import Protocol

from .findings import Findings
from .literals import Literals


class ReaderParts(Protocol):
    """Reads code, and code within it."""

    @property
    def findings(self) -> Findings:
        """The findings so far."""
        ...

    @property
    def literals(self) -> Literals:
        """The texts that expressions are."""
        ...

    def read_inner(self, text: str) -> None:
        """Read Python within a text."""
        ...

    def is_own_method(self, name: str) -> bool:
        """Whether classes of this code have a method of that name."""
        ...


def argument(node: ast.Call, place: int, keyword: str = "") -> ast.expr | None:
    """The argument at a place, or with a keyword."""
    if 0 <= place < len(node.args):
        return node.args[place]
    return next((it.value for it in node.keywords if it.arg == keyword), None)


def is_given(node: ast.Call, place: int, *keywords: str) -> bool:
    """Whether an argument is given, perhaps by one that holds many."""
    starred = any(isinstance(it, ast.Starred) for it in node.args[: place + 1])
    named = any(it.arg is None or it.arg in keywords for it in node.keywords)
    return starred or named or place < len(node.args)


def one_text(reader: ReaderParts, node: ast.expr | None) -> str | None:
    """The one text that an expression is."""
    texts = texts_of(reader, node)
    return texts[0] if texts and len(texts) == 1 else None


def texts_of(reader: ReaderParts, node: ast.expr | None) -> Sequence[str] | None:
    """The texts that an expression may be. None: nobody knows."""
    return None if node is None else reader.literals.texts(node)
