"""Column types for both databases, and the metadata of all tables."""

import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from scalesync import advice
from scalesync.errors import DatabaseError
from scalesync.timestamps import format_instant, parse_instant


class Instant(sa.TypeDecorator[datetime]):
    """A point in time: `timestamptz` on Postgres, `YYYY-MM-DDTHH:MM:SS.mmmZ` text on SQLite."""

    impl = sa.String(24)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[datetime]:
        """Return the column type of each database."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import TIMESTAMP

            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(24))  # type: ignore[arg-type]

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> object:
        """Return the value for the driver."""
        return value if value is None or dialect.name == "postgresql" else format_instant(value)

    def process_result_value(self, value: object, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware datetime from either database."""
        if not isinstance(value, str):
            return value  # type: ignore[return-value]
        return instant_in(value)


def instant_in(text: str) -> datetime:
    """Return the time in a column of SQLite, where people may have written anything. Raises DatabaseError."""
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        msg = f"The database holds a time that is none: {text!r}."
        raise DatabaseError(msg, advice=advice.REPAIR_ROW) from error


class Json(sa.TypeDecorator[str]):
    """JSON passed as text, so that no number is rounded: `jsonb` on Postgres, text on SQLite.

    On Postgres, writing needs an engine with `json_as_text` as JSON serializer; reading works with any.
    """

    impl = sa.Text
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[object], str | None] | None:
        """Return a function that converts the deserialized value back to text, if the engine is not ours."""
        load = super().result_processor(dialect, coltype)
        if dialect.name != "postgresql" or getattr(dialect, "_json_serializer", None) is json_as_text:
            return load
        return lambda value: None if value is None else json.dumps(load(value) if load else value)

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[str]:
        """Return the column type of each database."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(sa.Text())


def json_as_text(text: str) -> str:
    """Return the text unchanged: the JSON serializer of our Postgres engines."""
    return text


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An id given by the database; SQLite generates ids only in a column of type INTEGER."""


def numbered_key(task: str, ordinal: str) -> tuple[sa.Column[str], sa.Column[int]]:
    """Return the key columns of a table whose rows are numbered within a task, with what they mean."""
    return (
        sa.Column("task_id", sa.Text, primary_key=True, doc=task),
        sa.Column("ordinal", sa.BigInteger, primary_key=True, autoincrement=False, doc=ordinal),
    )


def one_row_key() -> sa.Column[int]:
    """Return the key column of a table that has one row at most."""
    one_row = sa.CheckConstraint("id = 1", name="one_row")
    return sa.Column("id", sa.Integer, one_row, primary_key=True, autoincrement=False, doc="always 1")


def one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """Return the CHECK constraint that restricts a column to the values of an enum."""
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=column)
