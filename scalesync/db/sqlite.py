"""An SQLite file: that it is there and stays the same, and how its connections and transactions begin."""

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
"""For which a transaction waits while another program holds the file locked."""
BEGIN = "scalesync_begin"
"""The execution option that says how a transaction begins: DEFERRED to read, IMMEDIATE to write."""
SYNC = "scalesync_sync"
"""The execution option of a writing transaction that says whether it outlasts a power cut: FULL or NORMAL."""
_CACHE_KIB = 16_384
_CHANGES = "changes_at_the_beginning"


def checked_path(address: URL) -> Path:
    """Return the path of the file at a URL. Raises ConfigurationError where the URL names no plain file."""
    if not address.database or address.database == ":memory:" or address.query:
        raise ConfigurationError("A mirror on SQLite needs a plain file.", advice=ADVICE_URL)
    return Path(address.database)


class SqliteFile:
    """An SQLite file that is used by its name: it must stay the same, and so must its -wal and -shm.

    As long as a connection of this process is open, SQLite removes and replaces neither of the two; all of
    them share the -shm of the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._beside = {suffix: f"{path}{suffix}" for suffix in SUFFIXES}
        self._identity = _identity(self._path)

    def check(self) -> None:
        """Return if all is as it was; raise DatabaseError where whatever is written would be lost."""
        if _identity(self._path) != self._identity:
            raise DatabaseError(
                f"{self._path} was deleted or replaced while it was in use.",
                advice=advice.BEGIN_AGAIN,
            )
        noted = _beside.get(self._identity, _LogFile()).identities
        for suffix in SUFFIXES:
            now, before = self._look(suffix), noted.get(suffix)
            if before is None:
                noted[suffix] = now
            elif now != before:
                raise self._gone(suffix)

    def opened(self, *, in_wal_mode: bool) -> None:
        """Take note of one more connection of this process. Raises DatabaseError like `check`."""
        if in_wal_mode:
            for suffix in SUFFIXES:
                # SQLite has made both by now.
                if self._look(suffix) is None:
                    raise self._gone(suffix)
        self.keep()
        try:
            self.check()
        except DatabaseError:
            self.closed()
            raise

    def keep(self) -> None:
        """Hold what is noted of the -wal and -shm for one more connection."""
        with _counting:
            _beside.setdefault(self._identity, _LogFile()).connections += 1

    def closed(self) -> None:
        """Take note of one connection less; with the last of them the -wal and -shm may go."""
        with _counting:
            noted = _beside.get(self._identity, _LogFile())
            noted.connections -= 1
            if noted.connections < 1:
                _beside.pop(self._identity, None)

    def abandoned(self) -> bool:
        """Return whether others wrote something by now with another -wal or -shm than this process has."""
        noted = _beside.get(self._identity, _LogFile()).identities
        pairs = [(noted.get(suffix), self._look(suffix)) for suffix in SUFFIXES]
        replaced = any(None not in pair and pair[0] != pair[1] for pair in pairs)
        return replaced and _size(Path(self._beside["-wal"])) > 0

    def _gone(self, suffix: str) -> DatabaseError:
        return DatabaseError(
            f"{self._path}{suffix} was deleted or replaced while it was in use: what was written lately may"
            " be lost.",
            advice=advice.END_ALL_AND_READ_AGAIN,
        )

    def _look(self, suffix: str) -> tuple[int, int] | None:
        return _identity(self._beside[suffix])


@dataclass
class _LogFile:
    """What connections of this process use beside a file."""

    connections: int = 0
    identities: dict[str, tuple[int, int] | None] = field(default_factory=dict)


_beside: dict[tuple[int, int] | None, _LogFile] = {}
_counting = threading.Lock()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - three for each transaction, each a fraction of what a Path takes
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def engine_at(address: URL, file: SqliteFile) -> Engine:
    """Return the engine of an SQLite file, whose transactions say by execution options how they begin."""
    engine = create_engine(
        address, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, hide_parameters=True
    )
    engine.dialect.statement_compiler = IndexedBy

    @event.listens_for(engine, "do_connect")
    def find(*_: object) -> None:
        file.check()  # SQLite would make a new one

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA schema_version")  # opens what is beside it
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        file.opened(in_wal_mode=mode == "wal")

    @event.listens_for(engine, "detach")
    @event.listens_for(engine, "close")
    def close(*_: object) -> None:
        file.closed()

    _watch_transactions(engine, file)
    return engine


def _watch_transactions(engine: Engine, file: SqliteFile) -> None:
    """Begin every transaction as its options say, and end none that nobody would find again."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        mode = options[BEGIN]
        if mode:
            _set(connection, "query_only", "ON" if mode == "DEFERRED" else "OFF")
            if mode == "IMMEDIATE":
                _set(connection, "synchronous", options[SYNC])
            connection.exec_driver_sql(f"BEGIN {mode}")
            connection.info[_CHANGES] = _changes(connection)
            file.check()

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        file.check()
        if connection.info.get(_CHANGES) != _changes(connection):
            count_transaction(connection)


def dispose(engine: Engine, file: SqliteFile) -> None:
    """Close every pooled connection of an engine, without harm to what others made of the file meanwhile.

    SQLite writes what is in the -wal into the file when the last connection is closed. Where the -wal was
    deleted and nobody made another, that saves what was in it; else it would damage what others wrote since.
    """
    if file.abandoned() and isinstance(engine.pool, QueuePool) and engine.pool.checkedin():
        import ctypes

        # One stays open until the process ends, which takes that Python never lets it go.
        kept = engine.raw_connection()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept.driver_connection))
        file.keep()
        kept.detach()
    engine.dispose()


def _changes(connection: Connection) -> int:
    """Return how many rows were changed through the driver's connection, ever."""
    driver = connection.connection.driver_connection
    return 0 if driver is None else int(driver.total_changes)


def _set(connection: Connection, pragma: str, value: str) -> None:
    """Return with the pragma so set. To set it anew would have SQLite prepare every statement again."""
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
        connection.info[pragma] = value


class WriteLock:
    """By which the threads of a process write to an SQLite file one after another, without losing time.

    SQLite itself lets whoever finds the file locked sleep, each time for longer, whatever happens meanwhile.
    """

    def __init__(self, patience: float) -> None:
        """Let a thread wait for its turn for so many seconds: then SQLite decides."""
        self._patience = patience
        self._lock = threading.Lock()

    @contextmanager
    def held(self, *, when: bool) -> Iterator[None]:
        """Have the turn while the block lasts, where that is asked for and nobody keeps it for too long."""
        ours = when and self._lock.acquire(timeout=self._patience)
        try:
            yield
        finally:
            if ours:
                self._lock.release()
