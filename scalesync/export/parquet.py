"""Write rows as Parquet: one file, or a directory of files by project and month (Hive layout)."""

import errno
import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from scalesync.export.arrow import arrow_schema, portions, record_batches
from scalesync.models.columns import Column, ColumnKind

_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 * 1024**2
"""Size of a row group, which is held in memory until it is written."""

_PART_FILE = "part-0.parquet"
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""Read as NULL by Hive and other readers of its layout."""
_READ_AS_NULL = (_NULL_PARTITION, "NULL")
"""Compared in capitals; DuckDB reads the second as NULL too."""

_MAX_NAME_BYTES = 255
"""Of a directory, on every common file system."""
_HASH_DIGITS = 16

_PROJECT_NAME = Column("project_name", ColumnKind.TEXT)

_Rows = Iterable[Sequence[Any]]


def write(file: IO[bytes], columns: Sequence[Column], rows: _Rows) -> None:
    """Write rows as one Parquet file in constant memory; instants as UTC milliseconds, JSON as text."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = arrow_schema(columns)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        weighed = ((batch, batch.num_rows, batch.nbytes) for batch in record_batches(schema, columns, rows))
        for group in portions(weighed, _GROUP_ROWS, _GROUP_BYTES):
            table = pa.Table.from_batches(group, schema)
            writer.write_table(table, row_group_size=max(1, table.num_rows))


def write_partitions(directory: Path, columns: Sequence[Column], rows: _Rows) -> int:
    """Write rows as `project=NAME/month=YYYY-MM/part-0.parquet` below an empty directory.

    Each row begins with its project and month, and rows are sorted by them: one file is open at a time.
    Directory names are percent-encoded, and shortened if necessary; the column `project_name` has the whole
    name. Returns the number of shortened names.
    """
    shortened = 0
    columns = [_PROJECT_NAME, *columns]
    for project, project_rows in groupby(rows, key=lambda row: row[0]):
        path = directory / _partition("project", project)
        # Too long for a directory, or equal to another in the eyes of the file system: use a hash.
        is_short = _make_directory_fails(path)
        if is_short:
            path = directory / _shortened(project)
            path.mkdir(mode=0o700)
        shortened += is_short
        for month, month_rows in groupby(project_rows, key=lambda row: row[1]):
            (place := path / _partition("month", month)).mkdir(mode=0o700)
            with os.fdopen(
                os.open(place / _PART_FILE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
            ) as file:
                write(file, columns, ((project, *row[2:]) for row in month_rows))
    return shortened


def _make_directory_fails(path: Path) -> bool:
    """Create a directory; return True if its name is too long or collides with another project's."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        # The file system does not distinguish `A` and `a`.
        return True
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return True
    return False


def _shortened(project: str) -> str:
    """Return a short, unique directory name for a project."""
    # Unique because `@` occurs in no percent-encoded name.
    room = _MAX_NAME_BYTES - len("project=@") - _HASH_DIGITS
    kept = ""
    for char in project:
        encoded = quote(char, safe="")
        if len(kept) + len(encoded) > room:
            break
        kept += encoded
    return f"project={kept}@{sha256(project.encode()).hexdigest()[:_HASH_DIGITS]}"


def holds_partitions(directory: Path) -> bool:
    """Return whether a directory holds only what `write_partitions` creates, or nothing."""
    return all(
        _is_partition(project, "project")
        and all(
            _is_partition(month, "month") and [part.name for part in month.iterdir()] == [_PART_FILE]
            for month in project.iterdir()
        )
        for project in directory.iterdir()
    )


def _is_partition(path: Path, name: str) -> bool:
    return path.name.startswith(f"{name}=") and path.is_dir() and not path.is_symlink()


def partition_path(project: str | None, month: str | None) -> str:
    """Return the path of a partition's directory; of a name that is too long, the shortened one."""
    first = _partition("project", project)
    if len(first) > _MAX_NAME_BYTES and project is not None:
        first = _shortened(project)
    return f"{first}/{_partition('month', month)}"


def _partition(name: str, value: str | None) -> str:
    if value is None:
        return f"{name}={_NULL_PARTITION}"
    encoded = quote(value, safe="")
    # A project called NULL: with its first letter percent-encoded readers take it for a name.
    if value.upper() in _READ_AS_NULL:
        encoded = f"%{ord(value[0]):02X}{encoded[1:]}"
    return f"{name}={encoded}"
