"""Runs and watermarks: open, count and finish runs, and move each stream's watermark when one is complete.

Hazard: a watermark that moves too far makes later syncs skip objects for ever.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, text, update

from scalesync.db.schema.annotations_and_changes import annotations, task_changes
from scalesync.db.schema.mirror import UNFINISHED, batches, tasks
from scalesync.db.schema.sync import runs, watermarks, windows
from scalesync.db.server_clock import time_in
from scalesync.db.statements import insert_into
from scalesync.db.sync import window_ledger, window_splits
from scalesync.models.sync import Run, RunCounts, RunKind, RunState, Window, WindowState

NAMED = 20
"""The number of failed windows that a run's error names."""

ROWS_THAT_NEED_STATISTICS = 100_000
"""Rows of a run below which looking at the tables takes longer than plans without statistics cost."""

# The key of the Postgres advisory lock for refreshing statistics.
_STATISTICS = 0x5CA1E5_0003

_ADD_COUNTS = (
    update(runs)
    .where(runs.c.id == bindparam("which"))
    .values({field.name: runs.c[field.name] + bindparam(f"more_{field.name}") for field in fields(RunCounts)})
)


def open_run(conn: Connection) -> Run | None:
    """Return the open run, or None. A unique index allows only one."""
    row = conn.execute(select(runs).where(runs.c.state == RunState.OPEN)).one_or_none()
    return None if row is None else _run(row)


def start(
    conn: Connection,
    kind: RunKind,
    started_at: datetime,
    planned: Sequence[Window],
    *,
    watermark_at: datetime | None,
) -> bool:
    """Open a run with its windows; return False, with nothing written, if another run is open."""
    # The unique index on open runs decides between processes that start at the same time.
    values = {"kind": kind, "started_at": started_at, "state": RunState.OPEN, "watermark_at": watermark_at}
    statement = insert_into(conn.dialect.name, runs).values(**values)
    only_one = statement.on_conflict_do_nothing(index_elements=["state"], index_where=text("state = 'open'"))
    run_id = conn.execute(only_one.returning(runs.c.id)).scalar_one_or_none()
    if run_id is None:
        return False
    window_ledger.add(conn, run_id, planned)
    return True


def set_opened_at(conn: Connection, run_id: int, at: datetime) -> None:
    """Store when the first request for a run was made, by the database's clock."""
    conn.execute(update(runs).where(runs.c.id == run_id).values(opened_at=at))


def opened_within(conn: Connection, run: Run, seconds: float) -> bool:
    """Return whether the first request for a run was made in the last `seconds`, by the database's clock."""
    if run.opened_at is None:
        return False
    # A time to come is from a clock that was set back since: it proves nothing.
    return timedelta(0) <= time_in(conn, 0.0) - run.opened_at <= timedelta(seconds=seconds)


def add_counts(conn: Connection, run_id: int, done: RunCounts) -> None:
    """Add `done` to the counts of a run."""
    conn.execute(_ADD_COUNTS, {"which": run_id} | {f"more_{k}": v for k, v in asdict(done).items()})


def finish(conn: Connection, run: Run, at: datetime, also_failed: Sequence[str] = ()) -> Run | None:
    """End a run and return it; return None, with nothing changed, while a window of it is open.

    The run is complete, and the watermarks of its streams move, only if every window closed, the parts of
    split windows add up, and nothing else failed. Otherwise it is incomplete and no watermark moves.
    """
    if window_ledger.count(conn, run.id, WindowState.OPEN):
        return None
    short = (
        f"{window.title}: its parts hold {rows} rows where the API counts {window.api_total}"
        for window, rows in window_splits.short(conn, run.id)
    )
    failed = [*window_ledger.failures(conn, run.id), *short, *also_failed]
    if len(failed) > NAMED:
        failed = [*failed[:NAMED], f"and {len(failed) - NAMED:,} more"]
    # Several processes may finish the same run: only the one whose UPDATE hits the open run moves watermarks.
    state = RunState.INCOMPLETE if failed else RunState.COMPLETE
    ended = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state == RunState.OPEN)
        .values(state=state, finished_at=at, error="; ".join(failed) or None)
    )
    found = find(conn, run.id)
    # The watermark is when the run began: what changed while it was read may have been on a page read before.
    if ended.rowcount and state is RunState.COMPLETE and found.watermark_at is not None:
        for stream in window_ledger.streams(conn, run.id):
            _set_watermark(conn, stream, found.watermark_at)
    return found


