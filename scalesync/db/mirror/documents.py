"""Map the API's documents to table rows and back, without losing anything.

A document is the columns of its row, overridden by the row's `extra`. A column holds a value only if it can
return it exactly; everything else is in `extra` as the API sent it. A time in an unusual form is in both: in
the column for SQL, in `extra` to keep its form.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, ColumnElement, RowMapping, Table, type_coerce
from sqlalchemy.sql.expression import FromClause
from sqlalchemy.types import NullType

from scalesync.db.schema.mirror import batches, projects, tasks
from scalesync.db.types import Instant, Json, instant_in
from scalesync.json_sanitizing import format_json, read_json
from scalesync.parsing.column_parsers import ColumnParser, Fields, take_instant, take_integer
from scalesync.parsing.row_parser import (
    DocumentSpec,
    Row,
    RowValues,
    decode_fields,
    make_row_parser,
    no_derived_columns,
)
from scalesync.timestamps import format_instant

_decode_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_AS_THE_API_WRITES_IT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document that has a column of its own."""

    name: str
    take: ColumnParser
    """How the column's value is made from JSON."""
    give: Callable[[object], object]
    """Returns the JSON value of the column's value."""


@dataclass(frozen=True)
class StreamMapping:
    """The mapping between the documents of one stream and their table."""

    table: Table
    key: str
    """The column and field that identifies an object."""
    mapped_fields: tuple[Field, ...]
    """The fields that have a column; every other one is in `extra`."""
    derived: tuple[str, ...] = ()
    """Columns computed from a document for SQL; they are not part of the document."""
    derive: Callable[[Fields], RowValues] = no_derived_columns
    """Returns their values."""

    @cached_property
    def spec(self) -> DocumentSpec:
        """The part of this mapping that other processes can parse by, without SQLAlchemy."""
        return DocumentSpec(
            str(self.table.name),
            self.key,
            tuple((field.name, field.take) for field in self.mapped_fields),
            self.derived,
        )

    @cached_property
    def row_of(self) -> Callable[[bytes], Row]:
        """The parser from documents to rows."""
        return make_row_parser(self.spec, self.derive)

    def columns_in(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns of `mapped_fields` and `extra` in a query; times are as the driver has them."""
        names = (*(field.name for field in self.mapped_fields), "extra")
        columns = (source.c[name] for name in names)
        return [type_coerce(each, NullType()) if isinstance(each.type, Instant) else each for each in columns]

    @cached_property
    def key_place(self) -> int:
        """The position of the key among `mapped_fields`."""
        return [field.name for field in self.mapped_fields].index(self.key)

    @cached_property
    def readers(self) -> list[tuple[str, Callable[[Any], Any] | None]]:
        """Names of the fields, each with what makes its value of the column's; None: it is the same."""
        readers = {ColumnParser.INSTANT: _text_of_instant, ColumnParser.JSON: read_json}
        return [(field.name, readers.get(field.take)) for field in self.mapped_fields]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position in `Row.values`, by column."""
        return {name: position for position, name in enumerate(self.spec.names)}

    def value(self, row: Row, column: str) -> Any:
        """Return one column of a parsed row."""
        return row.values[self.positions[column]]

    def columns_of(self, row: Row) -> dict[str, Any]:
        """Return the columns of a parsed row by name."""
        return dict(zip(self.spec.names, row.values, strict=True))


@dataclass(frozen=True, slots=True)
class ProjectVersion:
    """One entry of a project's `param_history`."""

    project: str
    version: int
    created_at: datetime | None
    params: str


def to_row(mapping: StreamMapping, raw: msgspec.Raw | bytes) -> Row:
    """Return the row of a document, whose text must be without U+0000 and lone surrogates.

    Raises InconsistentPageError if it is not a JSON object in UTF-8, or has no usable key.
    """
    return mapping.row_of(bytes(raw))


def to_document(mapping: StreamMapping, row: Mapping[str, object] | RowMapping) -> bytes:
    """Return the document of a table's row as compact JSON."""
    fields: dict[str, object] = {}
    for column in mapping.mapped_fields:
        value = row[column.name]
        if value is not None:
            fields[column.name] = column.give(value)
    extra = row["extra"]
    if isinstance(extra, str):
        # Last, so that the exact form in `extra` replaces the column's value.
        fields.update(decode_fields(extra))
    return format_json(_encode(fields))


def to_object(mapping: StreamMapping, values: Sequence[Any]) -> dict[str, Any]:
    """Return the JSON object of a row, of which `values` has the columns of `columns_in`.

    It is that of `to_document`, without a text in between.
    """
    fields: dict[str, Any] = {}
    for (name, read), value in zip(mapping.readers, values, strict=False):
        if value is not None:
            fields[name] = value if read is None else read(value)
    extra = values[-1]
    if extra is not None:
        fields.update(read_json(extra))
    return fields


def fields_of(mapping: StreamMapping, row: Mapping[str, object] | RowMapping) -> Fields:
    """Return the document's fields from a table's row, or from the columns of a parsed `Row`.

    Raises MsgspecError if `extra` is damaged; other damaged JSON is returned as it is.
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
    """Return the versions in a project's `param_history` that have an integer as number."""
    extra = row.values[-1]  # of a row of any kind: other objects have no versions
    fields = decode_fields(extra) if isinstance(extra, str) else {}
    entries = [entry for given in _history(fields) if (entry := _entry(given)) is not None]
    versions = (
        ProjectVersion(row.key, version, created_at, params)
        for version, created_at, params in entries
        if version is not None
    )
    return list({version.version: version for version in versions}.values())


def _text_of_instant(value: datetime | str) -> str:
    """Return the time of a column as the API writes it. Raises DatabaseError for what is none."""
    if isinstance(value, datetime):
        return format_instant(value)
    if _AS_THE_API_WRITES_IT(value):
        return value
    return format_instant(instant_in(value))


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
    # Plain str instead of SQLAlchemy's quoted_name: dictionaries find these faster.
    names = (str(column.name) for column in table.columns)
    return tuple(_field(table, name) for name in names if name not in _OURS and name not in derived)


def _history(fields: Fields) -> list[msgspec.Raw]:
    try:
        return _decode_entries(fields.get("param_history", b"[]"))
    except msgspec.ValidationError:
        return []


def _entry(given: msgspec.Raw) -> tuple[int | None, datetime | None, str] | None:
    """Return version, creation and params of an entry of `param_history`; None if it is not an object."""
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


def _latest_params(fields: Fields) -> RowValues:
    """Return a project's `version` and `params`: those of its last `param_history` entry (documented)."""
    history = _history(fields)
    entry = _entry(history[-1]) if history else None
    return entry and entry[0], entry and entry[2]


TASKS = StreamMapping(tasks, "task_id", _emitted(tasks))
BATCHES = StreamMapping(
    batches,
    "name",
    _emitted(batches, "tasks_pending", "tasks_completed", "tasks_error", "tasks_canceled"),
)
PROJECTS = StreamMapping(
    projects, "name", _emitted(projects, "version", "params"), ("version", "params"), _latest_params
)
MAPPINGS = {kind.table.name: kind for kind in (TASKS, BATCHES, PROJECTS)}
"""Mappings by the name of the stream, which is the name of its table."""
