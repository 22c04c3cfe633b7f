"""The table of windows: what every engine must promise of claims, leases and what was received."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, text, update

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import runs as runs_table
from scalesync.db.schema.sync import window_pages, windows
from scalesync.db.server_clock import seconds_from_now
from scalesync.db.sync import runs, window_ledger, window_splits
from scalesync.errors import LeaseLostError
from scalesync.models.sync import RunKind, RunState, Window, WindowState
from scalesync.parsing.row_parser import key_digest
from scalesync.timestamps import format_instant
from tests.db.test_upserts import at, task, write
from tests.support.databases import PostgresServer, opened

NOON = at(0)
NARROW = Window("tasks", "Straßen & 東京", at(-60), at(60) + timedelta(milliseconds=1), at(-1))


def planned(database: Database, *given: Window) -> int:
    """Open a run with these windows and return its id."""
    with database.write() as conn:
        assert runs.start(conn, RunKind.FULL, NOON, given, watermark_at=NOON)
        run = runs.open_run(conn)
    assert run is not None
    return run.id


def claim(database: Database, owner: str = "me", lease: float = 30) -> Window:
    """Claim a window that must be there."""
    with database.write() as conn:
        window = next(iter(window_ledger.claim_several(conn, owner, lease, 1)), None)
    assert window is not None
    return window


def holds(database: Database, window: Window, owner: str = "me") -> bool:
    """Return whether the claim still counts."""
    try:
        with database.write() as conn:
            window_ledger.require_lease(conn, [window], owner, 30)
    except LeaseLostError:
        return False
    return True


def free(database: Database) -> bool:
    """Return whether another process gets a window; it gives it up again."""
    with database.write() as conn:
        window = next(iter(window_ledger.claim_several(conn, "somebody else", 30, 1)), None)
        window_ledger.release(conn, ["somebody else"])
    return window is not None


def test_a_window_has_the_very_filter_it_was_planned_with(database: Database) -> None:
    """To the millisecond and in every script: a saved token is good under that filter only."""
    run_id = planned(database, NARROW)

    first = claim(database)
    read = replace(first, next_token="t" * 5000, rows_received=1, api_total=3_000_000_000)
    with database.write() as conn:
        window_ledger.save_pages(conn, [(read, 0, key_digest("é") + key_digest("b"))], "me", 60)
        window_ledger.release(conn, ["me"])

    assert replace(NARROW, id=first.id, run_id=run_id, attempts=1) == first
    assert claim(database, "another") == replace(read, attempts=2)


def test_the_oldest_free_window_is_claimed_first(database: Database) -> None:
    """Of the open run, and only those that are open themselves."""
    planned(database, *(Window("tasks", name) for name in "abc"))
    first = claim(database)
    with database.write() as conn:
        window_ledger.finish(conn, first, WindowState.CLOSED)

    assert (first.project, claim(database).project, claim(database).project) == ("a", "b", "c")
    assert not free(database)
    with database.write() as conn:
        window_ledger.release(conn, ["me"])
        conn.execute(update(runs_table).values(state=RunState.INCOMPLETE, finished_at=NOON))
    assert not free(database)


def test_a_claim_is_held_until_the_window_is_claimed_again(database: Database) -> None:
    """By whomever, the same owner included: its first claim may be that of a thread which hangs."""
    planned(database, NARROW)
    first = claim(database)
    assert (holds(database, first), holds(database, first, "another")) == (True, False)

    run_out(database)
    assert holds(database, first), "nobody else claimed it"
    run_out(database)
    second = claim(database)
    assert (holds(database, first), holds(database, second)) == (False, True)
    with database.write() as conn:
        window_ledger.finish(conn, second, WindowState.CLOSED)
    assert not holds(database, second)


def run_out(database: Database) -> None:
    """Make every lease end a second ago by the database's clock."""
    with database.write() as conn:
        conn.execute(update(windows).values(leased_until=seconds_from_now(-1)))


def test_leases_are_extended_and_given_up_by_owner(database: Database) -> None:
    """Others keep theirs as they are; so does whoever gives up those of nobody."""
    planned(database, Window("tasks"), Window("batches"))
    claim(database)
    claim(database, "another")
    run_out(database)
    with database.write() as conn:
        window_ledger.extend(conn, "me", 30)
        assert sorted(window_ledger.owners(conn)) == ["another", "me"]
    assert claim(database, "third").stream == "batches"
    assert not free(database)

    with database.write() as conn:
        assert window_ledger.release(conn, ()) == 0
        assert window_ledger.release(conn, ["me", "nobody"]) == 1
        assert window_ledger.count_open(conn, claim_run(conn), 30)[1] == 1
    assert free(database)


def claim_run(conn: Connection) -> int:
    """Return the id of the open run."""
    run = runs.open_run(conn)
    assert run is not None
    return run.id


