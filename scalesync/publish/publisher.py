"""Publish what changed in the mirror since a target was last written, as of one moment."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import randbits

from scalesync.clock import Clock
from scalesync.db.caller_transaction import Connection
from scalesync.db.database import Database
from scalesync.db.export import publishing
from scalesync.db.export.rows import rows, rows_of_partition
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.db.sync.runs import read_watermarks
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
    PublishWaiting,
)
from scalesync.publish.data_files import DataFile
from scalesync.publish.new_files import NewFiles
from scalesync.publish.published_table import (
    ChangedMeanwhileError,
    NotOursError,
    PublicationStamp,
    TableBusyError,
    TableChange,
    TableState,
    TableWriter,
    check_age,
)
from scalesync.publish.target import Target, require_packages, store_error

_ATTEMPTS = 6
"""How often a publication begins again because others changed a table."""
_LONGEST_WAIT = 600
"""Seconds for which it waits until another process has published."""
_SECONDS_BETWEEN_LINES = 30
_DIGITS = 15
"""Hexadecimal digits of the digest of a table without partitions: what a number in Delta's log holds."""
_PUBLICATION_BITS = 62

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
        gaps: Callable[[Connection], Iterable[tuple[str, str]]],
        watch: Watch,
    ) -> None:
        """Open the database with `open_database`; `gaps` reads why it may be incomplete, and what helps."""
        self._open_database, self._clock, self._gaps, self._watch = open_database, clock, gaps, watch

    def publish(self, plan: PublishPlan) -> Publication:
        """Write what changed since the target was last written; return what was written.

        Everything is of one moment. Raises ConfigurationError for a target that cannot be used, and
        AlreadyRunningError if others publish there all the time, or changed it again and again.
        """
        require_packages()
        _check(plan)
        waited = conflicts = 0
        while True:
            try:
                return self._try(plan)
            except TableBusyError:
                if waited == _LONGEST_WAIT or self._clock.over:
                    raise
                if waited % _SECONDS_BETWEEN_LINES == 0:
                    self._watch(PublishWaiting(plan.target.address, waited))
                waited += 1
                self._clock.sleep(1.0)
            except ChangedMeanwhileError:
                conflicts += 1
                if conflicts == _ATTEMPTS:
                    raise
                self._watch(PublishConflict(plan.target.address))
                self._clock.sleep(0.05 * 2**conflicts)

    def _try(self, plan: PublishPlan) -> Publication:
        try:
            with self._open_database() as database:
                return self._publish(database, plan)
        except (OSError, store_error()) as error:
            raise plan.target.error(error) from error

    def _publish(self, database: Database, plan: PublishPlan) -> Publication:
        # A database that only reads would refuse to note what is published: before anything is at the target.
        with database.write() as conn:
            publishing.check_writable(conn)
            publisher = publishing.publisher_name(conn)
        names = dict.fromkeys((*plan.tables, *publishing.view_names()))
        writers = {name: _writer(plan, name, publisher) for name in names}
        try:
            # The states first: what others commit after that is noticed, and what they committed before it is
            # of an earlier moment than our snapshot.
            plan.target.check_is_no_table(writers[plan.tables[0]].target_files())
            states = {name: writers[name].state() for name in plan.tables}
            for name in [name for name in names if name not in states]:
                # A view that was published once would grow old beside its tables.
                if (known := _known_state(writers[name])) is not None:
                    states[name] = known
            with database.read() as conn:
                gaps, marks = tuple(self._gaps(conn)), read_watermarks(conn)
                as_of = min(marks.values()) if len(marks) == len(MAPPINGS) else None
                change = publishing.last_change(conn)
                if plan.compact:
                    writers[plan.tables[0]].check_compactable(publishing.partitions(conn, None))
                snapshot = _Snapshot(conn, database, plan, change, as_of, self._clock, self._watch)
                tables = {
                    name: snapshot.publish(name, writers[name], state) for name, state in states.items()
                }
            deleted = {name: _tidy(plan, writers[name]) for name in states}
        finally:
            for writer in writers.values():
                writer.close()
        why = tuple(sentence for sentence, _ in gaps)
        helping = " ".join(dict.fromkeys(help_ for _, help_ in gaps))
        return Publication(plan.target.address, plan.format, as_of, why, tables, deleted, helping)


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
    touched: dict[int | None, list[Partition]] = field(default_factory=dict)
    """Partitions by the change after which they changed: mostly the same for each table."""

    def publish(self, name: str, writer: TableWriter, state: TableState) -> PublishedTable:
        """Write what changed in one table since its last publication; return what was written."""
        # None: nobody has published it yet, or this mirror did before it was restored from a backup.
        since = publishing.known_change(self.conn, state.publication, name)
        if state.fault:
            self.watch(PublishFault(name, state.fault))
            since = None
        files = NewFiles(writer)
        try:
            if name in PARTITIONED:
                change = self._partitions(name, since, files)
            else:
                change = self._whole(name, state, files)
            if change is None:
                return PublishedTable(state.version, 0, 0, 0, self.change_id)
            publication, obsolete = self._begin(name)
        except BaseException:
            files.discard()
            raise
        try:
            stamp = PublicationStamp(publication, self.change_id, self.as_of)
            version = writer.commit(change, stamp)
        except ChangedMeanwhileError:
            # After any other error the files may be committed.
            files.discard()
            raise
        with self.database.write() as conn:
            publishing.finish(conn, publication, obsolete, version, self.clock.now())
        rows_written = sum(file.rows for _, file in change.files)
        size = sum(file.bytes for _, file in change.files)
        return PublishedTable(version, change.partitions, rows_written, size, self.change_id)

    def _partitions(self, name: str, since: int | None, files: NewFiles) -> "TableChange | None":
        """Write the partitions that changed after `since`; return None if none did."""
        if since not in self.touched:
            self.touched[since] = publishing.partitions(self.conn, since)
        touched = self.touched[since]
        if since is not None and not touched:
            return None
        columns: tuple[Column, ...] = ()
        written: _Written = []
        rows_written = 0
        for done, partition in enumerate(touched or [Partition("", "")], 1):
            with closing(rows_of_partition(self.conn, name, partition)) as found:
                columns = found.columns
                for file in files.write(found, partition):
                    written.append((partition, file))
                    rows_written += file.rows
            self.watch(PublishProgress(name, done, len(touched), rows_written))
        return TableChange(columns, written, None if since is None else frozenset(touched), len(touched))

    def _whole(self, name: str, state: TableState, files: NewFiles) -> "TableChange | None":
        """Write a table without partitions; return None if its rows are those of the last publication."""
        if state.publication is not None and not state.fault:
            # First only to see whether anything changed: nothing is kept, so that nothing is sent in vain.
            with closing(rows(self.conn, name)) as found:
                if _content(files.write(found, None, keep=False)) == state.content:
                    return None
        with closing(rows(self.conn, name)) as found:
            written: _Written = [(None, file) for file in files.write(found, None)]
        content = _content(file for _, file in written)
        self.watch(PublishProgress(name, 1, 1, sum(file.rows for _, file in written)))
        return TableChange(found.columns, written, None, 1, content, is_partitioned=False)

    def _begin(self, name: str) -> tuple[int, list[int]]:
        """Note that a table is about to be published; return the number, and those known before."""
        publication, place = randbits(_PUBLICATION_BITS), (self.plan.target.address, name)
        with self.database.write() as conn:
            return publication, publishing.begin(conn, publication, place, self.change_id, self.as_of)


_Written = list[tuple[Partition | None, DataFile]]


def _content(files: Iterable[DataFile]) -> str:
    """Return a number for the contents of a table's files, as Delta's log holds it."""
    digest = sha256()
    for file in files:
        digest.update(file.sha256.encode())
    return str(int(digest.hexdigest()[:_DIGITS], 16))


def _check(plan: PublishPlan) -> None:
    """Raise ConfigurationError for what cannot be done anywhere."""
    publishing.check_views(plan.views)
    if plan.format is PublishFormat.PARQUET:
        plan.target.check_parquet()
    if plan.vacuum is not None:
        check_age(plan.vacuum, short=plan.short_retention)


def _known_state(writer: TableWriter) -> TableState | None:
    """Return the state of a table if this mirror published it, else None."""
    try:
        state = writer.state() if writer.exists() else TableState()
    except NotOursError:
        return None
    return None if state.publication is None else state


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
