"""SQL elements that SQLAlchemy lacks for both databases: lists in a parameter, index hints, ON CONFLICT.

Each element is compiled for its database, so that statements can be module constants, compiled once for each
engine.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, TypeVarTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.types import TypeEngine

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

ONCE = "MATERIALIZED"
"""The prefix of a CTE that makes both databases evaluate it only once."""

Chosen = TypeVarTuple("Chosen")
_encode = msgspec.json.Encoder().encode


class _List(sa.TypeDecorator[list[Any]]):
    """A list in one parameter: an array on Postgres, JSON on SQLite."""

    # With a parameter for each value, every length of a list would be another statement to compile.

    impl = sa.Text
    cache_ok = True

    def __init__(self, item_type: TypeEngine[Any]) -> None:
        super().__init__()
        self.item_type = item_type

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return the type of the parameter."""
        return dialect.type_descriptor(
            sa.ARRAY(self.item_type) if dialect.name == "postgresql" else sa.Text()
        )

    def process_bind_param(self, value: list[Any] | None, dialect: sa.Dialect) -> object:
        """Return the value for the driver."""
        return value if dialect.name == "postgresql" else _encode(value).decode()


class _Condition(FunctionElement[bool]):
    """A condition that is written as it is compiled."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:  # noqa: ARG002
        """Return the condition itself, without parentheses or `= 1`."""
        # SQLAlchemy would write `(...) = 1` for SQLite, for which that uses no index.
        return self


def list_parameter(name: str, item_type: TypeEngine[Any]) -> sa.BindParameter[list[Any]]:
    """Return the parameter of this name that takes a list: an array on Postgres, JSON on SQLite."""
    return sa.bindparam(name, type_=_List(item_type))


class in_list(_Condition):  # noqa: N801 - reads as a function of SQL
    """The condition that a column's value is in the list passed as the parameter of this name."""

    name = "in_list"
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], parameter: str) -> None:
        super().__init__(column, list_parameter(parameter, column.type))


class in_json(_Condition):  # noqa: N801 - reads as a function of SQL
    """The condition that a column's value is in the JSON list of another column."""

    name = "in_json"
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], listed: sa.ColumnElement[str]) -> None:
        super().__init__(column, listed)


class has_any(_Condition):  # noqa: N801 - reads as a function of SQL
    """The condition that a JSON list in a column has one of these texts."""

    name = "has_any"
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], texts: Iterable[str]) -> None:
        super().__init__(column, sa.bindparam("texts", list(texts), type_=_List(sa.Text()), unique=True))


class lacks(_Condition):  # noqa: N801 - reads as a function of SQL
    """The condition that the JSON object in a column has no such field, or one that is null or false."""

    name = "lacks"
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[str], field: str) -> None:
        super().__init__(column, sa.bindparam("field", field, sa.Text(), unique=True))


class in_subquery(_Condition):  # noqa: N801 - reads as a function of SQL
    """The condition that a column's value is in the result of a query, which is run first."""

    name = "in_subquery"
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[int], query: sa.Select[int]) -> None:
        super().__init__(column, query.scalar_subquery())


class byte_order(FunctionElement[str]):  # noqa: N801 - reads as a function of SQL
    """A key ordered by its bytes, as by Python's `sorted`, under any collation of the database."""

    name = "byte_order"
    type = sa.Text()
    inherit_cache = True

    def __init__(self, key: sa.ColumnElement[str]) -> None:
        super().__init__(key)


@compiles(in_list, "sqlite")
@compiles(in_json, "sqlite")
def _sqlite_in_list(element: in_list | in_json, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both are SQL already


@compiles(in_list, "postgresql")
def _postgres_in_list(element: in_list, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(in_json, "postgresql")
def _postgres_in_json(element: in_json, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY (ARRAY(SELECT jsonb_array_elements_text({listed})))"


@compiles(has_any, "sqlite")
def _sqlite_has_any(element: has_any, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    wanted = f"SELECT wanted.value FROM json_each({texts}) AS wanted"  # noqa: S608 - both are SQL already
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS held WHERE held.value IN ({wanted}))"  # noqa: S608


@compiles(has_any, "postgresql")
def _postgres_has_any(element: has_any, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} ?| {texts}"


@compiles(lacks, "sqlite")
def _sqlite_lacks(element: lacks, compiler: SQLCompiler, **options: Any) -> str:
    column, field = (compiler.process(each, **options) for each in element.clauses)
    return f"coalesce(json_extract({column}, '$.' || {field}), 0) = 0"


@compiles(lacks, "postgresql")
def _postgres_lacks(element: lacks, compiler: SQLCompiler, **options: Any) -> str:
    column, field = (compiler.process(each, **options) for each in element.clauses)
    return f"coalesce({column} ->> {field}, 'false') = 'false'"


@compiles(in_subquery, "sqlite")
def _sqlite_in_subquery(element: in_subquery, compiler: SQLCompiler, **options: Any) -> str:
    column, query = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN {query}"


@compiles(in_subquery, "postgresql")
def _postgres_in_subquery(element: in_subquery, compiler: SQLCompiler, **options: Any) -> str:
    # As an array: for IN (SELECT ...) the planner may choose a join that reads the whole table.
    column, query = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY (ARRAY{query})"


@compiles(byte_order, "sqlite")
def _sqlite_byte_order(element: byte_order, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(byte_order, "postgresql")
def _postgres_byte_order(element: byte_order, compiler: SQLCompiler, **options: Any) -> str:
    # Rows are locked in SQL and written from Python's `sorted`: in two orders, writers could deadlock.
    return f'{compiler.process(element.clauses, **options)} COLLATE "C"'


class IndexedBy(SQLiteCompiler):
    """SQLite compiler that writes the hints of `indexed`, which SQLAlchemy's own ignores."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002
        """Return the hint of a table that is read."""
        return text

    def get_crud_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002
        """Return the hint of a table that is written."""
        return text


def indexed(query: sa.Select[*Chosen], table: FromClause, index: str) -> sa.Select[*Chosen]:
    """Return the query with a hint that makes SQLite read `table` by this index."""
    # Nobody runs ANALYZE on a new file, and without statistics SQLite takes any index that has `state`.
    return query.with_hint(table, f"INDEXED BY {index}", "sqlite")


Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"


def insert_into(dialect: str, table: sa.Table) -> Insert:
    """Return the INSERT of a dialect, which supports ON CONFLICT."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


SIZE = 500
"""Values in one statement; SQLite's limit is 32,766 parameters."""

_Value = TypeVar("_Value")


def chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Yield the values in order, in lists of up to SIZE."""
    rest = iter(values)
    while chunk := list(islice(rest, SIZE)):
        yield chunk


def key_ranges(
    conn: sa.Connection, key: sa.Column[str], size: int, *where: sa.ColumnElement[bool]
) -> list[tuple[str, str | None]]:
    """Divide the selected rows into ranges of `size` keys; return the key before each and its last one.

    The last range is open (None), so that rows that are added meanwhile belong to it.
    """
    place = sa.func.row_number().over(order_by=key).label("place")
    numbered = sa.select(key.label("key"), place).where(*where).subquery().c
    every = sa.select(numbered.key).where(numbered.place % size == 0).order_by(numbered.key)
    ends: list[str] = list(conn.scalars(every))
    return list(zip(["", *ends], [*ends, None], strict=True))
