"""Publish what changed in the mirror since a target was last written, as of one moment."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from secrets import randbits

from scalesync.clock import Clock
from scalesync.db.caller_transaction import Connection
from scalesync.db.database import Database
from scalesync.db.export import publishing
from scalesync.db.export.rows import ExportedRows, rows, rows_of_partition
from scalesync.db.sync.runs import read_watermarks
from scalesync.export.arrow import arrow_schema, record_batches
from scalesync.models.columns import Column
from scalesync.models.publishing import (
    PARTITIONED,
    WHOLE,
    Partition,
    Publication,
    PublishConflict,
    PublishedTable,
    PublishEvent,
    PublishFault,
    PublishFormat,
    PublishProgress,
)
from scalesync.publish.data_files import DataFile, OpenFile, with_constants, write_files
from scalesync.publish.published_table import (
    ChangedMeanwhileError,
    PublicationStamp,
    TableChange,
    TableState,
    TableWriter,
    check_age,
)
from scalesync.publish.target import Target, require_packages, store_error

_ATTEMPTS = 6
"""How often a publication begins again because others changed a table."""
_DIGITS = 15
"""Hexadecimal digits of the digest of a table without partitions: what a number in Delta's log holds."""
_PUBLICATION_BITS = 62
_STREAMS = 3
"""Streams that must have a watermark for the mirror to be complete up to any time."""

Watch = Callable[[PublishEvent], object]


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What to publish, where and in which form."""

    target: Target
    format: PublishFormat = PublishFormat.DELTA
    views: tuple[str, ...] = ()
    """Views to publish besides the tables."""
    compact: bool = False
    """Whether to join small files afterwards."""
    vacuum: timedelta | None = None
    """Delete files that have not counted for this long; None: none."""
    short_retention: bool = False
    """Whether that may be less than seven days."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables and views."""
        return (*PARTITIONED, *WHOLE, *dict.fromkeys(self.views))


