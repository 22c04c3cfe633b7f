"""Rows as Parquet, in one file or in a directory of them by project and month."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from scalesync.errors import ConfigurationError, how_to_install
from scalesync.models.columns import Column, ColumnKind

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
_TAKEN_FOR_NULL = (_NULL, "NULL")
"""In capitals or not: DuckDB takes the second for NULL too. With its first letter encoded it is a name."""

_LONGEST = 255
"""Bytes of a directory's name, on every file system that people use."""
_HASH = 16
"""Hexadecimal digits of the hash."""

_NAME = Column("project_name", ColumnKind.TEXT)

_Rows = Iterable[Sequence[Any]]


def require_pyarrow() -> None:
    """Return where pyarrow is installed; otherwise raise ConfigurationError."""
    try:
        import pyarrow.parquet  # noqa: F401 - whether it can be imported is the question
    except ImportError as error:
        msg = "Parquet needs pyarrow, which is not installed."
        raise ConfigurationError(msg, advice=how_to_install("parquet")) from error


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


def write_partitions(directory: Path, columns: Sequence[Column], rows: _Rows) -> int:
    """Write rows as `project=NAME/month=YYYY-MM/part-0.parquet` below an empty directory, in flat memory.

    Each row has its project and its month before its values, and rows come in that order: one file is open
    at a time. Names are percent-encoded; one that is too long for a directory, or that the file system takes
    for another's, is shortened and ends with `@` and a hash of the whole. The column `project_name` has the
    whole in every file. Files can be read by their owner only. Returns how many names were shortened.
    """
    shortened = 0
    columns = [_NAME, *columns]
    for project, of_project in groupby(rows, key=lambda row: row[0]):
        path = directory / _level("project", project)
        is_short = _takes_another(path)
        if is_short:
            path = directory / _shortened(project)
            path.mkdir(mode=0o700)
        shortened += is_short
        for month, some in groupby(of_project, key=lambda row: row[1]):
            (place := path / _level("month", month)).mkdir(mode=0o700)
            with os.fdopen(os.open(place / _PART, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                write(file, columns, ((project, *row[2:]) for row in some))
    return shortened


def _takes_another(path: Path) -> bool:
    """Make a directory; return whether there cannot be one of that name beside the others."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        # A file system that takes `A` and `a` for one name.
        return True
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return True
    return False


def _shortened(project: str) -> str:
    """Return a name for the directory of a project that no other has: `@` is in no encoded name."""
    room = _LONGEST - len("project=@") - _HASH
    kept = ""
    for char in project:
        encoded = quote(char, safe="")
        if len(kept) + len(encoded) > room:
            break
        kept += encoded
    return f"project={kept}@{sha256(project.encode()).hexdigest()[:_HASH]}"


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
    encoded = quote(value, safe="")
    if value.upper() in _TAKEN_FOR_NULL:
        encoded = f"%{ord(value[0]):02X}{encoded[1:]}"
    return f"{name}={encoded}"


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
