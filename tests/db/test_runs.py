"""Runs and watermarks: what every engine must keep of what was planned and done."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from scalesync import Mirror
from scalesync.db.database import Database
from scalesync.db.sync import runs, window_ledger
from scalesync.models.sync import Run, RunCounts, RunKind, RunState, Window, WindowState
from tests.benchmark.documents import BOXES
from tests.benchmark.server import KEY, running
from tests.support.databases import opened

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
ENDED = BEGAN + timedelta(minutes=7)
LATER = BEGAN + timedelta(days=1)
EVERY_STREAM = [Window("projects"), Window("batches"), Window("tasks")]


def started(
    database: Database, windows: list[Window], at: datetime = BEGAN, *, watermark: bool = True
) -> Run:
    """Return a run just opened."""
    with database.write() as conn:
        assert runs.start(conn, RunKind.FULL, at, windows, watermark_at=at if watermark else None)
        run = runs.open_run(conn)
    assert run is not None
    return run


def ended(
    database: Database, run: Run, *states: WindowState, at: datetime = ENDED, error: str | None = None
) -> Run:
    """End the windows of a run, in their order, and then the run."""
    with database.write() as conn:
        for state in states:
            window = next(iter(window_ledger.claim_several(conn, "me", 30, 1)), None)
            assert window is not None
            window_ledger.finish(conn, window, state, error if state is WindowState.FAILED else None)
        over = runs.finish(conn, run, at)
    assert over is not None
    return over


def watermarks(database: Database) -> dict[str, datetime]:
    """Return the watermarks."""
    with database.read() as conn:
        return runs.read_watermarks(conn)


def test_a_watermark_is_when_the_run_began(database: Database) -> None:
    """Not when it ended: what changed in between may have been read before it changed."""
    over = ended(database, started(database, EVERY_STREAM), *[WindowState.CLOSED] * 3)

    assert (over.state, over.finished_at, over.error) == (RunState.COMPLETE, ENDED, None)
    assert watermarks(database) == dict.fromkeys(("projects", "batches", "tasks"), BEGAN)


def test_only_the_streams_that_were_read_move(database: Database) -> None:
    """Forwards with the next run; a stream that it did not read stays, and a backfill moves none."""
    ended(database, started(database, EVERY_STREAM), *[WindowState.CLOSED] * 3)
    ended(database, started(database, [Window("tasks")], LATER), WindowState.CLOSED, at=LATER)
    assert watermarks(database) == {"projects": BEGAN, "batches": BEGAN, "tasks": LATER}

    part = started(database, [Window("batches", "p")], LATER, watermark=False)
    assert ended(database, part, WindowState.CLOSED).state is RunState.COMPLETE
    assert watermarks(database) == {"projects": BEGAN, "batches": BEGAN, "tasks": LATER}


def test_one_failed_window_keeps_every_watermark(database: Database) -> None:
    """Also those of streams that were read to the end; the run says why, each reason once."""
    run = started(database, [*EVERY_STREAM, Window("tasks", "p")])
    states = [WindowState.CLOSED, WindowState.FAILED, WindowState.CLOSED, WindowState.FAILED]

    over = ended(database, run, *states, error="tasks: 7 rows came where the API counts 8")

    assert (over.state, over.error) == (RunState.INCOMPLETE, "tasks: 7 rows came where the API counts 8")
    assert watermarks(database) == {}


def test_a_run_ends_once(database: Database) -> None:
    """Whoever comes later changes neither its end nor a watermark."""
    run = started(database, [Window("tasks")])
    first = ended(database, run, WindowState.CLOSED)
    ended(database, started(database, [Window("tasks")], LATER), WindowState.CLOSED, at=LATER)

    with database.write() as conn:
        again = runs.finish(conn, run, LATER)

    assert again == first
    assert watermarks(database) == {"tasks": LATER}


def test_of_planners_at_once_one_opens_a_run(database: Database) -> None:
    """The others are told, whatever the engine, and write no window."""

    def plan(_: int) -> bool:
        with database.write() as conn:
            return runs.start(conn, RunKind.FULL, BEGAN, EVERY_STREAM, watermark_at=BEGAN)

    with ThreadPoolExecutor(6) as threads:
        opened = list(threads.map(plan, range(6)))

    assert sorted(opened) == [False] * 5 + [True]
    with database.read() as conn:
        run = runs.open_run(conn)
        assert run is not None
        assert window_ledger.count_open(conn, run.id, 30)[1] == 3


def test_a_tally_loses_nothing(database: Database) -> None:
    """Whatever several processes add at once is there in the end, also beyond 32 bits."""
    run = started(database, [Window("tasks")])
    piece = RunCounts(1, 2, 3, 4, 5, 6)

    def add(_: int) -> None:
        with database.write() as conn:
            runs.add_counts(conn, run.id, piece)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(20)))
    with database.write() as conn:
        runs.add_counts(conn, run.id, RunCounts(rows_received=3_000_000_000))
        found = runs.find(conn, run.id)
    counted = (found.requests, found.pages, found.rows_written, found.texts_replaced, found.responses_unread)
    assert counted == (20, 40, 80, 100, 120)
    assert found.rows_received == 3_000_000_060


def test_runs_come_newest_first(database: Database) -> None:
    """As many as are wanted, each with what it was."""
    for day in range(3):
        run = started(database, [Window("tasks")], BEGAN + timedelta(days=day))
        last = ended(database, run, WindowState.CLOSED)

    with database.read() as conn:
        assert runs.open_run(conn) is None
        assert runs.recent(conn, 2)[0] == last
        days = [run.started_at.day for run in runs.recent(conn, 2)]
    assert days == [3, 2]


def test_postgres_knows_after_a_large_first_sync_how_much_is_there(postgres_url: str) -> None:
    """Its planner need not wait for autovacuum, which is off here; locked tables are left out."""
    known = text("SELECT relname, reltuples FROM pg_class WHERE relname IN ('tasks', 'annotations')")
    with running(60) as api, opened(postgres_url) as database:
        run = started(database, [Window("tasks")], BEGAN)
        with database.write() as conn:
            runs.add_counts(conn, run.id, RunCounts(rows_received=runs.ROWS_THAT_NEED_STATISTICS - 61))
        mirror = Mirror(postgres_url, api_key=KEY, api_url=api.url)
        mirror.sync()
        with database.read() as conn:
            assert dict(conn.execute(known).all()) == {"tasks": -1, "annotations": -1}

        run = started(database, [Window("tasks")], BEGAN)
        with database.write() as conn:
            runs.add_counts(conn, run.id, RunCounts(rows_received=runs.ROWS_THAT_NEED_STATISTICS - 60))
        mirror.sync()
        with database.read() as conn:
            assert dict(conn.execute(known).all()) == {"tasks": 60, "annotations": 60 * BOXES}
        with database.write() as conn, database.write() as other:
            conn.execute(text("LOCK TABLE tasks"))
            runs.refresh_statistics(other, run)
