"""Claims: what is taken, in which order, and what keeps a command back."""

from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from scalesync.db.database import Database
from scalesync.db.queue import claim_arm_settle
from scalesync.db.queue.pause import pause
from scalesync.db.schema.queue import commands
from scalesync.errors import DatabaseError
from scalesync.models.commands import CommandState, NewCommand, Outcome, Settlement
from scalesync.models.queue_state import PausedBy
from scalesync.queue import new_commands
from tests.support.claims import DONE, alter, claim, ids, settle, soon, taken
from tests.support.commands import change, found, put, put_all, task

QUEUED, SENDING, IN_DOUBT = CommandState.QUEUED, CommandState.SENDING, CommandState.IN_DOUBT
DELIVERED, DEAD, DISCARDED = CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED
EVERY_STATE = tuple(CommandState)


def new(kind: str, resource: str, **values: Any) -> NewCommand:
    """Return a command of no content."""
    return NewCommand(kind, "{}", resource, **values)


def test_a_claim_gives_a_command_to_one_owner(database: Database) -> None:
    """It is `sending` under a lease and a new number, and nobody else gets it."""
    put(database, task("a"))
    one = taken(database)
    command = found(database, 1)
    assert one.command == command
    assert (command.state, command.fence, command.owner, command.sends) == (SENDING, 1, "me", 0)
    assert command.leased_until is not None
    assert 190 < (command.leased_until - soon(0)).total_seconds() < 210
    assert claim(database) == []
    with database.read() as conn:
        assert claim_arm_settle.owners(conn) == ["me"]


def test_the_lower_priority_goes_first_and_then_the_older_command(database: Database) -> None:
    """What is claimed is the front of the queue, and it is handed over in order."""
    put_all(database, [new("update_project", f"project:{n}", priority=-n % 3) for n in range(1, 7)])
    assert ids(database, 4) == [3, 6, 2, 5]
    assert ids(database) == [1, 4]
    assert ids(database, 0) == []


EARLIER: list[tuple[str, dict[str, Any], dict[str, Any], set[CommandState]]] = [
    (
        "a create before what is on its resource",
        {"kind": "create_task", "resource": "task:a"},
        {"kind": "cancel_task", "resource": "task:a"},
        {QUEUED, SENDING, IN_DOUBT, DEAD},
    ),
    (
        "a create before one that corrects it, unless it is dead",
        {"kind": "create_task", "resource": "task:a"},
        {"kind": "create_task", "resource": "task:a"},
        {QUEUED, SENDING, IN_DOUBT},
    ),
    (
        "an update before another",
        {"kind": "update_project", "resource": "project:p"},
        {"kind": "update_project", "resource": "project:p"},
        {QUEUED, SENDING, IN_DOUBT},
    ),
    (
        "a batch before its tasks",
        {"kind": "create_batch", "resource": "batch:b", "scope": "batch:b"},
        {"kind": "create_task", "resource": "task:a", "scope": "batch:b", "depends_on": "batch:b"},
        {QUEUED, SENDING, IN_DOUBT, DEAD},
    ),
    (
        "a project before its batches",
        {"kind": "create_project", "resource": "project:p"},
        {"kind": "create_batch", "resource": "batch:b", "depends_on": "project:p"},
        {QUEUED, SENDING, IN_DOUBT, DEAD},
    ),
    (
        "no update before what is made in the project",
        {"kind": "update_project", "resource": "project:p"},
        {"kind": "create_batch", "resource": "batch:b", "depends_on": "project:p"},
        set(),
    ),
    (
        "tasks before the finalize of their batch",
        {"kind": "create_task", "resource": "task:a", "scope": "batch:b"},
        {"kind": "finalize_batch", "resource": "batch:b", "scope": "batch:b"},
        {QUEUED, SENDING, IN_DOUBT, DEAD},
    ),
    (
        "no tasks of another batch before it",
        {"kind": "create_task", "resource": "task:a", "scope": "batch:other"},
        {"kind": "finalize_batch", "resource": "batch:b", "scope": "batch:b"},
        set(),
    ),
    (
        "no task before another of the same batch",
        {"kind": "create_task", "resource": "task:a", "scope": "batch:b"},
        {"kind": "create_task", "resource": "task:c", "scope": "batch:b"},
        set(),
    ),
]


@pytest.mark.parametrize(
    ("first", "second", "blocking"), [case[1:] for case in EARLIER], ids=[c[0] for c in EARLIER]
)
def test_what_comes_before_what(
    database: Database, first: dict[str, Any], second: dict[str, Any], blocking: set[CommandState]
) -> None:
    """An earlier command keeps a later one back in these states exactly, also if it is asked for by id."""
    put_all(database, [NewCommand(payload="{}", **first), NewCommand(payload="{}", **second)])
    for state in EVERY_STATE:
        for only in (None, [2]):
            change(database, 1, state, hold_reason="held", ambiguous=state is IN_DOUBT)
            change(database, 2, QUEUED)
            expected = [] if state in blocking else [2]
            assert ids(database, 1, only=only) == expected, (state, only)


def test_a_later_command_keeps_nothing_back_unless_it_is_in_flight(database: Database) -> None:
    """Order goes by number: a revived command waits only for one that has its resource already."""
    put_all(database, [new("update_project", "project:p"), new("update_project", "project:p")])
    for state in EVERY_STATE:
        change(database, 1, QUEUED)
        change(database, 2, state, hold_reason="held")
        assert (ids(database) == []) is (state in (SENDING, IN_DOUBT)), state


