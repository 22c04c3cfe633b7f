"""What becomes of a document in a table, and back, without losing anything.

A document is its row's columns overlaid by the row's `extra`. A column holds a value only where it gives it
back exactly; everything else stands in `extra` as the API sent it. A time in an unusual form stands in
both: in the column so that SQL works with it, in `extra` so that its form is kept.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import msgspec
from sqlalchemy import BigInteger, Boolean, RowMapping, Table

from scalesync.db.tables import Instant, Json, batches, projects, tasks
from scalesync.errors import PageError
from scalesync.model import format_instant, parse_instant, whole_milliseconds
from scalesync.storable import formatted

VOLATILE = frozenset({"attachmentS3Downloads"})
"""Fields that differ at every read without any change of the object: presigned addresses (recorded)."""

LONGEST_TEXT = 1_000
"""Bytes of JSON text that an indexed column takes; Postgres refuses index entries above about 2,700."""

Fields = dict[str, msgspec.Raw]

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,18}")
_CANONICAL_INSTANT = re.compile(rb'"[1-9]\d{3}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{3}Z"')
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

_Taken = tuple[object, bool]
"""What a column holds of a field, and whether that gives the field back exactly."""
_NOTHING: _Taken = (None, False)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document that has a column of its own."""

    name: str
    take: Callable[[bytes], _Taken]
    """What the column holds of the field's JSON text, and whether that is all of it."""
    give: Callable[[object], object]
    """The JSON value of what the column holds."""


@dataclass(frozen=True)
class Mirrored:
    """How the documents of one stream stand in their table."""

    table: Table
    key: str
    """The column and field that names an object."""
    emitted: tuple[Field, ...]
    """The fields that have a column; every other one stands in `extra`."""
    derive: Callable[[Fields], dict[str, object]] = lambda _fields: {}
    """Columns computed from a document for the sake of SQL, never part of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A document as its table holds it."""

    key: str
    created_at: datetime | None
    values: dict[str, object]
    """Every column that a document decides, `extra` included."""
    digest: str
    """Differs where the document does, volatile fields left out."""


@dataclass(frozen=True, slots=True)
class ProjectVersion:
    """One entry of a project's `param_history`."""

    project: str
    version: int
    created_at: datetime | None
    params: str


def to_row(kind: Mirrored, raw: msgspec.Raw | bytes) -> Row:
    """Return the row of a document.

    The text is as the HTTP door hands it on: without U+0000 and lone surrogates, which no column can hold.
    Raises PageError for what is not a JSON object in UTF-8, or has no usable key.
    """
    fields = _fields(kind, bytes(raw))
    digest = blake2b(_encode_sorted(_lasting(fields)), digest_size=16).hexdigest()
    values: dict[str, object] = kind.derive(fields)
    for column in kind.emitted:
        given = fields.get(column.name)
        if given is None:
            values[column.name] = None
            continue
        values[column.name], exact = column.take(bytes(given))
        if exact:
            del fields[column.name]
    values["extra"] = _encode(fields).decode() if fields else None
    key, created_at = values[kind.key], values["created_at"]
    if not key or not isinstance(key, str):
        raise PageError(f"An object in {kind.table.name} came without a usable {kind.key}.")
    return Row(key, created_at if isinstance(created_at, datetime) else None, values, digest)


def to_document(kind: Mirrored, row: Mapping[str, object] | RowMapping) -> bytes:
    """Return the document that a table's row holds, as compact JSON."""
    fields: dict[str, object] = {}
    for column in kind.emitted:
        value = row[column.name]
        if value is not None:
            fields[column.name] = column.give(value)
    extra = row["extra"]
    if isinstance(extra, str):
        fields.update(_decode_fields(extra))
    return formatted(_encode(fields))


def project_versions(row: Row) -> list[ProjectVersion]:
    """Return the versions of a project that its `param_history` names by an integer."""
    extra = row.values["extra"]
    fields = _decode_fields(extra) if isinstance(extra, str) else {}
    entries = [entry for given in _history(fields) if (entry := _entry(given)) is not None]
    versions = (
        ProjectVersion(row.key, version, created_at, params)
        for version, created_at, params in entries
        if version is not None
    )
    return list({version.version: version for version in versions}.values())


