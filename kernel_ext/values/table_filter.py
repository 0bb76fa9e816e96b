"""A filter on rows in a small part of Python's syntax, which never runs as code. Knows no table.

It has columns (in backticks if they are no plain word), texts, numbers, True, False and None. It
compares by `== != < <= > >=`, `in`, `not in`, `is None`, `is not None`, and joins by and, or, not,
parentheses. A comparison is false if a value is missing, or if the values cannot be compared.
"""

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache, partial
from itertools import repeat
from typing import Any, NamedTuple

from .adapter import FOREIGN
from .introspect import clip, is_a

MAX_FILTER_CHARS, MAX_FILTER_NODES = 1_000, 200
"""Characters and parts of a filter, at most."""

Values = Mapping[str, Sequence[object]]
"""For each column, one value for each row: None if it is missing, `FOREIGN` if it is not read."""
Test = Callable[[Values, int], Sequence[bool]]
"""Says for each of so many rows whether it matches."""
_Side = Callable[[Values, int], Iterable[Any]]
"""Gives for each of so many rows the value on one side of a comparison."""


class WhereError(ValueError):
    """A filter cannot be understood. The text is a whole sentence."""


class Where(NamedTuple):
    """The columns that a filter names, and its test."""

    columns: tuple[str, ...]
    test: Test


_SPELLINGS = {
    **{"=": "==", "<>": "!=", "contains": "'x' in column"},
    **{"null": "None", "none": "None", "true": "True", "false": "False"},
}
_PART = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|`(?P<column>[^`]+)`|(?P<other><>|(?<![=!<>:])=(?!=)"""
    r"""|\b(?:null|none|true|false|contains|NULL|NONE|TRUE|FALSE|CONTAINS|AND|OR|NOT|IN|IS)\b)""",
    re.DOTALL,
)
"""Finds texts, which stay as they are, columns in backticks, and spellings of other languages."""
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
EXAMPLES = "write it as in: price > 10 and city == 'Rome', `unit price` is None, 'x' in name."


def parse_where(text: str) -> Where:
    """Read a filter. Raises WhereError."""
    if len(text) > MAX_FILTER_CHARS:
        raise WhereError(f"The filter is longer than {MAX_FILTER_CHARS:,} characters.")
    try:
        tree = _parsed(text)
        nodes = list(ast.walk(tree))
        if len(nodes) > MAX_FILTER_NODES:
            raise WhereError(f"The filter has more than {MAX_FILTER_NODES} parts.")
        test = _test(tree)
    except WhereError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise WhereError(f"The filter {clip(text)!r} is not understood; {EXAMPLES}") from None
    return Where(
        tuple(dict.fromkeys(each.id for each in nodes if isinstance(each, ast.Name))), test
    )


def _parsed(text: str) -> ast.expr:
    """The filter's syntax tree. Each name in it is a column's."""
    columns: dict[str, str] = {}

    def ours(part: re.Match[str]) -> str:
        if part["other"]:
            python = _SPELLINGS.get(part[0].lower(), part[0].lower())
            raise WhereError(f"Write `{python}` for `{part[0]}`, as in Python; {EXAMPLES}")
        if part["text"]:
            return part["text"]
        name = f"{'_' * len(text)}{len(columns)}"  # longer than any name in the text
        columns[name] = part["column"]
        return name

    with warnings.catch_warnings():  # about unknown escapes in a text
        warnings.simplefilter("ignore")
        tree = ast.parse(f"({_PART.sub(ours, text)}\n)", mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = columns.get(node.id, node.id)
    return tree


def _test(node: ast.expr) -> Test:
    match node:
        case ast.BoolOp(op=op, values=parts):
            join = all if isinstance(op, ast.And) else any
            return _rowwise(lambda *each: join(each), *map(_test, parts))
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _rowwise(operator.not_, _test(inner))
        case ast.Compare(left=left, ops=ops, comparators=rights):
            pairs = map(_comparison, [left, *rights], ops, rights)
            return _rowwise(lambda *each: all(each), *pairs)
        case ast.Name():
            return _rowwise(partial(operator.is_, True), _side(node))
        case _:
            raise WhereError(f"The filter compares columns with constants; {EXAMPLES}")


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> Test:
    one, wanted = _side(left), isinstance(op, ast.In | ast.Is)

    def among(value: object, *found: bool) -> bool:
        return value is not None and value is not FOREIGN and any(found) is wanted

    def inside(part: object, text: object) -> bool:
        return (type(part) is str and type(text) is str and part in text) is wanted

    def missing(value: object) -> bool:
        return (value is None) is wanted

    match op, right:
        case ast.In() | ast.NotIn(), ast.List(elts=each) | ast.Tuple(elts=each) | ast.Set(
            elts=each
        ):
            equal = partial(_holds, operator.eq)
            return _rowwise(among, one, *(_rowwise(equal, one, _side(other)) for other in each))
        case ast.In() | ast.NotIn(), _:
            return _rowwise(inside, one, _side(right))
        case ast.Is() | ast.IsNot(), ast.Constant(value=None):
            return _rowwise(missing, one)
        case ast.Is() | ast.IsNot(), _:
            raise WhereError("`is` takes only `None` or `not None`.")
        case _:
            return _rowwise(partial(_holds, _ORDER[type(op)]), one, _side(right))


def _side(node: ast.expr) -> _Side:
    match node:
        case ast.Name(id=name):
            return lambda values, size: values[name]
        case ast.Constant(value=str() | int() | float() | None as value):
            return lambda values, size: repeat(value, size)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return lambda values, size: repeat(-value, size)
        case _:
            raise WhereError(f"The filter compares columns with constants; {EXAMPLES}")


def _rowwise(holds: Callable[..., bool], *sides: _Side) -> Test:
    return lambda values, size: list(map(holds, *(side(values, size) for side in sides)))


def _holds(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> bool:
    if left is None or right is None or left is FOREIGN or right is FOREIGN:
        return False
    try:
        if type(left) is not type(right):
            left, right = _alike(left, right)
        return compare(left, right) is True
    except (TypeError, ValueError, ArithmeticError):
        return False


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Both sides of a comparison. A text beside a date is read as a date, in the date's zone."""
    if type(right) is str and is_a(left, date):
        return left, _moment(right, left)
    if type(left) is str and is_a(right, date):
        return _moment(left, right), right
    return left, right


def _moment(text: str, like: Any) -> date:
    when = _time(text)
    if not is_a(like, datetime):
        return when.date()
    return when if when.tzinfo else when.replace(tzinfo=like.tzinfo)


@lru_cache(16)
def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