class Publisher:
    """Publishes one mirror."""

    def __init__(
        self,
        open_database: Callable[[], AbstractContextManager[Database]],
        clock: Clock,
        gaps: Callable[[Connection], Iterable[str]],
        watch: Watch,
    ) -> None:
        """Open the database with `open_database`; `gaps` reads why the mirror may be incomplete."""
        self._open_database, self._clock, self._gaps, self._watch = open_database, clock, gaps, watch

    def publish(self, plan: PublishPlan) -> Publication:
        """Write what changed since the target was last written; return what was written.

        Everything is of one moment. Raises ConfigurationError for a target that cannot be used, and
        IncompleteError if others changed it again and again.
        """
        require_packages()
        publishing.check_views(plan.views)
        if plan.vacuum is not None:
            check_age(plan.vacuum, short=plan.short_retention)
        for attempt in range(_ATTEMPTS):
            try:
                with self._open_database() as database:
                    return self._publish(database, plan)
            except ChangedMeanwhileError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._watch(PublishConflict(plan.target.address))
                self._clock.sleep(0.1 * 2**attempt)
            except (OSError, store_error()) as error:
                raise plan.target.error(error) from error
        raise AssertionError  # the last attempt has returned or raised

    def _publish(self, database: Database, plan: PublishPlan) -> Publication:
        with database.read() as conn:
            publisher = publishing.publisher_name(conn)
        writers = {name: _writer(plan, name, publisher) for name in plan.tables}
        try:
            # The states first: what others commit after that is noticed, and what they committed before it is
            # of an earlier moment than our snapshot.
            states = {name: writer.state() for name, writer in writers.items()}
            with database.read() as conn:
                gaps, marks = tuple(self._gaps(conn)), read_watermarks(conn)
                as_of = min(marks.values()) if len(marks) == _STREAMS else None
                change = publishing.last_change(conn)
                snapshot = _Snapshot(conn, database, plan, change, as_of, self._clock, self._watch)
                tables = {
                    name: snapshot.publish(name, writer, states[name]) for name, writer in writers.items()
                }
            deleted = {name: _tidy(plan, writer) for name, writer in writers.items()}
        finally:
            for writer in writers.values():
                writer.close()
        return Publication(plan.target.address, plan.format, as_of, gaps, tables, deleted)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The mirror as one transaction sees it, on its way to a target."""

    conn: Connection
    database: Database
    plan: PublishPlan
    change_id: int
    as_of: datetime | None
    clock: Clock
    watch: Watch

    def publish(self, name: str, writer: TableWriter, state: TableState) -> PublishedTable:
        """Write what changed in one table since its last publication; return what was written."""
        # None: nobody has published it yet, or this mirror did before it was restored from a backup.
        since = publishing.known_change(self.conn, state.publication, name)
        if state.fault:
            self.watch(PublishFault(name, state.fault))
            since = None
        written: _Written = []
        try:
            if name in PARTITIONED:
                change = self._partitions(name, writer, since, written)
            else:
                change = self._whole(name, writer, state, written)
        except BaseException:
            _discard(writer, written)
            raise
        if change is None:
            return PublishedTable(state.version, 0, 0, 0, self.change_id)
        try:
            return self._commit(name, writer, change)
        except ChangedMeanwhileError:
            # After any other error the files may be committed.
            _discard(writer, written)
            raise

    def _partitions(
        self, name: str, writer: TableWriter, since: int | None, written: "_Written"
    ) -> "TableChange | None":
        """Write the partitions that changed after `since`; return None if none did."""
        touched = publishing.partitions(self.conn, since)
        if since is not None and not touched:
            return None
        columns: tuple[Column, ...] = ()
        for done, partition in enumerate(touched or [Partition("", "")], 1):
            with closing(rows_of_partition(self.conn, name, partition)) as found:
                columns = found.columns
                written.extend((partition, file) for file in _files(writer, found, partition, writer.create))
            self.watch(PublishProgress(name, done, len(touched), sum(file.rows for _, file in written)))
        return TableChange(columns, written, None if since is None else frozenset(touched), len(touched))

    def _whole(
        self, name: str, writer: TableWriter, state: TableState, written: "_Written"
    ) -> "TableChange | None":
        """Write a table without partitions; return None if its rows are those of the last publication."""
        # First only to see whether anything changed: nothing is kept, so that nothing is sent in vain.
        digest = sha256()
        with closing(rows(self.conn, name)) as found:
            for file in _files(writer, found, None, None):
                digest.update(file.sha256.encode())
        content = str(int(digest.hexdigest()[:_DIGITS], 16))
        if state.publication is not None and not state.fault and state.content == content:
            return None
        with closing(rows(self.conn, name)) as found:
            written.extend((None, file) for file in _files(writer, found, None, writer.create))
        self.watch(PublishProgress(name, 1, 1, sum(file.rows for _, file in written)))
        return TableChange(found.columns, written, None, 1, content, is_partitioned=False)

    def _commit(self, name: str, writer: TableWriter, change: "TableChange") -> PublishedTable:
        publication = randbits(_PUBLICATION_BITS)
        with self.database.write() as conn:
            place = (self.plan.target.address, name)
            publishing.begin(conn, publication, place, self.change_id, self.as_of)
        version = writer.commit(change, PublicationStamp(publication, self.change_id, self.as_of))
        with self.database.write() as conn:
            publishing.finish(conn, publication, version, self.clock.now())
        files = [file for _, file in change.files]
        rows_written, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        return PublishedTable(version, change.partitions, rows_written, size, self.change_id)


_Written = list[tuple[Partition | None, DataFile]]


def _discard(writer: TableWriter, written: _Written) -> None:
    """Delete files to which nothing refers; what a killed process leaves is removed by a vacuum."""
    with suppress(Exception):
        writer.delete([file.path for _, file in written])


def _files(
    writer: TableWriter, found: ExportedRows, partition: Partition | None, create: OpenFile | None
) -> Iterator[DataFile]:
    """Write rows into files of a table and yield each; without `create` nothing is kept."""
    schema = writer.file_schema(found.columns, partitioned=partition is not None)
    batches = record_batches(arrow_schema(found.columns), found.columns, found.rows)
    values = {} if partition is None else partition._asdict()
    whole = (with_constants(batch, schema, values) for batch in batches)
    return write_files(partial(writer.new_path, partition), create, schema, whole)


def _tidy(plan: PublishPlan, writer: TableWriter) -> int:
    """Do what the plan asks for after publishing; return the number of deleted files."""
    if plan.compact:
        writer.compact()
    return 0 if plan.vacuum is None else writer.vacuum(plan.vacuum, short=plan.short_retention)


def _writer(plan: PublishPlan, name: str, publisher: str) -> TableWriter:
    if plan.format is PublishFormat.DELTA:
        from scalesync.publish.delta import DeltaWriter

        return DeltaWriter(plan.target, name, publisher)
    from scalesync.publish.parquet_manifest import ParquetWriter

    return ParquetWriter(plan.target, name, publisher)
