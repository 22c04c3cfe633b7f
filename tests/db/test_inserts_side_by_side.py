"""Writers of new tasks on Postgres work side by side, and their history is as if they had come one by one."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, select, text

from scalesync.db.database import Database
from scalesync.db.mirror import changes, result_files
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.page_inserts import insert_pages
from scalesync.db.mirror.result_files import FetchedFile
from scalesync.db.mirror.upsert import write_last, write_rows
from scalesync.db.schema.annotations_and_changes import annotations, task_changes
from scalesync.db.schema.mirror import tasks
from scalesync.models.changes import SeenBy
from scalesync.models.sync import WriteCounts
from scalesync.parsing.row_parser import Row
from scalesync.parsing.task_inserts import make_page_inserter
from scalesync.timestamps import format_instant
from tests.db.test_annotations import boxes
from tests.db.test_upserts import at, task, wait_until_blocked
from tests.support.databases import opened
from tests.support.file_server import frames

_inserts = make_page_inserter(TASKS.spec, count_repeats=True)


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """Return a mirror that several connections write to."""
    with opened(postgres_url) as database:
        yield database


def _put(conn: Connection, rows: list[Row], minutes: float = 0) -> WriteCounts:
    """Write a page as a sync does."""
    seen = SeenBy(at(minutes), 7)
    page = _inserts(rows, format_instant(seen.at))
    return insert_pages(conn, [page], seen) or write_last(conn, TASKS, rows, seen)


def _put_alone(database: Database, rows: list[Row], minutes: float = 0) -> WriteCounts:
    with database.write() as conn:
        return _put(conn, rows, minutes)


def _history(database: Database) -> list[tuple[str, str | None, str | None]]:
    c = task_changes.c
    with database.read() as conn:
        found = conn.execute(select(c.task_id, c.before, c.after).where(c.field == "status").order_by(c.id))
        return [(row.task_id, row.before, row.after) for row in found]


def test_new_tasks_are_written_before_the_turn_and_noted_in_it(database: Database) -> None:
    """While another writer has the turn the rows are inserted already; numbers are in order of commits."""
    with ThreadPoolExecutor() as threads:
        with database.write() as first:
            # Of two projects, so that they meet in no partition.
            write_rows(first, TASKS, [task("a", status="x", project="p")], SeenBy(at(0)))
            second = threads.submit(_put_alone, database, [task("b", status="y", project="q")])
            wait_until_blocked(database)
            with database.read() as conn:
                held = text("SELECT count(*) FROM pg_locks WHERE relation = 'tasks'::regclass AND granted")
                writers = conn.execute(held).scalar_one()
        assert second.result() == WriteCounts(new=1)
    assert writers >= 2
    assert _history(database) == [("a", None, "x"), ("b", None, "y")]


def test_who_has_the_turn_never_waits_for_long_for_who_waits_for_it(database: Database) -> None:
    """Both have the same new task: the one without the turn gives way, and finds it there then."""
    with ThreadPoolExecutor() as threads:
        with database.write() as first:
            changes.lock_task_writes(first)
            second = threads.submit(_put_alone, database, [task("a", status="y"), task("b", status="y")], 1)
            wait_until_blocked(database)
            assert write_rows(first, TASKS, [task("a", status="x")], SeenBy(at(0))) == WriteCounts(new=1)
        assert second.result() == WriteCounts(new=1, changed=1)
    assert set(_history(database)) == {("a", None, "x"), ("a", "x", "y"), ("b", None, "y")}
    assert len(_history(database)) == 3


def test_a_file_that_arrives_while_a_task_that_names_it_waits_is_read_for_it_too(database: Database) -> None:
    """Files are looked for in the turn, when all that were kept before are seen."""
    response = {"annotations": {"url": "https://files.example/1.json"}}
    _put_alone(database, [task("a", type="videoannotation", status="completed", response=response)])
    file = FetchedFile(frames("car"), "", 1, at(0))
    with ThreadPoolExecutor() as threads:
        with database.write() as first:
            assert result_files.keep(first, "https://files.example/1.json", file, at(1)) is not None
            named = task("b", type="videoannotation", status="completed", response=response)
            second = threads.submit(_put_alone, database, [named])
            wait_until_blocked(database)
        assert second.result().new == 1
    with database.read() as conn:
        assert sorted(conn.scalars(select(annotations.c.task_id))) == ["a", "b"]


def test_locks_are_waited_for_as_before_once_it_is_our_turn(database: Database) -> None:
    """The short limit holds until then only, whether pages are inserted or not."""
    with database.write() as conn:
        limits = [conn.execute(text("SHOW lock_timeout")).scalar_one()]
        for _ in range(2):
            _put(conn, [task("a")])
            limits.append(conn.execute(text("SHOW lock_timeout")).scalar_one())
    assert len(set(limits)) == 1


def test_a_page_without_news_waits_for_nobody(database: Database) -> None:
    """Hosts that read everything again compare side by side."""
    _put_alone(database, [task("a"), task("b")])
    with database.write() as first:
        changes.lock_task_writes(first)
        with database.write() as second:
            assert write_last(second, TASKS, [task("a"), task("b")], SeenBy(at(1))) == WriteCounts(
                unchanged=2
            )


def test_many_writers_of_the_same_tasks_note_each_once_and_in_order(database: Database) -> None:
    """In any order of keys; whoever follows the history by number sees no smaller one later."""
    names = [f"t{number:02}" for number in range(40)]
    over, followed = threading.Event(), list[int]()

    def follow() -> None:
        last = False
        while not last:
            last = over.is_set()
            with database.read() as conn:
                new = [each.id for each in changes.listing(conn)]
            assert set(new[: len(followed)]) >= set(followed)
            assert new[: len(followed)] == followed
            followed[:] = new

    def write(seed: int) -> None:
        chosen = random.Random(seed)
        for minutes in range(6):
            some = chosen.sample(names, 8)
            rows = [task(name, status="s", type="imageannotation", response=boxes("car")) for name in some]
            _put_alone(database, rows, minutes)

    with ThreadPoolExecutor() as threads:
        following = threads.submit(follow)
        for written in [threads.submit(write, seed) for seed in range(6)]:
            written.result()
        over.set()
        following.result()
    with database.read() as conn:
        written_once = set(conn.scalars(select(tasks.c.task_id)))
        drawn = Counter(conn.scalars(select(annotations.c.task_id)))
    assert Counter(name for name, _, _ in _history(database)) == Counter(written_once)
    assert drawn == Counter(written_once)
