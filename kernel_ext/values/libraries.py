"""Reads estimators, labelled arrays, and what stands for data that is elsewhere.

Each reader reads what is stored; properties only of a library's exact class, and only those that
neither compute, execute nor wait.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from types import FunctionType
from typing import Any, cast

from .introspect import (
    MAX_SCANNED,
    at_home,
    class_items,
    clip,
    dict_items,
    exactly,
    find_item,
    is_a,
    mro,
    own_items,
    peek,
    stored,
    tuple_elements,
    type_words,
)
from .reading import (
    FIRST_VALUES,
    Origin,
    Reading,
    ReadingEntry,
    ShowValue,
    is_own,
    library_title,
    shape_text,
)
from .redact import redacted

MAX_LISTED = 20
"""Columns, variables or names that a description lists."""


def _listed(parts: Iterable[str], most: int = FIRST_VALUES) -> str:
    few = list(islice(parts, most + 1))
    return ", ".join(few[:most]) + (", …" if len(few) > most else "")


def _items(held: object) -> Iterable[tuple[object, object]]:
    return dict_items(held) if is_a(held, dict) else ()


def read_sklearn(value: object, source: Origin, show: ShowValue) -> Reading | None:
    """An estimator: whether it is fitted, and the parameters that are not at their default."""
    if not any(base.__name__ == "BaseEstimator" for base in mro(type(value)) if at_home(base)):
        return None
    items = [(n, each) for n, each in islice(own_items(value), MAX_SCANNED) if type(n) is str]
    held = [(clip(n), redacted(n, each)) for n, each in items]
    fitted = [(name, each) for name, each in held if name[-1:] == "_" and name[:1] != "_"]
    usual = dict(_defaults(value))
    own = [(n, each) for n, each in held if n[-1:] != "_" and n[:1] != "_"]
    other = [(n, each) for n, each in own if n not in usual or not _equal(usual[n], each)]

    state = "fitted" if fitted else "not fitted"
    parts = ", ".join(
        f"{n}={show(each)}" for n, each in (*other[:FIRST_VALUES], *fitted[:FIRST_VALUES])
    )
    entries: Iterator[ReadingEntry] = (
        (f".{name} = ", each) for name, each in [*own, *fitted][:MAX_LISTED]
    )
    return Reading(
        f"{library_title(value, source)}, {state}" + (f": {parts}" if parts else ""), entries
    )


def _defaults(value: object) -> Iterator[tuple[str, object]]:
    for base in mro(type(value)):
        start: Any = find_item(class_items(base), "__init__")
        if type(start) is FunctionType:
            code = start.__code__
            given = [] if start.__defaults__ is None else list(tuple_elements(start.__defaults__))
            names = code.co_varnames[: code.co_argcount]
            yield from zip(reversed(names), reversed(given), strict=False)
            yield from ((n, d) for n, d in _items(start.__kwdefaults__) if type(n) is str)
            return


def _equal(one: object, other: object) -> bool:
    same = type(one) is type(other) and exactly(one, str, int, float, bool)
    return one is other or (same and one == other)


def read_xarray(value: object, source: Origin, show: ShowValue) -> Reading | None:
    """Dimensions, variables and dtypes; values only where they are numpy's, in memory."""
    held = list(islice(stored(value), MAX_SCANNED))
    title = library_title(value, source)
    if source.name == "DataArray":
        of = find_item(held, "_variable")
        name = find_item(held, "_name")
        called = "" if name is None else f" {show(name)}"
        return Reading(f"{title}{called} {_variable(of, show, True)}", _variables(held, show))
    if source.name == "Dataset":
        variables = _items(find_item(held, "_variables"))
        texts = (f"{show(name)} {_variable(each, show)}" for name, each in variables)
        return Reading(f"{title}: {_listed(texts)}", _variables(held, show))
    known = source.name in ("Variable", "IndexVariable")
    return Reading(f"{title} {_variable(value, show, True)}") if known else None