def test_what_is_in_doubt_waits_for_nobody_on_its_resource(database: Database) -> None:
    """It has the resource: an earlier command that was revived meanwhile waits for it."""
    put_all(database, [new("update_project", "project:p"), new("update_project", "project:p")])
    change(database, 2, IN_DOUBT, ambiguous=True)
    assert ids(database) == [2]


@pytest.mark.parametrize("state", [QUEUED, IN_DOUBT])
def test_what_is_held_or_not_due_is_not_claimed(database: Database, state: CommandState) -> None:
    """Neither by its turn nor by its number; a time that is past keeps nothing back."""
    put_all(database, [task("a"), task("b"), task("c")])
    change(database, 1, state, hold_reason="held", ambiguous=state is IN_DOUBT)
    change(database, 2, state, not_before=soon(60), ambiguous=state is IN_DOUBT)
    change(database, 3, state, not_before=soon(-60), ambiguous=state is IN_DOUBT)
    assert ids(database, only=[1, 2]) == []
    assert ids(database, 1) == [3]


def test_only_those_asked_for_are_claimed(database: Database) -> None:
    """Others stay, however long they wait; unknown numbers are nothing."""
    put_all(database, [task(name) for name in "abcd"])
    assert ids(database, only=[4, 2, 77]) == [2, 4]
    assert ids(database, only=[]) == []
    assert ids(database, 1, only=[3, 1]) == [1]


def test_looking_takes_what_is_in_doubt_and_nothing_else(database: Database) -> None:
    """Held and not due included, and while a person paused the queue; not while the API closed it."""
    put_all(database, [task(name) for name in "abcd"])
    change(database, 2, IN_DOUBT, ambiguous=True, hold_reason="held")
    change(database, 3, IN_DOUBT, ambiguous=True, not_before=soon(60))
    with database.write() as conn:
        pause(conn, seconds=None, reason="401: closed", by=PausedBy.API)
    assert ids(database, looking_only=True) == []
    with database.write() as conn:
        pause(conn, seconds=None, reason="lunch", by=PausedBy.PERSON)
    assert ids(database) == []
    assert ids(database, looking_only=True, only=[3, 4]) == [3]
    assert ids(database, looking_only=True) == [2]


def test_commands_far_behind_what_is_blocked_are_found(database: Database) -> None:
    """However many wait at the front, of every sort, the first that may go are claimed, in order."""
    held = new("create_batch", "batch:u", scope="batch:u")
    blocked = [task(f"u{n}", "u") for n in range(260)]
    placed = [task(f"b{n}", f"b{n % 3}", project=None) for n in range(6)]
    last = [
        new("update_project", "project:p"),
        new("update_project", "project:p"),
        new("x", "x:1", priority=1),
    ]
    put_all(database, [held, *blocked, *placed, *last])
    change(database, 1, QUEUED, hold_reason="held")
    alter(database, 264, not_before=soon(-5))
    alter(database, 265, not_before=soon(60))
    assert ids(database, 3) == [262, 263, 264]
    assert ids(database, 4) == [266, 267, 268, 269]
    assert ids(database) == []


def test_a_claim_says_how_long_ago_it_was_sent_and_its_place_made(database: Database) -> None:
    """Only a request that may have an effect counts; the creation is its own, or of what it depends on."""
    put_all(
        database,
        [new("create_batch", "batch:b"), task("a", "b"), task("c"), new_commands.finalize_batch("b")],
    )
    change(database, 1, DELIVERED, outcome=Outcome.APPLIED, finished_at=soon(-30))
    alter(database, 2, sent_at=soon(-20), ambiguous=True)
    alter(database, 3, sent_at=soon(-20))
    first, second = claim(database)
    assert first.since_sent == pytest.approx(20, abs=5)
    assert first.since_created == pytest.approx(30, abs=5)
    assert (second.since_sent, second.since_created, second.command.sent_at) == (None, None, None)
    settle(database, first, DONE)
    [finalize] = claim(database)
    assert finalize.since_created == pytest.approx(30, abs=5)


def test_two_commands_of_a_resource_cannot_be_in_flight(database: Database) -> None:
    """The database refuses it, should a claim be wrong."""
    put(database, task("a"))
    taken(database)
    with pytest.raises((DatabaseError, IntegrityError)), database.write() as conn:
        conn.execute(
            insert(commands).values(
                cid="x", kind="k", state="in_doubt", resource="task:a", payload="{}", created_at=soon(0)
            )
        )


@pytest.mark.parametrize(
    "verdict",
    [
        Settlement(SENDING),
        Settlement(DISCARDED, Outcome.WITHDRAWN, ambiguous=True),
        Settlement(QUEUED, ambiguous=True),
        Settlement(IN_DOUBT),
        Settlement(DELIVERED, Outcome.APPLIED, ambiguous=True),
    ],
    ids=lambda verdict: f"{verdict.state} {verdict.ambiguous}",
)
def test_a_verdict_that_cannot_be_is_refused(database: Database, verdict: Settlement) -> None:
    """The command stays in the hands it is in."""
    put(database, task("a"))
    one = taken(database)
    with pytest.raises(ValueError, match="No claim comes to"):
        settle(database, one, verdict)
    assert found(database, 1).state is SENDING
