"""Parses the fields of a document for their columns, and says which of them a column gives back exactly."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import astuple

from scalesync.timestamps import format_instant, parse_instant, whole_milliseconds

Fields = dict[str, msgspec.Raw]

LONGEST_TEXT = 1_000
"""Bytes of JSON text in an indexed column, at most; Postgres rejects index entries above about 2,700."""

_SURELY_SHORT = LONGEST_TEXT // 12 - 1
"""Characters that fit even if each is two escapes of six bytes."""

_decode_text = msgspec.json.Decoder(str).decode
_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,18}")
_CANONICAL_INSTANT = re.compile(rb'"[1-9]\d{3}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{3}Z"')

_Parsed = tuple[object, bool]
"""Value of a column, and whether it gives the field back exactly."""
_NOTHING: _Parsed = (None, False)


class ColumnParser(StrEnum):
    """How a field is parsed for its column."""

    TEXT = "text"
    SHORT_TEXT = "short text"
    """Text of an indexed column: nothing if it is too long."""
    INSTANT = "instant"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    JSON = "json"


def parse_column(parser: ColumnParser, given: msgspec.Raw) -> object:
    """Return the column's value of a field; None if the column cannot hold it."""
    return _PARSERS[parser](bytes(given))[0]


_TYPES: dict[ColumnParser, tuple[Any, Any]] = {
    ColumnParser.TEXT: (str | None, None),
    ColumnParser.SHORT_TEXT: (str | None, None),
    ColumnParser.INSTANT: (str | None, None),
    ColumnParser.BOOLEAN: (bool | None, None),
    # Raw: their columns hold the text as it came, or do not take every number.
    ColumnParser.INTEGER: (msgspec.Raw, msgspec.Raw()),
    ColumnParser.JSON: (msgspec.Raw, msgspec.Raw()),
}
"""Types that the decoder checks, and defaults of missing fields."""


class ColumnsParser:
    """Parser of the fields of one kind of document that have a column.

    Usual documents are decoded at once; only one with a value of an unusual kind is parsed field by field.
    """

    def __init__(self, columns: Sequence[tuple[str, ColumnParser]]) -> None:
        """Prepare for documents with these columns, each with its parser."""
        self._columns = columns
        fields = [(name, *_TYPES[parser]) for name, parser in columns]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Columns", fields, gc=False)).decode
        self._short = self._of(ColumnParser.SHORT_TEXT)
        self._instants = self._of(ColumnParser.INSTANT)
        self._raw = self._of(ColumnParser.INTEGER) + self._of(ColumnParser.JSON)

    def parse(self, text: bytes, fields: Fields) -> list[Any]:
        """Return the columns' values, and remove from the fields those that a column holds exactly."""
        values = self._parse_at_once(text)
        if values is None:
            return self._parse_each(fields)
        for (name, _), value in zip(self._columns, values, strict=True):
            # A null is no value of its column: it stays among the fields.
            if value is not None:
                del fields[name]
        return values

    def _of(self, kind: ColumnParser) -> list[tuple[int, Callable[[bytes], _Parsed]]]:
        return [(at, _PARSERS[kind]) for at, (_, parser) in enumerate(self._columns) if parser is kind]

    def _parse_at_once(self, text: bytes) -> list[Any] | None:
        """Return the columns' values if each gives its field back exactly, or None."""
        try:
            values = list(astuple(self._decode(text)))
        except msgspec.ValidationError:
            return None
        if max(map(len, [values[at] or "" for at, _ in self._short])) > _SURELY_SHORT:
            return None
        for at, _ in self._instants:
            if values[at] is not None and not _is_canonical(values[at]):
                return None
        for at, parse in self._raw:
            given = bytes(values[at])
            values[at], exact = parse(given) if given else _NOTHING
            if given and not exact and given != b"null":
                return None
        return values

    def _parse_each(self, fields: Fields) -> list[Any]:
        values = []
        for name, parser in self._columns:
            given = fields.get(name)
            value, exact = _NOTHING if given is None else _PARSERS[parser](bytes(given))
            values.append(value)
            if exact:
                del fields[name]
        return values


def _is_canonical(text: str) -> bool:
    """Return whether a text is a time in the API's own form."""
    # Without the regular expression, which takes twice as long: of that length, with these signs at these
    # places, `fromisoformat` reads nothing else, except a date by its week.
    if len(text) != len("2025-01-31T12:00:00.000Z") or text[10] + text[19] + text[23] != "T.Z":
        return False
    if text[0] == "0" or text[5] == "W":
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _parse_text(given: bytes) -> _Parsed:
    return (_decode_text(given), True) if given[:1] == b'"' else _NOTHING


def _parse_short_text(given: bytes) -> _Parsed:
    return _parse_text(given) if len(given) <= LONGEST_TEXT else _NOTHING


def take_instant(given: bytes) -> _Parsed:
    """Parse a time in ISO 8601 into text of the API's own form."""
    exact = _CANONICAL_INSTANT.fullmatch(given) is not None
    try:
        if exact:
            text = given[1:-1].decode()
            datetime.fromisoformat(text)
            return text, True
        instant = parse_instant(_decode_text(given))
    except (ValueError, OverflowError):
        return _NOTHING
    if instant.year < 1000:
        return _NOTHING
    return format_instant(whole_milliseconds(instant)), False


def _parse_boolean(given: bytes) -> _Parsed:
    return (given == b"true", True) if given in {b"true", b"false"} else _NOTHING


def take_integer(given: bytes) -> _Parsed:
    """Parse a whole number of up to 64 bits."""
    if not _INTEGER.fullmatch(given) or int(given) not in _INT64:
        return _NOTHING
    return int(given), True


def _parse_json(given: bytes) -> _Parsed:
    return (given.decode(), True) if given != b"null" else _NOTHING


_PARSERS: dict[ColumnParser, Callable[[bytes], _Parsed]] = {
    ColumnParser.TEXT: _parse_text,
    ColumnParser.SHORT_TEXT: _parse_short_text,
    ColumnParser.INSTANT: take_instant,
    ColumnParser.BOOLEAN: _parse_boolean,
    ColumnParser.INTEGER: take_integer,
    ColumnParser.JSON: _parse_json,
}
