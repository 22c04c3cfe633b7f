"""Turn rows into Arrow record batches, for Parquet files and for readers in this process."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from scalesync.errors import ConfigurationError, how_to_install
from scalesync.models.columns import Column, ColumnKind

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1_000
_BATCH_BYTES = 4 * 1024**2
"""Size of the rows held as Python objects."""

_SIZED_KINDS = (ColumnKind.TEXT, ColumnKind.JSON, ColumnKind.BYTES, ColumnKind.UNDECLARED)
"""Kinds whose values can be large, and are measured."""

_KINDS_OF_VALUES = (
    (bool, ColumnKind.BOOLEAN),
    (int, ColumnKind.INTEGER),
    (float, ColumnKind.NUMBER),
    (Decimal, ColumnKind.NUMBER),
    (datetime, ColumnKind.INSTANT),
    (date, ColumnKind.DAY),
    (bytes, ColumnKind.BYTES),
)
"""The kind of a column by the first value in it; the first class that matches counts. Else it is text."""

_Rows = Iterable[Sequence[Any]]
_T = TypeVar("_T")


def require_pyarrow() -> None:
    """Raise ConfigurationError if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401 - whether it can be imported is the question
    except ImportError as error:
        msg = "Parquet and Arrow need pyarrow, which is not installed."
        raise ConfigurationError(msg, advice=how_to_install("parquet")) from error


def reader(found: Iterator[Any]) -> "pa.RecordBatchReader":
    """Return a reader of the rows that an iterator yields after their columns.

    The iterator is closed with the reader, so that it can hold a connection until then. Columns that no type
    is declared for get that of their first values. Reading raises ArrowInvalid if a later one differs.
    """
    import pyarrow as pa

    columns: Sequence[Column] = next(found)
    if any(column.kind is ColumnKind.UNDECLARED for column in columns):
        first = _first_rows(found, len(columns))
        columns = [
            Column(column.name, _kind_of_first(row[number] for row in first))
            if column.kind is ColumnKind.UNDECLARED
            else column
            for number, column in enumerate(columns)
        ]
        found = chain(first, found)
    schema = arrow_schema(columns)
    return pa.RecordBatchReader.from_batches(schema, record_batches(schema, columns, found))


def _first_rows(found: Iterator[Any], width: int) -> list[Sequence[Any]]:
    """Return the first rows: as many as show a value in every column, a batch at most."""
    rows: list[Sequence[Any]] = []
    empty = set(range(width))
    for row in found:
        rows.append(row)
        empty = {number for number in empty if row[number] is None}
        if not empty or len(rows) == _BATCH_ROWS:
            break
    return rows


def _kind_of_first(values: Iterable[object]) -> ColumnKind:
    value = next((value for value in values if value is not None), None)
    return next((kind for of, kind in _KINDS_OF_VALUES if isinstance(value, of)), ColumnKind.TEXT)


def arrow_schema(columns: Sequence[Column]) -> "pa.Schema":
    """Return the schema of columns: instants as UTC milliseconds, JSON as text."""
    import pyarrow as pa

    return pa.schema([(column.name, _arrow_type(column.kind)) for column in columns])


def _arrow_type(kind: ColumnKind) -> "pa.DataType":
    import pyarrow as pa

    types = {
        ColumnKind.INTEGER: pa.int64(),
        ColumnKind.NUMBER: pa.float64(),
        ColumnKind.BOOLEAN: pa.bool_(),
        ColumnKind.INSTANT: pa.timestamp("ms", tz="UTC"),
        ColumnKind.DAY: pa.date32(),
        ColumnKind.BYTES: pa.binary(),
    }
    return types.get(kind, pa.string())


def record_batches(schema: "pa.Schema", columns: Sequence[Column], rows: _Rows) -> Iterator["pa.RecordBatch"]:
    """Yield rows as record batches, in constant memory."""
    import pyarrow as pa

    days = [number for number, column in enumerate(columns) if column.kind is ColumnKind.DAY]
    sized = [number for number, column in enumerate(columns) if column.kind in _SIZED_KINDS]
    weighed = ((row, 1, sum(_size(row[number]) for number in sized)) for row in rows)
    for chunk in portions(weighed, _BATCH_ROWS, _BATCH_BYTES):
        values: list[Sequence[Any]] = list(zip(*chunk, strict=True))
        for number in days:
            values[number] = [
                date.fromisoformat(day) if isinstance(day, str) else day for day in values[number]
            ]
        arrays = [_array(each, field) for each, field in zip(values, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _array(values: Sequence[Any], field: "pa.Field") -> "pa.Array":
    import pyarrow as pa

    if field.type == pa.float64():
        # Postgres gives averages and sums as Decimal.
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        msg = f"The column {field.name!r} begins with values of type {field.type}, and has others too."
        raise ConfigurationError(msg, advice="CAST it to one type in the statement.") from error


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else 8


def portions(weighed: Iterable[tuple[_T, int, int]], max_rows: int, max_bytes: int) -> Iterator[list[_T]]:
    """Yield lists of items; each ends with the item (item, rows, bytes) that reaches one of the limits."""
    portion: list[_T] = []
    rows = size = 0
    for item, item_rows, item_bytes in weighed:
        portion.append(item)
        rows, size = rows + item_rows, size + item_bytes
        if rows >= max_rows or size >= max_bytes:
            yield portion
            portion, rows, size = [], 0, 0
    if portion:
        yield portion
