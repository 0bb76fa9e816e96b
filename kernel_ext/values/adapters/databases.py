"""Reads DuckDB relations without executing them, and SQLAlchemy connections without passwords."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from ..adapter import Adapter, Origin, Reading, ShowValue, first_texts, is_own
from ..introspect import MAX_SCANNED, clip, exactly, find_item, peek, stored, tuple_elements


def _relation(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    """A relation's bound columns. It is not executed, so its length is unknown."""
    if source.name != "DuckDBPyRelation":
        return Reading(source.title) if source.name.startswith("DuckDB") else None
    schema: Any = find_item(stored(value), "_schema")
    if schema is None and source.exact and source.package == "_duckdb":  # before 2.0
        schema = value.columns, value.types
    if not exactly(schema, tuple):
        return Reading(f"{source.title}, not executed")
    columns: Iterator[tuple[object, object]] = zip(*cast("tuple[Any, Any]", schema), strict=False)
    texts = [f"{clip(name)} {kind}" for name, kind in islice(columns, MAX_SCANNED)]
    head = f"{source.title}, not executed: {first_texts(texts)}"
    return Reading(head, iter([", ".join(texts)]))


def _connection(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    """The address of an engine, connection or URL, without password and options."""
    if source.name == "URL":
        return Reading(f"{source.title} {_url(value)}")
    held = list(islice(stored(value), MAX_SCANNED))
    engines = [value, find_item(held, "engine"), find_item(held, "sync_engine")]
    url = next((each for each in (peek(e, "url") for e in engines) if each is not None), None)
    return Reading(f"{source.title} {_url(url)}") if is_own(url, "sqlalchemy") else None


def _url(url: Any) -> str:
    parts: tuple[Any, ...] = tuple(tuple_elements(url))
    driver, user, password, host, port, database, query = parts
    who = f"{clip(user)}{':***' if password is not None else ''}@" if user is not None else ""
    where = (clip(host) if host is not None else "") + (f":{port}" if exactly(port, int) else "")
    path = f"/{clip(database)}" if database is not None else ""
    return f"{clip(driver)}://{who}{where}{path}" + ("?…" if len(query) else "")


DUCKDB = Adapter(
    packages=("duckdb", "_duckdb"),
    reading=_relation,
    fingerprint=lambda value, kind: 0,
    lazy=("*",),
)
SQLALCHEMY = Adapter(packages=("sqlalchemy",), reading=_connection, lazy=("*",))
