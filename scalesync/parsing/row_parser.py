"""Parses documents into rows: which field goes to which column, what stays in `extra`, and the digest.

Needs and imports no database. A field whose column cannot give it back exactly stays in `extra` too.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from scalesync.errors import InconsistentPageError
from scalesync.parsing.column_parsers import ColumnParser, ColumnsParser, Fields
from scalesync.parsing.json_equality import repeated_names

VOLATILE = frozenset({"attachmentS3Downloads"})
"""Fields that differ at every read of an unchanged object: presigned addresses (observed)."""

FORCE_REWRITE = ""
"""Digest of a row that differs from the API's object: the next copy replaces the row."""

KEY_BYTES = 8
"""Bytes of a key's digest: among 10 million keys, two share one with a chance of about 3 in a million."""

decode_fields = msgspec.json.Decoder(Fields).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class DocumentSpec(msgspec.Struct, frozen=True):
    """Fields of one kind of document that have a column, with their parsers."""

    table: str
    key: str
    """Name of the field, and column, that identifies an object."""
    columns: tuple[tuple[str, ColumnParser], ...]
    derived: tuple[str, ...] = ()
    """Columns that are computed from the document."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a row, in its order."""
        return (*(name for name, _ in self.columns), *self.derived, "extra")


RowValues = tuple[Any, ...]
"""A row of a table, in the order of its columns."""


class DerivedRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rows of other tables that a task comes to, computed before the task is written."""

    response_digest: str | None
    annotations: tuple[RowValues, ...] | None
    """Rows of `annotations`; None if the response names files, which the database may have."""
    links: tuple[RowValues, ...] = ()
    """Rows of `annotation_links`."""
    read: bool = True
    """Whether all of the response was understood."""
    repeated: int | None = None
    """Number of names that objects in the row's JSON repeat; None if not counted."""
    audits: tuple[RowValues, ...] = ()
    """Rows of `task_audits`."""
    attempts: tuple[RowValues, ...] = ()
    """Rows of `task_attempts`."""


class RowHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What decides whether a page is accepted, of one of its objects."""

    key: str
    created_at: datetime | None
    project: str | None
    """None for projects too."""
    key_digest: bytes
    """Short digest of the key, under which it is remembered while its window is open."""


class Row(RowHead, frozen=True, array_like=True, gc=False):
    """A document as a row of its table."""

    values: RowValues
    """Every column that comes from the document, as `DocumentSpec.names` has them; instants are text."""
    digest: str
    """Digest of the document without its volatile fields."""
    derived: DerivedRows | None = None
    repeated: int = 0
    """Number of fields that the document repeats; the last value of each is in the row."""


def key_digest(key: str) -> bytes:
    """Return the short digest under which a received key is remembered while its window is open."""
    return blake2b(key.encode(), digest_size=KEY_BYTES).digest()


def no_derived_columns(_fields: Fields) -> RowValues:
    """Return no values."""
    return ()


def make_row_parser(
    form: DocumentSpec, derive: Callable[[Fields], RowValues] = no_derived_columns
) -> Callable[[bytes], Row]:
    """Return a function that parses a document into a row, with the columns that `derive` computes.

    It raises InconsistentPageError for anything but a JSON object in UTF-8 with a usable key.
    """
    parse_columns = ColumnsParser(form.columns).parse
    key_at = form.names.index(form.key)
    created_at = form.names.index("created_at")
    project_at = form.names.index("project") if "project" in form.names else None

    def parse(text: bytes) -> Row:
        fields = _fields(form, text)
        ordered = _encode_sorted(_without_signed_links(fields))
        digest = blake2b(ordered, digest_size=16).hexdigest()
        # As long as the compact text of its fields: no field is repeated. So are nearly all documents.
        repeated = 0 if len(ordered) == len(text) else _repeated_fields(fields, text)
        derived = derive(fields)
        values = parse_columns(text, fields)
        extra = _encode(fields).decode() if fields else None
        key, created = values[key_at], values[created_at]
        if not key:
            raise InconsistentPageError(f"An object in {form.table} came without a usable {form.key}.")
        created = None if created is None else datetime.fromisoformat(created)
        project = None if project_at is None else values[project_at]
        row = (*values, *derived, extra)
        return Row(key, created, project, key_digest(key), row, digest, repeated=repeated)

    return parse


def repeats(form: DocumentSpec) -> Callable[[Row], int]:
    """Return a function that counts the names repeated within objects of a row's JSON columns."""
    json = [position for position, (_, parser) in enumerate(form.columns) if parser is ColumnParser.JSON]
    columns = (*json, form.names.index("extra"))

    def count(row: Row) -> int:
        texts = (text for position in columns if isinstance(text := row.values[position], str) and text)
        return repeated_names(f"[{','.join(texts)}]")

    return count


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