def _variables(held: list[tuple[object, object]], show: ShowValue) -> Iterator[ReadingEntry]:
    for kind in ("_variables", "_coords"):
        for name, each in islice(_items(find_item(held, kind)), MAX_LISTED):
            yield f"{show(name)}: {_variable(each, show, True)}"


def _variable(variable: object, show: ShowValue, values: bool = False) -> str:
    held = list(islice(stored(variable), MAX_SCANNED))
    dims, data = find_item(held, "_dims"), find_item(held, "_data")
    names = ", ".join(map(clip, tuple_elements(dims))) if exactly(dims, tuple) else "?"
    if not values and is_own(data, "numpy"):
        near: Any = data
        return f"({names}) {shape_text(near.shape)} {near.dtype}"
    return f"({names}) {show(data)}" if values else f"({names}) {type_words(data)}, not read"


def read_dask(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    """What it is and how it is cut, by what is stored; it is not computed."""
    title = f"{library_title(value, source)}, not computed"
    if source.exact and source.name == "Array":
        return Reading(
            f"{title}: {shape_text(value.shape)} {value.dtype} in {value.npartitions:,} chunks"
        )
    meta: Any = peek(value, "_expr", "_meta")  # an empty frame that dask keeps
    return Reading(f"{title}: like {show(meta)}" if is_own(meta, "pandas") else title)


def read_duckdb(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    """A relation's columns, as they were bound. It is not executed: its length is unknown."""
    if source.name != "DuckDBPyRelation":
        return Reading(library_title(value, source)) if source.name.startswith("DuckDB") else None
    schema: Any = find_item(stored(value), "_schema")
    if schema is None and source.exact and source.package == "_duckdb":  # before 2.0
        schema = value.columns, value.types
    if not exactly(schema, tuple):
        return Reading(f"{library_title(value, source)}, not executed")
    columns: Iterator[tuple[object, object]] = zip(*cast("tuple[Any, Any]", schema), strict=False)
    texts = [f"{clip(name)} {kind}" for name, kind in islice(columns, MAX_SCANNED)]
    head = f"{library_title(value, source)}, not executed: {_listed(texts)}"
    return Reading(head, iter([", ".join(texts)]))


def read_sqlalchemy(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    """An engine, connection or URL: what it leads to, without password or options."""
    title = library_title(value, source)
    if source.name == "URL":
        return Reading(f"{title} {_url(value, show)}")
    held = list(islice(stored(value), MAX_SCANNED))
    engines = [value, find_item(held, "engine"), find_item(held, "sync_engine")]
    url = next((each for each in (peek(e, "url") for e in engines) if each is not None), None)
    return Reading(f"{title} {_url(url, show)}") if is_own(url, "sqlalchemy") else None


def _url(url: Any, show: ShowValue) -> str:
    parts: tuple[Any, ...] = tuple(tuple_elements(url))
    driver, user, password, host, port, database, query = parts
    who = f"{clip(user)}{':***' if password is not None else ''}@" if user is not None else ""
    where = (clip(host) if host is not None else "") + (f":{port}" if exactly(port, int) else "")
    path = f"/{clip(database)}" if database is not None else ""
    return f"{clip(driver)}://{who}{where}{path}" + ("?…" if len(query) else "")


def read_os(value: object, source: Origin, show: ShowValue) -> Reading | None:
    """The environment's names; no value of it."""
    if source.name != "_Environ":
        return None
    names = [_decoded(name) for name, _ in islice(dict_items(peek(value, "_data")), MAX_SCANNED)]
    head = f"environment of {len(names):,} variables (values hidden): {_listed(names)}"
    return Reading(head, iter([", ".join(names)]))


def _decoded(name: object) -> str:
    return clip(name.decode("utf-8", "replace") if type(name) is bytes else name)


def read_dataset(value: Any, source: Origin) -> Reading:
    """A pyarrow dataset's columns; none of its data is read."""
    texts = (f"{clip(field.name)} {field.type}" for field in value.schema)
    return Reading(f"{library_title(value, source)}, not read: {_listed(texts, MAX_LISTED)}")
