"""Open a mirror's database, and lend connections whose errors are already in a person's words."""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from scalesync.db.failures import database_error
from scalesync.db.plans import IndexedBy
from scalesync.db.tables import json_as_text
from scalesync.db.turns import Turns
from scalesync.errors import ConfigurationError, DatabaseAwayError, DatabaseError

if TYPE_CHECKING:
    import psycopg

_BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_SILENT_SECONDS = 60
"""After which a Postgres server that acknowledges nothing is given up, however a network swallows packets."""
_CACHE_KIB = 16_384
_SESSION = f"""
SET TIME ZONE 'UTC';
SET lock_timeout = '{_BUSY_SECONDS}s';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""Of Postgres. The last so that a crash of the server undoes no commit: what was sent never looks unsent."""
_BEGIN = "scalesync_begin"
_SYNC = "scalesync_sync"
_POSTGRES_NAMES = {"postgres", "postgresql", "postgresql+psycopg"}
_ADVICE_INIT = "Run `scalesync init` first."
_ADVICE_URL = "Use a file name, sqlite:///FILE or postgresql://USER@HOST/DATABASE."


class Database:
    """A mirror's database, SQLite or Postgres, usable from any thread until `close`."""

    def __init__(self, engine: Engine) -> None:
        """Take over an engine made by `open`."""
        self._engine = engine
        self._turns = Turns(_BUSY_SECONDS)
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.url_shown = _shown(engine.url)
        """The file of an SQLite mirror, else the URL with its passwords hidden: fit for logs and messages."""

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> "Database":
        """Return the database at an SQLAlchemy URL.

        With `create`, a missing SQLite file is made, readable by its owner only; Postgres databases are
        never made. Postgres is first contacted by the first transaction. Raises DatabaseError where an
        SQLite file is missing, of another kind or closed to us, and ConfigurationError for a URL or driver
        that cannot be used.
        """
        address = _parse(url)
        if address.drivername == "sqlite":
            path = _checked_path(address)
            _check_file(path, create=create)
            database = cls(_sqlite_engine(address))
            if create:
                database._enable_wal_or_close()
            return database
        return cls(_postgres_engine(address))

    def write(self, *, durable: bool = False) -> AbstractContextManager[Connection]:
        """Return one writing transaction: committed at the end, rolled back on an error.

        On SQLite it holds the write lock from the start, and a power cut may undo the last commits unless
        they were `durable`; on Postgres they always are. Raises DatabaseError for whatever the driver
        reports.
        """
        options = {_BEGIN: "IMMEDIATE", _SYNC: "FULL" if durable else "NORMAL"} if self.is_sqlite else {}
        return self._transaction(options)

    def read(self) -> AbstractContextManager[Connection]:
        """Return one reading transaction: it sees one state throughout and cannot change anything.

        It never waits for a writer, nor makes one wait. Raises DatabaseError for whatever the driver reports.
        """
        if self.is_sqlite:
            return self._transaction({_BEGIN: "DEFERRED"})
        return self._transaction({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})

    def driver_connection(self) -> Any:
        """Return a connection of the driver's own kind, in no pool and no transaction; the caller closes it.

        Raises DatabaseError where there is none to be had.
        """
        try:
            lent = self._engine.raw_connection()
        except (self._engine.dialect.loaded_dbapi.Error, PoolTimeoutError) as error:
            raise self._translated(error) from error
        connection = lent.driver_connection
        lent.detach()
        return connection

    def close(self) -> None:
        """Close every pooled connection; the database cannot be used after."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, options: Mapping[str, object]) -> Iterator[Connection]:
        try:
            with self._turns.taken(when=_SYNC in options), self._engine.connect() as connection:
                connection.execution_options(**options)
                with connection.begin():
                    yield connection
        except (DBAPIError, PoolTimeoutError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> DatabaseError:
        return database_error(error, shown=self.url_shown, hide=self._without_password)

    def _without_password(self, text: str) -> str:
        for secret in _secrets(self._engine.url):
            text = text.replace(secret, "***")
        return text

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
        until = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                with self._transaction({_BEGIN: None}) as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
            except DatabaseAwayError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # Not `from` it: what cannot be read may be a password, and stands in the parser's words.
        raise ConfigurationError("The database URL cannot be read.", advice=_ADVICE_URL) from None
    if address.drivername in _POSTGRES_NAMES:
        return address.set(drivername="postgresql+psycopg")
    if address.drivername in {"sqlite", "sqlite+pysqlite"}:
        return address.set(drivername="sqlite")
    raise ConfigurationError(f"Databases of kind {address.drivername} are not supported.", advice=_ADVICE_URL)


def _shown(url: URL) -> str:
    if url.drivername == "sqlite":
        return str(url.database)
    hidden = {name: "***" for name in url.query if "password" in name}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A", "*")


def _secrets(url: URL) -> list[str]:
    given = [str(value) for name, value in url.query.items() if "password" in name]
    return [secret for secret in (url.password, *given) if secret]


def _checked_path(address: URL) -> Path:
    if not address.database or address.database == ":memory:" or address.query:
        raise ConfigurationError("A mirror on SQLite needs a plain file.", advice=_ADVICE_URL)
    return Path(address.database)


def _check_file(path: Path, *, create: bool) -> None:
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


def _sqlite_engine(address: URL) -> Engine:
    engine = create_engine(
        address, connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None}, hide_parameters=True
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
        mode = options[_BEGIN]
        if mode:
            _set(connection, "query_only", "ON" if mode == "DEFERRED" else "OFF")
            if mode == "IMMEDIATE":
                _set(connection, "synchronous", options[_SYNC])
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


def _postgres_engine(address: URL) -> Engine:
    arguments: dict[str, object] = {
        "application_name": "scalesync",
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": _SILENT_SECONDS // 2,
        "tcp_user_timeout": _SILENT_SECONDS * 1000,
    }
    try:
        engine = create_engine(
            address,
            connect_args={name: value for name, value in arguments.items() if name not in address.query},
            pool_pre_ping=True,
            hide_parameters=True,
            json_serializer=json_as_text,
            json_deserializer=_as_text,
        )
    except ImportError as error:
        raise ConfigurationError(
            "The Postgres driver is not installed.", advice="Run `pip install 'scalesync[postgres]'`."
        ) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: "psycopg.Connection[object]", _entry: ConnectionPoolEntry) -> None:
        connection.execute(_SESSION)
        connection.commit()

    return engine


def _as_text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode()
