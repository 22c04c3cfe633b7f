"""What people see of the queue: where each command stands, why it waits, and how much there is."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from scalesync.cli.queue_format import attention_sentences
from scalesync.db.database import Database
from scalesync.db.queue import listing as views
from scalesync.db.queue.claim_arm_settle import claim
from scalesync.db.queue.stats import queue_stats
from scalesync.db.schema.queue import commands
from scalesync.models.commands import CommandState, NewCommand, Outcome
from scalesync.models.queue_state import CommandView, DisplayState, QueueStats
from scalesync.models.selection import Selection
from scalesync.queue import new_commands
from scalesync.timestamps import format_instant
from tests.support.commands import change, put, put_all, task

QUEUED, SENDING, IN_DOUBT = CommandState.QUEUED, CommandState.SENDING, CommandState.IN_DOUBT
DELIVERED, DEAD, DISCARDED = CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED
LATER = datetime(2100, 1, 1, tzinfo=UTC)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def shown(database: Database, command_id: int) -> CommandView:
    """Return a command that is there as people see it."""
    with database.read() as conn:
        found = views.view(conn, command_id)
    assert found is not None
    return found


def seen(database: Database, command_id: int) -> tuple[DisplayState, int | None, str | None]:
    """Return where a command stands, what it waits for, and why."""
    found = shown(database, command_id)
    return found.display, found.waits_for, found.reason


def listed(database: Database, **filters: Any) -> list[int]:
    """Return the ids that are listed."""
    with database.read() as conn:
        return [one.command.id for one in views.list_commands(conn, **filters)]


ASKED = "may have been applied: the API is asked first"
NOT_YET = f"not before {format_instant(LATER)}"
DROPPED = "is discarded if the API shows that it was not applied"


WORDS: list[tuple[CommandState, dict[str, Any], tuple[DisplayState, str | None]]] = [
    (QUEUED, {}, (DisplayState.READY, None)),
    (QUEUED, {"not_before": PAST}, (DisplayState.READY, None)),
    (QUEUED, {"ambiguous": True}, (DisplayState.READY, ASKED)),
    (QUEUED, {"not_before": LATER}, (DisplayState.SCHEDULED, f"is tried again {NOT_YET}")),
    (
        QUEUED,
        {"not_before": LATER, "failures": 3},
        (DisplayState.RETRYING, f"has failed 3 times, and is tried again {NOT_YET}"),
    ),
    (QUEUED, {"hold_reason": "it looks odd"}, (DisplayState.HELD, "it looks odd")),
    (SENDING, {}, (DisplayState.SENDING, None)),
    (SENDING, {"discard_requested": True}, (DisplayState.SENDING, DROPPED)),
    (IN_DOUBT, {"ambiguous": True}, (DisplayState.IN_DOUBT, ASKED)),
    (
        IN_DOUBT,
        {"ambiguous": True, "not_before": LATER},
        (DisplayState.IN_DOUBT, f"{ASKED} {NOT_YET}"),
    ),
    (IN_DOUBT, {"hold_reason": "it looks odd"}, (DisplayState.HELD, "it looks odd")),
    (DELIVERED, {"outcome": Outcome.APPLIED}, (DisplayState.DELIVERED, None)),
    (DEAD, {"outcome": Outcome.REJECTED, "error": "no such type"}, (DisplayState.DEAD, "no such type")),
    (DEAD, {"outcome": Outcome.EXHAUSTED}, (DisplayState.DEAD, "it failed too often")),
    (DISCARDED, {"outcome": Outcome.WITHDRAWN}, (DisplayState.DISCARDED, None)),
    (
        DISCARDED,
        {"outcome": Outcome.DEPENDENCY_FAILED},
        (DisplayState.DISCARDED, "what it depended on was discarded"),
    ),
]


def test_where_a_command_stands_is_said_in_words(database: Database) -> None:
    """Each state, and what it waits for, has its display and its sentence."""
    put_all(database, (task(f"t{number}") for number in range(len(WORDS))))
    for number, (state, values, expected) in enumerate(WORDS, 1):
        change(database, number, state, **values)
        display, waits_for, reason = seen(database, number)
        assert (display, reason) == expected
        assert waits_for is None


def test_a_number_that_no_command_has_is_nothing(database: Database) -> None:
    """It is neither shown nor explained."""
    with database.read() as conn:
        assert views.view(conn, 1) is None
        assert views.why(conn, 1) == []


def fill(database: Database) -> None:
    """Queue a project (1), a batch in it (2), its two tasks (3, 4), their finalize (5), and an update (6)."""
    put_all(
        database,
        [
            new_commands.create_project("p", "annotation", {}),
            new_commands.create_batch("b", "p"),
            task("a", "b"),
            task("c", "b"),
            new_commands.finalize_batch("b"),
            new_commands.update_project("p", {"x": 1}),
        ],
    )


def test_what_is_blocked_names_what_it_waits_for(database: Database) -> None:
    """The sentence has the other command's number, kind, name and state."""
    fill(database)
    assert seen(database, 1) == (DisplayState.READY, None, None)
    not_sent = "waits for command 1 (create_project p), which is not sent yet"
    assert seen(database, 2) == (DisplayState.BLOCKED, 1, not_sent)
    assert seen(database, 6) == (DisplayState.BLOCKED, 1, not_sent)
    change(database, 1, DELIVERED)
    change(database, 2, DEAD)
    for number in (3, 4, 5):
        dead = "waits for command 2 (create_batch b), which is dead"
        assert seen(database, number) == (DisplayState.BLOCKED, 2, dead)
    change(database, 2, DELIVERED)
    change(database, 3, SENDING)
    sending = "waits for command 3 (create_task a), which is being sent"
    assert seen(database, 5) == (DisplayState.BLOCKED, 3, sending)
    change(database, 3, DELIVERED)
    change(database, 4, QUEUED, hold_reason="it looks odd")
    assert seen(database, 5) == (
        DisplayState.BLOCKED,
        4,
        "waits for command 4 (create_task c), which is held",
    )


