"""Databases that go away in the middle of a sync: it goes on by itself, and nothing is lost or doubled."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.schema.sync import runs, windows
from scalesync.db.sync import window_ledger
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import DatabaseError, DatabaseUnavailableError
from scalesync.models.sync import WindowState
from scalesync.sandbox import SandboxServer
from scalesync.sync.events import DatabaseUnavailable, SyncEvent
from scalesync.sync.outage_backoff import OutageBackoff
from scalesync.sync.planner import SyncRequest
from tests.support.databases import opened
from tests.support.flaky_database import flaky_database
from tests.support.sync_env import differences, mirrored, session, sync, task_pages

Start = Callable[..., SandboxServer]


class NoWaitClock(Clock):
    """A clock on which no wait takes any time."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


def marks(database: Database) -> list[datetime]:
    """Return every watermark."""
    with database.read() as conn:
        return list(read_watermarks(conn).values())


def began(database: Database) -> datetime:
    """Return when the last run began."""
    with database.read() as conn:
        last: datetime = conn.execute(select(func.max(runs.c.started_at))).scalar_one()
        return last


def assert_whole(server: SandboxServer, database: Database) -> None:
    """Fail unless the mirror is complete and says so for the last run."""
    assert differences(server, database) == {}
    assert marks(database) == [began(database)] * 3
    with database.read() as conn:
        assert conn.execute(select(windows.c.id).where(windows.c.state == WindowState.OPEN)).all() == []


def test_every_transaction_of_a_sync_may_fail_on_either_side_of_its_commit(
    start_sandbox: Start, sqlite_url: str
) -> None:
    """Starting, stamping, claiming, saving, looking up, finishing: it begins again from what is there."""
    server = start_sandbox(tasks=130)
    places: set[str] = set()
    for request in (SyncRequest(), SyncRequest(full=True)):
        with flaky_database(sqlite_url) as failing, session(server, failing, clock=NoWaitClock()) as ready:
            assert ready.sync(request).complete
        places |= failing.struck
        with opened(sqlite_url) as database:
            assert_whole(server, database)
            server.backend.remove("tasks", next(iter(mirrored(database, "tasks"))))
        server.backend.churn(20)

    assert len(places) >= 14, places


ACCIDENTS = """
CREATE SEQUENCE pages; -- a rollback does not take its numbers back
CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    CASE nextval('pages')
        WHEN 2 THEN PERFORM pg_terminate_backend(pg_backend_pid());
        WHEN 4 THEN RAISE EXCEPTION 'a deadlock' USING ERRCODE = '40P01';
        WHEN 6 THEN RAISE EXCEPTION 'a serialization failure' USING ERRCODE = '40001';
        WHEN 8 THEN RAISE EXCEPTION 'a lock that somebody holds' USING ERRCODE = '55P03';
        ELSE NULL;
    END CASE;
    RETURN NEW;
END $$;
CREATE TRIGGER strikes AFTER INSERT ON window_pages EXECUTE FUNCTION strike();
"""


def test_accidents_of_postgres_are_outlived(start_sandbox: Start, postgres_url: str) -> None:
    """In the middle of a page's transaction: nothing of that page is written, and then all of it."""
    server = start_sandbox(tasks=700)
    with opened(postgres_url) as database, session(server, database, clock=NoWaitClock()) as ready:
        with database.write() as conn:
            conn.exec_driver_sql(ACCIDENTS)
        events: list[SyncEvent] = []
        ready.watch = events.append

        assert ready.sync(SyncRequest()).complete
        assert_whole(server, database)
    reasons = [event.reason for event in events if isinstance(event, DatabaseUnavailable)]
    for reason, words in zip(
        reasons, ("lost", "deadlock", "serialization", "locked for too long"), strict=True
    ):
        assert words in reason
    assert task_pages(server) <= 7 + 1 + 4 * 4


def test_sessions_on_postgres_wait_and_commit_as_ours_must(postgres_url: str) -> None:
    """Nobody waits for ever for a lock, whose holder may be stopped; and a crash undoes no commit."""
    with opened(postgres_url) as database, database.write() as conn:
        assert conn.execute(text("SHOW lock_timeout")).scalar_one() == "30s"
        assert conn.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        conn.execute(text("RESET synchronous_commit"))
        assert conn.execute(text("SHOW synchronous_commit")).scalar_one() == "off"


