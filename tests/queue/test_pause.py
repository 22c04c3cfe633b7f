"""A pause of dispatching: who sets it for how long, who ends it, and when there is something to do."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.db.migrate import upgrade
from scalesync.db.queue import pause
from scalesync.models.commands import CommandState
from scalesync.models.queue_state import PausedBy, PauseState
from scalesync.queue import new_commands
from tests.support.claims import alter, arm, claim, ids, soon, taken
from tests.support.commands import change, put, task
from tests.support.databases import downgrade

OPEN = PauseState(paused=False, seconds=None, reason=None)


def now(database: Database) -> PauseState:
    """Return the pause as it is."""
    with database.read() as conn:
        return pause.pause_state(conn)


def close(
    database: Database, seconds: float | None, reason: str = "429", by: PausedBy = PausedBy.API
) -> None:
    """Pause in a transaction of its own."""
    with database.write() as conn:
        pause.pause(conn, seconds=seconds, reason=reason, by=by)


def due(database: Database) -> float | None:
    """Return in how many seconds there may be something to claim."""
    with database.read() as conn:
        return pause.next_due(conn)


def test_nothing_is_claimed_while_the_gate_is_closed(database: Database) -> None:
    """It is closed for everybody until its time is over or somebody resumes."""
    put(database, task("a"))
    assert now(database) == OPEN
    close(database, 60)
    shut = now(database)
    assert (shut.paused, shut.reason) == (True, "429")
    assert shut.seconds == pytest.approx(60, abs=5)
    assert claim(database) == []
    with database.write() as conn:
        pause.resume(conn)
    assert now(database) == OPEN
    assert ids(database) == [1]


def test_a_pause_ends_by_itself(database: Database) -> None:
    """A time that is past closes nothing, and gives no reason."""
    put(database, task("a"))
    close(database, -1)
    assert now(database) == OPEN
    assert ids(database) == [1]


def test_what_is_armed_is_not_stopped_by_a_pause(database: Database) -> None:
    """A pause keeps claims back, and nothing that is claimed."""
    put(database, task("a"))
    one = taken(database)
    close(database, None)
    assert arm(database, one)


def test_whoever_lost_a_command_loses_it_at_a_closed_gate_too(database: Database) -> None:
    """Rescue does not wait for the end of a pause."""
    put(database, task("a"))
    taken(database)
    alter(database, 1, leased_until=soon(-1))
    close(database, None)
    assert claim(database) == []
    with database.write() as conn:
        pause.resume(conn)
    assert ids(database) == [1]


@pytest.mark.parametrize(
    ("first", "second", "left", "reason"),
    [
        ((60, "a"), (30, "b"), 60, "a"),
        ((60, "a"), (90, "b"), 90, "b"),
        ((60, "a"), (None, "b"), None, "b"),
        ((None, "a"), (60, "b"), None, "a"),
        ((None, "a"), (None, "b"), None, "b"),
        ((-5, "a"), (30, "b"), 30, "b"),
    ],
)
def test_a_pause_is_never_shortened(
    database: Database, first: Any, second: Any, left: Any, reason: str
) -> None:
    """The longer one counts, with its reason; without an end is longest."""
    close(database, *first)
    close(database, *second)
    shut = now(database)
    assert (shut.paused, shut.reason) == (True, reason)
    assert shut.seconds == (None if left is None else pytest.approx(left, abs=5))


def test_a_persons_pause_is_told_from_one_of_the_api(database: Database) -> None:
    """Read who paused from its column and not from the reason; nobody once the queue is resumed."""
    assert now(database).paused_by is None
    close(database, 60, "paused by a person")
    assert now(database).paused_by is PausedBy.API
    close(database, None, "401", PausedBy.PERSON)
    assert now(database).paused_by is PausedBy.PERSON
    with database.write() as conn:
        pause.resume(conn)
    assert now(database).paused_by is None


@pytest.mark.parametrize(
    ("reason", "by"),
    [(None, None), ("429: wait", PausedBy.API), ("paused by a person: lunch", PausedBy.PERSON)],
)
def test_who_paused_is_known_of_older_rows(
    reason: str | None, by: PausedBy | None, database: Database
) -> None:
    """Before it had a column, a person's pause was known by how its reason began."""
    with database.write() as conn:
        downgrade(conn, "0011")
        conn.execute(text("UPDATE dispatch_gate SET pause_reason = :reason"), {"reason": reason})

    upgrade(database)

    assert (now(database).paused_by, now(database).reason) == (by, reason)


@pytest.mark.parametrize(
    "values",
    ["paused_until = '2999-01-01T00:00:00.000Z'", "pause_reason = 'by hand'"],
)
def test_a_pause_that_somebody_wrote_in_sql_is_one(values: str, database: Database) -> None:
    """Keep everybody from sending although no column says who paused; it counts as no person's pause."""
    put(database, task("a"))
    with database.write() as conn:
        conn.execute(text(f"UPDATE dispatch_gate SET {values}"))

    assert (now(database).paused, now(database).paused_by) == (True, None)
    assert ids(database) == []


def test_who_locks_the_gate_keeps_claims_waiting(postgres_url: str) -> None:
    """On Postgres no claim passes until that transaction ends; on SQLite every writer waits anyway."""
    database = Database.open(postgres_url)
    try:
        put(database, task("a"))
        with ThreadPoolExecutor(1) as other:
            with database.write() as conn:
                pause.lock(conn)
                waiting = other.submit(ids, database)
                with pytest.raises(TimeoutError):
                    waiting.result(timeout=0.3)
                pause.pause(conn, seconds=None, reason="closed", by=PausedBy.API)
            assert waiting.result(timeout=20) == []
    finally:
        database.close()


def test_when_there_is_something_to_claim(database: Database) -> None:
    """At once, at the first time that something unblocked waits for, or when a lease ends; else never."""
    assert due(database) is None
    for order in (
        new_commands.update_project("p", {"n": 1}),
        new_commands.update_project("p", {"n": 2}),
        task("a"),
    ):
        put(database, order)
    assert due(database) == 0.0
    alter(database, 1, hold_reason="held")
    alter(database, 3, hold_reason="held")
    assert due(database) is None
    alter(database, 2, not_before=soon(30))
    assert due(database) is None
    alter(database, 1, hold_reason=None, not_before=soon(60))
    assert due(database) == pytest.approx(60, abs=5)
    change(database, 3, CommandState.SENDING, leased_until=soon(40))
    assert due(database) == pytest.approx(40, abs=5)
    alter(database, 3, leased_until=soon(-40))
    assert due(database) == 0.0
    alter(database, 3, leased_until=soon(500))
    alter(database, 1, not_before=soon(-1))
    assert due(database) == 0.0
