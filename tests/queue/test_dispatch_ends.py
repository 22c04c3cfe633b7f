"""When a dispatcher waits, when it ends, and what keeps it from sending."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, event

from scalesync.api import ScaleApi
from scalesync.db.database import Database
from scalesync.db.queue import pause
from scalesync.db.queue.enqueue import enqueue
from scalesync.errors import ConfigurationError, DatabaseError
from scalesync.models.api import Document
from scalesync.models.commands import NewCommand, PausedBy
from scalesync.queue import new_commands
from scalesync.queue.dispatch_summary import DispatchSummary, StopReason
from scalesync.queue.dispatcher import IDLE_POLL
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.events import AccessDenied, ApiUnreachable, CommandSettled, Idle, StepStarted, Throttled
from scalesync.queue.handlers import HANDLERS, Payload
from scalesync.queue.handlers.projects import CreateProject
from scalesync.sandbox import SandboxServer, Switches
from tests.fixtures.databases import opened
from tests.queue.queues import HASTY, QUICK, WHOLE, Desk, desk

Start = Callable[..., SandboxServer]
BOX = "imageannotation"
STAYING = replace(WHOLE, watch=True)
NOWHERE = "http://127.0.0.1:1/v1"
"""Where nobody listens."""


@pytest.fixture
def at(database: Database, sandbox: SandboxServer) -> Iterator[Desk]:
    """Return a desk on each database, over an empty account."""
    with desk(database, sandbox) as made:
        yield made


@pytest.fixture
def alone(sqlite_url: str, sandbox: SandboxServer) -> Iterator[Desk]:
    """Return a desk on SQLite only, for what has nothing to do with the database."""
    with opened(sqlite_url) as database, desk(database, sandbox) as made:
        yield made


def projects(count: int, first: int = 0) -> Iterator[NewCommand]:
    """Yield orders that depend on nothing."""
    for number in range(first, first + count):
        yield new_commands.create_project(f"p{number}", BOX, {})


def events(at: Desk, kind: type) -> list[Any]:
    """Return what a dispatcher told of one kind."""
    return [event for event in at.events if isinstance(event, kind)]


def in_background(run: Callable[[], DispatchSummary]) -> tuple[threading.Thread, list[DispatchSummary]]:
    """Start a dispatcher in a thread of its own; its summary comes into the list."""
    summaries: list[DispatchSummary] = []
    thread = threading.Thread(target=lambda: summaries.append(run()))
    thread.start()
    return thread, summaries


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Return when something is true. Fails if that takes too long."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# The gate ------------------------------------------------------------------------------------------------


def test_a_429_makes_everybody_rest(at: Desk, sandbox: SandboxServer) -> None:
    """The pause is in the database: a second dispatcher waits for it too; it counts as no failure."""
    [one] = at.put(*projects(1))
    sandbox.world.faults.replace(["429:100%:times=1:retry-after=0.6"])
    with desk(at.database, sandbox) as other:
        list(at.work().run())
        asked = other.api.requests_made
        summary = other.dispatch(replace(WHOLE, patience=0.2))
        assert (summary.ended, other.api.requests_made) == (StopReason.RESTING, asked)
        began = time.monotonic()
        assert other.dispatch().delivered == 1

    # Without a Retry-After it would be five seconds.
    assert 0.2 < time.monotonic() - began < 5
    assert at.command(one).failures == 0


def test_a_rest_that_was_not_measured_is_five_seconds(alone: Desk, start_sandbox: Start) -> None:
    """The API does not have to say when to come back."""
    server = start_sandbox(faults=("429:100%",), switches=Switches(retry_after="none"))
    alone.put(*projects(4))
    with desk(alone.database, server) as refused:
        summary = refused.dispatch(replace(WHOLE, patience=1, workers=1))
        [rested] = events(refused, Throttled)

    assert summary.ended is StopReason.RESTING
    assert (rested.seconds, rested.reason[:3]) == (pytest.approx(5.05), "The")


@pytest.mark.parametrize(("status", "place"), [(401, ""), (403, "POST"), (402, "POST")])
def test_a_refused_key_closes_the_gate(alone: Desk, sandbox: SandboxServer, status: int, place: str) -> None:
    """Commands stay as they are, nobody sends before a person resumes, and it says why, watching or not."""
    ids = alone.put(*projects(6))
    sandbox.world.faults.replace([f"{status}:100%@{place}"])
    summary = alone.dispatch(STAYING)
    asked = alone.api.requests_made

    assert (summary.ended, summary.error and summary.error.code) == (StopReason.CLOSED, status)
    assert alone.states(ids) == ["queued"] * 6
    assert [alone.command(one).failures for one in ids] == [0] * 6
    assert (
        events(alone, AccessDenied)[0].reason == f"The API answered {status}: The sandbox was asked to fail."
    )
    sandbox.world.faults.replace([])
    assert (alone.dispatch(STAYING).ended, alone.api.requests_made) == (StopReason.CLOSED, asked)
    with alone.database.write() as conn:
        pause.resume(conn)
    assert alone.dispatch().delivered == 6


def test_a_look_that_is_refused_closes_the_gate_too(alone: Desk, sandbox: SandboxServer) -> None:
    """What is in doubt stays in doubt."""
    [one] = alone.put(*projects(1))
    sandbox.world.faults.replace(["reset:100%@POST"])
    list(alone.work().run())
    sandbox.world.faults.replace(["401:100%@GET"])

    assert alone.dispatch().ended is StopReason.CLOSED
    assert (alone.states([one]), alone.command(one).ambiguous) == (["in_doubt"], True)


def test_a_persons_pause_ends_a_dispatcher_or_is_waited_out(alone: Desk) -> None:
    """One that stays goes on when the queue is resumed."""
    alone.put(*projects(3))
    with alone.database.write() as conn:
        pause.pause(conn, seconds=None, reason="lunch", by=PausedBy.PERSON)
    assert (alone.dispatch().ended, alone.api.requests_made) == (StopReason.PAUSED, 0)

    thread, summaries = in_background(lambda: alone.dispatch(STAYING))
    until(lambda: bool(events(alone, Idle)))
    with alone.database.write() as conn:
        pause.resume(conn)
    until(lambda: len(events(alone, CommandSettled)) == 3, seconds=15)
    alone.clock.stopping.set()
    thread.join()
    assert summaries[0].delivered == 3


# The network ---------------------------------------------------------------------------------------------


def test_an_api_that_cannot_be_reached_ends_it(sqlite_url: str) -> None:
    """Nothing was sent, so nothing failed; it tries less and less often, with one command at a time."""
    with opened(sqlite_url) as database, desk(database, NOWHERE) as at:
        ids = at.put(*projects(6))
        summary = at.dispatch(replace(WHOLE, patience=1.2))

        assert (summary.ended, summary.sends, summary.in_doubt) == (StopReason.UNREACHABLE, 0, 0)
        assert summary.error is not None
        assert "Could not reach" in summary.error.message
        assert at.states(ids) == ["queued"] * 6
        assert sum(at.command(one).failures for one in ids) == 0
        tries, claims = len(events(at, ApiUnreachable)), sum(at.command(one).fence for one in ids)
        assert tries >= 2
        assert tries < claims <= tries + 3


def test_a_low_rate_slows_it_and_nothing_else(alone: Desk, sandbox: SandboxServer) -> None:
    """The wait for one's turn comes before the arming: nobody rests, and nothing comes too late."""
    alone.api.create_project({"name": "q", "type": BOX})
    alone.put(
        new_commands.update_project("q", {"a": 1}), new_commands.update_project("q", {"a": 2}), *projects(2)
    )
    tight = replace(QUICK, margin=0.1)
    with desk(alone.database, sandbox, timing=tight, rate=5.0) as slow:
        summary = slow.dispatch()

    assert (summary.delivered, summary.sends, events(slow, Throttled)) == (4, 4, [])
    assert summary.seconds > 5 * 0.2


