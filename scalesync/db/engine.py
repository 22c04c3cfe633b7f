"""Open a mirror's database, and lend connections whose errors are already in a person's words."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from scalesync.db.failures import database_error
from scalesync.db.sqlite import ADVICE_URL, BEGIN, BUSY_SECONDS, SYNC, check_file, checked_path, engine_at
from scalesync.db.tables import json_as_text
from scalesync.db.turns import Turns
from scalesync.errors import ConfigurationError, DatabaseAwayError, DatabaseError

if TYPE_CHECKING:
    import psycopg

_CONNECT_SECONDS = 10
_SILENT_SECONDS = 60
"""After which a Postgres server that acknowledges nothing is given up, however a network swallows packets."""
_SESSION = f"""
SET TIME ZONE 'UTC';
SET lock_timeout = '{BUSY_SECONDS}s';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""Of Postgres. The last so that a crash of the server undoes no commit: what was sent never looks unsent."""
_POSTGRES_NAMES = {"postgres", "postgresql", "postgresql+psycopg"}


class Database:
    """A mirror's database, SQLite or Postgres, usable from any thread until `close`."""

    def __init__(self, engine: Engine) -> None:
        """Take over an engine made by `open`."""
        self._engine = engine
        self._turns = Turns(BUSY_SECONDS)
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
            check_file(checked_path(address), create=create)
            database = cls(engine_at(address))
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
        options = {BEGIN: "IMMEDIATE", SYNC: "FULL" if durable else "NORMAL"} if self.is_sqlite else {}
        return self._transaction(options)

    def read(self) -> AbstractContextManager[Connection]:
        """Return one reading transaction: it sees one state throughout and cannot change anything.

        It never waits for a writer, nor makes one wait. Raises DatabaseError for whatever the driver reports.
        """
        if self.is_sqlite:
            return self._transaction({BEGIN: "DEFERRED"})
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
            with self._turns.taken(when=SYNC in options), self._engine.connect() as connection:
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
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self._transaction({BEGIN: None}) as connection:
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
        raise ConfigurationError("The database URL cannot be read.", advice=ADVICE_URL) from None
    if address.drivername in _POSTGRES_NAMES:
        return address.set(drivername="postgresql+psycopg")
    if address.drivername in {"sqlite", "sqlite+pysqlite"}:
        return address.set(drivername="sqlite")
    raise ConfigurationError(f"Databases of kind {address.drivername} are not supported.", advice=ADVICE_URL)


def _shown(url: URL) -> str:
    if url.drivername == "sqlite":
        return str(url.database)
    hidden = {name: "***" for name in url.query if "password" in name}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A", "*")


def _secrets(url: URL) -> list[str]:
    given = [str(value) for name, value in url.query.items() if "password" in name]
    return [secret for secret in (url.password, *given) if secret]


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
