"""SQLite engines: how connections and transactions begin, and checks that the file is still the same.

Hazard: if the file, its -wal or its -shm is deleted or replaced while in use, commits succeed and are lost.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from scalesync import advice
from scalesync.db.statements import IndexedBy
from scalesync.db.url import ADVICE_URL
from scalesync.db.wal import count_transaction
from scalesync.errors import ConfigurationError, DatabaseError
from scalesync.sqlite_files import SUFFIXES

BUSY_SECONDS = 30
"""Seconds that a transaction waits while another program has the file locked."""
BEGIN = "scalesync_begin"
"""The execution option with a transaction's mode: on SQLite DEFERRED to read, IMMEDIATE to write."""
SYNC = "scalesync_sync"
"""The execution option of a writing transaction: FULL to survive a power cut, or NORMAL."""
_CACHE_KIB = 12_288
_CHECKPOINT_PAGES = 4_000
"""Pages in the `-wal`, 16 MB, from which a commit copies them into the file: few commits wait for that."""
_CHANGES = "changes_at_the_beginning"

# Python's driver searches for an adapter for each None that it binds, which takes longer than five texts. One
# that is found, and returns None for None, takes a third of that.
sqlite3.register_adapter(type(None), lambda _none: None)


def checked_path(address: URL) -> Path:
    """Return the path in a URL. Raises ConfigurationError if the URL does not name a plain file."""
    if not address.database or address.database == ":memory:" or address.query:
        raise ConfigurationError("A mirror on SQLite needs a plain file.", advice=ADVICE_URL)
    return Path(address.database)


class SqliteFile:
    """An SQLite file, with checks that it, its -wal and its -shm are still the ones opened."""

    # While a connection of this process is open, SQLite itself neither removes nor replaces -wal and -shm,
    # and all connections of the process share the first one's -shm. So inodes are noted once per process.

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._beside = {suffix: f"{path}{suffix}" for suffix in SUFFIXES}
        self._identity = _identity(self._path)

    def check(self) -> None:
        """Raise DatabaseError if one of the files was deleted or replaced, so that writes would be lost."""
        if _identity(self._path) != self._identity:
            raise DatabaseError(
                f"{self._path} was deleted or replaced while it was in use.",
                advice=advice.BEGIN_AGAIN,
            )
        noted = _beside.get(self._identity, _LogFile()).identities
        for suffix in SUFFIXES:
            now, before = self._identity_beside(suffix), noted.get(suffix)
            if before is None:
                noted[suffix] = now
            elif now != before:
                raise self._gone(suffix)

    def opened(self, *, in_wal_mode: bool) -> None:
        """Count one more connection of this process. Raises DatabaseError as `check` does."""
        if in_wal_mode:
            for suffix in SUFFIXES:
                # SQLite has made both by now.
                if self._identity_beside(suffix) is None:
                    raise self._gone(suffix)
        self.keep()
        try:
            self.check()
        except DatabaseError:
            self.closed()
            raise

    def keep(self) -> None:
        """Count one more connection without a check."""
        with _beside_lock:
            _beside.setdefault(self._identity, _LogFile()).connections += 1

    def closed(self) -> None:
        """Count one connection less; after the last, SQLite may remove the -wal and -shm."""
        with _beside_lock:
            noted = _beside.get(self._identity, _LogFile())
            noted.connections -= 1
            if noted.connections < 1:
                _beside.pop(self._identity, None)

    def abandoned(self) -> bool:
        """Return whether other processes have written with another -wal or -shm than this process has."""
        noted = _beside.get(self._identity, _LogFile()).identities
        pairs = [(noted.get(suffix), self._identity_beside(suffix)) for suffix in SUFFIXES]
        replaced = any(None not in pair and pair[0] != pair[1] for pair in pairs)
        return replaced and _size(Path(self._beside["-wal"])) > 0

    def _gone(self, suffix: str) -> DatabaseError:
        return DatabaseError(
            f"{self._path}{suffix} was deleted or replaced while it was in use: what was written lately may"
            " be lost.",
            advice=advice.END_ALL_AND_READ_AGAIN,
        )

    def _identity_beside(self, suffix: str) -> tuple[int, int] | None:
        return _identity(self._beside[suffix])