@contextmanager
def clock_ahead(postgres_server: PostgresServer, hours: int) -> Iterator[str]:
    """Yield the URL of a migrated database whose server's clock is ahead of ours."""
    name = f"clock_{hours}".replace("-", "behind_")
    url = postgres_server.create(name, "mirror_template")
    moved = f"SELECT pg_catalog.clock_timestamp() + make_interval(0, 0, 0, 0, {hours})"
    with opened(url) as database, database.write() as conn:
        conn.execute(text("CREATE SCHEMA moved"))
        conn.execute(
            text(f"CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS '{moved}'")
        )
        conn.execute(text(f"ALTER DATABASE {name} SET search_path = moved, pg_catalog, public"))
    try:
        yield url
    finally:
        postgres_server.drop(name)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_lease_ends_by_the_servers_clock_whatever_ours_says(
    postgres_server: PostgresServer, hours: int
) -> None:
    """Processes on machines whose clocks differ by hours agree on what is free."""
    with clock_ahead(postgres_server, hours) as url, opened(url) as database:
        planned(database, NARROW)
        claim(database)
        with database.read() as conn:
            until = conn.execute(select(windows.c.leased_until)).scalar_one()
        assert abs(until - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(minutes=10)
        assert not free(database)

        run_out(database)
        assert claim(database, "another").attempts == 2
        assert not free(database)


def test_what_a_window_received_is_forgotten_with_its_end(database: Database) -> None:
    """Or with its next beginning; the counts of an ended one stay for people to see."""
    run_id = planned(database, NARROW, Window("tasks"))
    ending, beginning = (
        replace(claim(database), next_token="t", rows_received=2, api_total=9) for _ in range(2)
    )
    with database.write() as conn:
        for window in (ending, beginning):
            window_ledger.save_pages(conn, [(window, 0, key_digest("a") + key_digest("b"))], "me", 60)
            window_ledger.save_pages(conn, [(window, 1, b"")], "me", 60)
        assert window_ledger.keys_received(conn, ending.id) == (
            2,
            {key_digest("a"), key_digest("b")},
        )
        window_ledger.finish(conn, ending, WindowState.FAILED, "too few")
        window_ledger.restart(conn, beginning, "the same token twice")

        assert conn.execute(select(window_pages)).all() == []
        assert window_ledger.failures(conn, run_id) == ["too few"]
        assert window_ledger.progress(conn, run_id) == [("tasks", 2, 9)]
        again = next(iter(window_ledger.claim_several(conn, "another", 30, 1)), None)
    assert again == replace(Window("tasks"), id=beginning.id, run_id=run_id, attempts=2, failures=1)


def test_an_empty_ledger_is_no_trouble(database: Database) -> None:
    """Nothing is claimed, counted or divided where there is nothing."""
    with database.write() as conn:
        window_ledger.add(conn, 7, ())
        assert next(iter(window_ledger.claim_several(conn, "me", 30, 1)), None) is None
        assert (
            window_ledger.owners(conn),
            window_ledger.streams(conn, 7),
            window_ledger.progress(conn, 7),
        ) == ([], [], [])
        assert (window_ledger.count(conn, 7, WindowState.OPEN), window_ledger.keys_received(conn, 7)) == (
            0,
            (0, set()),
        )
        assert window_splits.dividing_instant(conn, TASKS.table.c.created_at, NARROW) is None


@pytest.mark.parametrize(
    ("minutes", "divided_at"),
    [((0, 1, 2, 3), 2), ((0, 0, 0, 9), 9), ((5, 5, 5), None), ((-61, 0, 1, 61), 1), ((), None)],
)
def test_a_window_is_divided_where_about_half_is_older(
    database: Database, minutes: tuple[int, ...], divided_at: int | None
) -> None:
    """By what is here of it; no part would be empty of it; tasks of unknown age do not count."""
    rows = [task(f"{n}", created_at=format_instant(at(minute))) for n, minute in enumerate(minutes)]
    write(database, TASKS, [*rows, task("ageless")], at(0))

    with database.read() as conn:
        found = window_splits.dividing_instant(conn, tasks.c.created_at, NARROW)

    assert found == (None if divided_at is None else at(divided_at))


def test_claims_at_once_share_the_windows(database: Database) -> None:
    """No claim fails and none is given twice, while others give theirs up and end them."""
    planned(database, *[Window("tasks")] * 24)

    def work(number: int) -> list[int]:
        mine: list[int] = []
        while True:
            with database.write() as conn:
                window = next(iter(window_ledger.claim_several(conn, f"owner {number}", 30, 1)), None)
            if window is None:
                return mine
            with database.write() as conn:
                window_ledger.require_lease(conn, [window], f"owner {number}", 30)
                window_ledger.finish(conn, window, WindowState.CLOSED)
            mine.append(window.id)

    with ThreadPoolExecutor(6) as threads:
        taken = [window_id for part in threads.map(work, range(6)) for window_id in part]
    assert len(taken) == len(set(taken)) == 24