def _fields(kind: Mirrored, text: bytes) -> Fields:
    try:
        text.decode()
        return _decode_fields(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PageError(f"An object in {kind.table.name} is not a JSON object that can be read.") from error


def _lasting(fields: Fields) -> Fields:
    if VOLATILE.isdisjoint(fields):
        return fields
    return {name: value for name, value in fields.items() if name not in VOLATILE}


def _take_text(given: bytes) -> _Taken:
    return (_decode_text(given), True) if given[:1] == b'"' else _NOTHING


def _take_short_text(given: bytes) -> _Taken:
    return _take_text(given) if len(given) <= LONGEST_TEXT else _NOTHING


def _take_instant(given: bytes) -> _Taken:
    exact = _CANONICAL_INSTANT.fullmatch(given) is not None
    try:
        if exact:
            return datetime.fromisoformat(given[1:-1].decode()), True
        instant = parse_instant(_decode_text(given))
    except (ValueError, OverflowError):
        return _NOTHING
    if instant.year < 1000:
        return _NOTHING
    return whole_milliseconds(instant), False


def _take_boolean(given: bytes) -> _Taken:
    return (given == b"true", True) if given in {b"true", b"false"} else _NOTHING


def _take_integer(given: bytes) -> _Taken:
    if not _INTEGER.fullmatch(given) or int(given) not in _INT64:
        return _NOTHING
    return int(given), True


def _take_json(given: bytes) -> _Taken:
    return (given.decode(), True) if given != b"null" else _NOTHING


def _give(value: object) -> object:
    return value


def _give_instant(value: object) -> object:
    return format_instant(value) if isinstance(value, datetime) else value


def _give_json(value: object) -> object:
    return msgspec.Raw(value) if isinstance(value, str) else value


def _field(table: Table, name: str) -> Field:
    column = table.c[name]
    if isinstance(column.type, Instant):
        return Field(name, _take_instant, _give_instant)
    if isinstance(column.type, Json):
        return Field(name, _take_json, _give_json)
    if isinstance(column.type, Boolean):
        return Field(name, _take_boolean, _give)
    if isinstance(column.type, BigInteger):
        return Field(name, _take_integer, _give)
    indexed = column.primary_key or any(name in index.columns for index in table.indexes)
    return Field(name, _take_short_text if indexed else _take_text, _give)


_OURS = {"extra", "digest", "synced_at", "missing_since", "counted_at", "response_digest"}


def _emitted(table: Table, *derived: str) -> tuple[Field, ...]:
    names = (column.name for column in table.columns)
    return tuple(_field(table, name) for name in names if name not in _OURS and name not in derived)


def _history(fields: Fields) -> list[msgspec.Raw]:
    try:
        return _decode_entries(fields.get("param_history", b"[]"))
    except msgspec.ValidationError:
        return []


def _entry(given: msgspec.Raw) -> tuple[int | None, datetime | None, str] | None:
    """Return version, creation and params of an entry of `param_history`; None where it is not an object."""
    try:
        params = _decode_fields(given)
    except msgspec.ValidationError:
        return None
    version, _ = _take_integer(bytes(params.pop("version", b"null")))
    created_at, _ = _take_instant(bytes(params.pop("created_at", b"null")))
    return (
        version if isinstance(version, int) else None,
        created_at if isinstance(created_at, datetime) else None,
        _encode(params).decode(),
    )


def _latest_params(fields: Fields) -> dict[str, object]:
    """Return a project's `version` and `params`: those of its last `param_history` entry (documented)."""
    history = _history(fields)
    entry = _entry(history[-1]) if history else None
    return {"version": entry and entry[0], "params": entry and entry[2]}


TASKS = Mirrored(tasks, "task_id", _emitted(tasks))
BATCHES = Mirrored(
    batches,
    "name",
    _emitted(batches, "tasks_pending", "tasks_completed", "tasks_error", "tasks_canceled"),
)
PROJECTS = Mirrored(projects, "name", _emitted(projects, "version", "params"), _latest_params)
MIRRORED = {kind.table.name: kind for kind in (TASKS, BATCHES, PROJECTS)}
"""By the name of the stream, which is the name of its table."""
