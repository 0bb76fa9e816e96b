"""What a description shows of relations and connections; none is executed."""

from pathlib import Path
from typing import Any

import pytest

from inkernel.kernel_ext.values.describe import brief


def test_a_relation_is_not_executed() -> None:
    duckdb: Any = pytest.importorskip("duckdb")
    relation = duckdb.sql("select error('it was executed') as a, 1::bigint as b")
    assert brief(relation).endswith('DuckDBPyRelation, not executed: a "NULL", b BIGINT')


def test_a_closed_connection_of_duckdb_is_survived() -> None:
    duckdb: Any = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    relation = connection.sql("select 1 as a")
    connection.close()
    assert "DuckDB" in brief(connection)
    assert "not executed" in brief(relation)


def test_a_connection_shows_where_to_and_an_engine_of_asyncio_too(tmp_path: Path) -> None:
    sqlalchemy: Any = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        assert brief(connection) == f"sqlalchemy Connection sqlite:///{tmp_path}/x.db"
    engine.dispose()
