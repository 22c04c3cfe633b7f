"""Writing one transaction after another: tasks on Postgres, and everything on SQLite."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

_TASKS = 0x5CA1E5_0002
"""The Postgres advisory lock of whoever writes tasks."""


def lock_task_writes(conn: Connection) -> None:
    """Return when no other transaction writes tasks, or what follows from them, until this one ends.

    What is read afterwards is so up to date that what is written can be told from it; and rows of
    `task_changes` are committed in the order of their ids. To be called before any task is locked.
    """
    if conn.dialect.name != "sqlite":
        conn.execute(select(func.pg_advisory_xact_lock(_TASKS)))


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
