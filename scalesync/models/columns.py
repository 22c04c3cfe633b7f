"""Columns of rows that leave the mirror."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class ColumnKind(StrEnum):
    """What the values of a column are, on either database."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    """Aware datetimes."""
    DAY = "day"
    """A day in UTC, as text: 2023-10-11."""
    JSON = "json"
    """JSON, as text."""
    BYTES = "bytes"
    UNDECLARED = "undeclared"
    """Of the answer to a person's own SQL: each value is whatever the driver made of it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of rows that leave the mirror."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a statement gives, a few rows at a time."""

    columns: tuple[Column, ...]
    """JSON where the database says so, else undeclared."""
    rows: Iterator[Sequence[object]]