def find(conn: Connection, run_id: int) -> Run:
    """Return one run."""
    return _run(conn.execute(select(runs).where(runs.c.id == run_id)).one())


def recent(conn: Connection, limit: int) -> list[Run]:
    """Return the last `limit` runs, newest first."""
    return [_run(row) for row in conn.execute(select(runs).order_by(runs.c.id.desc()).limit(limit))]


def read_watermarks(conn: Connection) -> dict[str, datetime]:
    """Return by stream the instant (API clock) up to which it is known to be complete."""
    found = conn.execute(select(watermarks.c.stream, watermarks.c.at))
    return {row.stream: row.at for row in found}


def trusted_watermarks(conn: Connection, now: datetime) -> dict[str, datetime]:
    """Return the watermarks, with those later than `now` (API clock) replaced by the last one before it.

    A stream that never had an earlier watermark is left out.
    """
    found = read_watermarks(conn)
    # The API's clock was wrong once: what changed between `now` and such a watermark would never be read.
    for stream in [stream for stream, at in found.items() if at > now]:
        of_stream = select(windows.c.run_id).where(windows.c.stream == stream)
        earlier = select(runs.c.watermark_at).where(
            runs.c.state == RunState.COMPLETE, runs.c.id.in_(of_stream)
        )
        usable = earlier.where(runs.c.watermark_at <= now).order_by(runs.c.id.desc()).limit(1)
        before: datetime | None = conn.execute(usable).scalar_one_or_none()
        if before is None:
            del found[stream]
        else:
            found[stream] = before
    return found


def lower_watermarks(conn: Connection, now: datetime) -> None:
    """Replace or delete every stored watermark later than `now` (API clock), as `trusted_watermarks` does."""
    trusted = trusted_watermarks(conn, now)
    for stream, at in read_watermarks(conn).items():
        if stream not in trusted:
            conn.execute(delete(watermarks).where(watermarks.c.stream == stream))
        elif trusted[stream] != at:
            _set_watermark(conn, stream, trusted[stream])


def lower_start(conn: Connection, run_id: int, at: datetime) -> None:
    """Lower the watermark that a run will set to at most `at`, a time that the API's clock showed."""
    lower = runs.c.id == run_id, runs.c.watermark_at > at
    conn.execute(update(runs).where(*lower).values(watermark_at=at))


def _set_watermark(conn: Connection, stream: str, at: datetime) -> None:
    statement = insert_into(conn.dialect.name, watermarks).values(stream=stream, at=at)
    conn.execute(statement.on_conflict_do_update(index_elements=["stream"], set_={"at": at}))


def _run(row: Row[Any]) -> Run:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Run(**values | {"kind": RunKind(values["kind"]), "state": RunState(values["state"])})


def refresh_statistics(conn: Connection, run: Run, at_least: int = ROWS_THAT_NEED_STATISTICS) -> None:
    """Have Postgres look at the tables that a large run filled, and skip those that others have locked.

    SQLite needs none: its statements name their indexes where it matters. Does nothing while another host
    does it, or if the run brought less than `at_least` rows.
    """
    # Autovacuum does it too, within minutes; until then plans are those for empty tables, which is no matter
    # for small ones. A role that does not own the tables gets a warning, which nobody sees.
    if conn.dialect.name == "sqlite" or find(conn, run.id).rows_received < at_least:
        return
    if conn.execute(select(func.pg_try_advisory_xact_lock(_STATISTICS))).scalar_one():
        names = ", ".join(str(table.name) for table in (tasks, annotations, task_changes, batches, windows))
        conn.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {names}")


def oldest_unfinished_batch(conn: Connection) -> datetime | None:
    """Return when the oldest batch not completed here was created, or None if all are completed."""
    query = select(func.min(batches.c.created_at)).where(text(UNFINISHED), batches.c.missing_since.is_(None))
    oldest: datetime | None = conn.execute(query).scalar_one()
    return oldest


def some_task_without_update_time(conn: Connection) -> bool:
    """Return whether any task here has no `updated_at`, so that the API's filter on it may hide tasks."""
    query = select(tasks.c.task_id).where(tasks.c.updated_at.is_(None)).limit(1)
    return conn.execute(query).first() is not None