@dataclass
class _LogFile:
    """The -wal and -shm that connections of this process use, by device and inode."""

    connections: int = 0
    identities: dict[str, tuple[int, int] | None] = field(default_factory=dict)


# Shared by all engines of the process, and by the file's identity: two names may lead to one file.
_beside: dict[tuple[int, int] | None, _LogFile] = {}
_beside_lock = threading.Lock()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - three for each transaction, each a fraction of what a Path takes
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def engine_at(address: URL, file: SqliteFile) -> Engine:
    """Return the engine of an SQLite file; execution options set how a transaction begins."""
    # isolation_level None: the driver begins no transaction by itself; BEGIN is sent by the listener below.
    engine = create_engine(
        address, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, hide_parameters=True
    )
    engine.dialect.statement_compiler = IndexedBy

    @event.listens_for(engine, "do_connect")
    def find(*_: object) -> None:
        file.check()  # SQLite would create a new, empty file

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA schema_version")  # makes SQLite open or create -wal and -shm
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        file.opened(in_wal_mode=mode == "wal")

    @event.listens_for(engine, "detach")
    @event.listens_for(engine, "close")
    def close(*_: object) -> None:
        file.closed()

    _watch_transactions(engine, file)
    return engine


def _watch_transactions(engine: Engine, file: SqliteFile) -> None:
    """Begin every transaction as its options say, and refuse commits into a file that was replaced."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        mode = options[BEGIN]
        if mode:
            _set_pragma(connection, "query_only", "ON" if mode == "DEFERRED" else "OFF")
            if mode == "IMMEDIATE":
                _set_pragma(connection, "synchronous", options[SYNC])
            # IMMEDIATE takes the write lock at once: a DEFERRED transaction that writes after another one
            # committed fails without waiting, and cannot be continued.
            connection.exec_driver_sql(f"BEGIN {mode}")
            connection.info[_CHANGES] = _changes(connection)
            file.check()

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        file.check()
        # Only transactions with changes are numbered: a number alone would be a write of its own.
        if connection.info.get(_CHANGES) != _changes(connection):
            count_transaction(connection)


def dispose(engine: Engine, file: SqliteFile) -> None:
    """Close every pooled connection, without damage to what other processes wrote meanwhile."""
    # When the last connection is closed, SQLite copies the -wal into the file. If the -wal was deleted, that
    # saves its content; but if others wrote with a new -wal since, it would overwrite their pages with ours.
    if file.abandoned() and isinstance(engine.pool, QueuePool) and engine.pool.checkedin():
        import ctypes

        # One connection stays open until the process ends: an extra reference keeps Python from closing it.
        kept = engine.raw_connection()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept.driver_connection))
        file.keep()
        kept.detach()
    engine.dispose()


def _changes(connection: Connection) -> int:
    """Return the number of rows ever changed through the driver's connection."""
    driver = connection.connection.driver_connection
    return 0 if driver is None else int(driver.total_changes)


def _set_pragma(connection: Connection, pragma: str, value: str) -> None:
    """Set a pragma of a connection, unless it has that value already."""
    # Setting one makes SQLite prepare every cached statement again.
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
        connection.info[pragma] = value


class WriteLock:
    """A lock by which the threads of a process take turns at writing to an SQLite file."""

    # SQLite's busy handler polls with ever longer sleeps; a thread that waits here goes on at once.

    def __init__(self, patience: float) -> None:
        """Set the seconds that a thread waits for its turn before it leaves the waiting to SQLite."""
        self._patience = patience
        self._lock = threading.Lock()

    @contextmanager
    def held(self, *, when: bool) -> Iterator[None]:
        """Hold the lock during the block if `when`; after a timeout, run the block without it."""
        ours = when and self._lock.acquire(timeout=self._patience)
        try:
            yield
        finally:
            if ours:
                self._lock.release()
