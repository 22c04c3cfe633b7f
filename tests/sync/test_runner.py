"""What one sync leaves behind: watermarks, tombstones, windows, and what it does not touch."""

from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import msgspec
import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.schema.mirror import batches, tasks
from scalesync.db.schema.sync import runs, windows
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import ConfigurationError, DatabaseError
from scalesync.models.sync import RunState, WindowState
from scalesync.sandbox import SandboxServer, Switches
from scalesync.sync.planner import SyncRequest
from scalesync.timestamps import parse_instant
from tests.support.sync_env import differences, mirrored, served, session, sync, task_pages

Start = Callable[..., SandboxServer]


def window_rows(database: Database) -> list[tuple[str, str, int, int | None]]:
    """Return (stream, state, rows received, what the API counted) of every window."""
    columns = (windows.c.stream, windows.c.state, windows.c.rows_received, windows.c.api_total)
    with database.read() as conn:
        return [tuple(row) for row in conn.execute(select(*columns).order_by(windows.c.id))]


def missing(database: Database) -> list[str]:
    """Return the tasks that are here and gone at the API."""
    with database.read() as conn:
        query = select(tasks.c.task_id).where(tasks.c.missing_since.is_not(None))
        return list(conn.execute(query).scalars())


def test_every_closed_window_tells_both_counts(start_sandbox: Start, database: Database) -> None:
    """What came is at least what the API counted, on the row of each window that is closed."""
    sync(start_sandbox(tasks=1500), database)

    closed = [row for row in window_rows(database) if row[1] == WindowState.CLOSED]
    assert {"projects", "batches", "tasks"} == {row[0] for row in closed}
    assert all(total is None or received >= total for _, _, received, total in closed)


def test_the_watermark_is_the_apis_clock_at_the_start(start_sandbox: Start, database: Database) -> None:
    """It follows a clock two hours behind ours, not ours."""
    server = start_sandbox(tasks=300, switches=Switches(clock_skew=-7200.0))
    sync(server, database)

    with database.read() as conn:
        marks = read_watermarks(conn)
        started, finished = conn.execute(select(runs.c.started_at, runs.c.finished_at)).one()
    assert {started} == set(marks.values())
    assert started <= finished < started + timedelta(hours=1)


def test_a_vanished_task_is_marked_and_comes_back(start_sandbox: Start, database: Database) -> None:
    """Only a full pass notices, after a 404; the row stays; a task that is there again is not missing."""
    server = start_sandbox(tasks=400)
    sync(server, database)
    gone = next(iter(served(server, "tasks")))
    kept = server.backend.live.tasks[gone]
    server.backend.remove("tasks", gone)

    sync(server, database)
    assert missing(database) == []
    summary = sync(server, database, SyncRequest(full=True))
    assert (missing(database), summary.totals.missed) == ([gone], 1)
    assert gone not in mirrored(database, "tasks")

    server.backend.live.tasks.put(kept)
    sync(server, database, SyncRequest(full=True))
    assert missing(database) == []
    assert differences(server, database) == {}


def test_a_listing_that_lacks_a_task_proves_nothing_by_itself(
    start_sandbox: Start, database: Database
) -> None:
    """A task of a project the window did not ask for, or one the API still answers for, is not missing."""
    server = start_sandbox(tasks=400)
    sync(server, database)
    project = next(iter(served(server, "projects")))

    sync(server, database, SyncRequest(full=True, projects=(project,)))

    assert missing(database) == []


