"""Windows are claimed by one process, taken over when it is silent, and never written by a predecessor."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import windows
from scalesync.db.server_clock import time_in
from scalesync.db.sync import runs, window_ledger
from scalesync.errors import LeaseLostError
from scalesync.lease_owner import new_owner_id, owner_is_dead
from scalesync.models.changes import SeenBy
from scalesync.models.sync import Run, RunKind, RunState, Window, WindowState
from scalesync.parsing.row_parser import key_digest
from scalesync.sync.parsed_page import ParsedPage, parse_page
from scalesync.sync.planner import SyncRequest
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import PAGE_SIZE, STREAMS
from scalesync.sync.window_progress import MAX_STORED_BEFORE, WindowProgress
from tests.db.test_upserts import task
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import KEY, TASKS_ONLY, session

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def open_run(database: Database, count: int = 1) -> Run:
    """Open a run with this number of windows."""
    with database.write() as conn:
        runs.start(conn, RunKind.FULL, NOW, [Window("tasks")] * count, watermark_at=NOW)
        run = runs.open_run(conn)
    assert run is not None
    return run


def claim(database: Database, owner: str, lease: float = 30) -> Window | None:
    """Claim a window in a transaction of its own."""
    with database.write() as conn:
        return next(iter(window_ledger.claim_several(conn, owner, lease, 1)), None)


def claimed(database: Database, owner: str, lease: float = 30) -> Window:
    """Claim a window that must be there."""
    window = claim(database, owner, lease)
    assert window is not None
    return window


def set_lease(database: Database, until: datetime) -> None:
    """Make every lease end at an instant."""
    with database.write() as conn:
        conn.execute(update(windows).values(leased_until=until))


def test_a_window_is_claimed_once(database: Database) -> None:
    """Eight threads at once get ten windows, each window one thread."""
    open_run(database, 10)
    barrier = threading.Barrier(8)

    def take(number: int) -> list[int]:
        barrier.wait()
        mine = iter(lambda: claim(database, f"owner {number}"), None)
        return [window.id for window in mine]

    with ThreadPoolExecutor(8) as pool:
        taken = [window_id for part in pool.map(take, range(8)) for window_id in part]
    assert len(taken) == len(set(taken)) == 10


def test_only_one_run_is_open(database: Database) -> None:
    """A second planner gets nothing written and finds the first one's run."""
    first = open_run(database)
    with database.write() as conn:
        assert not runs.start(conn, RunKind.FULL, NOW, [Window("tasks")], watermark_at=NOW)
        assert runs.open_run(conn) == first
        assert window_ledger.count_open(conn, first.id, 30)[1] == 1


@pytest.mark.parametrize(
    ("ends", "free"),
    [
        (timedelta(seconds=-1), True),
        (timedelta(hours=1), True),
        (timedelta(seconds=45), False),
    ],
    ids=["ran out", "further away than two leases: the clock went back", "still good"],
)
def test_a_lease_ends_by_the_databases_clock(database: Database, ends: timedelta, free: bool) -> None:
    """Then, and not before, the window is free."""
    open_run(database)
    claimed(database, "first")
    set_lease(database, datetime.now(UTC) + ends)

    assert (claim(database, "second") is not None) == free


def test_a_process_that_was_stalled_cannot_write_over_its_successor(
    start_sandbox: StartSandbox, database: Database
) -> None:
    """Its page arrives after the lease ran out and another claimed the window: not a row of it is written."""
    server = start_sandbox(tasks=150)
    open_run(database)
    with session(server, database) as stalled:
        [window] = stalled.store.claim_several(1)
        reading = WindowProgress(STREAMS["tasks"], window)
        page = parse_page(reading.stream, reading.stream.page(stalled.store.api, window, PAGE_SIZE))
        set_lease(database, NOW)
        claimed(database, "successor")
        taken = reading.accept(page)

        with pytest.raises(LeaseLostError):
            stalled.store.save_together([taken])
    with database.read() as conn:
        assert conn.execute(select(tasks.c.task_id)).first() is None


def test_what_was_received_is_known_after_a_crash(database: Database) -> None:
    """The keys of earlier pages, by their digests, whoever claims the window next."""
    open_run(database)
    window = claimed(database, "first")
    with database.write() as conn:
        window_ledger.save_pages(
            conn,
            [(window, 0, key_digest("a") + key_digest("b")), (window, 1, key_digest("b") + key_digest("c"))],
            "first",
            60,
        )

    with database.read() as conn:
        pages, digests = window_ledger.keys_received(conn, window.id)
    assert (2, {key_digest(key) for key in "abc"}) == (pages, digests)


def test_watermarks_move_only_with_the_last_window(database: Database) -> None:
    """Not while one is open, and not if one failed."""
    run = open_run(database, 2)
    first, second = claimed(database, "me"), claimed(database, "me")
    with database.write() as conn:
        window_ledger.finish(conn, first, WindowState.CLOSED)
        assert runs.finish(conn, run, NOW) is None
        assert runs.read_watermarks(conn) == {}
        window_ledger.finish(conn, second, WindowState.CLOSED)
        ended = runs.finish(conn, run, NOW)
        assert ended is not None
        assert (ended.state, runs.read_watermarks(conn)) == (RunState.COMPLETE, {"tasks": NOW})