def test_another_writer_that_keeps_the_file_is_waited_for(start_sandbox: Start, sqlite_url: str) -> None:
    """`database is locked` for longer than SQLite waits by itself: the sync tries again, and goes on."""
    server = start_sandbox(tasks=700)
    other = sqlite3.connect(
        sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    told: list[str] = []

    def lock(*_: object) -> None:
        if task_pages(server) >= 3 and not told and not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")

    def unlock(event: SyncEvent) -> None:
        if isinstance(event, DatabaseUnavailable):
            told.append(event.reason)
            other.execute("COMMIT")

    server.backend.before_list = lock
    with (
        closing(other),
        opened(sqlite_url) as database,
        session(server, database, clock=NoWaitClock()) as ready,
    ):
        with database.write() as conn:
            conn.execute(text("PRAGMA busy_timeout = 50"))
        ready.watch = unlock

        assert ready.sync(SyncRequest()).complete
        assert_whole(server, database)
    assert ["locked" in reason for reason in told] == [True]


def sync_again(server: SandboxServer, url: str) -> None:
    """Sync after the end of a process, whose claims are free at once, and fail unless the mirror is whole."""
    with opened(url) as database:
        with database.write() as conn:
            window_ledger.release(conn, window_ledger.owners(conn))
        assert sync(server, database).complete
        assert_whole(server, database)


def unplug(path: Path) -> None:
    """Take the file away."""
    path.rename(path.with_suffix(".away"))


def exchange(path: Path) -> None:
    """Put another mirror in its place."""
    shutil.copyfile(path, path.with_suffix(".other"))
    unplug(path)
    path.with_suffix(".other").rename(path)


@pytest.mark.parametrize("meddle", [unplug, exchange])
def test_a_file_that_is_taken_away_ends_the_sync(
    meddle: Callable[[Path], None], start_sandbox: Start, sqlite_url: str
) -> None:
    """Nothing more is written to what nobody will find; put back, the next sync goes on with it."""
    server = start_sandbox(tasks=700)
    path = Path(sqlite_url.removeprefix("sqlite:///"))

    def strike(*_: object) -> None:
        if task_pages(server) == 3:
            meddle(path)

    server.backend.before_list = strike
    with opened(sqlite_url) as database, pytest.raises(DatabaseError, match="deleted or replaced") as caught:
        sync(server, database)
    assert not isinstance(caught.value, DatabaseUnavailableError)
    if meddle is unplug:
        assert not path.exists()

    path.with_suffix(".away").replace(path)
    server.backend.before_list = None
    sync_again(server, sqlite_url)


def test_a_disk_that_is_full_ends_the_sync_without_half_a_page(start_sandbox: Start, sqlite_url: str) -> None:
    """At once, with no waiting; what is here is what the ledger says, and with room the next one goes on."""
    server = start_sandbox(tasks=700)
    with opened(sqlite_url) as database, session(server, database, clock=NoWaitClock()) as ready:
        events: list[SyncEvent] = []
        ready.watch = events.append
        with database.write() as conn:
            size = conn.execute(text("PRAGMA page_count")).scalar_one()
            conn.execute(text(f"PRAGMA max_page_count = {size + 150}"))
        with pytest.raises(DatabaseError, match="is full"):
            ready.sync(SyncRequest())
        with database.read() as conn:
            assert conn.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
            rows = sum(len(mirrored(database, stream)) for stream in ("tasks", "batches"))
            said = conn.execute(text("SELECT sum(rows_received) FROM windows WHERE stream <> 'projects'"))
            assert 0 < said.scalar_one() == rows < 700
    assert not [event for event in events if isinstance(event, DatabaseUnavailable)]

    sync_again(server, sqlite_url)


@dataclass(frozen=True)
class Wound(Clock):
    """A clock that only sleeping moves."""

    waits: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return how long was slept."""
        return sum(self.waits)

    def sleep(self, seconds: float) -> None:
        """Be that much later."""
        self.waits.append(seconds)


def test_pauses_grow_up_to_a_limit_and_end_with_patience() -> None:
    """Once something was saved, they begin anew; a time limit ends them sooner; a stop ends one at once."""
    away, clock = DatabaseUnavailableError("It is restarting."), Wound()
    events: list[SyncEvent] = []
    outages = OutageBackoff(clock, events.append, patience=40)
    for _ in range(6):
        outages.wait(away, saved=3)
    assert clock.waits == [0.5, 1, 2, 4, 8, 10]
    outages.wait(away, saved=3)
    with pytest.raises(DatabaseUnavailableError):
        outages.wait(away, saved=3)
    outages.wait(away, saved=4)
    assert clock.waits[-1] == 0.5
    assert events[-1] == DatabaseUnavailable(0.5, "It is restarting.")

    hasty = OutageBackoff(clock, events.append, patience=40, deadline=clock.monotonic() + 1)
    hasty.wait(away, saved=0)
    with pytest.raises(DatabaseUnavailableError):
        hasty.wait(away, saved=0)
    clock.stopping.set()
    with pytest.raises(DatabaseUnavailableError):
        outages.wait(away, saved=5)
