"""Open a mirror's database, and lend connections whose errors are already in a person's words."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, exc

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
from scalesync.errors import DatabaseError, DatabaseUnavailableError
from scalesync.sqlite_files import check_file


class Database:
    """A mirror's database, SQLite or Postgres, usable from any thread until `close`."""

    def __init__(self, engine: Engine, file: SqliteFile | None = None) -> None:
        """Take over an engine made by `open`, and the file that it is of on SQLite."""
        self._engine = engine
        self._file = file
        self._turns = WriteLock(BUSY_SECONDS)
        # SQLAlchemy makes its own of what fails in a statement, but not of a value that cannot be read.
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.url_shown = display_url(engine.url)
        """The file of an SQLite mirror, else the URL with its passwords hidden: fit for logs and messages."""

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> "Database":
        """Return the database at an SQLAlchemy URL.

        With `create`, a missing SQLite file is made, readable by its owner only; Postgres databases are
        never made. Postgres is first contacted by the first transaction. Raises DatabaseError where an
        SQLite file is missing, of another kind or closed to us, and ConfigurationError for a URL or driver
        that cannot be used.
        """
        address = parse(url)
        if address.drivername == "sqlite":
            path = checked_path(address)
            check_file(path, create=create)
            check_log(path)
            file = SqliteFile(path.absolute())
            database = cls(engine_at(address, file), file)
            if create:
                database._enable_wal_or_close()
            return database
        return cls(postgres.engine_at(address, display_url(address)))

    def write(self, *, durable: bool = False) -> AbstractContextManager[Connection]:
        """Return one writing transaction: committed at the end, rolled back on an error.

        On SQLite it holds the write lock from the start, and a power cut may undo the last commits unless
        they were `durable`; on Postgres they always are. Raises DatabaseError for whatever the driver
        reports.
        """
        if self.is_sqlite:
            return self._transaction({BEGIN: "IMMEDIATE", SYNC: "FULL" if durable else "NORMAL"})
        return self._transaction({BEGIN: postgres.WRITING})

    def read(self) -> AbstractContextManager[Connection]:
        """Return one reading transaction: it sees one state throughout and cannot change anything.

        It never waits for a writer, nor makes one wait. Raises DatabaseError for whatever the driver reports.
        """
        if self.is_sqlite:
            return self._transaction({BEGIN: "DEFERRED"})
        return self._transaction({BEGIN: postgres.READING})

    def examine(self) -> str:
        """Return what is worth knowing of a Postgres server, in words; empty: nothing, or a file.

        Raises DatabaseError for a server that cannot be reached, or on which no mirror can be written.
        """
        if self.is_sqlite:
            return ""
        with self.read() as conn:
            return postgres.examine(conn, self.url_shown)

    def driver_connection(self) -> Any:
        """Return a connection of the driver's own kind, in no pool and no transaction; the caller closes it.

        Raises DatabaseError where there is none to be had.
        """
        try:
            lent = self._engine.raw_connection()
        except (self._driver_error, exc.TimeoutError) as error:
            raise self.translated(error) from error
        connection = lent.driver_connection
        lent.detach()
        return connection

    def without_secrets(self, text: str) -> str:
        """Return a text, such as a driver's own words, without the passwords of the address."""
        return without_secrets(text, self._engine.url)

    def close(self) -> None:
        """Close every pooled connection; the database cannot be used after."""
        if self._file is None:
            self._engine.dispose()
        else:
            dispose(self._engine, self._file)

    @contextmanager
    def _transaction(self, options: Mapping[str, object]) -> Iterator[Connection]:
        try:
            with self._turns.held(when=SYNC in options), self._engine.connect() as connection:
                connection.execution_options(**options)
                with connection.begin():
                    yield connection
                if self._file is not None and SYNC in options:
                    self._file.check()  # once more: what was committed must be there
        except (exc.DBAPIError, exc.TimeoutError, self._driver_error) as error:
            raise self.translated(error) from error

    def translated(self, error: Exception, *, lost: bool = False) -> DatabaseError:
        """Return what a failure of SQLAlchemy's or the driver's means to a person, see `database_error`."""
        return database_error(error, shown=self.url_shown, hide=self.without_secrets, lost=lost)

    def _enable_wal_or_close(self) -> None:
        """Return with the file in WAL mode, or with nothing left open and an error."""
        try:
            self._enable_wal()
        except BaseException:
            self.close()
            raise

    def _enable_wal(self) -> None:
        """Return with the file in WAL mode, which lasts; waits for whoever holds the file.

        While somebody else changes the mode, SQLite refuses without waiting.
        """
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