def test_many_workers_under_a_rate_do_not_outwait_each_other(alone: Desk, sandbox: SandboxServer) -> None:
    """There are no more of them than all get their turn while a request may take: nobody pauses the queue."""
    alone.put(*projects(10))
    brief = replace(QUICK, request=0.6, margin=5.0)
    with desk(alone.database, sandbox, timing=brief, rate=5.0) as slow:
        summary = slow.dispatch()

    assert (summary.delivered, summary.sends, events(slow, Throttled)) == (10, 10, [])
    assert not alone.ledger.pause_state().paused


def test_one_that_stays_waits_for_the_network(sqlite_url: str, start_sandbox: Start) -> None:
    """It goes on as soon as the API is there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/v1"
    with opened(sqlite_url) as database, desk(database, address) as at:
        at.put(*projects(3))
        thread, summaries = in_background(lambda: at.dispatch(replace(STAYING, patience=0.1)))
        until(lambda: bool(events(at, ApiUnreachable)))
        start_sandbox(port=port)
        until(lambda: at.ledger.next_due() is None)
        at.clock.stopping.set()
        thread.join()

        assert (summaries[0].ended, summaries[0].delivered) == (StopReason.STOPPED, 3)


def test_an_api_that_never_answers_is_unreachable_too(alone: Desk, sandbox: SandboxServer) -> None:
    """Requests arrive and get no answer: after its patience it ends, and the commands are in doubt."""
    ids = alone.put(*projects(2))
    sandbox.world.faults.replace(["reset:100%"])
    summary = alone.dispatch(replace(WHOLE, patience=1))

    assert (summary.ended, alone.states(ids)) == (StopReason.UNREACHABLE, ["in_doubt"] * 2)


# The end -------------------------------------------------------------------------------------------------


def test_an_empty_queue_is_done_at_once(alone: Desk) -> None:
    """No request is made."""
    summary = alone.dispatch()

    assert (summary.ended, summary.requests) == (StopReason.DONE, 0)


def test_max_commands_are_taken_and_seen_through(at: Desk, sandbox: SandboxServer) -> None:
    """In the order of the queue; those that fail are tried again, others are not begun in their place."""
    ids = at.put(*projects(9))
    sandbox.world.faults.replace(["503:100%:times=3@POST"])
    summary = at.dispatch(replace(WHOLE, max=5, workers=8))

    assert (summary.ended, summary.delivered) == (StopReason.ENOUGH, 5)
    assert at.states(ids) == ["delivered"] * 5 + ["queued"] * 4
    assert at.dispatch(replace(WHOLE, max=5)).delivered == 4


def test_only_what_it_was_told_is_taken(alone: Desk) -> None:
    """Everything else stays queued, and it does not wait for it."""
    ids = alone.put(*projects(4))
    summary = alone.dispatch(replace(WHOLE, only=ids[1:3]))

    assert (summary.ended, alone.states(ids)) == (
        StopReason.DONE,
        ["queued", "delivered", "delivered", "queued"],
    )


def test_what_is_not_due_within_its_patience_is_left(alone: Desk, sandbox: SandboxServer) -> None:
    """Backoffs that grow beyond it end a dispatcher without progress; answers came, so the API is there."""
    [one] = alone.put(*projects(1))
    sandbox.world.faults.replace(["503:100%@POST"])
    summary = alone.dispatch(replace(WHOLE, patience=0.6), random=lambda: 1.0)

    assert (summary.ended, alone.states([one])) == (StopReason.LATER, ["in_doubt"])


def test_its_patience_ends_though_there_is_always_something_to_try(
    alone: Desk, sandbox: SandboxServer
) -> None:
    """Many commands that fail and are due again at once do not keep it going without progress."""
    alone.put(*projects(12))
    sandbox.world.faults.replace(["503:100%@POST"])
    summary = alone.dispatch(replace(WHOLE, patience=0.5), random=lambda: 0.0)

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


def test_asked_to_stop_it_finishes_what_is_being_sent(alone: Desk, sandbox: SandboxServer) -> None:
    """Sends in hand are settled, and nothing new is begun."""
    ids = alone.put(*projects(9))
    slow = Slow()
    thread, summaries = in_background(lambda: alone.dispatch(STAYING, handlers={"create_project": slow}))
    assert slow.begun.wait(10)
    until(lambda: sum(event.step == "send" for event in events(alone, StepStarted)) == 4)
    alone.clock.stopping.set()
    thread.join()

    assert (summaries[0].ended, summaries[0].delivered, summaries[0].sends) == (StopReason.STOPPED, 4, 4)
    assert alone.states(ids) == ["delivered"] * 4 + ["queued"] * 5
    assert sandbox.world.requests["POST /projects"] == 4


def test_what_is_claimed_and_not_armed_is_given_back(alone: Desk) -> None:
    """A process that stops between two steps leaves its command queued, with no doubt."""
    [one] = alone.put(*projects(1))
    steps = alone.work().run()
    assert next(steps) == "prepare"
    alone.clock.stopping.set()

    assert [*steps] == ["arm", "settle"]
    assert (alone.states([one]), alone.command(one).sends) == (["queued"], 0)


def test_one_that_stays_sends_what_others_queue(at: Desk, database_url: str) -> None:
    """Within about a second, as it looks by itself."""
    thread, summaries = in_background(lambda: at.dispatch(STAYING))
    until(lambda: bool(events(at, Idle)))
    with opened(database_url) as theirs:
        for number in range(3):
            time.sleep(0.3)
            with theirs.write() as conn:
                enqueue(conn, *projects(1, first=number))
            until(lambda settled=number: len(events(at, CommandSettled)) > settled, seconds=4)  # type: ignore[misc]
    at.clock.stopping.set()
    thread.join()

    assert summaries[0].delivered == 3


def test_a_request_to_stop_ends_a_wait_for_work(alone: Desk, sandbox: SandboxServer) -> None:
    """At once, and not when the queue would be looked at again."""
    took = []
    for _ in range(3):
        with desk(alone.database, sandbox) as waiting:
            thread, summaries = in_background(partial(waiting.dispatch, STAYING))
            until(lambda idle=waiting: bool(events(idle, Idle)))  # type: ignore[misc]
            began = time.monotonic()
            waiting.clock.stopping.set()
            thread.join()
            took.append(time.monotonic() - began)
            assert summaries[0].ended is StopReason.STOPPED
    assert min(took) < IDLE_POLL / 2


def test_one_that_waits_for_work_locks_nothing(at: Desk) -> None:
    """It reads the queue once a second, with one statement; a held command makes no difference."""
    [held] = at.put(*projects(1))
    at.change(held, hold_reason="somebody wants to look")
    thread, _ = in_background(lambda: at.dispatch(STAYING))
    until(lambda: bool(events(at, Idle)))
    time.sleep(0.2)
    asked: list[str] = []
    note = lambda *given: asked.append(given[2])  # noqa: E731 - to be removed again
    event.listen(Engine, "before_cursor_execute", note)
    time.sleep(2.5)
    event.remove(Engine, "before_cursor_execute", note)
    at.clock.stopping.set()
    thread.join()

    queries = [one for one in asked if not one.startswith(("BEGIN", "PRAGMA"))]
    assert 1 <= len(queries) <= 3
    assert not [one for one in asked if "UPDATE" in one or "IMMEDIATE" in one]


def test_looking_only_settles_doubts_and_sends_nothing(at: Desk, sandbox: SandboxServer) -> None:
    """Present: delivered; absent and the settle time over: queued; absent too early, or no look: in doubt.

    Held ones and those not yet due are looked at too, each once, and what is queued is left alone.
    """
    ids = at.put(*projects(4))
    sandbox.world.faults.replace(["applied-then-dropped:100%:times=2@POST", "reset:100%@POST"])
    for one in ids[:3]:
        list(at.work(one).run())
    sandbox.world.faults.replace([])
    for one in ids[:3]:
        at.change(one, hold_reason="somebody wanted to look")
    patient = replace(QUICK, settle=60)
    with desk(at.database, sandbox, timing=patient) as waiting:
        early = waiting.dispatch(replace(WHOLE, reconcile_only=True))

    assert at.states(ids) == ["delivered", "delivered", "in_doubt", "queued"]
    assert (early.ended, early.looks, early.sends, early.in_doubt) == (StopReason.DONE, 3, 0, 1)
    with desk(at.database, sandbox, timing=replace(QUICK, settle=0)) as hasty:
        late = hasty.dispatch(replace(WHOLE, reconcile_only=True))
    assert (at.states(ids), late.looks, late.returned) == (["delivered"] * 2 + ["queued"] * 2, 1, 1)
    assert sandbox.world.requests["POST /projects"] == 3
    assert [at.command(one).hold_reason is None for one in ids] == [True, True, False, True]


def test_looking_goes_on_while_a_person_paused_the_queue(alone: Desk, sandbox: SandboxServer) -> None:
    """It sends nothing, so a pause does not concern it; a closed door does."""
    ids = alone.put(*projects(1))
    sandbox.world.faults.replace(["applied-then-dropped:100%@POST"])
    list(alone.work().run())
    with alone.database.write() as conn:
        pause.pause(conn, seconds=None, reason="lunch", by=PausedBy.PERSON)

    assert alone.dispatch(replace(WHOLE, reconcile_only=True)).delivered == 1
    assert alone.states(ids) == ["delivered"]


# Mistakes ------------------------------------------------------------------------------------------------


class Mistaken(CreateProject):
    """Has a mistake in it."""

    def send(self, api: Any, payload: Payload) -> Document | None:
        """Fail as no API does."""
        raise ZeroDivisionError(api, payload)


def test_a_mistake_of_ours_does_not_vanish(alone: Desk) -> None:
    """It stops the dispatcher and is raised; whatever else was in hand is settled."""
    ids = alone.put(
        new_commands.create_project("p", BOX, {}),
        *(new_commands.create_batch(f"b{n}", "q") for n in range(9)),
    )
    alone.api.create_project({"name": "q", "type": BOX})
    with pytest.raises(ZeroDivisionError):
        alone.dispatch(handlers={**HANDLERS, "create_project": Mistaken()})

    assert alone.states(ids).count("sending") == 1


class Breaking(DispatcherStore):
    """A ledger whose database fails when it is told to."""

    failures = 0

    def settle(self, *arguments: Any, **more: Any) -> Any:
        """Fail as often as it should, then settle."""
        if self.failures:
            self.failures -= 1
            raise DatabaseError("The disk is full.")
        return super().settle(*arguments, **more)


def test_a_database_that_fails_after_the_send_is_tried_again(alone: Desk, sandbox: SandboxServer) -> None:
    """The answer in hand is kept and written as soon as that is possible."""
    [one] = alone.put(*projects(1))
    ledger = Breaking(alone.database, alone.ledger.owner, QUICK)
    ledger.failures = 1
    alone.dispatch(ledger=ledger)

    assert (alone.ended(one), alone.command(one).sends) == (("delivered", "applied"), 1)
    assert sandbox.world.requests["POST /projects"] == 1


def test_a_database_that_stays_away_stops_it_and_the_next_one_looks(
    alone: Desk, sandbox: SandboxServer
) -> None:
    """What could not be written is found out from the API when the lease is over."""
    [one] = alone.put(*projects(1))
    with desk(alone.database, sandbox, timing=HASTY) as failing:
        ledger = Breaking(alone.database, failing.ledger.owner, HASTY)
        ledger.failures = 1_000
        with pytest.raises(DatabaseError):
            failing.dispatch(ledger=ledger)
    assert (alone.states([one]), 990 < ledger.failures < 999) == (["sending"], True)

    alone.expire(one)
    summary = alone.dispatch()
    assert (alone.ended(one), summary.sends, summary.looks) == (("delivered", "applied"), 0, 1)


def test_a_dispatcher_refuses_a_client_without_limits(alone: Desk) -> None:
    """A request that may last longer than the lease allows for would outlive it."""
    with ScaleApi("live_key") as unlimited:
        wrong = [replace(alone, timing=replace(QUICK, request=0.1)), replace(alone, api=unlimited)]
        for other in (*wrong, replace(alone, timing=replace(QUICK, settle=9))):
            with pytest.raises(ConfigurationError):
                other.dispatcher(ledger=alone.ledger)
