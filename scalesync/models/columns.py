"""Columns and results of exports and SQL queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ColumnKind(StrEnum):
    """The type of a column's values, the same on SQLite and Postgres."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    """Timezone-aware datetimes."""
    DAY = "day"
    """A day in UTC, as text: 2023-10-11."""
    JSON = "json"
    """JSON, as text."""
    BYTES = "bytes"
    UNDECLARED = "undeclared"
    """In the result of a person's own SQL: values of any type, as the driver returns them."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of exported rows."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The result of an SQL statement, read a few rows at a time."""

    columns: tuple[Column, ...]
    """Of kind JSON if the database says so, else UNDECLARED."""
    rows: Iterator[Sequence[object]]
