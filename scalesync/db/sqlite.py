"""An SQLite file: that it is there and stays the same, and how its connections and transactions begin."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from scalesync.db.address import ADVICE_URL
from scalesync.db.plans import IndexedBy
from scalesync.errors import ConfigurationError, DatabaseError

BUSY_SECONDS = 30
"""For which a transaction waits while another program holds the file locked."""
BEGIN = "scalesync_begin"
"""The execution option that says how a transaction begins: DEFERRED to read, IMMEDIATE to write."""
SYNC = "scalesync_sync"
"""The execution option of a writing transaction that says whether it outlasts a power cut: FULL or NORMAL."""
_CACHE_KIB = 16_384
_ADVICE_INIT = "Run `scalesync init` first."


def checked_path(address: URL) -> Path:
    """Return the path of the file at a URL. Raises ConfigurationError where the URL names no plain file."""
    if not address.database or address.database == ":memory:" or address.query:
        raise ConfigurationError("A mirror on SQLite needs a plain file.", advice=ADVICE_URL)
    return Path(address.database)


def check_file(path: Path, *, create: bool) -> None:
    """Return with a readable and writable file at `path`, or raise DatabaseError."""
    try:
        if path.is_dir():
            raise DatabaseError(
                f"{path} is a directory, not a database file.", advice="Name a file with --db."
            )
        if not path.exists():
            if not create:
                raise DatabaseError(f"No mirror at {path}.", advice=_ADVICE_INIT)
            # The -wal and -shm files take the mode of the database file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        elif not os.access(path, os.R_OK | os.W_OK):
            raise DatabaseError(
                f"{path} may not be read and written by this user.", advice="Correct its owner or mode."
            )
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatabaseError(
            f"Cannot make a database at {path}: {reason}.", advice="Name another file with --db."
        ) from error


class _File:
    """An SQLite file that is used by its name and must stay the same one behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._look()

    def check(self) -> None:
        """Return if it is still there; raise DatabaseError where whatever is written would be lost."""
        if self._look() != self._identity:
            raise DatabaseError(
                f"{self._path} was deleted or replaced while it was in use.",
                advice="Put it back, or begin a new one with `scalesync init` and `scalesync sync`.",
            )

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def engine_at(address: URL) -> Engine:
    """Return the engine of an SQLite file, whose transactions say by execution options how they begin."""
    engine = create_engine(
        address, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None}, hide_parameters=True
    )
    engine.dialect.statement_compiler = IndexedBy
    file = _File(Path(str(address.database)).absolute())

    @event.listens_for(engine, "do_connect")
    def find(*_: object) -> None:
        file.check()  # SQLite would make a new one

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        mode = options[BEGIN]
        if mode:
            _set(connection, "query_only", "ON" if mode == "DEFERRED" else "OFF")
            if mode == "IMMEDIATE":
                _set(connection, "synchronous", options[SYNC])
            connection.exec_driver_sql(f"BEGIN {mode}")
            file.check()

    @event.listens_for(engine, "commit")
    def commit(_: Connection) -> None:
        file.check()

    return engine


def _set(connection: Connection, pragma: str, value: str) -> None:
    """Return with the pragma so set. To set it anew would have SQLite prepare every statement again."""
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
        connection.info[pragma] = value
