"""Write the rows of one partition as Parquet files of bounded size, in constant memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any

from scalesync.export.arrow import portions
from scalesync.models.columns import ColumnKind
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    import pyarrow as pa

    from scalesync.models.columns import Column

_GROUP_ROWS = 20_000
_GROUP_BYTES = 8 * 1024**2
"""Size of a row group, which is held in memory until it is written."""
FILE_BYTES = 128 * 1024**2
"""Size from which on the rest goes to another file."""
_LONGEST_BOUND = 64
"""Characters of a text that is given as the smallest or largest of its column."""

OpenFile = Callable[[str], IO[bytes]]
"""Creates a file of this name."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file that was written."""

    path: str
    """Below the table's directory."""
    rows: int
    bytes: int
    sha256: str
    lowest: dict[str, Any] = field(default_factory=dict)
    highest: dict[str, Any] = field(default_factory=dict)
    """By column, of the columns for which the file knows them; times as the API writes them."""
    nulls: dict[str, int] = field(default_factory=dict)
    """Rows without a value, by column."""


class Sink:
    """A binary file that measures and hashes what is written; without a target it keeps nothing.

    It keeps the error of a target that cannot be written: pyarrow would lose it in one of its own.
    """

    closed = False
    error: Exception | None = None

    def __init__(self, target: IO[bytes] | None) -> None:
        """Write into `target`, which `close` closes."""
        self._target, self.size, self.hash = target, 0, sha256()

    def write(self, data: Any) -> int:
        """Write a piece."""
        piece = bytes(data)
        self.hash.update(piece)
        self.size += len(piece)
        if self._target is not None and self.error is None:
            try:
                self._target.write(piece)
            except Exception as error:  # noqa: BLE001 - `close` raises it
                self.error = error
        return len(piece)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: `close` flushes."""

    def close(self) -> None:
        """Close the target. Raises the first error of writing it."""
        if not self.closed and self._target is not None:
            self.closed = True
            try:
                self._target.close()
            finally:
                # What closing raises says less: the same data could not be written a second time.
                if self.error is not None:
                    raise self.error
        self.closed = True


def write_files(
    name: Callable[[], str],
    open_file: OpenFile | None,
    schema: "pa.Schema",
    batches: Iterable["pa.RecordBatch"],
) -> Iterator[DataFile]:
    """Write batches into files that `name` names, and yield each when it is done; no rows are no file.

    Without `open_file` nothing is kept: only sizes and hashes are of use.
    """
    weighed = ((batch, batch.num_rows, batch.nbytes) for batch in batches)
    groups = portions(weighed, _GROUP_ROWS, _GROUP_BYTES)
    group = next(groups, None)
    while group is not None:
        path = name()
        sink = Sink(None if open_file is None else open_file(path))
        try:
            metadata, group = _write_file(sink, schema, group, groups)
        finally:
            sink.close()
        lowest, highest, nulls = _statistics(metadata)
        digest = sink.hash.hexdigest()
        yield DataFile(path, metadata.num_rows, sink.size, digest, lowest, highest, nulls)


def _write_file(
    sink: Sink, schema: "pa.Schema", group: "list[pa.RecordBatch]", rest: "Iterator[list[pa.RecordBatch]]"
) -> "tuple[Any, list[pa.RecordBatch] | None]":
    """Write row groups until the file is large; return its metadata, and the group for the next file."""
    import pyarrow as pa
    from pyarrow import parquet

    written: list[Any] = []
    following: list[pa.RecordBatch] | None = group
    with parquet.ParquetWriter(sink, schema, compression="zstd", metadata_collector=written) as writer:
        while following is not None and sink.size < FILE_BYTES and sink.error is None:
            table = pa.Table.from_batches(following, schema)
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            del table
            following = next(rest, None)
    return written[0], following


def _statistics(metadata: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    """Return the smallest and the largest values and the number of NULLs, by column, of a file."""
    lowest: dict[str, Any] = {}
    highest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for number in range(metadata.num_columns):
        chunks = [metadata.row_group(group).column(number) for group in range(metadata.num_row_groups)]
        found = [chunk.statistics for chunk in chunks]
        name = chunks[0].path_in_schema
        if all(each is not None and each.has_null_count for each in found):
            nulls[name] = sum(each.null_count for each in found)
        bounds = [
            bound for each in found if each is not None and each.has_min_max for bound in (each.min, each.max)
        ]
        unknown = [each for each in found if each is None or (each.num_values and not each.has_min_max)]
        if bounds and not unknown and _is_bound(min(bounds)) and _is_bound(max(bounds)):
            lowest[name], highest[name] = _as_json(min(bounds)), _as_json(max(bounds))
    return lowest, highest, nulls


def _is_bound(value: object) -> bool:
    """Return whether a value of a column may be given as its bound: neither a number with NaN nor long."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_BOUND
    return isinstance(value, int | datetime) and not isinstance(value, bool)


def _as_json(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    # A largest value without its microseconds would be less than some rows have.
    exact = value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return exact if value.microsecond % 1000 else format_instant(value)


def fine_schema(columns: "Iterable[Column]") -> "pa.Schema":
    """Return the schema of columns with times in microseconds, as Delta tables have them."""
    import pyarrow as pa

    from scalesync.export.arrow import arrow_schema

    given = list(columns)
    coarse = arrow_schema(given)
    instant = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            pa.field(each.name, instant) if column.kind is ColumnKind.INSTANT else each
            for each, column in zip(coarse, given, strict=True)
        ]
    )
