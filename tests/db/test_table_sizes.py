"""What tables take on the disk, on both databases."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from scalesync import advice
from scalesync.db.database import Database
from scalesync.db.prune import give_free_room_back
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.table_sizes import describe_storage, read_sizes
from scalesync.timestamps import parse_instant
from tests.support.databases import opened

NOW = parse_instant("2026-11-23T12:00:00Z")


def fill(database: Database, number: int) -> None:
    """Put tasks of a kilobyte each into the mirror."""
    row: dict[str, Any] = {"digest": "d", "synced_at": NOW, "extra": "{}", "instruction": "x" * 1_000}
    with database.write() as conn:
        conn.execute(insert(tasks), [{**row, "task_id": f"{each:024}"} for each in range(number)])


def test_every_table_is_there_and_the_largest_first(database: Database) -> None:
    """Two thousand tasks take two megabytes, more than all the rest, and their indexes take something too."""
    fill(database, 2_000)
    if not database.is_sqlite:
        with database.write() as conn:
            conn.execute(text("ANALYZE tasks"))
    with database.read() as conn:
        sizes = read_sizes(conn)

    first = sizes.tables[0]
    totals = [(each.bytes or 0) + (each.index_bytes or 0) for each in sizes.tables]
    assert {each.table for each in sizes.tables} == set(metadata.tables)
    assert (first.table, first.rows) == ("tasks", 2_000)
    assert totals == sorted(totals, reverse=True)
    assert 2e6 < (first.bytes or 0) < sizes.bytes
    assert 20_000 < (first.index_bytes or 0) < 2e6
    assert [each.rows for each in sizes.tables if each.table == "commands"] == [0]


def test_rows_that_no_statistics_know_are_not_called_none(postgres_url: str) -> None:
    """A table that has pages and was never counted has an unknown number of rows, not 0."""
    with opened(postgres_url) as database:
        fill(database, 10)
        with database.write() as conn:
            conn.execute(text("SELECT pg_stat_reset()"))  # as a crash of the server does
        with database.read() as conn:
            found = {each.table: each.rows for each in read_sizes(conn).tables}

    assert (found["tasks"], found["batches"]) == (None, 0)


def test_what_is_free_in_the_file_is_said(sqlite_url: str) -> None:
    """Rows that were deleted leave their room in the file, which is as large as it was."""
    with opened(sqlite_url) as database:
        fill(database, 1_000)
        with database.write() as conn:
            conn.execute(tasks.delete())
        with database.read() as conn:
            sizes = read_sizes(conn)

    path = Path(sqlite_url.removeprefix("sqlite:///"))
    assert path.stat().st_size <= sizes.bytes
    assert (sizes.free_bytes or 0) > 1e6


@pytest.mark.parametrize("known", [True, False])
def test_an_sqlite_without_the_table_of_pages_still_counts_rows(known: bool, sqlite_url: str) -> None:
    """Sizes by table are None then, and never 0."""
    with opened(sqlite_url) as database:
        fill(database, 10)
        with database.read() as conn:
            if not known:
                driver: Any = conn.connection.driver_connection
                driver.create_function("sqlite_compileoption_used", 1, lambda _option: 0)
            sizes = read_sizes(conn)

    (found,) = [each for each in sizes.tables if each.table == "tasks"]
    assert (found.rows, found.bytes is not None, found.index_bytes is not None) == (10, known, known)
    assert sizes.bytes > 0


def advised(database: Database) -> list[str]:
    """Return what is advised."""
    with database.read() as conn:
        return describe_storage(conn)[1]


def test_a_file_that_is_mostly_free_may_be_vacuumed(sqlite_url: str) -> None:
    """Above a size and a share of free room; not while it is full, and not when it is done."""
    with opened(sqlite_url) as database:
        fill(database, 12_000)
        assert advised(database) == []
        with database.write() as conn:
            conn.execute(tasks.delete().where(tasks.c.task_id > f"{8_000:024}"))
        assert advised(database) == [advice.VACUUM]
        give_free_room_back(database, lambda: False)
        assert advised(database) == []


def test_a_large_file_without_statistics_may_be_analyzed(sqlite_url: str) -> None:
    """Until it is."""
    with opened(sqlite_url) as database:
        with database.write() as conn:
            conn.execute(text("CREATE TABLE large AS SELECT zeroblob(101000000) AS body"))
        assert advised(database) == [advice.ANALYZE]
        with database.write() as conn:
            conn.execute(text("ANALYZE"))
        assert advised(database) == []


def test_tables_that_autovacuum_neglects_are_named(postgres_url: str) -> None:
    """Those never analyzed, and those with many dead rows; none once that is done."""
    with opened(postgres_url) as database:
        fill(database, 12_000)
        assert seen_by_statistics(database, live=12_000) == list(advice.analyze_tables(["tasks"]))
        with database.write() as conn:
            conn.execute(text("ANALYZE tasks"))
            conn.execute(text("DELETE FROM tasks WHERE task_id > '000000000000000000000001'"))
        assert seen_by_statistics(database, live=2) == list(advice.vacuum_tables(["tasks"]))


def seen_by_statistics(database: Database, live: int) -> list[str]:
    """Wait until the server's statistics count this number of live tasks; return what is advised then."""
    counted = text("SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'tasks'")
    for _ in range(500):
        with database.read() as conn:
            if conn.execute(counted).scalar_one() == live:
                break
        time.sleep(0.01)
    return advised(database)
