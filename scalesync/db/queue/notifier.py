"""Noticing that somebody put something into the queue, without asking the queue."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from scalesync.db.database import Database
from scalesync.db.postgres import is_pooled
from scalesync.db.queue.enqueue import CHANNEL
from scalesync.errors import DatabaseError

if TYPE_CHECKING:
    import psycopg

_SLICE = 0.2
"""Seconds for which a request to stop, and on SQLite somebody's commit, may go unnoticed."""


class Signals:
    """Wakes whoever waits for work. It only shortens a poll: a signal can be lost with its connection.

    Used from one thread. `close` gives up the connection that it keeps; the next wait makes another.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ear: _Ear | None = None

    def wait(self, seconds: float, stopping: Event) -> bool:
        """Return after `seconds`, or when `stopping` is set, or at once when something was committed.

        What was committed since the last wait counts, whoever did it. On SQLite that is anything written to
        the file through another connection; on Postgres a command that came into the queue. Returns whether
        it was that.
        """
        until = time.monotonic() + seconds
        while not stopping.is_set() and (left := until - time.monotonic()) > 0:
            if self._notices(min(left, _SLICE), stopping):
                return True
        return False

    def close(self) -> None:
        """Give up the connection, if there is one."""
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def _notices(self, seconds: float, stopping: Event) -> bool:
        try:
            if self._ear is None:
                self._ear = self._new_ear()
            return self._ear.hears(seconds, stopping)
        except DatabaseError:
            # Whoever uses the database next learns what is wrong with it.
            self.close()
            stopping.wait(seconds)
            return False

    def _new_ear(self) -> "_Ear":
        connection = self._database.driver_connection()
        if not self._database.is_sqlite and is_pooled(connection):
            # The session would be somebody else's by the time it is told anything, and listen for them.
            connection.close()
            return _Deaf()
        try:
            return _Version(connection) if self._database.is_sqlite else _Listener(connection)
        except DatabaseError:
            connection.close()
            raise


class _Ear(Protocol):
    """One way to be told."""

    def hears(self, seconds: float, stopping: Event) -> bool:
        """Return whether there was a signal since the last call or within `seconds`. Raises DatabaseError."""

    def close(self) -> None:
        """Close its connection."""


class _Deaf:
    """The way behind a pooler: nothing is ever told, so that a wait lasts until its time is over."""

    def hears(self, seconds: float, stopping: Event) -> bool:
        stopping.wait(seconds)
        return False

    def close(self) -> None:
        """Return at once: there is no connection."""


class _Version:
    """SQLite's number of the last commit that another connection made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._seen = self._read()

    def hears(self, seconds: float, stopping: Event) -> bool:
        return self._changed() or (not stopping.wait(seconds) and self._changed())

    def close(self) -> None:
        self._connection.close()

    def _changed(self) -> bool:
        before, self._seen = self._seen, self._read()
        return self._seen != before

    def _read(self) -> object:
        try:
            return self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise DatabaseError("The database cannot be watched.") from error


class _Listener:
    """A Postgres connection that listens to the queue's channel."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        with _translating():
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")

    def hears(self, seconds: float, stopping: Event) -> bool:  # noqa: ARG002 - it waits on the connection
        with _translating():
            return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        from psycopg import Error

        with suppress(Error):
            self._connection.close()


@contextmanager
def _translating() -> Iterator[None]:
    """Raise DatabaseError for whatever the Postgres driver reports."""
    from psycopg import Error

    try:
        yield
    except Error as error:
        raise DatabaseError("The connection that listens to the queue was lost.") from error
