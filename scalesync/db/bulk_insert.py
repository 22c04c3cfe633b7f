"""Insert many rows into one table, bypassing SQLAlchemy's processing of every value.

The statements are compiled by SQLAlchemy; the values go to the driver as they are. On SQLite, many rows share
one statement, so that Python's GIL is free while it runs; Postgres gets them by COPY.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, Connection, Dialect, MetaData, Table, bindparam, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from scalesync.db.postgres import is_pooled
from scalesync.db.statements import Insert, insert_into
from scalesync.parsing.task_inserts import FlatRows

Values = Sequence[object]
"""A row in the form that the driver accepts: instants and JSON as text."""

# Rows in one statement on SQLite, far below its limit of 32,766 parameters.
_ROWS_PER_STATEMENT = 100
# Rows from which on COPY is faster, although it needs a temporary table.
_COPY_FROM = 50


def _no_conflict_clause(insert: Insert) -> Insert:
    return insert


@dataclass(frozen=True, slots=True)
class InsertTarget:
    """The columns of a table to insert into, and the ON CONFLICT clause."""

    table: Table
    names: tuple[str, ...]
    """The columns in the table's order, which is also the order of a row's values."""
    on_conflict: Callable[[Insert], Insert]
    """Adds the ON CONFLICT clause. Must be deterministic, since statements are cached."""

    @classmethod
    def of(
        cls,
        table: Table,
        names: Collection[str],
        on_conflict: Callable[[Insert], Insert] = _no_conflict_clause,
    ) -> "InsertTarget":
        """Return a target with these columns; without `on_conflict` a taken key is an error."""
        ordered = tuple(str(each.name) for each in table.columns if each.name in names)
        return cls(table, ordered, on_conflict)

    def rows(self, given: Iterable[Mapping[str, object]]) -> list[Values]:
        """Return dictionaries as rows of these columns."""
        return list(map(itemgetter(*self.names), given))


def write(conn: Connection, into: InsertTarget, rows: Sequence[Values]) -> None:
    """Insert the rows in their order. Raises DBAPIError as SQLAlchemy would."""
    if conn.dialect.name == "sqlite":
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            portion = rows[start : start + _ROWS_PER_STATEMENT]
            _write_flat(conn, into, FlatRows.of(into.names, portion))
    elif len(rows) < _COPY_FROM:
        if rows:
            named = [dict(zip(into.names, row, strict=True)) for row in rows]
            conn.exec_driver_sql(_statement(conn.dialect, into), named)
    elif into.on_conflict is _no_conflict_clause:
        _copy(conn, into.table.name, into.names, rows)
    else:
        # COPY has no ON CONFLICT: copy into a temporary table, then merge from there in one statement.
        make, staged, merge = _copy_and_merge(
            conn.dialect, into, is_pooled(conn.connection.driver_connection)
        )
        conn.exec_driver_sql(make)
        _copy(conn, staged, into.names, rows)
        conn.exec_driver_sql(merge)


def write_flat(conn: Connection, table: Table, rows: FlatRows) -> None:
    """Insert rows given as one list, their columns in the table's order.

    Raises DBAPIError as SQLAlchemy would, also for a key that is taken.
    """
    if not rows.values:
        return
    if conn.dialect.name == "sqlite":
        _write_flat(conn, InsertTarget(table, rows.columns, _no_conflict_clause), rows)
    else:
        _copy(conn, table.name, rows.columns, _cut(rows.values, len(rows.columns)))


def _write_flat(conn: Connection, into: InsertTarget, rows: FlatRows) -> None:
    """Insert rows on SQLite, without the columns that are NULL in all of them."""
    one, width = _statement(conn.dialect, replace(into, names=rows.columns)), len(rows.columns)
    portion = width * _ROWS_PER_STATEMENT
    # Full portions share a statement; a rest of any length would compile another one for each length.
    whole = len(rows.values) - len(rows.values) % portion
    many = _multi_row_statement(one, width, _ROWS_PER_STATEMENT)
    for values in _cut(rows.values[:whole], portion):
        conn.exec_driver_sql(many, values)
    if whole < len(rows.values):
        conn.exec_driver_sql(one, list(_cut(rows.values[whole:], width)))


def _cut(values: list[Any], length: int) -> Iterator[tuple[Any, ...]]:
    """Yield parts of a list, each of this length."""
    return (tuple(values[at : at + length]) for at in range(0, len(values), length))


@lru_cache(maxsize=1_000)
def _statement(dialect: Dialect, into: InsertTarget) -> str:
    """Return the SQL that inserts one row."""
    insert = insert_into(dialect.name, into.table)
    values = insert.values({name: bindparam(name) for name in into.names})
    return str(into.on_conflict(values).compile(dialect=dialect))


@lru_cache(maxsize=64)
def _multi_row_statement(one: str, columns: int, rows: int) -> str:
    """Return the SQL that inserts `rows` rows, made from that for one."""
    # Built as text: SQLAlchemy takes 0.1 s to compile a statement with thousands of parameters.
    row = f"({', '.join('?' * columns)})"
    return one.replace(f"VALUES {row}", f"VALUES {', '.join([row] * rows)}")


@lru_cache(maxsize=100)
def _copy_and_merge(dialect: Dialect, into: InsertTarget, pooled: bool) -> tuple[str, str, str]:
    """Return the SQL that creates a temporary table, its name, and the SQL that merges its rows."""
    # The table is kept for the next transaction; behind a pooler that may be in another session, or ours may
    # find the table of another client, so there it ends with the transaction.
    columns = (Column(name, into.table.c[name].type) for name in into.names)
    staged = Table(
        f"scalesync_{into.table.name}",
        MetaData(),
        *columns,
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP" if pooled else "DELETE ROWS",
    )
    insert = insert_into(dialect.name, into.table).from_select(into.names, select(staged))
    make, merge = CreateTable(staged, if_not_exists=True), into.on_conflict(insert)
    return str(make.compile(dialect=dialect)), staged.name, str(merge.compile(dialect=dialect))


def _copy(conn: Connection, table: str, names: Sequence[str], rows: Iterable[Values]) -> None:
    quoted = ", ".join(map(conn.dialect.identifier_preparer.quote, names))
    driver: Any = conn.connection.driver_connection
    kind = conn.dialect.loaded_dbapi.Error
    # SQLAlchemy does not see what goes through the driver, so its errors are wrapped here.
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({quoted}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except kind as error:
        raise DBAPIError.instance(
            "COPY", None, error, kind, hide_parameters=True, dialect=conn.dialect
        ) from error
