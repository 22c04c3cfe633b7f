"""Runs and watermarks: what was planned, what it did, and up to when each stream is complete."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, select, text, update

from scalesync.db import windows as ledger
from scalesync.db.dialects import insert_into
from scalesync.db.plans import built
from scalesync.db.tables import runs, watermarks
from scalesync.model import RunKind, RunState, Window, WindowState


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan, by however many processes."""

    id: int
    kind: RunKind
    started_at: datetime
    """The API's clock when it was planned."""
    watermark_at: datetime | None
    """What the watermarks of its streams become once it is complete; None: they stay."""
    state: RunState
    finished_at: datetime | None
    requests: int
    pages: int
    rows_received: int
    rows_written: int
    texts_replaced: int
    error: str | None
    responses_unread: int
    values_replaced: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a piece of work adds to its run."""

    requests: int = 0
    pages: int = 0
    rows_received: int = 0
    rows_written: int = 0
    texts_replaced: int = 0
    responses_unread: int = 0
    values_replaced: int = 0


def open_run(conn: Connection) -> Run | None:
    """Return the run that is open, if any. There is never more than one."""
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
    """Open a run with its windows. False, and nothing is written, if another run is open."""
    values = {"kind": kind, "started_at": started_at, "state": RunState.OPEN, "watermark_at": watermark_at}
    statement = insert_into(conn.dialect.name, runs).values(**values)
    only_one = statement.on_conflict_do_nothing(index_elements=["state"], index_where=text("state = 'open'"))
    run_id = conn.execute(only_one.returning(runs.c.id)).scalar_one_or_none()
    if run_id is None:
        return False
    ledger.add(conn, run_id, planned)
    return True


def tally(conn: Connection, run_id: int, done: Tally) -> None:
    """Add `done` to what the run did so far."""
    conn.execute(built(conn, _adding), {"which": run_id} | {f"more_{k}": v for k, v in asdict(done).items()})


def _adding(_: Connection) -> Update:
    more = {field.name: runs.c[field.name] + bindparam(f"more_{field.name}") for field in fields(Tally)}
    return update(runs).where(runs.c.id == bindparam("which")).values(more)


def finish(conn: Connection, run: Run, at: datetime) -> Run | None:
    """End the run if none of its windows is open, and return it; None if some are.

    It is complete, and the watermarks of its streams move, only when every window closed; otherwise it is
    incomplete and no watermark moves.
    """
    if ledger.count(conn, run.id, WindowState.OPEN):
        return None
    failed = ledger.failures(conn, run.id)
    state = RunState.INCOMPLETE if failed else RunState.COMPLETE
    ended = conn.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state == RunState.OPEN)
        .values(state=state, finished_at=at, error="; ".join(failed) or None)
    )
    if ended.rowcount and state is RunState.COMPLETE and run.watermark_at is not None:
        for stream in ledger.streams(conn, run.id):
            _set_watermark(conn, stream, run.watermark_at)
    return find(conn, run.id)


def find(conn: Connection, run_id: int) -> Run:
    """Return one run."""
    return _run(conn.execute(select(runs).where(runs.c.id == run_id)).one())


def recent(conn: Connection, limit: int) -> list[Run]:
    """Return the last `limit` runs, newest first."""
    return [_run(row) for row in conn.execute(select(runs).order_by(runs.c.id.desc()).limit(limit))]


def read_watermarks(conn: Connection) -> dict[str, datetime]:
    """Return up to which instant of the API's clock each stream is known complete."""
    found = conn.execute(select(watermarks.c.stream, watermarks.c.at))
    return {row.stream: row.at for row in found}


def _set_watermark(conn: Connection, stream: str, at: datetime) -> None:
    statement = insert_into(conn.dialect.name, watermarks).values(stream=stream, at=at)
    conn.execute(statement.on_conflict_do_update(index_elements=["stream"], set_={"at": at}))


def _run(row: Row[Any]) -> Run:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Run(**values | {"kind": RunKind(values["kind"]), "state": RunState(values["state"])})