def test_what_is_in_doubt_and_blocked_says_both(database: Database) -> None:
    """A command in doubt is displayed so, and its sentence names what it waits for."""
    fill(database)
    change(database, 3, IN_DOUBT, ambiguous=True)
    blocked = "waits for command 2 (create_batch b), which is not sent yet"
    assert seen(database, 3) == (DisplayState.IN_DOUBT, 2, blocked)


def test_why_walks_to_the_root(database: Database) -> None:
    """From a finalize over its batch to the project that somebody must look after."""
    fill(database)
    change(database, 1, DEAD, error="not enabled")
    with database.read() as conn:
        chain = views.why(conn, 5)
    assert [one.command.id for one in chain] == [5, 2, 1]
    assert chain[-1].reason == "not enabled"
    with database.read() as conn:
        assert [one.command.id for one in views.why(conn, 1)] == [1]


def test_why_never_goes_in_circles(database: Database) -> None:
    """Commands that somebody made wait for each other are each named once."""
    put_all(
        database, [new_commands.create_project("p", "annotation", {}), new_commands.create_batch("b", "p")]
    )
    change(database, 2, IN_DOUBT)
    with database.write() as conn:
        conn.execute(update(commands).where(commands.c.id == 1).values(resource="batch:b"))
        conn.execute(update(commands).where(commands.c.id == 2).values(depends_on="batch:b"))
    with database.read() as conn:
        assert [one.command.id for one in views.why(conn, 1)] == [1, 2]


def test_a_list_is_in_order_and_has_what_was_asked_for(database: Database) -> None:
    """Filters go together; what belongs to a batch is its create, its tasks' creates and its finalize."""
    fill(database)
    put_all(database, [task("d", "other"), new_commands.cancel_task(task_id="5c84")])
    change(database, 7, QUEUED, hold_reason="odd")
    assert listed(database) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert listed(database, limit=2) == [1, 2]
    assert listed(database, kind="create_task") == [3, 4, 7]
    assert listed(database, batch="b") == [2, 3, 4, 5]
    assert listed(database, display=DisplayState.READY) == [1, 8]
    assert listed(database, display=DisplayState.BLOCKED, limit=3) == [2, 3, 4]
    assert listed(database, display=DisplayState.BLOCKED, kind="create_task", batch="b") == [3, 4]
    assert listed(database, display=DisplayState.HELD) == [7]
    assert listed(database, display=DisplayState.DEAD) == []
    change(database, 8, IN_DOUBT)
    assert listed(database, display=DisplayState.IN_DOUBT) == [8]


def test_a_long_list_has_every_command_once(database: Database) -> None:
    """More commands than are held in memory at once come in order and completely."""
    put_all(database, (task(f"t{number}") for number in range(1_234)))
    assert listed(database) == list(range(1, 1_235))


def test_depth_counts_what_is_open_and_what_needs_a_person(database: Database) -> None:
    """An empty queue has no age; final commands count nowhere."""
    with database.read() as conn:
        assert queue_stats(conn) == QueueStats(0, {}, None, 0, 0, 0)
    put_all(database, (task(f"t{number}") for number in range(10)))
    for number, state in enumerate((DELIVERED, DISCARDED, DEAD, SENDING, IN_DOUBT, IN_DOUBT), 1):
        change(database, number, state, hold_reason="odd" if number == 6 else None)
    change(database, 7, QUEUED, hold_reason="odd")
    with database.write() as conn:
        old = datetime.now(UTC) - timedelta(hours=1)
        conn.execute(update(commands).where(commands.c.id <= 4).values(created_at=old))
    with database.read() as conn:
        depth = queue_stats(conn)
    assert depth.by_state == {"queued": 4, "sending": 1, "in_doubt": 2}
    assert (depth.open, depth.dead, depth.in_doubt, depth.held, depth.held_in_doubt) == (7, 1, 2, 2, 1)
    assert list(attention_sentences(depth)) == [
        "4 commands need a person: 1 dead, 1 in doubt, 2 held: see `scalesync queue list`"
    ]
    assert depth.needs_a_person
    assert depth.oldest_seconds == pytest.approx(3600, abs=10)


