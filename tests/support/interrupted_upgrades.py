"""Upgrades that end before their time, each in a process forked from one that has imported everything."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from typing import NoReturn

from sqlalchemy import event, inspect, text
from sqlalchemy.engine import Engine

from scalesync.db.database import Database
from scalesync.db.migrate import upgrade

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
        child = os.fork()
        if not child:
            _upgrade(sys.argv[1], point, kill=number % 2 == 0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _tell(f"|{ended}|{_likeness(sys.argv[1])}\n")
        if not ended:
            return


def _upgrade(database_url: str, point: int | str, *, kill: bool) -> NoReturn:
    """Upgrade up to the statement of this number, or one that begins so."""
    numbers = count(1)

    @event.listens_for(Engine, "after_cursor_execute")
    def strike(*given: object) -> None:
        number, statement = next(numbers), str(given[2])
        if number == point or (isinstance(point, str) and statement.startswith(point)):
            _tell(" ".join(statement.split()[:3]))
            if kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise FailedHereError

    database = Database.open(database_url)
    try:
        upgrade(database)
    except FailedHereError:
        database.close()
        os._exit(FAILED)
    os._exit(0)


def _likeness(database_url: str) -> str:
    """Return the revision, the number of tables and columns, and whether it can be written to and read."""
    with closing(Database.open(database_url)) as database, database.write() as conn:
        revision = conn.scalar(text("SELECT version_num FROM alembic_version"))
        columns = inspect(conn).get_multi_columns().values()
        conn.execute(text("UPDATE tasks SET priority = coalesce(priority, 0) + 1"))
        rows = conn.execute(text("SELECT count(*), min(priority), max(priority) FROM tasks")).one()
        conn.rollback()
        return f"{revision} {len(columns)} {sum(map(len, columns))} {tuple(rows)}"


def _tell(words: str) -> None:
    os.write(1, words.encode())


@dataclass(frozen=True)
class End:
    """How an upgrade ended."""

    statement: str
    """The last one that it did."""
    code: int
    likeness: str
    """What the database was like afterwards."""


def upgrade_mortally(database_url: str) -> list[End]:
    """Return how each upgrade ended; the last one is done."""
    code = "from tests.support.interrupted_upgrades import serve; serve()"
    command = [sys.executable, "-W", "error", "-c", code, database_url]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=100).stdout
    lines = (line.split("|") for line in said.splitlines())
    return [End(statement, int(code), likeness) for statement, code, likeness in lines]
