"""What a document comes to in columns, as texts and numbers: no database is needed for that, nor loaded."""

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
"""Fields that differ at every read without any change of the object: presigned addresses (recorded)."""

FORCE_REWRITE = ""
"""The digest of a row that was found to differ from the API's object: the next copy replaces it."""

LONGEST_TEXT = 1_000
"""Bytes of JSON text that an indexed column takes; Postgres refuses index entries above about 2,700."""

Fields = dict[str, msgspec.Raw]

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,18}")
_CANONICAL_INSTANT = re.compile(rb'"[1-9]\d{3}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{3}Z"')
decode_fields = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

_Taken = tuple[object, bool]
"""What a column holds of a field, and whether that gives the field back exactly."""
_NOTHING: _Taken = (None, False)


class ColumnParser(StrEnum):
    """What a column takes of a field."""

    TEXT = "text"
    SHORT_TEXT = "short text"
    """Of an indexed column."""
    INSTANT = "instant"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    JSON = "json"


class DocumentSpec(msgspec.Struct, frozen=True):
    """Which fields of a kind of document have a column, and what that takes."""

    table: str
    key: str
    """The column and field that names an object."""
    columns: tuple[tuple[str, ColumnParser], ...]


RowValues = tuple[Any, ...]
"""A row of a table, in the order of its columns."""


class AnnotationRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a response comes to, as rows of `annotations` and `annotation_links`."""

    annotations: tuple[RowValues, ...]
    links: tuple[RowValues, ...]
    read: bool
    """Whether all of it was understood."""


class DerivedRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What follows from a task's row, worked out before it is written."""

    response_digest: str | None
    annotation_rows: AnnotationRows | None
    """None where the response names files, which may be here."""
    repeated: int | None = None
    """How often objects in the row have a name again, where that was counted."""


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A document as its table holds it."""

    key: str
    created_at: datetime | None
    values: dict[str, object]
    """Every column that a document decides, `extra` included, as drivers take it: instants as text."""
    digest: str
    """Differs where the document does, volatile fields left out."""
    derived: DerivedRows | None = None
    repeated: int = 0
    """Fields that the document has more than once, of which the last value is here: how many more."""


def no_derived_columns(_fields: Fields) -> dict[str, object]:
    """Return no columns."""
    return {}


def make_row_parser(
    form: DocumentSpec, derive: Callable[[Fields], dict[str, object]] = no_derived_columns
) -> Callable[[bytes], Row]:
    """Return what makes rows of documents, with the columns that `derive` adds.

    It raises InconsistentPageError for what is not a JSON object in UTF-8, or has no usable key.
    """
    columns = tuple((name, _TAKES[take]) for name, take in form.columns)

    def row_of(text: bytes) -> Row:
        fields = _fields(form, text)
        ordered = _encode_sorted(_without_signed_links(fields))
        digest = blake2b(ordered, digest_size=16).hexdigest()
        # Compact, and no field twice, as documents are: nothing else need be looked at.
        repeated = 0 if len(ordered) == len(text) else _repeated(fields, text)
        values = derive(fields)
        for name, take in columns:
            given = fields.get(name)
            if given is None:
                values[name] = None
                continue
            values[name], exact = take(bytes(given))
            if exact:
                del fields[name]
        values["extra"] = _encode(fields).decode() if fields else None
        key, created_at = values[form.key], values["created_at"]
        if not key or not isinstance(key, str):
            raise InconsistentPageError(f"An object in {form.table} came without a usable {form.key}.")
        created = datetime.fromisoformat(created_at) if isinstance(created_at, str) else None
        return Row(key, created, values, digest, repeated=repeated)

    return row_of


def repeats(form: DocumentSpec) -> Callable[[Row], int]:
    """Return what counts how often objects in the JSON columns of a row have a name again."""
    columns = (*(name for name, take in form.columns if take is ColumnParser.JSON), "extra")

    def count(row: Row) -> int:
        texts = (text for name in columns if isinstance(text := row.values[name], str) and text)
        return repeated_names(f"[{','.join(texts)}]")

    return count


def parse_column(take: ColumnParser, given: msgspec.Raw) -> object:
    """Return what a column holds of a field."""
    return _TAKES[take](bytes(given))[0]


def _fields(form: DocumentSpec, text: bytes) -> Fields:
    try:
        text.decode()
        return decode_fields(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InconsistentPageError(
            f"An object in {form.table} is not a JSON object that can be read."
        ) from error


def _repeated(fields: Fields, text: bytes) -> int:
    if len(_encode(fields)) == len(text):
        return 0
    try:
        compact = msgspec.json.format(text, indent=-1)
        alike = len(_encode(decode_fields(compact))) == len(compact)
    except (msgspec.DecodeError, RecursionError):
        return 0
    return 0 if alike else repeated_names(text, outermost=True)


def _without_signed_links(fields: Fields) -> Fields:
    if VOLATILE.isdisjoint(fields):
        return fields
    return {name: value for name, value in fields.items() if name not in VOLATILE}


def _take_text(given: bytes) -> _Taken:
    return (_decode_text(given), True) if given[:1] == b'"' else _NOTHING


def _take_short_text(given: bytes) -> _Taken:
    return _take_text(given) if len(given) <= LONGEST_TEXT else _NOTHING


def take_instant(given: bytes) -> _Taken:
    """Take a time in ISO 8601, as text of the API's own form."""
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


def _take_boolean(given: bytes) -> _Taken:
    return (given == b"true", True) if given in {b"true", b"false"} else _NOTHING


def take_integer(given: bytes) -> _Taken:
    """Take a whole number of 64 bits."""
    if not _INTEGER.fullmatch(given) or int(given) not in _INT64:
        return _NOTHING
    return int(given), True


def _take_json(given: bytes) -> _Taken:
    return (given.decode(), True) if given != b"null" else _NOTHING


_TAKES: dict[ColumnParser, Callable[[bytes], _Taken]] = {
    ColumnParser.TEXT: _take_text,
    ColumnParser.SHORT_TEXT: _take_short_text,
    ColumnParser.INSTANT: take_instant,
    ColumnParser.BOOLEAN: _take_boolean,
    ColumnParser.INTEGER: take_integer,
    ColumnParser.JSON: _take_json,
}
