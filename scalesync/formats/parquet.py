"""Rows as Parquet, in one file or in a directory of them by project and month."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from scalesync.errors import ConfigurationError
from scalesync.model import Column, ColumnKind

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1_000
_BATCH_BYTES = 4 * 1024**2
"""Of rows held as Python's objects."""
_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 * 1024**2
"""Of a row group, which is in memory until it is written; large documents make it smaller."""

_LONG = (ColumnKind.TEXT, ColumnKind.JSON, ColumnKind.BYTES)
"""Kinds whose values may be of any size."""

_PART = "part-0.parquet"
_NULL = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, and whoever reads its layout, takes for NULL."""

_Rows = Iterable[Sequence[Any]]


def require_pyarrow() -> None:
    """Return where pyarrow is installed; otherwise raise ConfigurationError."""
    try:
        import pyarrow.parquet  # noqa: F401 - whether it can be imported is the question
    except ImportError as error:
        msg = "Parquet needs pyarrow, which is not installed."
        raise ConfigurationError(msg, advice="Run `pip install 'scalesync[parquet]'`.") from error


def write(file: IO[bytes], columns: Sequence[Column], rows: _Rows) -> None:
    """Write rows as one Parquet file, in flat memory.

    Instants are timestamps of milliseconds in UTC, days are dates, JSON is text.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(column.name, _arrow_type(column.kind)) for column in columns])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(_batches(schema, columns, rows)):
            table = pa.Table.from_batches(group, schema)
            writer.write_table(table, row_group_size=max(1, table.num_rows))


def write_partitions(directory: Path, columns: Sequence[Column], rows: _Rows) -> None:
    """Write rows as `project=NAME/month=YYYY-MM/part-0.parquet` below an empty directory, in flat memory.

    Each row has its project and its month before its values, and rows come in that order: one file is open
    at a time. Names are percent-encoded. Files can be read by their owner only.
    """
    for place, some in groupby(rows, key=lambda row: tuple(row[:2])):
        path = directory
        for level in map(_level, ("project", "month"), place):
            path /= level
            _make(path, place[0])
        with os.fdopen(os.open(path / _PART, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            write(file, columns, (row[2:] for row in some))


def _make(path: Path, project: object) -> None:
    """Return with this directory there. Raises ConfigurationError where its name is too long for one."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        msg = f"The name of the project {str(project)[:40]}... is too long for a directory."
        advice = "Export it without --partition, and the others with --project."
        raise ConfigurationError(msg, advice=advice) from error


def holds_partitions(directory: Path) -> bool:
    """Return whether a directory holds what `write_partitions` makes, or nothing, and nothing else."""
    return all(
        _is_level(project, "project")
        and all(
            _is_level(month, "month") and [part.name for part in month.iterdir()] == [_PART]
            for month in project.iterdir()
        )
        for project in directory.iterdir()
    )


def _is_level(path: Path, name: str) -> bool:
    return path.name.startswith(f"{name}=") and path.is_dir() and not path.is_symlink()


def _level(name: str, value: str | None) -> str:
    if value is None:
        return f"{name}={_NULL}"
    return f"{name}={quote(value, safe='')}" if value != _NULL else f"{name}={_NULL.replace('_', '%5F')}"


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


def _batches(schema: "pa.Schema", columns: Sequence[Column], rows: _Rows) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    days = [number for number, column in enumerate(columns) if column.kind is ColumnKind.DAY]
    for some in _chunks(columns, rows):
        values: list[Sequence[Any]] = list(zip(*some, strict=True))
        for number in days:
            values[number] = [day and date.fromisoformat(day) for day in values[number]]
        arrays = [pa.array(each, field.type) for each, field in zip(values, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _chunks(columns: Sequence[Column], rows: _Rows) -> Iterator[list[Sequence[Any]]]:
    """Yield rows together, as many as make a batch."""
    long = [number for number, column in enumerate(columns) if column.kind in _LONG]
    chunk: list[Sequence[Any]] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(row[number]) for number in long if row[number])
        if len(chunk) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _groups(batches: Iterable["pa.RecordBatch"]) -> Iterator[list["pa.RecordBatch"]]:
    """Yield batches together, as many as make a row group."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group
