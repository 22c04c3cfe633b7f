"""From the fields of an object to the columns of a row: what fits goes in, everything else is kept beside."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from scalesync.annotations.json_values import Object, encoded
from scalesync.annotations.models import Annotation, Link, UnreadFile


class AnnotationColumn(NamedTuple):
    """A column that a field's value goes to."""

    name: str
    kind: type | None
    """What it holds as it is."""
    take: Callable[[Any], object]
    """What it holds of any other value that is not null; None where it cannot hold it."""

    def of(self, value: object) -> object:
        """Return what the column holds of a value; None where it cannot hold it."""
        return value if value is None or type(value) is self.kind else self.take(value)


Columns = Mapping[str, AnnotationColumn]
"""By the name of the field."""


class NotUnderstood(Enum):
    """Stands among rows where something could not be read."""

    UNREAD = auto()


Row = Annotation | Link | NotUnderstood | UnreadFile

_INT64 = range(-(2**63), 2**63)
_DOUBLE = 2**1023


def text_of(value: object) -> str | None:
    """Return a text as it is, a number or a boolean as its JSON text; None of anything else."""
    if isinstance(value, str):
        return value
    return encoded(value) if isinstance(value, int | float) else None


def text_in(column: str) -> AnnotationColumn:
    """Take a text."""
    return AnnotationColumn(column, str, lambda _value: None)


def word_in(column: str) -> AnnotationColumn:
    """Take a text; a number or a boolean as its JSON text."""
    return AnnotationColumn(column, str, text_of)


def number_in(column: str) -> AnnotationColumn:
    """Take a number that a double holds."""
    return AnnotationColumn(column, float, _double)


def integer_in(column: str) -> AnnotationColumn:
    """Take a whole number of 64 bits."""
    return AnnotationColumn(
        column, None, lambda value: value if type(value) is int and value in _INT64 else None
    )


def list_in(column: str) -> AnnotationColumn:
    """Take a list, as JSON text."""
    return AnnotationColumn(column, None, lambda value: encoded(value) if type(value) is list else None)


def json_in(column: str) -> AnnotationColumn:
    """Take anything, as JSON text."""
    return AnnotationColumn(column, None, encoded)


def _double(value: object) -> float | None:
    return float(value) if type(value) is int and -_DOUBLE < value < _DOUBLE else None


def split(given: Object, columns: Columns) -> tuple[Object, Object]:
    """Return the values of columns, and the fields that went into none. Nulls of known fields are dropped."""
    values: Object = {}
    rest: Object = {}
    column_of = columns.get
    for name, value in given.items():
        column = column_of(name)
        if column is None:
            rest[name] = value
            continue
        target, kind, take = column
        # Spelt out, not Column.of: this runs for every field of every annotation.
        if type(value) is kind:
            values[target] = value
        elif value is not None:
            taken = take(value)
            if taken is None:
                rest[name] = value
            else:
                values[target] = taken
    return values, rest


def fill_from(values: Object, rest: Object, columns: Columns) -> None:
    """Move into columns that are still empty what other fields of the rest have for them."""
    for name, column in columns.items():
        if name in rest and column.name not in values and (taken := column.of(rest[name])) is not None:
            values[column.name] = taken
            del rest[name]


def row(values: Object, rest: Object) -> Annotation:
    """Return the row of these values, with the rest of the fields in `extra`."""
    if rest:
        values["extra"] = encoded(rest)
    return Annotation(**values)


def unexpected(place: str, value: object) -> Iterator[Row]:
    """Yield a row that keeps a value in `extra` under the name of its place, where another kind was due."""
    if value is not None:
        yield row({}, {place: value})
        yield NotUnderstood.UNREAD


_ENDS: Columns = {"from_id": word_in("source"), "to_id": word_in("target")}
"""How scenes of several sensors name the two ends."""


def links(kind: str, columns: Columns, *, place: str, value: object) -> Iterator[Row]:
    """Yield a link for each object of a list; what is none is kept in `extra`."""
    if value is None:
        return
    if not isinstance(value, list):
        yield Link(kind=kind, extra=encoded({place: value}))
        yield NotUnderstood.UNREAD
        return
    for item in value:
        if item is not None:
            yield from _tie(kind, columns, item)


def _tie(kind: str, columns: Columns, item: object) -> Iterator[Row]:
    values, rest = split(item, columns) if isinstance(item, dict) else ({}, {"value": item})
    fill_from(values, rest, _ENDS)
    yield Link(kind=kind, **values, extra=encoded(rest) if rest else None)
    if isinstance(item, dict) and not values.keys() & {"source", "target"}:
        yield NotUnderstood.UNREAD
