"""A connection whose transaction belongs to somebody else, who commits it or not."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from scalesync.db.error_translation import database_error
from scalesync.db.url import display_url, without_secrets
from scalesync.db.wal import count_transaction

__all__ = ["Connection", "caller_transaction", "savepoint"]

_NEEDED = {"client_encoding": "UTF8", "DateStyle": "ISO"}
"""Settings of Postgres without which its values cannot be read, and how those that will do begin."""


def savepoint(conn: Connection) -> AbstractContextManager[object]:
    """Return a block that an error undoes, and nothing else of the transaction."""
    return conn.begin_nested()


def _begin(conn: Connection) -> None:
    """Return with a transaction open in the database.

    Python's driver for SQLite begins one with the first INSERT only. A savepoint before that would be the
    transaction itself, and its release a commit.
    """
    driver = conn.connection.driver_connection
    if conn.dialect.name == "sqlite" and driver is not None and not driver.in_transaction:
        conn.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def caller_transaction(conn: Connection) -> Iterator[Connection]:
    """Lend a block of the caller's own transaction, undone by an error and never committed here.

    Raises DatabaseError for whatever the driver reports.
    """
    try:
        _begin(conn)
        with savepoint(conn), _readable(conn):
            yield conn
        if conn.dialect.name == "sqlite":
            count_transaction(conn)
    except (DBAPIError, conn.dialect.loaded_dbapi.Error) as error:
        url = conn.engine.url
        raise database_error(
            error, shown=display_url(url), hide=lambda text: without_secrets(text, url)
        ) from error


@contextmanager
def _readable(conn: Connection) -> Iterator[None]:
    """Have a session on Postgres, while the block lasts, whose values we can read; then it is as before.

    An error leaves that to the savepoint around, which undoes settings too.
    """
    info = getattr(conn.connection.driver_connection, "info", None)
    status = getattr(info, "parameter_status", None)
    found = {name: str(status(name)) for name in _NEEDED} if status else {}
    before = {name: value for name, value in found.items() if not value.startswith(_NEEDED[name])}
    _set(conn, {name: _NEEDED[name] for name in before})
    yield
    _set(conn, before)


def _set(conn: Connection, settings: Mapping[str, str]) -> None:
    if settings:
        conn.execute(select(*(func.set_config(name, value, True) for name, value in settings.items())))
