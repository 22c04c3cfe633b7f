"""How a database is made to find few rows in a large table the way that is meant."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, TypeVarTuple

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Table,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql.selectable import FromClause

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

from collections.abc import Iterable, Iterator
from itertools import islice

ONCE = "MATERIALIZED"
"""Before a CTE, it keeps both databases from working it out anew for each row that it is joined to."""

Chosen = TypeVarTuple("Chosen")
Built = TypeVar("Built")
_encode = msgspec.json.Encoder().encode
_BUILT: dict[tuple[object, ...], Any] = {}


class _JsonList(TypeDecorator[list[Any]]):
    """A list as SQLite takes it in one parameter."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Return it as JSON."""
        return _encode(value).decode()


class IndexedBy(SQLiteCompiler):
    """Writes the hints of `indexed` into statements: SQLAlchemy's own compiler for SQLite leaves them out."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002
        """Return the hint of a table that is read."""
        return text

    def get_crud_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002
        """Return the hint of a table that is written."""
        return text


def built(conn: Connection, build: Callable[..., Built], *given: object) -> Built:
    """Return what `build(conn, *given)` puts together, once for each kind of database: it is only run anew.

    It must depend on nothing else. To put a statement together takes longer than to run it.
    """
    key = (conn.dialect.name, build, *given)
    if key not in _BUILT:
        _BUILT[key] = build(conn, *given)
    statement: Built = _BUILT[key]
    return statement


def indexed(query: Select[*Chosen], table: FromClause, index: str) -> Select[*Chosen]:
    """Return the query with `table` read by an index: SQLite, before ANALYZE, takes any that has `state`."""
    return query.with_hint(table, f"INDEXED BY {index}", "sqlite")


def in_list(conn: Connection, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Return the condition that `column` is in the list that `parameter` has when the statement is run."""
    if conn.dialect.name == "postgresql":
        return column == any_(bindparam(parameter, type_=ARRAY(column.type)))
    listed = func.json_each(bindparam(parameter, type_=_JsonList)).table_valued("value")
    return column.in_(select(listed.c.value))


def in_subquery(dialect: str, column: ColumnElement[int], query: Select[int]) -> ColumnElement[bool]:
    """Return the condition that `column` is among the few that `query` finds, which is run first."""
    if dialect == "postgresql":
        return column == any_(func.array(query.scalar_subquery()))
    return column.in_(query)


Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"


def insert_into(dialect: str, table: Table) -> Insert:
    """Return an INSERT that can say what to do on a conflict, which the plain one cannot."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


SIZE = 500
"""Far below the 32,766 bound parameters that SQLite takes."""

_Value = TypeVar("_Value")


def chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Yield the values in their order, in lists short enough for one statement."""
    rest = iter(values)
    while chunk := list(islice(rest, SIZE)):
        yield chunk
