"""Run inside the transaction of a caller, who commits it or rolls it back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from scalesync.db.error_translation import database_error
from scalesync.db.url import display_url, without_secrets
from scalesync.db.wal import count_transaction

__all__ = ["Connection", "caller_transaction", "savepoint"]

# Postgres settings without which values cannot be read, and how acceptable values begin.
_NEEDED = {"client_encoding": "UTF8", "DateStyle": "ISO"}


@contextmanager
def savepoint(conn: Connection) -> Iterator[None]:
    """Open a savepoint: an error in the block undoes the block only, and not the transaction.

    On SQLite a disk that is full or fails, and an interrupt, undo the whole transaction: it is over then, and
    what was raised in the block is raised.
    """
    with conn.begin_nested():
        try:
            yield
        except BaseException:
            ended = not conn.invalidated and _is_sqlite_without_transaction(conn)
            if ended and (transaction := conn.get_transaction()):
                # No savepoint is left: a return to it would fail, and hide what had happened.
                transaction.rollback()
            raise


def _is_sqlite_without_transaction(conn: Connection) -> bool:
    """Return whether the database is SQLite's and has no open transaction, by what its driver says."""
    if conn.dialect.name != "sqlite":
        return False
    driver = conn.connection.driver_connection
    return driver is not None and not driver.in_transaction


def _begin(conn: Connection) -> None:
    """Begin a transaction in the database, unless one is open."""
    # Python's SQLite driver begins one at the first INSERT only. A savepoint before that would itself be the
    # transaction, and its release would commit what the caller may still roll back. IMMEDIATE, since a
    # transaction that read first cannot become a writer after another one wrote.
    if _is_sqlite_without_transaction(conn):
        conn.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def caller_transaction(conn: Connection) -> Iterator[Connection]:
    """Open a block in the caller's transaction: an error undoes it, and it is never committed here.

    Raises DatabaseError for errors of the driver.
    """
    try:
        _begin(conn)
        with savepoint(conn), _needed_settings(conn):
            yield conn
        if conn.dialect.name == "sqlite":
            # The engine is the caller's, without our commit listener: count here, in the same transaction.
            count_transaction(conn)
    except (DBAPIError, conn.dialect.loaded_dbapi.Error) as error:
        url = conn.engine.url
        raise database_error(
            error, shown=display_url(url), hide=lambda text: without_secrets(text, url)
        ) from error


@contextmanager
def _needed_settings(conn: Connection) -> Iterator[None]:
    """Set the Postgres settings that we need during the block, and restore the caller's afterwards."""
    # No `finally`: after an error the savepoint around restores settings too, and no statement could run.
    info = getattr(conn.connection.driver_connection, "info", None)
    status = getattr(info, "parameter_status", None)
    found = {name: str(status(name)) for name in _NEEDED} if status else {}
    before = {name: value for name, value in found.items() if not value.startswith(_NEEDED[name])}
    _set_local(conn, {name: _NEEDED[name] for name in before})
    yield
    _set_local(conn, before)


def _set_local(conn: Connection, settings: Mapping[str, str]) -> None:
    if settings:
        conn.execute(select(*(func.set_config(name, value, True) for name, value in settings.items())))
