"""What a clock said once is not trusted beyond what was seen since."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from scalesync.db.database import Database
from scalesync.db.sync import runs
from scalesync.sync.events import ClockWasAhead
from scalesync.sync.planner import SyncRequest
from scalesync.timestamps import format_instant
from tests.support.misbehaving_api import Answer, MisbehavingApi, Query, batch, project, task
from tests.support.sync_env import TASKS_ONLY, mirrored, present, session, sync

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Hand:
    """The API's clock, moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        """Return the time it shows."""
        return self.at


def watermark(database: Database, stream: str = "tasks") -> datetime | None:
    """Return up to when a stream is known complete."""
    with database.read() as conn:
        return runs.read_watermarks(conn).get(stream)


def changed_at(at: datetime, number: int) -> dict[str, object]:
    """Return a task that was made and changed at this time."""
    return task(number, created_at=format_instant(at), updated_at=format_instant(at))


@pytest.mark.parametrize("before", [False, True], ids=["the first run", "a later run"])
def test_a_watermark_in_the_future_skips_nothing(database: Database, before: bool) -> None:
    """The run after one by a clock that was ahead reads from the last watermark before that, or all."""
    hand = Hand()
    with MisbehavingApi([task(1)], now=hand) as api:
        if before:
            sync(api, database, TASKS_ONLY)
        hand.at += 30 * 24 * HOUR
        sync(api, database, TASKS_ONLY)
        api.tasks.append(changed_at(NOON + HOUR, 2))
        hand.at = NOON + 2 * HOUR
        events: list[object] = []
        with session(api, database) as ready:
            ready.watch = events.append
            ready.sync(TASKS_ONLY)

        assert present(database) == api.everything()
        assert watermark(database) == NOON + 2 * HOUR
        told = [event for event in events if isinstance(event, ClockWasAhead)]
        assert [event.since for event in told] == [NOON if before else None]


def test_a_watermark_in_the_future_is_lowered_before_anything_is_read(database: Database) -> None:
    """A run that then fails leaves none behind that would be believed once the clock has caught up."""
    hand = Hand()
    with MisbehavingApi([task(1)], now=hand) as api:
        hand.at = NOON + 30 * 24 * HOUR
        sync(api, database, TASKS_ONLY)
        hand.at = NOON + HOUR
        api.odd = _fails_after_the_probe()
        assert not sync(api, database, TASKS_ONLY).complete

    assert watermark(database) is None


def _fails_after_the_probe() -> Callable[[str, Query], Answer | None]:
    asked: list[tuple[str, Query]] = []

    def odd(path: str, query: Query) -> Answer | None:
        asked.append((path, query))
        return (404, {"error": "no"}) if path == "/tasks" and len(asked) > 1 else None

    return odd


def test_one_date_in_the_future_moves_no_watermark_there(database: Database) -> None:
    """It is the first of a run that says so, and a later one contradicts it."""
    hand = Hand()

    def now() -> datetime:
        return NOON + HOUR if len(api.asked) <= 1 else hand()

    with MisbehavingApi([task(n) for n in range(150)], now=now) as api:
        assert sync(api, database).complete

    assert watermark(database) == NOON


@pytest.mark.parametrize("stream", ["projects", "batches", "tasks"])
def test_what_was_stamped_in_the_future_takes_changes_all_the_same(database: Database, stream: str) -> None:
    """Times of reading and of change that no clock has reached yet keep no copy out, and no absence."""
    hand = Hand()
    hand.at = NOON + 30 * 24 * HOUR
    docs = [task(1, updated_at="9999-12-31T23:59:59.000Z"), task(2), task(3, updated_at=None)]
    with MisbehavingApi(docs, [project("p"), project("q")], [batch("b"), batch("c")], now=hand) as api:
        sync(api, database)
        hand.at = NOON
        rows = {"projects": api.projects, "batches": api.batches, "tasks": api.tasks}[stream]
        for row in rows:
            row["note"] = "changed"
        api.tasks[0]["updated_at"] = format_instant(NOON)
        gone = rows.pop()
        summary = sync(api, database, SyncRequest(full=True))

        assert (summary.complete, summary.totals.missed) == (True, 1)
        key = "task_id" if stream == "tasks" else "name"
        here = mirrored(database, stream)
        assert {name for name, doc in here.items() if doc.get("note") == "changed"} == {
            row[key] for row in rows
        }
        assert gone[key] not in {row[key] for row in rows}


def test_in_a_full_pass_the_copy_served_last_stays(database: Database) -> None:
    """A time of change that steps back hides nothing from `sync --full`; an incremental pass goes by it."""
    hand = Hand()
    with MisbehavingApi([task(1, updated_at="2026-02-01T00:00:00.000Z")], now=hand) as api:
        sync(api, database, TASKS_ONLY)
        api.tasks[0] |= {"updated_at": "2026-01-01T00:00:00.000Z", "status": "canceled"}
        hand.at += HOUR
        sync(api, database, SyncRequest(("tasks",), full=True))

    assert [doc["status"] for doc in mirrored(database, "tasks").values()] == ["canceled"]
