"""A dispatcher that waits wakes when something is queued, and survives the loss of its connection."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.db.queue.enqueue import enqueue
from scalesync.db.queue.notifier import Signals
from scalesync.lease_owner import new_owner_id
from scalesync.queue import new_commands
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.events import CommandSettled, Idle
from scalesync.sandbox import SandboxServer
from tests.support.databases import PostgresServer, opened
from tests.support.dispatch_env import (
    WHOLE,
    DispatchEnv,
    dispatch_env,
    events,
    in_background,
    projects,
    until,
)
from tests.support.poolers import needs_own_sessions

NEVER = threading.Event()
STAYING = replace(WHOLE, watch=True)


@pytest.fixture
def signals(database: Database) -> Iterator[Signals]:
    """Return signals that have begun to listen."""
    made = Signals(database)
    assert not made.wait(0.01, NEVER)
    yield made
    made.close()


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an empty account."""
    with dispatch_env(database, sandbox) as made:
        yield made


def put(database: Database, name: str = "p") -> None:
    """Queue something."""
    with database.write() as conn:
        enqueue(conn, new_commands.create_project(name, "annotation", {}))


@needs_own_sessions
def test_a_command_that_is_queued_wakes(database: Database, signals: Signals) -> None:
    """Also one that was queued between two waits; each wakes once, and without any the time runs out."""
    put(database)
    assert signals.wait(5, NEVER)
    began = time.monotonic()
    assert not signals.wait(0.1, NEVER)
    assert time.monotonic() - began >= 0.1

    later = threading.Timer(0.1, lambda: put(database, "q"))
    later.start()
    assert signals.wait(5, NEVER)
    later.join()


def test_a_request_to_stop_wakes_without_a_signal(signals: Signals) -> None:
    """At once if it was made before, soon if it comes meanwhile: neither wait lasts as long as it may."""
    stopping = threading.Event()
    threading.Timer(0.05, stopping.set).start()
    began = time.monotonic()

    assert not signals.wait(30, stopping)
    assert not signals.wait(30, stopping)
    assert time.monotonic() - began < 30


def test_a_lost_connection_is_replaced(postgres_url: str, sqlite_url: str) -> None:
    """While it is away the time runs out, and afterwards signals come again."""
    for url in (postgres_url, sqlite_url):
        with opened(url) as database:
            signals = Signals(database)
            assert not signals.wait(0.01, NEVER)
            if database.is_sqlite:
                signals.close()
            else:
                with database.write() as conn:
                    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    conn.execute(
                        text(f"{others} WHERE query LIKE 'LISTEN%' AND datname = current_database()")
                    )
            assert not signals.wait(0.3, NEVER)
            put(database)
            assert signals.wait(5, NEVER)
            signals.close()


def test_a_database_that_is_not_there_signals_nothing(postgres_server: PostgresServer) -> None:
    """The time runs out; whoever uses the database next learns what is wrong."""
    with opened(postgres_server.url("nowhere")) as gone:
        assert not Signals(gone).wait(0.1, NEVER)


@dataclass
class Awaited(DispatcherStore):
    """A store that notes how its waits ended."""

    woken: list[bool] = field(default_factory=list)
    """Whether it was by something that was queued, and not because the time was over."""

    def wait(self, seconds: float, stopping: threading.Event) -> bool:
        """Wait, and take note."""
        self.woken.append(super().wait(seconds, stopping))
        return self.woken[-1]


def test_one_that_stays_wakes_when_something_is_queued(env: DispatchEnv) -> None:
    """It is told of it, and does not have to look by itself."""
    store = Awaited(env.database, new_owner_id(), env.timing)
    thread, summaries = in_background(lambda: env.dispatch(STAYING, store=store))
    until(lambda: bool(events(env, Idle)))
    for number in range(3):
        time.sleep(0.3)
        env.put(*projects(1, first=number))
        until(lambda settled=number: len(events(env, CommandSettled)) > settled)  # type: ignore[misc]
    env.clock.stopping.set()
    thread.join()

    assert any(store.woken)
    assert summaries[0].delivered == 3