def test_a_failed_window_leaves_the_watermark(database: Database) -> None:
    """The run ends incomplete and says why."""
    run = open_run(database)
    with database.write() as conn:
        window = next(iter(window_ledger.claim_several(conn, "me", 30, 1)), None)
        assert window is not None
        window_ledger.finish(conn, window, WindowState.FAILED, "too few")
        ended = runs.finish(conn, run, NOW)
        assert ended is not None
        assert (ended.state, ended.error) == (RunState.INCOMPLETE, "too few")
        assert runs.read_watermarks(conn) == {}


def test_the_dead_of_this_machine_are_told_from_the_living() -> None:
    """A process that ended is dead; this one, and one on another machine, is not."""
    code = "from scalesync.lease_owner import new_owner_id; print(new_owner_id())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended = done.stdout.strip()

    assert owner_is_dead(ended)
    assert not owner_is_dead(new_owner_id())
    assert not owner_is_dead("elsewhere-" + ended)
    assert not owner_is_dead("nonsense")


def _stored(database: Database, number: int) -> None:
    given = [task(f"other{each}", created_at="2024-01-01T00:00:00.000Z") for each in range(number)]
    with database.write() as conn:
        write_rows(conn, TASKS, given, SeenBy(NOW))


def _reading(store: SyncStore) -> WindowProgress:
    """Claim the window of the run, and return what a reader of it knows."""
    [window] = store.claim_several(1)
    return WindowProgress(STREAMS["tasks"], window)


def _next_page(store: SyncStore, reading: WindowProgress) -> ParsedPage:
    return parse_page(reading.stream, reading.stream.page(store.api, reading.window, PAGE_SIZE))


@pytest.mark.parametrize(
    ("others", "first", "later"),
    [(0, True, True), (MAX_STORED_BEFORE, False, True), (MAX_STORED_BEFORE + 1, False, False)],
    ids=["empty", "only what begins it", "mirrored before"],
)
def test_pages_are_taken_to_be_new_where_the_mirror_has_next_to_nothing(
    start_sandbox: StartSandbox, database: Database, others: int, first: bool, later: bool
) -> None:
    """What another page received may begin a window: then only its first page is compared."""
    open_run(database)
    _stored(database, others)
    with session(start_sandbox(tasks=150), database) as reader:
        reading = _reading(reader.store)
        reader.store.prepare(reading)
        assert reading.expects_new == first
        reading.accept(_next_page(reader.store, reading))
        assert reading.expects_new == later
        assert reading.began_empty == (others == 0)


@pytest.mark.parametrize("others", [0, MAX_STORED_BEFORE + 1])
def test_the_rest_of_a_window_taken_up_again_is_taken_to_be_new(
    start_sandbox: StartSandbox, database: Database, others: int
) -> None:
    """Its own pages are known; not so where the mirror has other tasks."""
    open_run(database)
    _stored(database, others)
    with session(start_sandbox(tasks=150), database) as reader:
        reading = _reading(reader.store)
        reader.store.save_together([reading.accept(_next_page(reader.store, reading))])
        reader.store.release()

        resumed = _reading(reader.store)
        assert resumed.window.next_token is not None
        reader.store.prepare(resumed)
    assert resumed.expects_new == (others == 0)
    assert not resumed.began_empty


def find_run(
    store: SyncStore, seconds: float = 30, request: SyncRequest = TASKS_ONLY
) -> tuple[str, bool] | None:
    """Return the state of the run that is found for a request made so long ago, and whether it is for it."""
    found = store.find_run(request, seconds)
    return found and (found[0].state.value, found[1])


@pytest.mark.parametrize(("opened", "ours"), [(None, False), (-31, False), (-5, True), (60, False)], ids=str)
def test_an_open_run_is_for_whoever_asked_before_its_first_request(
    database: Database, opened: float | None, ours: bool
) -> None:
    """By the database's clock; a time to come shows that the clock was set back, and proves nothing."""
    run = open_run(database)
    with ScaleApi(KEY) as api, database.write() as conn:
        if opened is not None:
            runs.set_opened_at(conn, run.id, time_in(conn, opened))
        store = SyncStore(database, api, "me", lease=30)

    assert find_run(store) == ("open", ours)
    assert find_run(store, request=SyncRequest(("tasks",), full=True)) == ("open", ours)
    assert find_run(store, request=SyncRequest(("batches",))) == ("open", False)


def test_a_run_that_ended_is_for_us_only_if_it_began_since_we_looked(database: Database) -> None:
    """Else a clock that is set back would make an old one look new."""
    with ScaleApi(KEY) as api:
        early, late = (SyncStore(database, api, name, lease=30) for name in ("early", "late"))
        assert find_run(early) is None
        run = open_run(database)
        with database.write() as conn:
            runs.set_opened_at(conn, run.id, time_in(conn, -1))
            [window] = window_ledger.claim_several(conn, "another", 30, 1)
            window_ledger.finish(conn, window, WindowState.CLOSED)
            runs.finish(conn, run, NOW)

        assert find_run(late) is None
        assert find_run(early, seconds=0.5) is None
        early.last_run = 0
        assert find_run(early) == ("complete", True)
        assert find_run(early) is None
