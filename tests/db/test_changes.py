"""The history of tasks: one row per real change, in an order that can be followed by a number."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from scalesync.db.database import Database
from scalesync.db.mirror import changes
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.models.changes import SeenBy
from scalesync.timestamps import format_instant
from tests.db.test_upserts import at, task, wait_until_blocked, write
from tests.support.databases import opened

SIGNED = "https://bucket.example/1.json?X-Amz-Date=20260101&X-Amz-Signature="


def seen(database: Database, *, after_id: int | None = None) -> list[tuple[str, str, str | None, str | None]]:
    """Return the changes as (task, field, before, after)."""
    with database.read() as conn:
        found = changes.listing(conn, after_id=after_id)
        return [(each.task_id, each.field, each.before, each.after) for each in found]


def test_the_first_sight_of_a_task_is_a_change_of_its_status(database: Database) -> None:
    """It is one row, whatever the task has; and so whoever follows hears of every task."""
    write(database, TASKS, [task("a", status="completed", batch="b", response={"x": 1}), task("n")], at(0))
    assert seen(database) == [("a", "status", None, "completed"), ("n", "status", None, None)]


def test_every_followed_field_that_changes_is_a_row(database: Database) -> None:
    """With what was there before and what is there now; other fields are none."""
    write(database, TASKS, [task("a", status="pending", instruction="x")], at(0))
    done = {"status": "completed", "customer_review_status": "accepted", "batch": "b"}
    done |= {"completed_at": "2026-03-01T12:00:00.000Z", "instruction": "y"}
    write(database, TASKS, [task("a", **done)], at(1))
    assert seen(database)[1:] == [
        ("a", "status", "pending", "completed"),
        ("a", "customer_review_status", None, "accepted"),
        ("a", "batch", None, "b"),
        ("a", "completed_at", None, "2026-03-01T12:00:00.000Z"),
    ]


def test_a_re_read_is_no_change(database: Database) -> None:
    """The same document, an older copy, and one that differs in what nobody follows."""
    write(database, TASKS, [task("a", status="pending", response={"x": 1})], at(0))
    for minutes, fields in ((1, {}), (-1, {"batch": "old"}), (2, {"instruction": "new"})):
        write(
            database,
            TASKS,
            [task("a", **({"status": "pending", "response": {"x": 1}} | fields))],
            at(minutes),
        )
    assert len(seen(database)) == 1


def test_a_response_changes_with_its_content_and_not_with_its_signatures(database: Database) -> None:
    """A presigned link that differs is no change; another link, or another label, is one, told by digests."""
    responses = [
        {"url": f"{SIGNED}one"},
        {"url": f"{SIGNED}two"},
        {"url": "https://bucket.example/2.json?X-Amz-Signature=two"},
        {"url": "https://bucket.example/2.json?X-Amz-Signature=two", "label": "car"},
    ]
    for minutes, response in enumerate(responses):
        write(database, TASKS, [task("a", status="completed", response=response)], at(minutes))
    _, first, second = seen(database)
    assert (first[1], second[1]) == ("response", "response")
    assert first[3] == second[2]
    assert len({first[2], first[3], second[3]}) == 3


def test_going_and_coming_back_are_changes(database: Database) -> None:
    """A task that the API has no more, and one that it has again."""
    write(database, TASKS, [task("a", status="pending"), task("b")], at(0))
    with database.write() as conn:
        mark_missing(conn, TASKS, ["a"], at(1), run_id=7)
        mark_missing(conn, TASKS, ["a"], at(2), run_id=8)
    write(database, TASKS, [task("a", status="pending")], at(3))
    gone = format_instant(at(1))
    assert seen(database)[2:] == [("a", "missing_since", None, gone), ("a", "missing_since", gone, None)]


def test_a_change_names_its_run_and_when_the_api_said_so(database: Database) -> None:
    """What no run saw, but the answer to a command, names none."""
    with database.write() as conn:
        write_rows(conn, TASKS, [task("a", status="pending")], SeenBy(at(0), 3))
    write(database, TASKS, [task("a", status="canceled")], at(1))
    with database.read() as conn:
        found = [(each.run_id, each.seen_at) for each in changes.listing(conn)]
        later = [each.run_id for each in changes.listing(conn, since=at(1))]
    assert (found, later) == ([(3, at(0)), (None, at(1))], [None])


def test_following_by_a_number_misses_nothing(database: Database) -> None:
    """What comes after the last number seen is all that was not seen yet."""
    for minutes in range(4):
        write(database, TASKS, [task("a", batch=str(minutes))], at(minutes))
        with database.read() as conn:
            last = max(each.id for each in changes.listing(conn))
        assert seen(database, after_id=last) == []
    assert [change[3] for change in seen(database, after_id=last - 1)] == ["3"]


@pytest.mark.parametrize("new", [True, False], ids=["new", "known"])
def test_numbers_are_committed_in_their_order(postgres_url: str, *, new: bool) -> None:
    """Of two writers on Postgres the second waits, so that nobody sees its number before the first's."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        # Of two projects, so that they meet in no partition.
        if not new:
            write(database, TASKS, [task("a", project="p"), task("b", project="q")], at(-1))
        with database.write() as first:
            write_rows(first, TASKS, [task("a", status="x", project="p")], SeenBy(at(0)))
            second = threads.submit(write, database, TASKS, [task("b", status="y", project="q")], at(0))
            wait_until_blocked(database)
        second.result()
        assert [change[0] for change in seen(database)][-2:] == ["a", "b"]


def test_a_first_sight_is_seen_once_by_two_at_once(postgres_url: str) -> None:
    """Two processes that meet the same new task note its appearance once, and then what changed."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        with database.write() as first:
            write_rows(first, TASKS, [task("a", status="pending")], SeenBy(at(0)))
            second = threads.submit(write, database, TASKS, [task("a", status="completed")], at(1))
            wait_until_blocked(database)
        second.result()
        assert seen(database) == [("a", "status", None, "pending"), ("a", "status", "pending", "completed")]
