"""Files of a published table that nothing refers to yet."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING

from scalesync.db.export.rows import ExportedRows
from scalesync.export.arrow import record_batches
from scalesync.models.publishing import Partition
from scalesync.publish.data_files import DataFile, write_files
from scalesync.publish.published_table import TableWriter

if TYPE_CHECKING:
    import pyarrow as pa


class NewFiles:
    """Files of one table that no commit names yet."""

    def __init__(self, writer: TableWriter) -> None:
        """Start without any."""
        self._writer, self._paths = writer, list[str]()

    def write(
        self, found: ExportedRows, partition: Partition | None, *, keep: bool = True
    ) -> Iterator[DataFile]:
        """Write rows into files and yield each; those of `keep=False` are only measured."""
        import pyarrow as pa

        schema = self._writer.file_schema(found.columns, partitioned=partition is not None)
        read = pa.schema(list(schema)[: len(found.columns)])
        batches = record_batches(read, found.columns, found.rows)
        values = {} if partition is None else partition._asdict()
        whole = (_with_constants(batch, schema, values) for batch in batches)
        name = partial(self._writer.new_path, partition)
        return write_files(name, self._create if keep else None, schema, whole)

    def _create(self, path: str) -> IO[bytes]:
        self._paths.append(path)
        return self._writer.create(path)

    def discard(self) -> None:
        """Delete them, also one that was not finished; what a killed process leaves is for a vacuum."""
        with suppress(Exception):
            self._writer.delete(self._paths)


def _with_constants(
    batch: "pa.RecordBatch", schema: "pa.Schema", values: Mapping[str, str]
) -> "pa.RecordBatch":
    """Return a batch with the columns of a schema that it lacks; an empty value is NULL."""
    import pyarrow as pa

    for name in schema.names[batch.num_columns :]:
        constant = pa.scalar(values[name] or None, pa.string())
        batch = batch.append_column(name, pa.repeat(constant, batch.num_rows))
    return batch