def test_queued_tasks_stand_beside_mirrored_ones(database: Database) -> None:
    """Each is the body that will be sent, with its type, its command and where it stands."""
    put(database, new_commands.create_batch("b", "p"))
    put(database, task("a", "b", project="p", params={"size": 0.10, "huge": 123456789012345678901234567890}))
    put(database, task("c", project="q"))
    put(database, new_commands.create_task("video", {"unique_id": "v", "project": "q"}))
    put_all(database, [task("gone"), task("there")])
    change(database, 5, DISCARDED)
    change(database, 6, DELIVERED)

    def ids(**wanted: Any) -> list[int]:
        with database.read() as conn:
            return [json.loads(one)["command_id"] for one in views.queued_tasks(conn, Selection(**wanted))]

    with database.read() as conn:
        first = next(views.queued_tasks(conn, Selection()))
    assert json.loads(first) == {
        "command_id": 2,
        "state": "blocked",
        "type": "annotation",
        "unique_id": "a",
        "batch": "b",
        "project": "p",
        "params": {"size": 0.1, "huge": 123456789012345678901234567890},
    }
    assert ids() == [2, 3, 4]
    assert ids(newest_first=True, limit=2) == [4, 3]
    assert ids(project="q") == [3, 4]
    assert ids(project="q", type="video") == [4]
    assert ids(batch="b") == [2]
    assert ids(unique_id="c") == [3]
    assert ids(status="pending") == ids(customer_review_status="fixed") == []
    assert ids(since=LATER) == ids(until=PAST) == []
    assert ids(since=PAST, until=LATER) == [2, 3, 4]


def anything(dice: random.Random) -> NewCommand:
    """Return some order on few names, so that orders get in each other's way."""
    name, number = dice.choice("abcd"), dice.randrange(9)
    return dice.choice(
        [
            new_commands.create_project(name, "annotation", {}),
            new_commands.update_project(name, {"x": number}),
            new_commands.create_batch(name, dice.choice("abcd")),
            task(f"{name}{number}", dice.choice(["a", "b", None]), project=name),
            new_commands.cancel_task(unique_id=f"{name}{number}"),
            new_commands.finalize_batch(name),
        ]
    )


def disturb(database: Database, dice: random.Random, command_id: int) -> None:
    """Leave a command as some dispatcher or person may have left it, if its resource allows that."""
    state = dice.choice([QUEUED, QUEUED, QUEUED, SENDING, IN_DOUBT, DELIVERED, DEAD, DISCARDED])
    with database.read() as conn:
        mine = select(commands.c.resource).where(commands.c.id == command_id).scalar_subquery()
        flying = commands.c.state.in_((SENDING, IN_DOUBT))
        query = select(func.count()).where(commands.c.resource == mine, flying)
        free = not conn.execute(query).scalar_one()
    if free or state not in (SENDING, IN_DOUBT):
        change(
            database,
            command_id,
            state,
            ambiguous=state is IN_DOUBT,
            not_before=dice.choice([None, None, PAST, LATER]),
            hold_reason=dice.choice([None, None, None, "odd"]),
        )


@pytest.mark.parametrize("seed", range(4))
def test_what_is_displayed_ready_is_what_a_claim_takes(database: Database, seed: int) -> None:
    """Whatever is in the queue, a claim takes what is displayed ready, or in doubt and waits for nothing."""
    dice = random.Random(seed)
    put_all(database, (anything(dice) for _ in range(120)))
    with database.read() as conn:
        there = [one.command for one in views.list_commands(conn)]
    for command in there:
        if command.state is QUEUED and dice.random() < 0.4:
            disturb(database, dice, command.id)
    with database.read() as conn:
        everything = list(views.list_commands(conn))
    expected = {one.command.id for one in everything if _claimable(one)}
    assert expected
    with database.write() as conn:
        taken = {one.command.id for one in claim(conn, owner="me", lease=3_600, limit=1_000)}
    assert taken == expected


def _claimable(one: CommandView) -> bool:
    if one.display is DisplayState.READY:
        return True
    waits = one.waits_for is not None or one.command.not_before == LATER
    return one.display is DisplayState.IN_DOUBT and not waits
