"""Writing tasks one transaction after another, on Postgres as on SQLite."""

from sqlalchemy import Connection, func, select

_TASKS = 0x5CA1E5_0002
"""The Postgres advisory lock of whoever writes tasks."""


def take_turn(conn: Connection) -> None:
    """Return when no other transaction writes tasks, or what follows from them, until this one ends.

    What is read afterwards is so up to date that what is written can be told from it; and rows of
    `task_changes` are committed in the order of their ids. To be called before any task is locked.
    """
    if conn.dialect.name != "sqlite":
        conn.execute(select(func.pg_advisory_xact_lock(_TASKS)))
