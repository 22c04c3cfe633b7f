"""Maps the fields of a JSON object to the columns of a row; what fits no column stays in `extra`.

Open it to add a column kind, or for how a value is fitted into a column.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from scalesync.annotations.json_values import Object, encoded
from scalesync.annotations.models import Annotation, Link, UnreadFile


class AnnotationColumn(NamedTuple):
    """Target column of a field."""

    name: str
    kind: type | None
    """Type that is stored unchanged."""
    convert: Callable[[Any], object]
    """Converts any other value that is not null; None if the column cannot hold it."""

    def of(self, value: object) -> object:
        """Return the column's value; None if it cannot hold it."""
        return value if value is None or type(value) is self.kind else self.convert(value)


Columns = Mapping[str, AnnotationColumn]
"""Target columns by the name of the field."""


class NotUnderstood(Enum):
    """Marker among rows: something at this place was not understood."""

    UNREAD = auto()


Row = Annotation | Link | NotUnderstood | UnreadFile

_INT64 = range(-(2**63), 2**63)
_DOUBLE = 2**1023


def text_of(value: object) -> str | None:
    """Return a text unchanged, a number or a boolean as JSON text, None for anything else."""
    if isinstance(value, str):
        return value
    return encoded(value) if isinstance(value, int | float) else None


def text_in(column: str) -> AnnotationColumn:
    """Return a column for texts."""
    return AnnotationColumn(column, str, lambda _value: None)


def word_in(column: str) -> AnnotationColumn:
    """Return a column for texts, and for numbers and booleans as JSON text."""
    return AnnotationColumn(column, str, text_of)


def number_in(column: str) -> AnnotationColumn:
    """Return a column for numbers that a double can hold."""
    return AnnotationColumn(column, float, _double)


def integer_in(column: str) -> AnnotationColumn:
    """Return a column for whole numbers of up to 64 bits."""
    return AnnotationColumn(
        column, None, lambda value: value if type(value) is int and value in _INT64 else None
    )


def list_in(column: str) -> AnnotationColumn:
    """Return a column for lists, as JSON text."""
    return AnnotationColumn(column, None, lambda value: encoded(value) if type(value) is list else None)


def json_in(column: str) -> AnnotationColumn:
    """Return a column for any value, as JSON text."""
    return AnnotationColumn(column, None, encoded)


def _double(value: object) -> float | None:
    return float(value) if type(value) is int and -_DOUBLE < value < _DOUBLE else None


def split(given: Object, columns: Columns) -> tuple[Object, Object]:
    """Return the column values, and the fields that fit no column; nulls of known fields are dropped."""
    values: Object = {}
    rest: Object = {}
    column_of = columns.get
    for name, value in given.items():
        column = column_of(name)
        if column is None:
            rest[name] = value
            continue
        target, kind, convert = column
        # Not AnnotationColumn.of: this runs for every field of every annotation.
        if type(value) is kind:
            values[target] = value
        elif value is not None:
            converted = convert(value)
            if converted is None:
                rest[name] = value
            else:
                values[target] = converted
    return values, rest


def fill_from(values: Object, rest: Object, columns: Columns) -> None:
    """Move fields of `rest` into the columns that are still empty."""
    for name, column in columns.items():
        if name in rest and column.name not in values and (value := column.of(rest[name])) is not None:
            values[column.name] = value
            del rest[name]


def row(values: Object, rest: Object) -> Annotation:
    """Return an annotation with these column values, and `rest` in `extra`."""
    if rest:
        values["extra"] = encoded(rest)
    return Annotation(**values)


def unexpected(place: str, value: object) -> Iterator[Row]:
    """Yield a row with a value of an unexpected kind in `extra`, under `place`, and mark it as unread."""
    if value is not None:
        yield row({}, {place: value})
        yield NotUnderstood.UNREAD


_ENDS: Columns = {"from_id": word_in("source"), "to_id": word_in("target")}
"""Names of the two ends in scenes of several sensors."""


def rows_of_list(place: str, value: object, read: Callable[[Any], Iterable[Row]]) -> Iterator[Row]:
    """Yield the rows that `read` makes of each element of a list, except nulls."""
    if not isinstance(value, list):
        yield from unexpected(place, value)
        return
    for element in value:
        if element is not None:
            yield from read(element)


def links(kind: str, columns: Columns, *, place: str, value: object) -> Iterator[Row]:
    """Yield a link for each element of a list; what is not an object goes to `extra`."""
    if value is None:
        return
    if not isinstance(value, list):
        yield Link(kind=kind, extra=encoded({place: value}))
        yield NotUnderstood.UNREAD
        return
    for item in value:
        if item is not None:
            yield from _link(kind, columns, item)


def _link(kind: str, columns: Columns, item: object) -> Iterator[Row]:
    values, rest = split(item, columns) if isinstance(item, dict) else ({}, {"value": item})
    fill_from(values, rest, _ENDS)
    yield Link(kind=kind, **values, extra=encoded(rest) if rest else None)
    if isinstance(item, dict) and not values.keys() & {"source", "target"}:
        yield NotUnderstood.UNREAD
