"""Whoever waits for work is told of it, whatever becomes of the connection that tells."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.db.queue.enqueue import enqueue
from scalesync.db.queue.notifier import Signals
from scalesync.queue import new_commands
from tests.support.databases import PostgresServer, opened
from tests.support.poolers import needs_own_sessions

NEVER = threading.Event()


@pytest.fixture
def signals(database: Database) -> Iterator[Signals]:
    """Return signals that have begun to listen."""
    made = Signals(database)
    assert not made.wait(0.01, NEVER)
    yield made
    made.close()


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
