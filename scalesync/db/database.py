"""Open a mirror's database and its transactions; database errors are translated into messages for people."""

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, exc

from scalesync import advice
from scalesync.db import postgres
from scalesync.db.error_translation import database_error
from scalesync.db.sqlite import (
    BEGIN,
    BUSY_SECONDS,
    SYNC,
    SqliteFile,
    WriteLock,
    checked_path,
    dispose,
    engine_at,
)
from scalesync.db.url import display_url, parse, without_secrets
from scalesync.db.wal import check_log
from scalesync.errors import DatabaseError, DatabaseUnavailableError, IncompleteError
from scalesync.sqlite_files import check_file

# Ctrl-C in the middle of a fetch makes SQLAlchemy log that it cannot close its cursors any more. Without a
# handler of somebody's, Python would print that with a traceback.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
# Short reads take few rows of many by an index: where they lie on the disk, the planner takes to matter more
# than how many it would skip, and compiling a query takes longer than answering it.
_FEW_ROWS = "SET LOCAL random_page_cost = 1.1; SET LOCAL jit = off"
# Steps of SQLite's virtual machine between two looks at the clock: less than a millisecond.
_STEPS_BETWEEN_CHECKS = 10_000


class Database:
    """A mirror's database, SQLite or Postgres, usable from any thread until `close`."""

    def __init__(self, engine: Engine, file: SqliteFile | None = None) -> None:
        """Wrap an engine made by `open`, and on SQLite its file."""
        self._engine = engine
        self._file = file
        self._turns = WriteLock(BUSY_SECONDS)
        # SQLAlchemy wraps the driver's errors of statements, but not those of reading a value from a result.
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.url_shown = display_url(engine.url)
        """The file of an SQLite mirror, else the URL with its passwords hidden: fit for logs and messages."""
        self.closed = False

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> "Database":
        """Return the database at an SQLAlchemy URL.

        With `create`, a missing SQLite file is created, readable by its owner only; Postgres databases are
        never created. Postgres is contacted by the first transaction. Raises DatabaseError if an SQLite file
        is missing, of another kind or not accessible, and ConfigurationError for an unusable URL or driver.
        """
        address = parse(url)
        if address.drivername == "sqlite":
            path = checked_path(address)
            check_file(path, create=create)
            # Before SQLite opens the file: it would replay a foreign -wal and damage the database.
            check_log(path)
            file = SqliteFile(path.absolute())
            database = cls(engine_at(address, file), file)
            if create:
                database._enable_wal_or_close()
            return database
        return cls(postgres.engine_at(address, display_url(address)))

    def write(self, *, durable: bool = False) -> AbstractContextManager[Connection]:
        """Open a writing transaction: committed at the end of the block, rolled back on an error.

        On SQLite it takes the write lock at once, and a power cut may undo the last commits unless they were
        `durable`; on Postgres they always are. Raises DatabaseError for errors of the driver.
        """
        if self.is_sqlite:
            return self._transaction({BEGIN: "IMMEDIATE", SYNC: "FULL" if durable else "NORMAL"})
        return self._transaction({BEGIN: postgres.WRITING})

    def read(self) -> AbstractContextManager[Connection]:
        """Open a reading transaction: one consistent snapshot, no changes, no waiting for writers.

        Raises DatabaseError for errors of the driver.
        """
        if self.is_sqlite:
            return self._transaction({BEGIN: "DEFERRED"})
        return self._transaction({BEGIN: postgres.READING})

    @contextmanager
    def read_within(self, seconds: float | None) -> Iterator[Connection]:
        """Open a reading transaction whose statements are ended after `seconds`, on Postgres each of them.

        None: no limit, but Ctrl-C ends a statement, as it does on Postgres. Raises IncompleteError for a
        statement that took too long.
        """
        ends = math.inf if seconds is None else time.monotonic() + seconds
        with self.read() as connection:
            driver: Any = connection.connection.driver_connection
            # The handler takes Python's lock again and again: without a limit it is for signals alone, which
            # only the main thread gets.
            in_main = threading.current_thread() is threading.main_thread()
            if self.is_sqlite and (seconds is not None or in_main):
                driver.set_progress_handler(lambda: time.monotonic() > ends, _STEPS_BETWEEN_CHECKS)
            elif seconds is not None and not self.is_sqlite:
                limit = f"SET LOCAL statement_timeout = {max(1, int(seconds * 1_000))}"
                connection.exec_driver_sql(f"{limit}; {_FEW_ROWS}")
            try:
                yield connection
            except exc.DBAPIError as error:
                # Python's driver drops what a signal raises within the handler, and ends the statement.
                if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_INTERRUPT" and seconds is None:
                    raise KeyboardInterrupt from error
                if time.monotonic() < ends:
                    raise
                msg = f"The database took longer than {seconds:g} s."
                raise IncompleteError(msg, advice=advice.FEWER_AT_ONCE) from error
            finally:
                if self.is_sqlite:
                    driver.set_progress_handler(None, 0)

    def examine(self) -> str:
        """Return remarks about a Postgres server as a phrase; empty if there are none, and for SQLite.

        Raises DatabaseError if the server cannot be reached, or no mirror can be written there.
        """
        if self.is_sqlite:
            return ""
        with self.read() as conn:
            return postgres.examine(conn, self.url_shown)

    def driver_connection(self) -> Any:
        """Return a connection of the driver, outside the pool and any transaction; the caller closes it.

        Raises DatabaseError if none can be opened.
        """
        try:
            pooled = self._engine.raw_connection()
        except (self._driver_error, exc.TimeoutError) as error:
            raise self.translated(error) from error
        connection = pooled.driver_connection
        pooled.detach()
        return connection

    def without_secrets(self, text: str) -> str:
        """Return a text, such as a driver's message, without the passwords of the URL."""
        return without_secrets(text, self._engine.url)

    def close(self) -> None:
        """Close every pooled connection; the database cannot be used afterwards."""
        self.closed = True
        if self._file is None:
            self._engine.dispose()
        else:
            dispose(self._engine, self._file)

    @contextmanager
    def _transaction(self, options: Mapping[str, object]) -> Iterator[Connection]:
        try:
            # The threads of this process take turns here: SQLite's own waiting sleeps ever longer.
            with self._turns.held(when=SYNC in options), self._engine.connect() as connection:
                connection.execution_options(**options)
                with connection.begin():
                    yield connection
                if self._file is not None and SYNC in options:
                    self._file.check()  # once more: what was committed must be there
        except (exc.DBAPIError, exc.TimeoutError, self._driver_error) as error:
            raise self.translated(error) from error

    def translated(self, error: Exception, *, lost: bool = False) -> DatabaseError:
        """Return an error of SQLAlchemy or the driver as an error for people, see `database_error`."""
        return database_error(error, shown=self.url_shown, hide=self.without_secrets, lost=lost)

    def _enable_wal_or_close(self) -> None:
        """Set the file's WAL mode; on an error, close all connections first."""
        try:
            self._enable_wal()
        except BaseException:
            self.close()
            raise

    def _enable_wal(self) -> None:
        """Set the file's WAL mode, which is persistent; wait up to BUSY_SECONDS for other processes."""
        # While another process changes the mode, SQLite reports "locked" at once, without its busy timeout.
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self._transaction({BEGIN: None}) as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
            except DatabaseUnavailableError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
