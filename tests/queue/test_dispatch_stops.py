"""When a dispatcher waits, when it ends, and what keeps it from sending."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from scalesync.api import ScaleApi
from scalesync.db.database import Database
from scalesync.db.queue import pause
from scalesync.errors import ConfigurationError, DatabaseError
from scalesync.models.api import Document
from scalesync.models.queue_state import PausedBy
from scalesync.queue import new_commands
from scalesync.queue.claimer import WORKERS_PER_SPARE
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.events import AccessDenied, ApiUnreachable, CommandSettled, Idle, StepStarted, Throttled
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import Payload
from scalesync.queue.handlers.projects import CreateProject
from scalesync.sandbox import SandboxServer, Switches
from tests.support.databases import opened
from tests.support.dispatch_env import (
    BOX,
    HASTY,
    QUICK,
    WHOLE,
    DispatchEnv,
    dispatch_env,
    events,
    in_background,
    projects,
    until,
)
from tests.support.hooked_store import Failing, HookedStore

Start = Callable[..., SandboxServer]
STAYING = replace(WHOLE, watch=True)
NOWHERE = "http://127.0.0.1:1/v1"
"""Where nobody listens."""


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an empty account."""
    with dispatch_env(database, sandbox) as made:
        yield made


@pytest.fixture
def sqlite_env(sqlite_url: str, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on SQLite only, for what has nothing to do with the database."""
    with opened(sqlite_url) as database, dispatch_env(database, sandbox) as made:
        yield made


# The gate ------------------------------------------------------------------------------------------------


def test_a_429_makes_everybody_rest(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The pause is in the database: a second dispatcher waits for it too; it counts as no failure."""
    [one] = env.put(*projects(1))
    sandbox.backend.faults.replace(["429:100%:times=1:retry-after=0.6"])
    with dispatch_env(env.database, sandbox) as other:
        list(env.work().run())
        asked = other.api.requests_made
        summary = other.dispatch(replace(WHOLE, patience=0.2))
        assert (summary.ended, other.api.requests_made) == (StopReason.RESTING, asked)
        began = time.monotonic()
        assert other.dispatch().delivered == 1

    # Without a Retry-After it would be five seconds.
    assert 0.2 < time.monotonic() - began < 5
    assert env.command(one).failures == 0


def test_a_rest_that_was_not_measured_is_five_seconds(sqlite_env: DispatchEnv, start_sandbox: Start) -> None:
    """The API does not have to say when to come back."""
    server = start_sandbox(faults=("429:100%",), switches=Switches(retry_after="none"))
    sqlite_env.put(*projects(4))
    with dispatch_env(sqlite_env.database, server) as refused:
        summary = refused.dispatch(replace(WHOLE, patience=1, workers=1))
        [rested] = events(refused, Throttled)

    assert summary.ended is StopReason.RESTING
    assert (rested.seconds, rested.reason[:3]) == (pytest.approx(5.05), "The")


@pytest.mark.parametrize(("status", "place"), [(401, ""), (403, "POST"), (402, "POST")])
def test_a_refused_key_closes_the_gate(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, status: int, place: str
) -> None:
    """Commands stay as they are, nobody sends before a person resumes, and it says why, watching or not."""
    ids = sqlite_env.put(*projects(6))
    sandbox.backend.faults.replace([f"{status}:100%@{place}"])
    summary = sqlite_env.dispatch(STAYING)
    asked = sqlite_env.api.requests_made

    assert (summary.ended, summary.error and summary.error.code) == (StopReason.CLOSED, status)
    assert sqlite_env.states(ids) == ["queued"] * 6
    assert [sqlite_env.command(one).failures for one in ids] == [0] * 6
    assert (
        events(sqlite_env, AccessDenied)[0].reason
        == f"The API answered {status}: The sandbox was asked to fail."
    )
    sandbox.backend.faults.replace([])
    assert (sqlite_env.dispatch(STAYING).ended, sqlite_env.api.requests_made) == (StopReason.CLOSED, asked)
    with sqlite_env.database.write() as conn:
        pause.resume(conn)
    assert sqlite_env.dispatch().delivered == 6


def test_a_look_that_is_refused_closes_the_gate_too(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """What is in doubt stays in doubt."""
    [one] = sqlite_env.put(*projects(1))
    sandbox.backend.faults.replace(["reset:100%@POST"])
    list(sqlite_env.work().run())
    sandbox.backend.faults.replace(["401:100%@GET"])

    assert sqlite_env.dispatch().ended is StopReason.CLOSED
    assert (sqlite_env.states([one]), sqlite_env.command(one).ambiguous) == (["in_doubt"], True)


def test_a_persons_pause_ends_a_dispatcher_or_is_waited_out(sqlite_env: DispatchEnv) -> None:
    """One that stays goes on when the queue is resumed."""
    sqlite_env.put(*projects(3))
    with sqlite_env.database.write() as conn:
        pause.pause(conn, seconds=None, reason="lunch", by=PausedBy.PERSON)
    assert (sqlite_env.dispatch().ended, sqlite_env.api.requests_made) == (StopReason.PAUSED, 0)

    thread, summaries = in_background(lambda: sqlite_env.dispatch(STAYING))
    until(lambda: bool(events(sqlite_env, Idle)))
    with sqlite_env.database.write() as conn:
        pause.resume(conn)
    until(lambda: len(events(sqlite_env, CommandSettled)) == 3, seconds=15)
    sqlite_env.clock.stopping.set()
    thread.join()
    assert summaries[0].delivered == 3


# The network ---------------------------------------------------------------------------------------------


def test_an_api_that_cannot_be_reached_ends_it(sqlite_url: str) -> None:
    """Nothing was sent, so nothing failed; it tries less and less often, with one command at a time."""
    with opened(sqlite_url) as database, dispatch_env(database, NOWHERE) as env:
        ids = env.put(*projects(6))
        summary = env.dispatch(replace(WHOLE, patience=1.2))

        assert (summary.ended, summary.sends, summary.in_doubt) == (StopReason.UNREACHABLE, 0, 0)
        assert summary.error is not None
        assert "Could not reach" in summary.error.message
        assert env.states(ids) == ["queued"] * 6
        assert sum(env.command(one).failures for one in ids) == 0
        tries, claims = len(events(env, ApiUnreachable)), sum(env.command(one).fence for one in ids)
        assert tries >= 2
        # The first claim is one for each worker, and a spare one.
        assert tries < claims <= tries + WHOLE.workers + WHOLE.workers // WORKERS_PER_SPARE - 1


def test_a_low_rate_slows_it_and_nothing_else(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The wait for one's turn comes before the arming: nobody rests, and nothing comes too late."""
    sqlite_env.api.create_project({"name": "q", "type": BOX})
    sqlite_env.put(
        new_commands.update_project("q", {"a": 1}), new_commands.update_project("q", {"a": 2}), *projects(2)
    )
    tight = replace(QUICK, margin=0.1)
    with dispatch_env(sqlite_env.database, sandbox, timing=tight, rate=5.0) as slow:
        summary = slow.dispatch()

    assert (summary.delivered, summary.sends, events(slow, Throttled)) == (4, 4, [])
    assert summary.seconds > 5 * 0.2


def test_many_workers_under_a_rate_do_not_outwait_each_other(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """There are no more of them than all get their turn while a request may take: nobody pauses the queue."""
    sqlite_env.put(*projects(10))
    brief = replace(QUICK, request=0.6, margin=5.0)
    with dispatch_env(sqlite_env.database, sandbox, timing=brief, rate=5.0) as slow:
        summary = slow.dispatch()

    assert (summary.delivered, summary.sends, events(slow, Throttled)) == (10, 10, [])
    assert not sqlite_env.store.pause_state().paused


def test_one_that_stays_waits_for_the_network(sqlite_url: str, start_sandbox: Start) -> None:
    """It goes on as soon as the API is there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/v1"
    with opened(sqlite_url) as database, dispatch_env(database, address) as env:
        env.put(*projects(3))
        thread, summaries = in_background(lambda: env.dispatch(replace(STAYING, patience=0.1)))
        until(lambda: bool(events(env, ApiUnreachable)))
        start_sandbox(port=port)
        until(lambda: env.store.next_due() is None)
        env.clock.stopping.set()
        thread.join()

        assert (summaries[0].ended, summaries[0].delivered) == (StopReason.STOPPED, 3)


def test_an_api_that_never_answers_is_unreachable_too(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """Requests arrive and get no answer: after its patience it ends, and the commands are in doubt."""
    ids = sqlite_env.put(*projects(2))
    sandbox.backend.faults.replace(["reset:100%"])
    summary = sqlite_env.dispatch(replace(WHOLE, patience=1))

    assert (summary.ended, sqlite_env.states(ids)) == (StopReason.UNREACHABLE, ["in_doubt"] * 2)


# The end -------------------------------------------------------------------------------------------------


def test_an_empty_queue_is_done_at_once(sqlite_env: DispatchEnv) -> None:
    """No request is made."""
    summary = sqlite_env.dispatch()

    assert (summary.ended, summary.requests) == (StopReason.DONE, 0)


def test_max_commands_are_taken_and_seen_through(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """In the order of the queue; those that fail are tried again, others are not begun in their place."""
    ids = env.put(*projects(9))
    sandbox.backend.faults.replace(["503:100%:times=3@POST"])
    summary = env.dispatch(replace(WHOLE, max=5, workers=8))

    assert (summary.ended, summary.delivered) == (StopReason.ENOUGH, 5)
    assert env.states(ids) == ["delivered"] * 5 + ["queued"] * 4
    assert env.dispatch(replace(WHOLE, max=5)).delivered == 4


def test_only_what_it_was_told_is_taken(sqlite_env: DispatchEnv) -> None:
    """Everything else stays queued, and it does not wait for it."""
    ids = sqlite_env.put(*projects(4))
    summary = sqlite_env.dispatch(replace(WHOLE, only=ids[1:3]))

    assert (summary.ended, sqlite_env.states(ids)) == (
        StopReason.DONE,
        ["queued", "delivered", "delivered", "queued"],
    )


def test_what_is_not_due_within_its_patience_is_left(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Backoffs that grow beyond it end a dispatcher without progress; answers came, so the API is there."""
    [one] = sqlite_env.put(*projects(1))
    sandbox.backend.faults.replace(["503:100%@POST"])
    summary = sqlite_env.dispatch(replace(WHOLE, patience=0.6), random=lambda: 1.0)

    assert (summary.ended, sqlite_env.states([one])) == (StopReason.LATER, ["in_doubt"])


def test_its_patience_ends_though_there_is_always_something_to_try(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """Many commands that fail and are due again at once do not keep it going without progress."""
    sqlite_env.put(*projects(12))
    sandbox.backend.faults.replace(["503:100%@POST"])
    summary = sqlite_env.dispatch(replace(WHOLE, patience=0.5), random=lambda: 0.0)

    assert (summary.ended, summary.dead) == (StopReason.LATER, 0)


class Slow(CreateProject):
    """Takes its time to send."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds = seconds
        self.begun = threading.Event()

    def send(self, api: Any, payload: Payload) -> Document | None:
        """Send after a while."""
        self.begun.set()
        time.sleep(self.seconds)
        return super().send(api, payload)


def test_asked_to_stop_it_finishes_what_is_being_sent(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """Sends in hand are settled, and nothing new is begun."""
    ids = sqlite_env.put(*projects(9))
    slow = Slow()
    thread, summaries = in_background(lambda: sqlite_env.dispatch(STAYING, handlers={"create_project": slow}))
    assert slow.begun.wait(10)
    until(lambda: sum(event.step == "send" for event in events(sqlite_env, StepStarted)) == 4)
    sqlite_env.clock.stopping.set()
    thread.join()

    assert (summaries[0].ended, summaries[0].delivered, summaries[0].sends) == (StopReason.STOPPED, 4, 4)
    assert sqlite_env.states(ids) == ["delivered"] * 4 + ["queued"] * 5
    assert sandbox.backend.requests["POST /projects"] == 4


def test_what_is_claimed_and_not_armed_is_given_back(sqlite_env: DispatchEnv) -> None:
    """A process that stops between two steps leaves its command queued, with no doubt."""
    [one] = sqlite_env.put(*projects(1))
    steps = sqlite_env.work().run()
    assert next(steps) == "prepare"
    sqlite_env.clock.stopping.set()

    assert [*steps] == ["arm", "settle"]
    assert (sqlite_env.states([one]), sqlite_env.command(one).sends) == (["queued"], 0)


# Mistakes ------------------------------------------------------------------------------------------------


class Mistaken(CreateProject):
    """Has a mistake in it."""

    def send(self, api: Any, payload: Payload) -> Document | None:
        """Fail as no API does."""
        raise ZeroDivisionError(api, payload)


def test_a_mistake_of_ours_does_not_vanish(sqlite_env: DispatchEnv) -> None:
    """It stops the dispatcher and is raised; whatever else was in hand is settled."""
    ids = sqlite_env.put(
        new_commands.create_project("p", BOX, {}),
        *(new_commands.create_batch(f"b{n}", "q") for n in range(9)),
    )
    sqlite_env.api.create_project({"name": "q", "type": BOX})
    with pytest.raises(ZeroDivisionError):
        sqlite_env.dispatch(handlers={**HANDLERS, "create_project": Mistaken()})

    assert sqlite_env.states(ids).count("sending") == 1


def test_a_database_that_fails_after_the_send_is_tried_again(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """The answer in hand is kept and written as soon as that is possible."""
    [one] = sqlite_env.put(*projects(1))
    full = Failing("settle", 1, "The disk is full.")
    store = HookedStore(sqlite_env.database, sqlite_env.store.owner, QUICK, before=full)
    sqlite_env.dispatch(store=store)

    assert (sqlite_env.ended(one), sqlite_env.command(one).sends) == (("delivered", "applied"), 1)
    assert sandbox.backend.requests["POST /projects"] == 1


def test_a_database_that_stays_away_stops_it_and_the_next_one_looks(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """What could not be written is found out from the API when the lease is over."""
    [one] = sqlite_env.put(*projects(1))
    with dispatch_env(sqlite_env.database, sandbox, timing=HASTY) as failing:
        full = Failing("settle", 1_000, "The disk is full.")
        store = HookedStore(sqlite_env.database, failing.store.owner, HASTY, before=full)
        with pytest.raises(DatabaseError):
            failing.dispatch(store=store)
    assert (sqlite_env.states([one]), 990 < full.left < 999) == (["sending"], True)

    sqlite_env.expire(one)
    summary = sqlite_env.dispatch()
    assert (sqlite_env.ended(one), summary.sends, summary.looks) == (("delivered", "applied"), 0, 1)


def test_a_dispatcher_refuses_a_client_without_limits(sqlite_env: DispatchEnv) -> None:
    """A request that may last longer than the lease allows for would outlive it."""
    with ScaleApi("live_key") as unlimited:
        wrong = [replace(sqlite_env, timing=replace(QUICK, request=0.1)), replace(sqlite_env, api=unlimited)]
        for other in (*wrong, replace(sqlite_env, timing=replace(QUICK, settle=9))):
            with pytest.raises(ConfigurationError):
                other.dispatcher(store=sqlite_env.store)
