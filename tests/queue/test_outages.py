"""Databases that go away in the middle of a dispatch: it goes on by itself, and each effect is there once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from scalesync.db.database import Database
from scalesync.errors import DatabaseUnavailableError
from scalesync.models.commands import Claim, NewCommand
from scalesync.queue import new_commands
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.events import Idle, QueueUnavailable
from scalesync.queue.timing import Timing
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import WHOLE, dispatch_env, until
from tests.support.flaky_database import flaky_database
from tests.support.pausing_dispatcher import BRIEF
from tests.support.scripted_server import SkippingClock

BOX = "imageannotation"
NAMES = [f"u{number}" for number in range(6)]


def everything() -> list[NewCommand]:
    """Return a project, a batch in it, and tasks."""
    place = {"project": "p", "batch": "b", "attachment": "https://a"}
    tasks = (new_commands.create_task(BOX, place | {"unique_id": name}) for name in NAMES)
    return [new_commands.create_project("p", BOX, {}), new_commands.create_batch("b", "p"), *tasks]


def effects(server: SandboxServer) -> list[int]:
    """Return how often each effect of everything is there."""
    named = [("project", "p"), ("batch", "b"), *(("unique_id", name) for name in NAMES)]
    return [server.backend.applied.count(*name, "created") for name in named]


def test_every_transaction_of_a_dispatch_may_fail_on_either_side_of_its_commit(
    sandbox: SandboxServer, sqlite_url: str
) -> None:
    """Claiming, arming, settling, looking ahead: what is not known is left to the lease, and looked up."""
    swift = Timing(request=0.2, margin=0.05, settle=0.2)
    with opened(sqlite_url) as database, dispatch_env(database, sandbox, timing=swift) as healthy:
        ids = healthy.put(*everything())
        with (
            flaky_database(sqlite_url) as failing,
            dispatch_env(failing, sandbox, timing=swift, clock=SkippingClock()) as env,
        ):
            env.dispatch(replace(WHOLE, max=len(ids)), random=lambda: 0.0)
        assert healthy.states(ids) == ["delivered"] * len(ids)
    assert effects(sandbox) == [1] * len(ids)
    places = ("claim", "arm", "settle", "pause_state", "next_due", "still_waiting")
    assert failing.struck == {f"DispatcherStore.{place}" for place in places}
    assert failing.turns["DispatcherStore.pause_state"] < 60


class Unsteady(DispatcherStore):
    """A store whose database is away at its second claim."""

    claims = 0

    def claim(self, *limit: Any, **how: Any) -> list[Claim]:
        """Claim."""
        self.claims += 1
        if self.claims == 2:
            raise DatabaseUnavailableError("It is restarting.")
        return super().claim(*limit, **how)


def test_what_is_in_doubt_is_looked_at_in_spite_of_an_outage(sandbox: SandboxServer, sqlite_url: str) -> None:
    """What could not be claimed at first is not left out."""
    with opened(sqlite_url) as database, dispatch_env(database, sandbox, timing=BRIEF) as env:
        ids = env.put(*(new_commands.create_project(name, BOX, {}) for name in NAMES[:3]))
        sandbox.backend.faults.replace(["applied-then-dropped:100%@POST"])
        for _ in ids:
            list(env.work().run())
        assert env.states(ids) == ["in_doubt"] * 3

        unsteady = Unsteady(database, env.store.owner, BRIEF)
        env.dispatch(replace(WHOLE, reconcile_only=True, workers=1), store=unsteady, random=lambda: 0.0)
        assert env.states(ids) == ["delivered"] * 3


class Unpluggable(Database):
    """A database that can be away for as long as a test likes."""

    plugged = True

    def write(self, *, durable: bool = False) -> AbstractContextManager[Connection]:
        """Return one writing transaction."""
        self._try()
        return super().write(durable=durable)

    def read(self) -> AbstractContextManager[Connection]:
        """Return one reading transaction."""
        self._try()
        return super().read()

    def _try(self) -> None:
        if not self.plugged:
            raise DatabaseUnavailableError("It is gone.")


def test_a_database_that_goes_away_while_nothing_is_queued(sandbox: SandboxServer, sqlite_url: str) -> None:
    """One that waits for work waits for the database as well, and goes on when that is back."""
    database = Unpluggable.open(sqlite_url)
    assert isinstance(database, Unpluggable)
    with (
        closing(database),
        dispatch_env(database, sandbox, timing=BRIEF) as at,
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(at.dispatch, replace(WHOLE, patience=0.1, watch=True))
        until(lambda: any(isinstance(event, Idle) for event in at.events))
        database.plugged = False
        until(lambda: any(isinstance(event, QueueUnavailable) for event in at.events))
        database.plugged = True
        ids = at.put(*everything())
        until(lambda: at.states(ids) == ["delivered"] * len(ids), seconds=30)
        at.clock.stopping.set()
        assert running.result().ended is StopReason.STOPPED


def test_patience_ends_unless_it_stays(sandbox: SandboxServer, sqlite_url: str) -> None:
    """Then it ends with the database's error; one that watches goes on until it is stopped."""
    database = Unpluggable.open(sqlite_url)
    assert isinstance(database, Unpluggable)
    with closing(database), dispatch_env(database, sandbox, timing=BRIEF) as env:
        ids = env.put(*everything())
        database.plugged = False
        with pytest.raises(DatabaseUnavailableError):
            env.dispatch(replace(WHOLE, patience=0.4))
        assert [event.reason for event in env.events if isinstance(event, QueueUnavailable)] == [
            "It is gone."
        ]

        with dispatch_env(database, sandbox, timing=BRIEF) as watching, ThreadPoolExecutor(1) as pool:
            running = pool.submit(watching.dispatch, replace(WHOLE, patience=0.1, watch=True))
            until(lambda: len(watching.events) >= 2)
            watching.clock.stopping.set()
            assert running.result().ended is StopReason.STOPPED
        database.plugged = True
        assert env.states(ids) == ["queued"] * len(ids)
