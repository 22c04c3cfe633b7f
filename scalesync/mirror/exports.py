"""SQL results, rows and exports of the mirror from Python. Works offline."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Unpack

from scalesync.errors import ConfigurationError
from scalesync.mirror.connections import Connected
from scalesync.models.selection import ExportFilters, selection_of

if TYPE_CHECKING:
    # Slow to import, and only exports need them.
    from collections.abc import Iterator
    from datetime import timedelta

    import pyarrow as pa

    from scalesync.db.caller_transaction import Connection
    from scalesync.export.counts import ExportCounts
    from scalesync.export.exporter import Export, Exporter, SqlRows
    from scalesync.export.picture_dataset import PictureDone
    from scalesync.models.publishing import Publication
    from scalesync.publish.publisher import Watch


class Exports(Connected):
    """Methods of `Mirror` that give rows, files and directories, with the filters of `scalesync export`."""

    def sql(self, statement: str, *, timeout: float = 60.0) -> "SqlRows":
        """Return the rows of one read-only SQL statement: an iterator of dicts by column, and Arrow data.

        In constant memory; nothing is asked before the first row is taken. The database refuses changes, and
        works for at most `timeout` seconds. Raises ConfigurationError for a wrong statement, and for two
        columns of the same name. JSON columns may be text.
        """
        from scalesync.export.exporter import SqlRows

        return SqlRows(self.exporter, statement, timeout)

    def rows(self, table: str, **filters: Unpack[ExportFilters]) -> "pa.RecordBatchReader":
        """Return the rows of a table or a view as an Arrow reader, in constant memory.

        The filters are those of `export`. Needs pyarrow. Raises ConfigurationError for an unknown table, and
        for a filter that it has no column for.
        """
        return self.exporter.reader(self._export(table, "parquet", filters))

    @property
    def exporter(self) -> "Exporter":
        """The exporter of this mirror: SQL results, tables, views and datasets."""
        from scalesync.export.exporter import Exporter

        connections = self.connections()
        return Exporter(connections.database, connections.clock)

    def export(
        self,
        table: str,
        file: IO[bytes],
        *,
        format: str = "jsonl",  # noqa: A002 - as the option
        **filters: Unpack[ExportFilters],
    ) -> "ExportCounts":
        """Write a table, a view or a dataset to a binary file; return the counts.

        `format` and the filters are those of `scalesync export`. Raises ConfigurationError for an unknown
        table or format, and for a filter that the table has no column for.
        """
        from scalesync.export.counts import ExportCounts
        from scalesync.export.exporter import Format

        plan, counts = self._export(table, format, filters), ExportCounts()
        if plan.format is Format.PARQUET:
            self.exporter.parquet(plan, file, counts)
        else:
            file.writelines(line + b"\n" for line in self.exporter.lines(plan, counts))
        return counts

    def export_partitions(
        self, table: str, directory: str | os.PathLike[str], **filters: Unpack[ExportFilters]
    ) -> "ExportCounts":
        """Write a table or a view as Parquet files by project and month, below an empty directory."""
        from scalesync.export.counts import ExportCounts

        counts = ExportCounts()
        self.exporter.partitions(self._export(table, "parquet", filters), _empty(directory), counts)
        return counts

    def export_directory(
        self,
        directory: str | os.PathLike[str],
        *,
        format: str,  # noqa: A002 - as the option
        split: str = "0.8,0.1,0.1",
        pictures: str = "copy",
        yolo_kind: str = "detect",
        on_event: "Callable[[PictureDone], None]" = lambda _: None,
        **filters: Unpack[ExportFilters],
    ) -> "ExportCounts":
        """Write the pictures of tasks with their annotations below an empty directory; return the counts.

        `format` is `yolo` or `huggingface`; the other options are those of `scalesync export`. The dataset is
        incomplete if `unfinished` of the counts has anything. Raises ConfigurationError for a wrong option.
        """
        from scalesync.export.counts import ExportCounts
        from scalesync.export.exporter import DirectoryOptions

        plan, counts = self._export("tasks", format, filters), ExportCounts()
        options = DirectoryOptions.of(split=split, pictures=pictures, yolo_kind=yolo_kind)
        self.exporter.directory(plan, _empty(directory), counts, options, on_event)
        return counts

    def publish(
        self,
        target: str | os.PathLike[str],
        *,
        format: str = "delta",  # noqa: A002 - as the option
        views: Sequence[str] = (),
        compact: bool = False,
        vacuum: "timedelta | None" = None,
        short_retention: bool = False,
        on_event: "Watch" = lambda _: None,
    ) -> "Publication":
        """Write what changed since `target` was last published, as tables for other engines.

        `target` is a directory, or an s3://, gs:// or az:// address, with credentials from the environment;
        `format` is `delta` or `parquet`. Afterwards small files are joined (`compact`), and those deleted
        that have not counted for `vacuum`, which `short_retention` allows to be less than seven days. The
        mirror was not known to be complete if `gaps` of the result has anything. Raises ConfigurationError
        for a target that cannot be used, such as another mirror's tables.
        """
        from scalesync.models.publishing import PublishFormat
        from scalesync.publish.publisher import Publisher, PublishPlan
        from scalesync.publish.target import Target

        if format not in set(PublishFormat):
            msg = f"There is no format {format!r} to publish."
            raise ConfigurationError(msg, advice=f"Use {', '.join(PublishFormat)}.")
        place, form = Target.parse(os.fspath(target)), PublishFormat(format)
        plan = PublishPlan(place, form, tuple(views), compact, vacuum, short_retention)
        connections = self.connections()
        return Publisher(connections.database, connections.clock, self._gaps, on_event).publish(plan)

    def _gaps(self, conn: "Connection") -> "Iterator[tuple[str, str]]":
        from scalesync.status import read_status

        status = read_status(conn, "", self.now(), recent=1, count=False)
        for sentence in status.sync_gaps():
            yield sentence, "Unless another command is named here, run `scalesync sync`, then publish again."
        for sentence in status.file_gaps():
            yield sentence, "Run `scalesync fetch-results`, then publish again."
        for sentence in status.response_gaps():
            yield sentence, "`unread_responses` names these tasks; nothing else can be done about them here."

    def _export(self, table: str, format: str, filters: Mapping[str, Any]) -> "Export":  # noqa: A002 - as above
        from scalesync.export.exporter import Export, Format

        if format not in set(Format):
            raise ConfigurationError(f"There is no format {format!r}.", advice=f"Use {', '.join(Format)}.")
        return Export(table, Format(format), selection_of(filters, self.now()))


def _empty(directory: str | os.PathLike[str]) -> Path:
    """Return a directory as a path. Raises ConfigurationError unless it is there and empty."""
    target = Path(directory)
    if not target.is_dir() or any(target.iterdir()):
        msg = f"{target} is not an empty directory."
        raise ConfigurationError(msg, advice="Make one, or name another.")
    return target
