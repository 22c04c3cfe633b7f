"""Maps the fields of a JSON object to the columns of a row; what fits no column stays in `extra`.

Open it to add a column kind, or for how a value is fitted into a column.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from operator import itemgetter
from typing import Any, NamedTuple

from scalesync.annotations.json_values import Object, encoded
from scalesync.annotations.models import Annotation, Audit, Link, TaskAttempt, UnreadFile


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

_MAX_LAYOUTS = 1_000
"""Layouts that a field map remembers; an account has dozens."""


class Layout(NamedTuple):
    """Where the fields go of objects that have the same names and types of values."""

    pick: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    """Returns the values of all columns, not converted yet, from the object's values and None."""
    conversions: tuple[tuple[int, Callable[[Any], object]], ...]
    """Position of a column, and conversion of what was picked for it."""
    rest: tuple[tuple[str, int], ...]
    """Name and position of the fields that fit no column."""


class FieldMap:
    """Maps the fields of JSON objects to columns; each layout of names and types is worked out once."""

    # Responses have thousands of objects of few layouts: then a field nobody knows costs as little as others.
    def __init__(
        self,
        columns: Columns,
        *alternatives: Columns,
        row_type: type[Annotation | Link | Audit | TaskAttempt] = Annotation,
    ) -> None:
        """Map by `columns`; fields of `alternatives`, in order, fill the columns that are empty then."""
        self._columns = columns
        self._alternatives = alternatives
        self._names = row_type._fields
        self._layouts: dict[tuple[object, ...], Layout] = {}
        """By the names of an object's fields and the types of their values."""

    def split(self, given: object) -> tuple[Object, Object]:
        """Return the column values of an object, and the fields that fit no column.

        Nulls of known fields are dropped. Anything but an object is returned as the field `value`.
        """
        if not isinstance(given, dict):
            return {}, {"value": given}
        row, rest = self.fit(given)
        return {name: value for name, value in zip(self._names, row, strict=True) if value is not None}, rest

    def fit(self, given: Object, layout: Layout | None = None) -> tuple[list[Any], Object]:
        """Return the values of all columns, None for empty ones, and the fields that fit no column.

        `layout` None: that of objects with these names and types.
        """
        values = (*given.values(), None)
        kind = (*given, *map(type, values))
        layout = layout or self._layouts.get(kind)
        if layout is None:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            # Learned without its numbers: another object of these types has others.
            layout = self._layout({name: 0 if type(value) is int else value for name, value in given.items()})
            self._layouts[kind] = layout
        pick, conversions, rest = layout
        row = [*pick(values)]
        for column, convert in conversions:
            row[column] = converted = convert(row[column])
            if converted is None:
                # A whole number that its column cannot hold: only of these the type alone does not decide.
                return self.fit(given, self._layout(given))
        return row, {name: values[position] for name, position in rest} if rest else {}

    def _layout(self, given: Object) -> Layout:
        types = [type(value) for value in given.values()]
        rest: dict[str, int] = {}
        found: dict[str, tuple[int, AnnotationColumn]] = {}
        for position, (name, value) in enumerate(given.items()):
            column = self._columns.get(name)
            if column is not None and column.of(value) is not None:
                found[column.name] = position, column
            elif column is None or value is not None:
                rest[name] = position
        for columns in self._alternatives:
            for name, column in columns.items():
                if name in rest and column.name not in found and column.of(given[name]) is not None:
                    found[column.name] = rest.pop(name), column
        picked = (found[name][0] if name in found else len(given) for name in self._names)
        conversions = (
            (self._names.index(name), column.convert)
            for name, (position, column) in found.items()
            if types[position] is not column.kind
        )
        return Layout(itemgetter(*picked), tuple(conversions), tuple(rest.items()))


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


def row(values: Object, rest: Object) -> Annotation:
    """Return an annotation with these column values, and `rest` in `extra`."""
    if rest:
        values["extra"] = encoded(rest)
    return Annotation._make(map(values.get, Annotation._fields))


def unexpected(place: str, value: object) -> Iterator[Row]:
    """Yield a row with a value of an unexpected kind in `extra`, under `place`, and mark it as unread."""
    if value is not None:
        yield row({}, {place: value})
        yield NotUnderstood.UNREAD


LINK_ENDS: Columns = {"from_id": word_in("source"), "to_id": word_in("target")}
"""Names of the two ends in scenes of several sensors."""


def rows_of_list(place: str, value: object, read: Callable[[Any], Iterable[Row]]) -> Iterator[Row]:
    """Yield the rows that `read` makes of each element of a list, except nulls."""
    if not isinstance(value, list):
        yield from unexpected(place, value)
        return
    for element in value:
        if element is not None:
            yield from read(element)


def links(kind: str, fields: FieldMap, *, place: str, value: object) -> Iterator[Row]:
    """Yield a link for each element of a list; what is not an object goes to `extra`."""
    if value is None:
        return
    if not isinstance(value, list):
        yield Link(kind=kind, extra=encoded({place: value}))
        yield NotUnderstood.UNREAD
        return
    for item in value:
        if item is not None:
            yield from _link(kind, fields, item)


def _link(kind: str, fields: FieldMap, item: object) -> Iterator[Row]:
    values, rest = fields.split(item)
    yield Link(kind=kind, **values, extra=encoded(rest) if rest else None)
    if isinstance(item, dict) and not values.keys() & {"source", "target"}:
        yield NotUnderstood.UNREAD
