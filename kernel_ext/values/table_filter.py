"""A filter on rows in a small language, read here and never run as code. Knows no table.

Columns (in backticks where they are no plain word), texts, numbers, true, false and null; `== != <
<= > >=`, `in`, `not in`, `is null`, `is not null`, `contains`; and, or, not, parentheses. As in SQL
`=` and `<>` are understood. A comparison with a missing value is false, as is one of things that
do not compare.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

from .adapter import FOREIGN
from .introspect import clip, is_a

MAX_FILTER_CHARS, MAX_FILTER_NODES = 1_000, 200
"""Characters and parts of a filter."""

Values = Mapping[str, Sequence[object]]
"""For each column a value a row: None where it is missing, `FOREIGN` where it is not looked at."""
Test = Callable[[Values, int], Sequence[bool]]
"""For each of so many rows whether it matches."""


class WhereError(ValueError):
    """A filter that is not understood; its text is a sentence."""


class Where(NamedTuple):
    """The columns a filter names, and its test."""

    columns: tuple[str, ...]
    test: Test


class _Column(NamedTuple):
    name: str


class _Constant(NamedTuple):
    value: object


_WORDS = {
    **{"and": "and", "or": "or", "not": "not", "in": "in", "is": "is", "contains": "@"},
    **{"null": "None", "none": "None", "true": "True", "false": "False"},
}
_SIGNS = {"=": "==", "<>": "!="}
_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]+`|[^\W\d]\w*"""
    r"""|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|<=|>=|==|!=|<>|\s+|.""",
    re.DOTALL,
)
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def parse_where(text: str) -> Where:
    """Read a filter. Raises WhereError."""
    if len(text) > MAX_FILTER_CHARS:
        raise WhereError(f"The filter is longer than {MAX_FILTER_CHARS:,} characters.")
    held: dict[str, _Column | _Constant] = {}
    try:
        tree = ast.parse(_prepared(text, held), mode="eval").body
        if sum(1 for _ in ast.walk(tree)) > MAX_FILTER_NODES:
            raise WhereError(f"The filter has more than {MAX_FILTER_NODES} parts.")
        test = _test(tree, held)
    except WhereError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise WhereError(f"The filter {clip(text)!r} is not understood; {EXAMPLES}") from None
    columns = dict.fromkeys(each.name for each in held.values() if isinstance(each, _Column))
    return Where(tuple(columns), test)


EXAMPLES = "write it as in: price > 10 and city == 'Rome', `unit price` is null, name contains 'x'."


def _prepared(text: str, held: dict[str, _Column | _Constant]) -> str:
    """As Python would have it, with a name of ours for each column and text."""

    def ours(token: str) -> str:
        if token[0] in "'\"":
            value = re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
            meant: _Column | _Constant = _Constant(value)
        elif token[0] == "`":
            meant = _Column(token[1:-1])
        elif re.match(r"[^\W\d]", token):
            known = token if token in ("None", "True", "False") else None
            word = known or _WORDS.get(token.lower() if token.isupper() else token)
            if word:
                return word
            meant = _Column(token)
        else:
            return " " if token.isspace() else _SIGNS.get(token, token)
        name = f"v{len(held)}"
        held[name] = meant
        return name

    return " ".join(map(ours, _TOKEN.findall(text.strip())))


def _test(node: ast.expr, held: Mapping[str, _Column | _Constant]) -> Test:
    match node:
        case ast.BoolOp(op=op, values=parts):
            tests = [_test(part, held) for part in parts]
            every = all if isinstance(op, ast.And) else any
            return lambda values, size: [
                every(each) for each in zip(*(test(values, size) for test in tests), strict=True)
            ]
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            test = _test(inner, held)
            return lambda values, size: [not each for each in test(values, size)]
        case ast.Compare(left=left, ops=ops, comparators=rights):
            sides = [left, *rights]
            pairs = [
                _comparison(one, op, other, held)
                for one, op, other in zip(sides, ops, rights, strict=False)
            ]
            return lambda values, size: [
                all(each) for each in zip(*(pair(values, size) for pair in pairs), strict=True)
            ]
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return _contains(_operand(left, held), _operand(right, held))
        case ast.Name():
            column = _operand(node, held)
            return lambda values, size: [each is True for each in _of(column, values, size)]
        case _:
            raise WhereError(f"The filter compares columns with constants; {EXAMPLES}")


def _comparison(
    left: ast.expr, op: ast.cmpop, right: ast.expr, held: Mapping[str, _Column | _Constant]
) -> Test:
    one = _operand(left, held)
    if isinstance(op, ast.In | ast.NotIn):
        wanted = isinstance(op, ast.In)
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            test = _contains(_operand(right, held), one)
            return lambda values, size: [each is wanted for each in test(values, size)]
        among = [_operand(each, held) for each in right.elts]
        tests = [_ordered(operator.eq, one, each) for each in among]
        return lambda values, size: [
            value is not None and value is not FOREIGN and any(found) is wanted
            for value, *found in zip(
                _of(one, values, size), *(test(values, size) for test in tests), strict=True
            )
        ]
    other = _operand(right, held)
    if isinstance(op, ast.Is | ast.IsNot):
        if other != _Constant(None):
            raise WhereError("After `is` there is `null` or `not null`.")
        wanted = isinstance(op, ast.Is)
        return lambda values, size: [(each is None) is wanted for each in _of(one, values, size)]
    return _ordered(_ORDER[type(op)], one, other)


def _operand(node: ast.expr, held: Mapping[str, _Column | _Constant]) -> _Column | _Constant:
    match node:
        case ast.Name(id=name):
            return held[name]
        case ast.Constant(value=int() | float() | bool() | None as value):
            return _Constant(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return _Constant(-value)
        case _:
            raise WhereError(f"The filter compares columns with constants; {EXAMPLES}")


def _of(side: _Column | _Constant, values: Values, size: int) -> Iterable[object]:
    return values[side.name] if isinstance(side, _Column) else repeat(side.value, size)


def _contains(whole: _Column | _Constant, part: _Column | _Constant) -> Test:
    return lambda values, size: [
        type(text) is str and type(inner) is str and inner in text
        for text, inner in zip(_of(whole, values, size), _of(part, values, size), strict=True)
    ]


def _ordered(
    compare: Callable[[Any, Any], Any], one: _Column | _Constant, other: _Column | _Constant
) -> Test:
    def holds(left: object, right: object) -> bool:
        if left is None or right is None or left is FOREIGN or right is FOREIGN:
            return False
        try:
            if type(left) is not type(right):
                left, right = _alike(left, right)
            return compare(left, right) is True
        except (TypeError, ValueError, ArithmeticError):
            return False

    return lambda values, size: list(map(holds, _of(one, values, size), _of(other, values, size)))


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """A text beside a date is read as one, in the date's own zone."""
    if type(right) is str and is_a(left, date):
        return left, _moment(right, left)
    if type(left) is str and is_a(right, date):
        return _moment(left, right), right
    return left, right


def _moment(text: str, like: Any) -> date:
    when = _parsed(text)
    if not is_a(like, datetime):
        return when.date()
    return when if when.tzinfo else when.replace(tzinfo=like.tzinfo)


@lru_cache(16)
def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)
