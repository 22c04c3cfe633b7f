"""What becomes of a document in a table, and back, without losing anything.

A document is its row's columns overlaid by the row's `extra`. A column holds a value only where it gives it
back exactly; everything else stands in `extra` as the API sent it. A time in an unusual form stands in
both: in the column so that SQL works with it, in `extra` so that its form is kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec
from sqlalchemy import BigInteger, Boolean, RowMapping, Table

from scalesync.db.schema.mirror import batches, projects, tasks
from scalesync.db.types import Instant, Json
from scalesync.json_sanitizing import format_json
from scalesync.parsing.row_parser import (
    ColumnParser,
    DocumentSpec,
    Fields,
    Row,
    decode_fields,
    make_row_parser,
    no_derived_columns,
    take_instant,
    take_integer,
)
from scalesync.timestamps import format_instant

_decode_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document that has a column of its own."""

    name: str
    take: ColumnParser
    """What the column holds of it."""
    give: Callable[[object], object]
    """The JSON value of what the column holds."""


@dataclass(frozen=True)
class StreamMapping:
    """How the documents of one stream stand in their table."""

    table: Table
    key: str
    """The column and field that names an object."""
    mapped_fields: tuple[Field, ...]
    """The fields that have a column; every other one stands in `extra`."""
    derive: Callable[[Fields], dict[str, object]] = no_derived_columns
    """Columns computed from a document for the sake of SQL, never part of it."""

    @cached_property
    def spec(self) -> DocumentSpec:
        """The same, as far as it takes no table to know."""
        return DocumentSpec(
            str(self.table.name), self.key, tuple((field.name, field.take) for field in self.mapped_fields)
        )

    @cached_property
    def row_of(self) -> Callable[[bytes], Row]:
        """What makes rows of documents."""
        return make_row_parser(self.spec, self.derive)


@dataclass(frozen=True, slots=True)
class ProjectVersion:
    """One entry of a project's `param_history`."""

    project: str
    version: int
    created_at: datetime | None
    params: str


def to_row(mapping: StreamMapping, raw: msgspec.Raw | bytes) -> Row:
    """Return the row of a document.

    The text is as the HTTP door hands it on: without U+0000 and lone surrogates, which no column can hold.
    Raises InconsistentPageError for what is not a JSON object in UTF-8, or has no usable key.
    """
    return mapping.row_of(bytes(raw))


def to_document(mapping: StreamMapping, row: Mapping[str, object] | RowMapping) -> bytes:
    """Return the document that a table's row holds, as compact JSON."""
    fields: dict[str, object] = {}
    for column in mapping.mapped_fields:
        value = row[column.name]
        if value is not None:
            fields[column.name] = column.give(value)
    extra = row["extra"]
    if isinstance(extra, str):
        fields.update(decode_fields(extra))
    return format_json(_encode(fields))


def fields_of(mapping: StreamMapping, row: Mapping[str, object] | RowMapping) -> Fields:
    """Return the fields of the document that a table's row holds, or that the values of a `Row` are.

    Raises MsgspecError where `extra` is damaged; other damaged JSON is among the fields as it is.
    """
    fields = {
        column.name: msgspec.Raw(_encode(column.give(row[column.name])))
        for column in mapping.mapped_fields
        if row[column.name] is not None
    }
    extra = row["extra"]
    if isinstance(extra, str):
        fields.update(decode_fields(extra))
    return fields


def versions_of(row: Row) -> list[ProjectVersion]:
    """Return the versions of a project that its `param_history` names by an integer."""
    extra = row.values["extra"]
    fields = decode_fields(extra) if isinstance(extra, str) else {}
    entries = [entry for given in _history(fields) if (entry := _entry(given)) is not None]
    versions = (
        ProjectVersion(row.key, version, created_at, params)
        for version, created_at, params in entries
        if version is not None
    )
    return list({version.version: version for version in versions}.values())


def _give(value: object) -> object:
    return value


def _give_instant(value: object) -> object:
    return format_instant(value) if isinstance(value, datetime) else value


def _give_json(value: object) -> object:
    return msgspec.Raw(value) if isinstance(value, str) else value


def _field(table: Table, name: str) -> Field:
    column = table.c[name]
    if isinstance(column.type, Instant):
        return Field(name, ColumnParser.INSTANT, _give_instant)
    if isinstance(column.type, Json):
        return Field(name, ColumnParser.JSON, _give_json)
    if isinstance(column.type, Boolean):
        return Field(name, ColumnParser.BOOLEAN, _give)
    if isinstance(column.type, BigInteger):
        return Field(name, ColumnParser.INTEGER, _give)
    indexed = column.primary_key or any(name in index.columns for index in table.indexes)
    return Field(name, ColumnParser.SHORT_TEXT if indexed else ColumnParser.TEXT, _give)


_OURS = {"extra", "digest", "synced_at", "missing_since", "counted_at", "response_digest"}


def _emitted(table: Table, *derived: str) -> tuple[Field, ...]:
    # Plain texts, which SQLAlchemy's are not: dictionaries find these quicker.
    names = (str(column.name) for column in table.columns)
    return tuple(_field(table, name) for name in names if name not in _OURS and name not in derived)


def _history(fields: Fields) -> list[msgspec.Raw]:
    try:
        return _decode_entries(fields.get("param_history", b"[]"))
    except msgspec.ValidationError:
        return []


def _entry(given: msgspec.Raw) -> tuple[int | None, datetime | None, str] | None:
    """Return version, creation and params of an entry of `param_history`; None where it is not an object."""
    try:
        params = decode_fields(given)
    except msgspec.ValidationError:
        return None
    version, _ = take_integer(bytes(params.pop("version", b"null")))
    created_at, _ = take_instant(bytes(params.pop("created_at", b"null")))
    return (
        version if isinstance(version, int) else None,
        datetime.fromisoformat(created_at) if isinstance(created_at, str) else None,
        _encode(params).decode(),
    )


def _latest_params(fields: Fields) -> dict[str, object]:
    """Return a project's `version` and `params`: those of its last `param_history` entry (documented)."""
    history = _history(fields)
    entry = _entry(history[-1]) if history else None
    return {"version": entry and entry[0], "params": entry and entry[2]}


TASKS = StreamMapping(tasks, "task_id", _emitted(tasks))
BATCHES = StreamMapping(
    batches,
    "name",
    _emitted(batches, "tasks_pending", "tasks_completed", "tasks_error", "tasks_canceled"),
)
PROJECTS = StreamMapping(projects, "name", _emitted(projects, "version", "params"), _latest_params)
MAPPINGS = {kind.table.name: kind for kind in (TASKS, BATCHES, PROJECTS)}
"""By the name of the stream, which is the name of its table."""
