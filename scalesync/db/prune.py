"""Delete records of the mirror's own past by their age: ended runs, steps of commands, replaced responses.

Hazard: what a sync, a dispatch or a page relies on must stay. Of runs that is the last complete one of each
stream and everything after it; of commands all, as a command that ended is why the same one is not queued
again; of replaced responses the last one of a task without a response, with which its next is compared.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from scalesync.db.database import Database
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.queue import command_attempts, commands
from scalesync.db.schema.reviews_and_versions import replaced_responses
from scalesync.db.schema.sync import runs, verifications, windows
from scalesync.db.statements import ONCE, in_list
from scalesync.db.sync.known_gaps import left_doubt, left_gap
from scalesync.models.commands import CommandState
from scalesync.models.storage import PrunableKind, PrunedTable, PruneProgress
from scalesync.models.sync import RunKind, RunState, VerificationState

PORTION = 500
"""Rows that are deleted in one transaction, for which a sync or a dispatch may have to wait."""
_STEPS_BETWEEN_LOOKS = 10_000
"""Steps of SQLite's virtual machine between two looks at whether to stop."""
_BEFORE = sa.bindparam("before", type_=runs.c.finished_at.type)


@dataclass(frozen=True)
class _PrunablePart:
    """The rows of one table that may go."""

    kind: PrunableKind
    table: sa.Table
    where: tuple[sa.ColumnElement[bool], ...]
    """With the parameters `before` and, for `runs`, `runs`: the ids of the runs that may go."""
    bytes: sa.ColumnElement[int] | None = None
    again: tuple[sa.ColumnElement[bool], ...] = ()
    """What a sync may have changed between the choice of a row and its deletion."""

    @property
    def keys(self) -> list[sa.Column[Any]]:
        return list(self.table.primary_key)


def _covered_runs() -> sa.Select[int]:
    """Return a query for the runs that ended before `before` and that nothing asks for any more.

    Each of their streams was read completely by a later run that began before `before` too, and gaps that
    they left are closed. The last such run stays: its watermark is the one to go back to if the API's clock
    was ahead meanwhile. So do the last full one, which closed gaps, and the last of all, for `status`.
    """
    last = (
        sa.select(windows.c.stream, sa.func.max(runs.c.id).label("run_id"))
        .join_from(windows, runs, windows.c.run_id == runs.c.id)
        .where(runs.c.state == RunState.COMPLETE, runs.c.watermark_at < _BEFORE)
        .group_by(windows.c.stream)
        .cte("last_complete")
        .prefix_with(ONCE)
    )
    # A stream that no run read completely has NULL there.
    read_later = sa.select(last.c.run_id).where(last.c.stream == windows.c.stream).scalar_subquery()
    is_last = sa.func.coalesce(read_later, 0) <= windows.c.run_id
    uncovered = sa.exists().where(windows.c.run_id == runs.c.id, is_last)
    newest = sa.select(sa.func.max(runs.c.id))
    full = newest.where(runs.c.kind == RunKind.FULL, runs.c.state == RunState.COMPLETE).scalar_subquery()
    return sa.select(runs.c.id).where(
        runs.c.state != RunState.OPEN,
        runs.c.finished_at < _BEFORE,
        runs.c.id < newest.scalar_subquery(),
        runs.c.id != sa.func.coalesce(full, 0),
        ~uncovered,
        ~left_gap(),
    )


def _settled_commands() -> sa.ColumnElement[bool]:
    # Of a dead command the steps stay, as a person decides by them. They are also counted where a command
    # was in the hands of dispatchers that died, which only matters before it ends.
    ended = sa.or_(*(commands.c.state == state for state in (CommandState.DELIVERED, CommandState.DISCARDED)))
    return sa.exists().where(
        commands.c.id == command_attempts.c.command_id, ended, commands.c.finished_at < _BEFORE
    )


def _not_the_last_of_a_bare_task() -> sa.ColumnElement[bool]:
    other = replaced_responses.alias("other")
    mine = replaced_responses.c
    bare = sa.exists().where(tasks.c.task_id == mine.task_id, tasks.c.response_digest.is_(None))
    later = sa.exists().where(other.c.task_id == mine.task_id, other.c.replaced_at > mine.replaced_at)
    return sa.or_(~bare, later)


def _not_the_last_proof() -> sa.ColumnElement[bool]:
    proof = sa.and_(verifications.c.state == VerificationState.PROVEN, verifications.c.everything)
    last = sa.select(sa.func.max(verifications.c.id))
    kept = [last.scalar_subquery(), last.where(proof).scalar_subquery()]
    return sa.and_(*(verifications.c.id != sa.func.coalesce(each, 0) for each in kept))


_PARTS = (
    # Windows before their runs: a run whose windows are gone is still one that may go.
    _PrunablePart(PrunableKind.RUNS, windows, (in_list(windows.c.run_id, "runs"),)),
    _PrunablePart(PrunableKind.RUNS, runs, (in_list(runs.c.id, "runs"),)),
    _PrunablePart(PrunableKind.ATTEMPTS, command_attempts, (_settled_commands(),)),
    _PrunablePart(
        PrunableKind.RESPONSES,
        replaced_responses,
        (replaced_responses.c.replaced_at < _BEFORE, _not_the_last_of_a_bare_task()),
        sa.func.coalesce(sa.func.sum(replaced_responses.c.bytes), 0),
        (replaced_responses.c.replaced_at < _BEFORE,),
    ),
    _PrunablePart(
        PrunableKind.VERIFICATIONS,
        verifications,
        (verifications.c.as_of < _BEFORE, _not_the_last_proof(), ~left_doubt()),
    ),
)


