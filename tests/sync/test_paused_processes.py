"""A process that is stopped for longer than its lease, and wakes up when another has done its work."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from scalesync.db.database import Database
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import runs, window_pages, windows
from scalesync.sandbox import SandboxServer
from scalesync.sync.planner import SyncRequest
from tests.support.databases import opened
from tests.support.sync_env import differences, served, session, sync, task_pages
from tests.sync.test_processes import spawn

Start = Callable[..., SandboxServer]


def left_behind(database: Database) -> tuple[int, int, int]:
    """Return how many windows were claimed twice, how many have a token, and how many pages are kept."""
    with database.read() as conn:
        twice = conn.execute(select(func.count()).where(windows.c.attempts == 2)).scalar_one()
        tokens = conn.execute(select(func.count()).where(windows.c.next_token.is_not(None))).scalar_one()
        return twice, tokens, conn.execute(select(func.count()).select_from(window_pages)).scalar_one()


def pages(database: Database) -> list[int]:
    """Return how many pages each run saved."""
    with database.read() as conn:
        return list(conn.execute(select(runs.c.pages).order_by(runs.c.id)).scalars())


@dataclass
class Stalled:
    """A sync of a database of its own, stopped while it waits for a page."""

    server: SandboxServer
    url: str
    stopped: bool = False

    def __post_init__(self) -> None:
        self.process = spawn(self.server, self.url, "--workers", "1", "--json")
        self.server.backend.before_list = self.stop

    def stop(self, *_: object) -> None:
        """Stop it, once, when the page before this one is saved and nothing is locked."""
        if task_pages(self.server) == 3 and not self.stopped:
            time.sleep(0.2)
            os.kill(self.process.pid, signal.SIGSTOP)
            self.stopped = True


def test_a_stalled_sync_writes_nothing_over_its_successor(
    start_sandbox: Start, sqlite_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its window is taken over after the lease; its page, which comes late, is dropped; it ends with 0."""
    monkeypatch.setenv("SCALESYNC_LEASE", "1s")
    both = [Stalled(start_sandbox(tasks=400), url) for url in (sqlite_url, postgres_url)]
    for stalled in both:
        while not stalled.stopped:
            assert stalled.process.poll() is None, stalled.process.communicate()
            time.sleep(0.01)
    for stalled in both:
        with opened(stalled.url) as database:
            try:
                taken_over = sync(stalled.server, database)
            finally:
                os.kill(stalled.process.pid, signal.SIGCONT)
            out, err = stalled.process.communicate(timeout=60)

            assert taken_over.complete
            assert (stalled.process.returncode, msgspec.json.decode(out)["complete"]) == (0, True), err
            assert left_behind(database) == (1, 0, 0)
            assert differences(stalled.server, database) == {}
            assert pages(database)[: len(taken_over.runs)] == [run.pages for run in taken_over.runs]


def test_waiting_for_the_api_costs_no_claim(start_sandbox: Start, sqlite_url: str) -> None:
    """A page that takes longer than a lease is not taken over: signs of life are given all the while."""
    server = start_sandbox(tasks=50, faults=("429:100%:times=1:retry-after=1@GET /batches",))
    with (
        opened(sqlite_url) as database,
        session(server, database, lease=0.6) as waiting,
        session(server, database) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(waiting.sync, SyncRequest())
        while not server.backend.faults.injected.total():
            time.sleep(0.01)
        assert other.sync(SyncRequest()).complete
        assert running.result().complete
        assert left_behind(database) == (0, 0, 0)


class Slow(Database):
    """A database whose disk takes longer than a lease over some transactions."""

    slow: list[float]
    """How many seconds the next ones take that change anything in `tasks`."""

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Return one writing transaction."""
        with super().write(durable=durable) as conn:
            before = conn.execute(select(func.count()).select_from(tasks)).scalar_one()
            yield conn
            if self.slow and conn.execute(select(func.count()).select_from(tasks)).scalar_one() > before:
                time.sleep(self.slow.pop())


def test_writing_for_longer_than_a_lease_costs_the_claims_at_most(
    start_sandbox: Start, postgres_url: str
) -> None:
    """No sign of life comes meanwhile: another takes over what is in hand, of which nothing is written then.

    On SQLite nobody can claim anything while somebody writes.
    """
    server = start_sandbox(tasks=400)
    largest = Counter(task["project"] for task in served(server, "tasks").values() if "project" in task)
    request = SyncRequest(projects=tuple(str(name) for name, _ in largest.most_common(2)))
    slow = Slow.open(postgres_url)
    assert isinstance(slow, Slow)
    slow.slow = [0.7]
    with (
        opened(postgres_url) as database,
        closing(slow),
        session(server, slow, lease=0.2) as hindered,
        session(server, database) as other,
    ):
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(hindered.sync, request)
            while slow.slow:
                time.sleep(0.01)
            assert other.sync(request).complete
            assert running.result().complete

        twice, tokens, kept = left_behind(database)
        assert (twice >= 1, tokens, kept) == (True, 0, 0)
        assert sync(server, database).complete
        assert differences(server, database) == {}
