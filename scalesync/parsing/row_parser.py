"""Parses documents into rows: which field goes to which column, what stays in `extra`, and the digest.

Needs and imports no database. A field whose column cannot give it back exactly stays in `extra` too.
"""

import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import msgspec

from scalesync.errors import InconsistentPageError
from scalesync.parsing.json_equality import repeated_names
from scalesync.timestamps import format_instant, parse_instant, whole_milliseconds

VOLATILE = frozenset({"attachmentS3Downloads"})
"""Fields that differ at every read of an unchanged object: presigned addresses (observed)."""

FORCE_REWRITE = ""
"""Digest of a row that differs from the API's object: the next copy replaces the row."""

LONGEST_TEXT = 1_000
"""Bytes of JSON text in an indexed column, at most; Postgres rejects index entries above about 2,700."""

Fields = dict[str, msgspec.Raw]

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,18}")
_CANONICAL_INSTANT = re.compile(rb'"[1-9]\d{3}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{3}Z"')
decode_fields = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

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


class DocumentSpec(msgspec.Struct, frozen=True):
    """Fields of one kind of document that have a column, with their parsers."""

    table: str
    key: str
    """Name of the field, and column, that identifies an object."""
    columns: tuple[tuple[str, ColumnParser], ...]


RowValues = tuple[Any, ...]
"""A row of a table, in the order of its columns."""


class AnnotationRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A response as rows of `annotations` and `annotation_links`."""

    annotations: tuple[RowValues, ...]
    links: tuple[RowValues, ...]
    read: bool
    """Whether all of it was understood."""


class DerivedRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Values derived from a task's row before it is written."""

    response_digest: str | None
    annotation_rows: AnnotationRows | None
    """None if the response names files, which the database may have."""
    repeated: int | None = None
    """Number of names that objects in the row's JSON repeat; None if not counted."""


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A document as a row of its table."""

    key: str
    created_at: datetime | None
    values: dict[str, object]
    """Every column that comes from the document, `extra` included; instants are text."""
    digest: str
    """Digest of the document without its volatile fields."""
    derived: DerivedRows | None = None
    repeated: int = 0
    """Number of fields that the document repeats; the last value of each is in the row."""


def no_derived_columns(_fields: Fields) -> dict[str, object]:
    """Return no columns."""
    return {}


def make_row_parser(
    form: DocumentSpec, derive: Callable[[Fields], dict[str, object]] = no_derived_columns
) -> Callable[[bytes], Row]:
    """Return a function that parses a document into a row, with the columns that `derive` adds.

    It raises InconsistentPageError for anything but a JSON object in UTF-8 with a usable key.
    """
    columns = tuple((name, _PARSERS[parser]) for name, parser in form.columns)

    def parse(text: bytes) -> Row:
        fields = _fields(form, text)
        ordered = _encode_sorted(_without_signed_links(fields))
        digest = blake2b(ordered, digest_size=16).hexdigest()
        # As long as the compact text of its fields: no field is repeated. So are nearly all documents.
        repeated = 0 if len(ordered) == len(text) else _repeated_fields(fields, text)
        values = derive(fields)
        for name, parse_field in columns:
            given = fields.get(name)
            if given is None:
                values[name] = None
                continue
            values[name], exact = parse_field(bytes(given))
            if exact:
                del fields[name]
        values["extra"] = _encode(fields).decode() if fields else None
        key, created_at = values[form.key], values["created_at"]
        if not key or not isinstance(key, str):
            raise InconsistentPageError(f"An object in {form.table} came without a usable {form.key}.")
        created = datetime.fromisoformat(created_at) if isinstance(created_at, str) else None
        return Row(key, created, values, digest, repeated=repeated)

    return parse


def repeats(form: DocumentSpec) -> Callable[[Row], int]:
    """Return a function that counts the names repeated within objects of a row's JSON columns."""
    columns = (*(name for name, parser in form.columns if parser is ColumnParser.JSON), "extra")

    def count(row: Row) -> int:
        texts = (text for name in columns if isinstance(text := row.values[name], str) and text)
        return repeated_names(f"[{','.join(texts)}]")

    return count


def parse_column(parser: ColumnParser, given: msgspec.Raw) -> object:
    """Return the column's value of a field; None if the column cannot hold it."""
    return _PARSERS[parser](bytes(given))[0]


def _fields(form: DocumentSpec, text: bytes) -> Fields:
    try:
        text.decode()
        return decode_fields(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InconsistentPageError(
            f"An object in {form.table} is not a JSON object that can be read."
        ) from error


def _repeated_fields(fields: Fields, text: bytes) -> int:
    # Cheap checks first: reading the text name by name is slow.
    if len(_encode(fields)) == len(text):
        return 0
    try:
        compact = msgspec.json.format(text, indent=-1)
        same_length = len(_encode(decode_fields(compact))) == len(compact)
    except (msgspec.DecodeError, RecursionError):
        return 0
    return 0 if same_length else repeated_names(text, outermost=True)


def _without_signed_links(fields: Fields) -> Fields:
    if VOLATILE.isdisjoint(fields):
        return fields
    return {name: value for name, value in fields.items() if name not in VOLATILE}


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
