"""Texts and paths that code holds word for word, also where it puts them together.

Knows neither what they are for nor which paths are allowed.
"""

import ast
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import product

from ...frozen import frozen

UNKNOWN = "…"
"""A part of a text that only the running code knows."""
MAX_ALTERNATIVES = 50
"""Different texts that one expression may be."""
_DEEPEST = 12
_SAME = frozenset(
    (
        *("str", "sorted", "list", "tuple", "reversed", "set", "iter", "next"),
        *("pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath"),
        *("os.fspath", "os.path.abspath", "os.path.realpath", "os.path.normpath", "glob.glob"),
        *("glob.iglob", "os.path.expanduser", "resolve", "absolute", "as_posix", "expanduser"),
    )
)
"""Functions and methods that give the text that they get, as far as a wall is concerned."""
_BELOW = frozenset(("glob", "rglob", "iterdir"))


@frozen
class Literals:
    """Reads expressions. `value_of`: what a name is bound to. `path_of`: a function's dotted name.

    `folder`: the working folder. `temporary`: a folder for temporary files, or "".
    """

    value_of: Callable[[str], ast.expr | None]
    path_of: Callable[[ast.expr], str | None]
    folder: str
    temporary: str

    def texts(self, node: ast.expr, depth: int = 0) -> Sequence[str] | None:
        """The texts that an expression may be, with `…` for unknown parts. None: nobody knows."""
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Constant(value=str() | bytes() as value):
                return [os.fsdecode(value) if isinstance(value, bytes) else value]
            case ast.Name(id=name):
                value = self.value_of(name)
                return None if value is None else self.texts(value, depth + 1)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return self._each(parts, depth)
            case ast.IfExp(body=body, orelse=orelse):
                return self._each([body, orelse], depth)
            case ast.Call():
                return self._called(node, depth)
            case ast.Attribute(value=value, attr="parent"):
                return _over(self.texts(value, depth + 1), os.path.dirname)
            case ast.FormattedValue(value=value) | ast.Starred(value=value):
                return self.texts(value, depth + 1)
            case _:
                return self._put_together(node, depth)

    def _put_together(self, node: ast.expr, depth: int) -> Sequence[str] | None:
        """The texts of parts that an operator or a formatted text joins."""
        match node:
            case ast.JoinedStr(values=parts):
                return self._joined(parts, "", depth)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right], "", depth)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined([left, right], "/", depth)
            case ast.BinOp(left=left, op=ast.Mod()):
                return _headed(self.texts(left, depth + 1), "%")
            case _:
                return None

    def _each(self, nodes: Iterable[ast.expr], depth: int) -> Sequence[str] | None:
        found: list[str] = []
        for node in nodes:
            texts = self.texts(node, depth + 1)
            if texts is None:
                return None
            found += texts
        return found if 0 < len(found) <= MAX_ALTERNATIVES else None

    def _joined(self, parts: Sequence[ast.expr], by: str, depth: int) -> Sequence[str] | None:
        """The texts one after another. The first must be known, or nobody knows where it leads."""
        found = [self.texts(part, depth + 1) for part in parts]
        if not found or found[0] is None:
            return None
        known = [[UNKNOWN] if texts is None else texts for texts in found]
        count = 1
        for texts in known:
            count *= len(texts)
        if count > MAX_ALTERNATIVES:
            return None
        join: Callable[[Sequence[str]], str] = _join_path if by else "".join
        return [join(texts) for texts in product(*known)]

    def _called(self, node: ast.Call, depth: int) -> Sequence[str] | None:
        path = self.path_of(node.func) or ""
        path = path.removeprefix("builtins.")
        if path in ("os.getcwd", "pathlib.Path.cwd"):
            return [self.folder]
        if path in ("pathlib.Path.home", "pathlib.PosixPath.home"):
            return ["~"]
        if path.startswith("tempfile."):
            return [f"{self.temporary}/{UNKNOWN}"] if self.temporary else None
        if path in ("os.path.join", "pathlib.Path", "pathlib.PurePath") and len(node.args) > 1:
            return self._joined(node.args, "/", depth)
        if path == "os.path.dirname" and node.args:
            return _over(self.texts(node.args[0], depth + 1), os.path.dirname)
        if path in _SAME and node.args:
            return self.texts(node.args[0], depth + 1)
        if not path and isinstance(node.func, ast.Attribute):
            return self._method(node.func, node.args, depth)
        return None

    def _method(
        self, function: ast.Attribute, arguments: Sequence[ast.expr], depth: int
    ) -> Sequence[str] | None:
        name, value = function.attr, function.value
        if name in _SAME:
            return self.texts(value, depth + 1)
        if name in _BELOW:
            return _over(self.texts(value, depth + 1), lambda text: f"{text}/{UNKNOWN}")
        if name == "format":
            return _headed(self.texts(value, depth + 1), "{")
        if name == "joinpath":
            return self._joined([value, *arguments], "/", depth)
        if name in ("with_name", "with_stem") and arguments:
            folder = _over(self.texts(value, depth + 1), os.path.dirname)
            names = self.texts(arguments[0], depth + 1) or [UNKNOWN]
            return None if folder is None else [f"{it}/{names[0]}" for it in folder]
        if name == "with_suffix":
            return self.texts(value, depth + 1)
        return None


def _join_path(texts: Sequence[str]) -> str:
    return os.path.join(*texts)


def _headed(texts: Sequence[str] | None, until: str) -> Sequence[str] | None:
    """The texts up to their first placeholder, if they begin with something else."""
    if texts is None or any(text.startswith(until) for text in texts):
        return None
    return [text.partition(until)[0] + UNKNOWN if until in text else text for text in texts]


def _over(texts: Sequence[str] | None, change: Callable[[str], str]) -> Sequence[str] | None:
    return None if texts is None else [change(text) for text in texts]
