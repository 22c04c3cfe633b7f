"""A dispatcher that waits for work sends what is queued meanwhile, ends when asked, and locks nothing."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Engine, event

from scalesync.db.database import Database
from scalesync.db.queue.enqueue import enqueue
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.dispatcher import IDLE_POLL
from scalesync.queue.events import CommandSettled, Idle
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import (
    WHOLE,
    DispatchEnv,
    dispatch_env,
    events,
    in_background,
    projects,
    until,
)

STAYING = replace(WHOLE, watch=True)


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an empty account."""
    with dispatch_env(database, sandbox) as made:
        yield made


def test_one_that_stays_sends_what_others_queue(env: DispatchEnv, database_url: str) -> None:
    """Within about a second, as it looks by itself."""
    thread, summaries = in_background(lambda: env.dispatch(STAYING))
    until(lambda: bool(events(env, Idle)))
    with opened(database_url) as theirs:
        for number in range(3):
            time.sleep(0.3)
            with theirs.write() as conn:
                enqueue(conn, *projects(1, first=number))
            until(lambda settled=number: len(events(env, CommandSettled)) > settled, seconds=4)  # type: ignore[misc]
    env.clock.stopping.set()
    thread.join()

    assert summaries[0].delivered == 3


def test_a_request_to_stop_ends_a_wait_for_work(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """At once, and not when the queue would be looked at again."""
    took = []
    for _ in range(3):
        with dispatch_env(env.database, sandbox) as waiting:
            thread, summaries = in_background(partial(waiting.dispatch, STAYING))
            until(lambda idle=waiting: bool(events(idle, Idle)))  # type: ignore[misc]
            began = time.monotonic()
            waiting.clock.stopping.set()
            thread.join()
            took.append(time.monotonic() - began)
            assert summaries[0].ended is StopReason.STOPPED
    assert min(took) < IDLE_POLL / 2


def test_one_that_waits_for_work_locks_nothing(env: DispatchEnv) -> None:
    """It reads the queue once a second, with one statement; a held command makes no difference."""
    [held] = env.put(*projects(1))
    env.change(held, hold_reason="somebody wants to look")
    thread, _ = in_background(lambda: env.dispatch(STAYING))
    until(lambda: bool(events(env, Idle)))
    time.sleep(0.2)
    asked: list[str] = []
    note = lambda *given: asked.append(given[2])  # noqa: E731 - to be removed again
    event.listen(Engine, "before_cursor_execute", note)
    time.sleep(2.5)
    event.remove(Engine, "before_cursor_execute", note)
    env.clock.stopping.set()
    thread.join()

    queries = [one for one in asked if not one.startswith(("BEGIN", "PRAGMA"))]
    assert 1 <= len(queries) <= 3
    assert not [one for one in asked if "UPDATE" in one or "IMMEDIATE" in one]
