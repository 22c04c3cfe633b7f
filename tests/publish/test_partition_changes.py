"""Which partitions a publication has to write anew: exactly known, and in the order of commits."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from scalesync.db.database import Database
from scalesync.db.export import publishing
from scalesync.db.schema.publishing import partition_changes
from scalesync.models.publishing import Partition
from tests.publish.histories import KINDS, History, by_partition
from tests.support.databases import opened


def numbers(database: Database) -> dict[Partition, int]:
    """Return the number of each partition's last change."""
    with database.read() as conn:
        return {
            Partition(row.project, row.month): row.change_number
            for row in conn.execute(sa.select(partition_changes))
        }


@pytest.mark.parametrize("seed", range(4))
def test_every_partition_whose_rows_differ_is_marked(database: Database, seed: int) -> None:
    """After anything that writes tasks, what belongs to them or their history; and numbers only grow."""
    history = History(database, seed)
    before, marked = by_partition(database), numbers(database)
    for chosen in ("create", "create", *KINDS, *[None] * 20, "repair", "repair", "respell"):
        kind = history.step(chosen)
        after, now = by_partition(database), numbers(database)
        differing = {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
        last = max(marked.values(), default=0)
        again = {each for each, number in now.items() if number != marked.get(each)}

        assert differing <= again, kind
        assert all(now[each] > last for each in again), kind
        before, marked = after, now


def test_reading_what_did_not_change_marks_nothing(database: Database) -> None:
    """An ordinary sync of an account in which nothing happened makes the next publication write nothing."""
    history = History(database, 1)
    history.step("create")
    before = numbers(database)
    history.step("same")
    assert numbers(database) == before


def create(history: History) -> None:
    """Write a few pages of new tasks."""
    for _ in range(15):
        history.step("create")


def test_numbers_are_in_the_order_of_commits(postgres_url: str) -> None:
    """Whoever has seen a number never finds a smaller one later: writers wait for each other's commit."""
    with opened(postgres_url) as database, ThreadPoolExecutor(4) as threads:
        histories = [History(database, seed, names=(f"p{seed}",), prefix=f"{seed}-") for seed in range(3)]
        done = [threads.submit(create, each) for each in histories]
        latest: dict[Partition, int] = {}
        seen = 0
        while not all(each.done() for each in done):
            now = numbers(database)
            fresh = {each: number for each, number in now.items() if number != latest.get(each)}
            assert all(number > seen for number in fresh.values())
            latest, seen = now, max(now.values(), default=0)
        for each in done:
            each.result()


def test_a_partition_is_found_by_its_last_change(database: Database) -> None:
    """After a number: those with a larger one; without one: all that have tasks."""
    history = History(database, 2)
    for _ in range(10):
        history.step()
    marked = numbers(database)
    with database.read() as conn:
        assert publishing.last_change(conn) == max(marked.values())
        assert set(publishing.partitions(conn, None)) == {
            each for each, rows in by_partition(database).items() if rows
        }
        for after in {0, 3, max(marked.values())}:
            assert publishing.partitions(conn, after) == sorted(
                each for each, number in marked.items() if number > after
            )
