"""Gaps that runs and verifications left are known until something has closed them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scalesync.db.database import Database
from scalesync.db.sync import known_gaps, runs, verifications, window_ledger
from scalesync.models.sync import (
    RunKind,
    RunState,
    VerificationRecord,
    VerificationState,
    Window,
    WindowState,
)
from scalesync.status import read_status

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FULL, CHANGES, PART = RunKind.FULL, RunKind.INCREMENTAL, RunKind.BACKFILL
STREAMS = ("projects", "batches", "tasks")
EVERYTHING = [Window(stream) for stream in STREAMS]
SINCE = [Window(stream, updated_from=BEGAN if stream == "tasks" else None) for stream in STREAMS]
MARCH = [Window("tasks", created_from=BEGAN, created_to=BEGAN + 30 * DAY)]
A_DAY = [Window("tasks", created_from=BEGAN + DAY, created_to=BEGAN + 2 * DAY)]
OF_P = [Window("tasks", "p", created_from=BEGAN + DAY, created_to=BEGAN + 2 * DAY)]
FAILED = VerificationRecord(
    BEGAN + 9 * DAY, VerificationState.DRIFT, '["all"]', everything=True, deep=False, drift=3, unproven=None,
    requests=1, behind=0,
)  # fmt: skip
PROVEN = replace(FAILED, as_of=BEGAN + 50 * DAY, state=VerificationState.PROVEN, drift=0)


def run(database: Database, kind: RunKind, windows: list[Window], *, complete: bool = True) -> None:
    """Add a run that has ended; each is a day after the one before."""
    with database.write() as conn:
        number = len(runs.recent(conn, 100))
        at = BEGAN + (10 + number) * DAY
        assert runs.start(conn, kind, at, windows, watermark_at=None if kind is PART else at)
        for window in window_ledger.claim_several(conn, "me", 30, 100):
            state = WindowState.CLOSED if complete else WindowState.FAILED
            window_ledger.finish(conn, window, state, None if complete else "lost")
        opened = runs.open_run(conn)
        assert opened is not None
        assert runs.finish(conn, opened, at + timedelta(minutes=1)) is not None


def gap(database: Database) -> int | None:
    """Return the id of the run that left a gap."""
    with database.read() as conn:
        found = known_gaps.incomplete_run(conn)
    assert found is None or found.state is RunState.INCOMPLETE
    return None if found is None else found.id


def verified(database: Database, *records: VerificationRecord) -> VerificationRecord | None:
    """Add verifications; return the one that is still in doubt."""
    with database.write() as conn:
        for record in records:
            verifications.remember(conn, record)
    with database.read() as conn:
        return known_gaps.failed_verification(conn)


@pytest.mark.parametrize(
    ("kind", "windows", "later", "read", "closed"),
    [
        (FULL, EVERYTHING, CHANGES, SINCE, False),
        (FULL, EVERYTHING, PART, MARCH, False),
        (FULL, EVERYTHING, FULL, EVERYTHING, True),
        (FULL, EVERYTHING, FULL, [Window("projects")], False),
        (CHANGES, SINCE, CHANGES, SINCE, True),
        (CHANGES, SINCE, CHANGES, SINCE[:1], False),
        (CHANGES, SINCE, FULL, EVERYTHING, True),
        (CHANGES, SINCE, PART, MARCH, False),
        (PART, A_DAY, PART, MARCH, True),
        (PART, MARCH, PART, A_DAY, False),
        (PART, A_DAY, PART, OF_P, False),
        (PART, OF_P, PART, A_DAY, True),
        (PART, MARCH, PART, [Window("batches", created_from=BEGAN, created_to=BEGAN + 30 * DAY)], False),
        (PART, MARCH, PART, [replace(MARCH[0], updated_from=BEGAN)], False),
        (PART, MARCH, CHANGES, SINCE, False),
        (PART, MARCH, FULL, EVERYTHING, True),
    ],
)
def test_a_gap_is_closed_by_a_later_run_that_read_as_much(
    database: Database, kind: RunKind, windows: list[Window], later: RunKind, read: list[Window], closed: bool
) -> None:
    """Neither by an earlier one, nor by one that is incomplete itself, nor by one that read less."""
    run(database, later, read)
    run(database, kind, windows, complete=False)
    assert gap(database) == 2
    run(database, later, read, complete=False)
    assert gap(database) == 3
    run(database, later, read)
    assert gap(database) == (None if closed else 2)


def test_a_verification_of_everything_closes_the_gaps_before_it(database: Database) -> None:
    """And none that a run left after it, or that it found itself."""
    run(database, FULL, EVERYTHING, complete=False)
    verified(database, replace(PROVEN, as_of=BEGAN))
    assert gap(database) == 1
    verified(database, replace(PROVEN, everything=False))
    assert gap(database) == 1
    verified(database, PROVEN)
    assert gap(database) is None


def test_a_difference_is_known_until_it_is_gone(database: Database) -> None:
    """Proven equal later, by as much and as deep; or everything was read again."""
    assert verified(database, PROVEN, FAILED) == FAILED
    assert verified(database, replace(PROVEN, everything=False, scope='["a part"]')) == FAILED
    assert verified(database, PROVEN) is None

    deep = replace(FAILED, deep=True)
    assert verified(database, deep, PROVEN) == deep
    assert verified(database, replace(PROVEN, deep=True)) is None

    part = replace(FAILED, everything=False, scope='["a part"]')
    assert verified(database, part) == part
    assert verified(database, replace(part, state=VerificationState.PROVEN, drift=0)) is None

    assert verified(database, FAILED) == FAILED
    run(database, CHANGES, SINCE)
    run(database, FULL, EVERYTHING[:2])
    assert verified(database) == FAILED
    run(database, FULL, EVERYTHING)
    assert verified(database) is None


def test_gaps_are_said_after_later_runs_too(database: Database) -> None:
    """By status, and by everything that asks it, such as exports, pages and published tables."""
    run(database, FULL, EVERYTHING)
    run(database, FULL, EVERYTHING, complete=False)
    run(database, CHANGES, SINCE)
    verified(database, replace(FAILED, as_of=BEGAN + 20 * DAY))
    with database.read() as conn:
        said = " ".join(read_status(conn, "", BEGAN, recent=1, count=False).sync_gaps())
    assert "Run 2 ended incomplete" in said
    assert "lost" in said
    assert "3 objects differed" in said
