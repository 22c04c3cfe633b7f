"""Kill or fail schema upgrades at many statements, each in a forked process."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count

from sqlalchemy import event, inspect, text
from sqlalchemy.engine import Engine

from scalesync.db.database import Database
from scalesync.db.migrate import upgrade
from tests.support.forked import exit_code, fork, fork_server, say

STEP = 15
"""Statements between two points at which one ends."""
_DATA = "INSERT INTO annotations "
"""What an upgrade does with the rows that are here, after all that it does to the schema."""
FAILED = 3
KILLED = -signal.SIGKILL


class FailedHereError(Exception):
    """What a statement raises that fails."""


def serve() -> None:
    """Let upgrades be killed and fail in turn until one is done: over the rows first, then ever later.

    Prints of each the statement after which it ended, how, and what the database was like afterwards.
    """
    import alembic.command  # noqa: F401 - once, before the first fork

    points: Iterator[int | str] = chain((_DATA, _DATA), count(STEP, STEP))
    for number, point in enumerate(points):
        kill = number % 2 == 0
        ended = exit_code(fork(lambda point=point, kill=kill: _upgrade(point, kill=kill)))  # type: ignore[misc]
        say(f"|{ended}|{_likeness(sys.argv[1])}\n")
        if not ended:
            return


def _upgrade(point: int | str, *, kill: bool) -> None:
    """Upgrade up to the statement of this number, or one that begins so."""
    numbers = count(1)

    @event.listens_for(Engine, "after_cursor_execute")
    def strike(*given: object) -> None:
        number, statement = next(numbers), str(given[2])
        if number == point or (isinstance(point, str) and statement.startswith(point)):
            say(" ".join(statement.split()[:3]))
            if kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise FailedHereError

    database = Database.open(sys.argv[1])
    try:
        upgrade(database)
    except FailedHereError:
        database.close()
        os._exit(FAILED)


def _likeness(database_url: str) -> str:
    """Return the revision, the number of tables and columns, and whether it can be written to and read."""
    with closing(Database.open(database_url)) as database, database.write() as conn:
        revision = conn.scalar(text("SELECT version_num FROM alembic_version"))
        columns = inspect(conn).get_multi_columns().values()
        conn.execute(text("UPDATE tasks SET priority = coalesce(priority, 0) + 1"))
        rows = conn.execute(text("SELECT count(*), min(priority), max(priority) FROM tasks")).one()
        conn.rollback()
        return f"{revision} {len(columns)} {sum(map(len, columns))} {tuple(rows)}"


@dataclass(frozen=True)
class End:
    """How an upgrade ended."""

    statement: str
    """The last one that it did."""
    code: int
    likeness: str
    """What the database was like afterwards."""


def interrupted_upgrades(database_url: str) -> list[End]:
    """Return how each upgrade ended; the last one is done."""
    with fork_server(serve, database_url) as server:
        lines = [line.split("|") for line in iter(server.receive, "")]
    return [End(statement, int(code), likeness) for statement, code, likeness in lines]
