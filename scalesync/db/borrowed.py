"""A connection whose transaction belongs to somebody else, who commits it or not."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from scalesync.db.failures import database_error

__all__ = ["Connection", "borrowed", "savepoint"]


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
def borrowed(conn: Connection) -> Iterator[Connection]:
    """Lend a block of the caller's own transaction, undone by an error and never committed here.

    Raises DatabaseError for whatever the driver reports.
    """
    try:
        _begin(conn)
        with savepoint(conn):
            yield conn
    except DBAPIError as error:
        shown = conn.engine.url.render_as_string()
        raise database_error(error, shown=shown, hide=lambda text: text) from error