@pytest.mark.parametrize("bounds", ["inclusive", "exclusive", "half_open"])
@pytest.mark.parametrize("kind", ["dates", "project"])
def test_a_backfill_moves_no_watermark(
    kind: str,
    bounds: Literal["inclusive", "exclusive", "half_open"],
    start_sandbox: Start,
    database: Database,
) -> None:
    """It reads from its first instant to just before its last, however the API takes bounds, and no more."""
    server = start_sandbox(tasks=600, switches=Switches(bounds=bounds))
    documents = sorted(
        map(msgspec.json.decode, server.backend.documents("tasks")), key=lambda d: d["created_at"]
    )
    since, until = (parse_instant(documents[at]["created_at"]) for at in (100, 300))
    project = documents[200]["project"]
    request = SyncRequest(since=since, until=until) if kind == "dates" else SyncRequest(projects=(project,))

    assert sync(server, database, request).complete

    wanted = (
        {d["task_id"] for d in documents if since <= parse_instant(d["created_at"]) < until}
        if kind == "dates"
        else {d["task_id"] for d in documents if d.get("project") == project}
    )
    assert wanted <= mirrored(database, "tasks").keys()
    assert len(mirrored(database, "tasks")) <= len(wanted) + 20
    with database.read() as conn:
        assert read_watermarks(conn) == {}


def test_an_unknown_project_is_refused_before_anything_is_planned(
    start_sandbox: Start, database: Database
) -> None:
    """The sentence names it; no run is left behind."""
    with pytest.raises(ConfigurationError, match="no project 'nowhere'"):
        sync(start_sandbox(tasks=10), database, SyncRequest(projects=("nowhere",)))

    assert window_rows(database) == []


def test_a_dry_run_counts_and_writes_nothing(start_sandbox: Start, database: Database) -> None:
    """The plan tells the rows of each window; no window is saved."""
    server = start_sandbox(tasks=700)
    with session(server, database) as ready:
        plan, counts = ready.dry_run(SyncRequest())

    rows = [len(served(server, window.stream)) for window in plan.windows]
    assert rows[1:] == list(counts[1:])
    assert window_rows(database) == []


def test_a_time_limit_leaves_the_rest_to_the_next_run(start_sandbox: Start, database: Database) -> None:
    """The run stays open with its tokens; the next one goes on and completes it, then its own."""
    server = start_sandbox(tasks=3000, faults=("latency:30ms",))
    with session(server, database) as ready:
        ready.time_limit = 0.5
        first = ready.sync(SyncRequest())
    assert [run.state for run in first.runs] == [RunState.OPEN]
    received = len(mirrored(database, "tasks"))
    before = task_pages(server)

    second = sync(server, database)

    assert [run.state for run in second.runs] == [RunState.COMPLETE, RunState.COMPLETE]
    assert differences(server, database) == {}
    assert task_pages(server) - before < 30 + 8 + (3000 - received) // 100


def test_another_accounts_mirror_is_refused(start_sandbox: Start, database: Database) -> None:
    """Even where a run was left open: not a row is read."""
    server = start_sandbox(tasks=50)
    sync(server, database)
    with session(server, database) as ready:
        ready.account = type(ready.account)("0" * 16, "live", server.url, ready.account.created_at)
        with pytest.raises(DatabaseError, match="made with another key"):
            ready.sync(SyncRequest())


def test_batches_tell_the_apis_own_counts(start_sandbox: Start, database: Database) -> None:
    """After a full sync and after changes, every batch has the counts that its /status gives."""
    server = start_sandbox(tasks=900)
    sync(server, database)
    server.backend.churn(150)
    sync(server, database)

    with database.read() as conn:
        here = {row.name: row for row in conn.execute(select(batches))}
    with session(server, database) as ready:
        for name, row in here.items():
            status = ready.store.api.batch_status(name)
            counts = (row.tasks_pending, row.tasks_completed, row.tasks_error, row.tasks_canceled)
            assert (status.pending, status.completed, status.error, status.canceled) == counts, name
            assert row.status == status.status


def test_a_run_with_the_same_changes_writes_them_once(start_sandbox: Start, database: Database) -> None:
    """The lookback reads a change again; the row is not written again."""
    server = start_sandbox(tasks=500)
    sync(server, database)
    server.backend.churn(40)
    first, second = (sync(server, database).totals.written["tasks"] for _ in range(2))

    assert first.new + first.changed > 0
    assert (second.new, second.changed, second.unchanged > 0) == (0, 0, True)