class Pruner:
    """Counts or deletes what is older than one time."""

    def __init__(self, database: Database, kinds: Sequence[PrunableKind], before: datetime) -> None:
        self._database = database
        self._parts = [part for part in _PARTS if part.kind in kinds]
        self._before = before

    def count(self) -> list[PrunedTable]:
        """Return how many rows of each table may go, all of one moment."""
        with self._database.read() as conn:
            given = self._given(conn)
            return [self._counted(conn, part, given) for part in self._parts]

    def exceeds(self, rows: int) -> bool:
        """Return whether more than `rows` rows of one table may go, without counting all of them."""
        with self._database.read() as conn:
            given = self._given(conn)
            for part in self._parts:
                some = sa.select(*part.keys).where(*part.where).limit(rows + 1).subquery()
                if conn.execute(sa.select(sa.func.count()).select_from(some), given).scalar_one() > rows:
                    return True
        return False

    def delete(
        self, stopping: Callable[[], bool], watch: Callable[[PruneProgress], None]
    ) -> list[PrunedTable]:
        """Delete them, and return what went; ends early once `stopping` returns True.

        Each PORTION is a transaction of its own: what was deleted when it is stopped, or fails, is gone.
        """
        with self._database.read() as conn:
            given = self._given(conn)
            totals = [self._counted(conn, part, given).rows for part in self._parts]
        gone: list[PrunedTable] = []
        for part, total in zip(self._parts, totals, strict=True):
            rows, size = 0, None if part.bytes is None else 0
            for deleted, freed in self._portions(part, given, stopping):
                rows, size = rows + deleted, None if size is None else size + freed
                watch(PruneProgress(str(part.table.name), rows, max(total, rows)))
            gone.append(PrunedTable(part.kind, str(part.table.name), rows, size))
        return gone

    def _given(self, conn: sa.Connection) -> dict[str, Any]:
        """Return the parameters of the parts' conditions."""
        # Once, and not for each portion: it reads every window. A run that may go stays one.
        of_runs = any(part.kind is PrunableKind.RUNS for part in self._parts)
        covered = conn.scalars(_covered_runs(), {"before": self._before}) if of_runs else ()
        return {"before": self._before, "runs": list(covered)}

    def _counted(self, conn: sa.Connection, part: _PrunablePart, given: dict[str, Any]) -> PrunedTable:
        size = sa.literal(None, sa.Integer) if part.bytes is None else part.bytes
        query = sa.select(sa.func.count(), size).select_from(part.table).where(*part.where)
        rows, held = conn.execute(query, given).one()
        return PrunedTable(part.kind, str(part.table.name), rows, None if held is None else int(held))

    def _portions(
        self, part: _PrunablePart, given: dict[str, Any], stopping: Callable[[], bool]
    ) -> Iterator[tuple[int, int]]:
        """Delete one portion after the other in the order of keys; yield the rows and bytes of each."""
        keys = part.keys
        size = sa.literal(0) if part.bytes is None else replaced_responses.c.bytes
        query = sa.select(*keys, size).where(*part.where).order_by(*keys).limit(PORTION)
        one = (key == sa.bindparam(f"key_{key.name}", type_=key.type) for key in keys)
        # On Postgres a sync may have replaced the same response again meanwhile.
        delete = sa.delete(part.table).where(*one, *part.again)
        before = {"before": self._before} if part.again else {}
        names = [f"key_{key.name}" for key in keys]
        after: tuple[Any, ...] | None = None
        while not stopping():
            following = query
            if after is not None:
                last = (sa.literal(value, key.type) for key, value in zip(keys, after, strict=True))
                following = query.where(sa.tuple_(*keys) > sa.tuple_(*last))
            with self._database.write() as conn:
                found = conn.execute(following, given).all()
                named = [before | dict(zip(names, row, strict=False)) for row in found]
                rows = conn.execute(delete, named).rowcount if named else 0
            if not found:
                return
            after = tuple(found[-1][: len(keys)])
            yield rows, sum(int(row[len(keys)]) for row in found)


def give_free_room_back(database: Database, stopping: Callable[[], bool]) -> int | None:
    """Write an SQLite file anew without what is free in it; return the bytes by which it became smaller.

    Returns None, with nothing changed, once `stopping` returns True. Needs as much room on the disk again for
    the time it takes. Raises DatabaseError, also while another process writes for long.
    """
    with closing(database.driver_connection()) as driver:
        try:
            driver.execute("PRAGMA query_only = OFF")
            before = _file_bytes(driver)
            if stopping():
                return None
            driver.set_progress_handler(stopping, _STEPS_BETWEEN_LOOKS)
            driver.execute("VACUUM")
            driver.set_progress_handler(None, 0)
            # Until then it is in the -wal, and the file as large as it was.
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return before - _file_bytes(driver)
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return None
            raise database.translated(error) from error


def _file_bytes(driver: sqlite3.Connection) -> int:
    (pages,), (size,) = (driver.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return int(pages) * int(size)
