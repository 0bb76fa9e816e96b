"""Calls that take SQL, Python, or the name of something: code within code."""

import ast
import re
from collections.abc import Callable, Mapping

from .arguments import ReaderParts, argument, one_text, texts_of
from .files import PATHS
from .findings import host_of
from .texts import is_data, looks_like_sql, read_sql

EVALUATES = frozenset(("eval", "query"))
"""Methods of frames that compute an expression. Connections have a `query` of SQL."""
STATEMENTS = frozenset(("execute", "executemany", "executescript", "sql", "read_sql"))
DISPATCHES = frozenset(("apply", "agg", "aggregate", "transform", "pipe", "map_batches"))
"""Methods that call a method by its name."""
_REFERENCE = re.compile(r"@(?=\w)")
_QUOTED_NAME = re.compile(r"`[^`]*`")


def statement(reader: ReaderParts, name: str, node: ast.Call) -> None:
    """SQL, or an expression that pandas computes, given to a method."""
    if not node.args:
        if name != "eval" or node.keywords:
            reader.findings.not_plain(f".{name}() of what it is given by name")
        return
    texts = texts_of(reader, node.args[0])
    if texts is None:
        if not _is_of_sqlalchemy(reader, node.args[0]):
            reader.findings.not_heard(f".{name}() of a text made while it runs")
        return
    for text in texts:
        if looks_like_sql(text):
            _sql(reader, text, f".{name}")
        elif name in EVALUATES:
            _expression(reader, text)
        else:
            reader.findings.not_plain(f".{name}() of a text that is not known")


def dispatch(reader: ReaderParts, name: str, node: ast.Call) -> None:
    """`apply("to_csv", …)` calls the method of that name."""
    for given in (*node.args, *(it.value for it in node.keywords)):
        for text in texts_of(reader, given) or ():
            if f".{text}" in PATHS:
                reader.findings.not_plain(f".{name}() of {text}")


def _is_of_sqlalchemy(reader: ReaderParts, node: ast.expr) -> bool:
    """`text(…)` has been read where it is called, and `select(…)` computes."""
    if isinstance(node, ast.Name):
        value = reader.literals.value_of(node.id)
        return value is not None and _is_of_sqlalchemy(reader, value)
    while isinstance(node, ast.Call):
        if (reader.literals.path_of(node.func) or "").startswith("sqlalchemy."):
            return True
        if not isinstance(node.func, ast.Attribute):
            return False
        node = node.func.value
    return False


def _sql(reader: ReaderParts, text: str, call: str) -> None:
    found = read_sql(text)
    if not found.plain:
        reader.findings.not_heard(f"{call}: a statement that may reach past its tables")
    for path in found.files:
        reader.findings.file("quiet_read" if is_data(path) else "read", path, call)


def _expression(reader: ReaderParts, text: str) -> None:
    plain = _QUOTED_NAME.sub("quoted", _REFERENCE.sub("", text))
    for line in plain.splitlines():
        reader.read_inner(line.strip())


def _attribute(reader: ReaderParts, node: ast.Call) -> None:
    """`getattr`, `setattr` and the like."""
    if one_text(reader, argument(node, 1)) is None:
        reader.findings.not_heard("an attribute whose name is made while it runs")


def _code(reader: ReaderParts, node: ast.Call) -> None:
    text = one_text(reader, argument(node, 0))
    if text is None:
        reader.findings.not_heard("code that is made while it runs")
    else:
        reader.read_inner(text)


def _module(reader: ReaderParts, node: ast.Call) -> None:
    text = one_text(reader, argument(node, 0, "name"))
    if text is None or not text.replace(".", "").isidentifier():
        reader.findings.not_heard("a module whose name is made while it runs")
    else:
        reader.read_inner(f"import {text}")


def _variable(reader: ReaderParts, node: ast.Call) -> None:
    reader.findings.variable(one_text(reader, argument(node, 0, "key")), "os.environ")


def _sql_first(reader: ReaderParts, node: ast.Call) -> None:
    text = one_text(reader, argument(node, 0, "sql"))
    if text is None:
        reader.findings.not_heard("SQL that is made while it runs")
    else:
        _sql(reader, text, "SQL")
    _database(reader, argument(node, 1, "con"))


def _engine(reader: ReaderParts, node: ast.Call) -> None:
    _database(reader, argument(node, 0, "url"))


def _database(reader: ReaderParts, node: ast.expr | None) -> None:
    text = one_text(reader, node)
    if text is None:
        return
    if text.startswith("sqlite:///"):
        reader.findings.file("write", text.removeprefix("sqlite:///"), "sqlite3.connect")
    elif host_of(text):
        reader.findings.address(text, "a database")


def _nothing(_reader: ReaderParts, _node: ast.Call) -> None:
    return None


CODE_CALLS: Mapping[str, Callable[[ReaderParts, ast.Call], None]] = {
    "builtins.getattr": _attribute,
    "builtins.setattr": _attribute,
    "builtins.delattr": _attribute,
    "builtins.hasattr": _nothing,
    "builtins.exec": _code,
    "builtins.eval": _code,
    "builtins.compile": _code,
    "pandas.eval": _code,
    "timeit.timeit": _code,
    "builtins.__import__": _module,
    "importlib.import_module": _module,
    "os.getenv": _variable,
    "os.environ.get": _variable,
    "pandas.read_sql": _sql_first,
    "pandas.read_sql_query": _sql_first,
    "duckdb.sql": _sql_first,
    "duckdb.query": _sql_first,
    "duckdb.execute": _sql_first,
    "polars.sql": _sql_first,
    "sqlalchemy.text": _sql_first,
    "sqlalchemy.create_engine": _engine,
}
"""Functions by their dotted name."""
