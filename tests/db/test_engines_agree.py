"""What must not depend on the engine: which texts are equal, what comes first, and what a commit is worth."""

import json
import random
import signal
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.exc import IntegrityError

from scalesync.db.caller_transaction import savepoint
from scalesync.db.database import Database
from scalesync.db.export.rows import rows, rows_by_month
from scalesync.db.mirror import annotations, batch_counts, query, result_files, upsert
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, to_row
from scalesync.db.queue import mirror_lookup
from scalesync.db.schema.mirror import project_versions, tasks
from scalesync.db.schema.sync import watermarks
from scalesync.db.sync import window_ledger
from scalesync.errors import DatabaseError
from scalesync.models.api import Document
from scalesync.models.changes import SeenBy
from scalesync.models.selection import Selection
from scalesync.models.sync import WriteCounts
from scalesync.timestamps import format_instant
from tests.db.test_documents import exactly
from tests.db.test_upserts import NOON, at, row, task, write
from tests.support.databases import opened

NAMES = (
    "a",
    "A",
    "a ",
    " a",
    "á",
    "a\u0301",
    "\uff41",
    "%",
    "_",
    "a%",
    "\\",
    "'",
    '"',
    "\u0001",
    "\U0010ffff",
)
"""Each is another name than all the others, though a collation or a pattern may take some for the same."""


def test_names_are_equal_only_to_themselves(database: Database) -> None:
    """Neither case nor accents, blanks, normal forms or the marks of patterns make two names one."""
    write(database, BATCHES, [row(BATCHES, name=name, status=name) for name in NAMES], NOON)
    with database.read() as conn:
        for name in NAMES:
            (found,) = query.documents(conn, BATCHES, Selection(status=name))
            assert query.find(conn, BATCHES, name) == found
        assert mirror_lookup.held(conn, [f"batch:{name}" for name in NAMES]) == {f"batch:{n}" for n in NAMES}
        assert query.counts(conn)["batches"].by_status == dict.fromkeys(NAMES, 1)


def test_the_newest_come_first_and_what_has_no_time_last(database: Database) -> None:
    """Times sort as times, from the year 1000 to the last, and those of one instant by their key."""
    times = {
        "last": "9999-12-31T23:59:59.999Z",
        "later": "2024-01-01T00:00:00.010Z",
        "b same": "2024-01-01T00:00:00.009Z",
        "c same": "2024-01-01T00:00:00.009Z",
        "first": "1000-01-01T00:00:00.000Z",
    }
    given = [task(key, created_at=when) for key, when in times.items()]
    write(database, TASKS, [task("a none"), *given], NOON)
    with database.read() as conn:
        newest = query.documents(conn, TASKS, Selection(newest_first=True))
        keys = [json.loads(document)["task_id"] for document in newest]
    assert keys == [*times, "a none"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_rows_of_nothing_come_first(database: Database, limit: int) -> None:
    """Where project, month or label are unknown: a limit leaves the same rows on each engine."""
    drawn = {"annotations": [{"label": label, "left": 1, "top": 1} for label in ("car", None)]}
    given = [
        task("a", project="p", created_at=format_instant(NOON)),
        task("b", created_at=format_instant(NOON), type="annotation", response=drawn),
        task("c", project="p"),
        task("d", project="", type="annotation", response=drawn, created_at=format_instant(NOON)),
    ]
    write(database, TASKS, given, NOON)
    with database.read() as conn:
        by_month = [each[2] for each in rows_by_month(conn, "tasks", Selection(limit=limit)).rows]
        labels = [tuple(each[:2]) for each in rows(conn, "label_counts", Selection(limit=limit)).rows]
    assert by_month == ["b", "d", "c", "a"][:limit]
    assert labels == [(None, None), (None, "car"), ("", None), ("", "car")][:limit]


EMPTY: dict[str, Callable[[Connection], object]] = {
    "write_rows": lambda conn: upsert.write_rows(conn, TASKS, [], SeenBy(NOON)).new,
    "write_documents": lambda conn: upsert.write_documents(conn, TASKS, list[Document]()).new,
    "mark_missing": lambda conn: upsert.mark_missing(conn, TASKS, [], NOON),
    "count_batches": lambda conn: batch_counts.count_batches(conn, NOON),
    "objects": lambda conn: len(mirror_lookup.objects(conn, [])),
    "held": lambda conn: len(mirror_lookup.held(conn, [])),
    "unique_ids": lambda conn: len(mirror_lookup.unique_ids(conn, [])),
    "addresses": lambda conn: len(result_files.addresses(conn, [])),
    "release": lambda conn: window_ledger.release(conn, []),
    "write": lambda conn: annotations.write(conn, []).annotations,
    "write_again": lambda conn: annotations.write_again(conn, []).annotations,
    "catch_up": annotations.backfill,
}


@pytest.mark.parametrize("ask", EMPTY.values(), ids=EMPTY)
def test_nothing_asked_is_nothing_done(database: Database, ask: Callable[[Connection], object]) -> None:
    """An empty list is no error, and is not taken for everything."""
    write(database, TASKS, [task("a", unique_id="u", response="x", type="annotation")], NOON)
    with database.write() as conn:
        assert ask(conn) == 0


def test_no_list_is_too_long(database: Database) -> None:
    """More names than either engine takes parameters."""
    many = [f"{number:05}" for number in range(66_000)]
    write(database, TASKS, [task("00007", unique_id="u")], NOON)
    with database.write() as conn:
        assert mirror_lookup.unique_ids(conn, many) == {"00007": "u"}


FAR = {
    "1e200000": '"1e200000"',
    "-1.5E-20000": '"-1.5E-20000"',
    "1e999999999999999": '"1e999999999999999"',
    "9" * 140_000: '"' + "9" * 140_000 + '"',
    "1e400": "1e400",
    r'"1e200000 \" 1e200000"': r'"1e200000 \" 1e200000"',
}
"""JSON, and what Postgres makes of it: numbers far beyond any that a computer reckons with are texts."""


@pytest.mark.parametrize(("given", "on_postgres"), FAR.items(), ids=lambda text: text[:20])
def test_no_number_stops_a_page(database: Database, given: str, on_postgres: str) -> None:
    """Wherever it stands, in columns, in what has none, in annotations and in a project's versions."""
    box = f'{{"label": "x", "left": 1, "top": 1, "attributes": {{"n": {given}}}}}'
    response = f'{{"annotations": [{box}]}}'
    fields = f'"type": "annotation", "params": [{given}], "odd": {given}, "response": {response}'
    text = f'{{"task_id": "a", {fields}}}'
    project = f'{{"name": "p", "param_history": [{{"version": 1, "n": {given}}}]}}'
    rows = [to_row(TASKS, text.encode()), task("b")]
    outcome = write(database, TASKS, rows, NOON)
    write(database, PROJECTS, [to_row(PROJECTS, project.encode())], NOON)

    assert (outcome.new, write(database, TASKS, rows, at(1)).unchanged) == (2, 2)
    with database.read() as conn:
        held = query.find(conn, TASKS, "a")
        versions = conn.scalar(select(project_versions.c.params))
    expected = given if database.is_sqlite else on_postgres
    assert held is not None
    assert versions is not None
    assert exactly(held) == exactly(text.replace(given, expected))
    assert exactly(versions) == exactly(f'{{"n": {expected}}}')


def test_rows_are_locked_in_an_order_that_no_collation_changes(postgres_url: str) -> None:
    """The one in which rows are written: most servers sort "a" before "B", and writers would deadlock."""
    locking: list[str] = []

    def note(*given: Any) -> None:
        locking.extend([str(given[2])] if "FOR UPDATE" in str(given[2]) else [])

    with opened(postgres_url) as database, listening(Engine, "before_cursor_execute", note):
        write(database, BATCHES, [row(BATCHES, name=name) for name in "aB"], NOON)
        write(database, TASKS, [task(name, batch=name) for name in "aB"], NOON)
        with database.write() as conn:
            upsert.mark_missing(conn, TASKS, ["a", "B"], NOON)
            upsert.mark_missing(conn, BATCHES, ["a", "B"], NOON)
            batch_counts.count_batches(conn, NOON)

    assert len(locking) == 5
    assert [statement for statement in locking if 'COLLATE "C" FOR UPDATE' not in statement] == []


@contextmanager
def listening(target: type[Engine], name: str, listener: Callable[..., None]) -> Iterator[None]:
    """Hear of every event of a kind while the block lasts."""
    event.listen(target, name, listener)
    try:
        yield
    finally:
        event.remove(target, name, listener)


@pytest.mark.parametrize(("length", "noted"), [(1_600, 1), (1_601, 0), (20_000, 0)])
def test_an_address_that_no_index_takes_is_left_out(database: Database, length: int, noted: int) -> None:
    """The task is here all the same, and its response counts as not understood."""
    chance = random.Random(1)
    address = "https://example.com/"
    address += "".join(chance.choice(string.ascii_letters) for _ in range(length - len(address)))
    response = {"annotations": {"url": f"{address}?X-Amz-Signature={'0' * 5000}"}}

    outcome = write(database, TASKS, [task("a", type="videoannotation", response=response)], NOON)

    assert outcome == WriteCounts(new=1, unread=1 - noted)
    with database.read() as conn:
        assert len(result_files.pending(conn, "", None, 9)) == noted


def test_a_savepoint_undoes_what_is_in_it_alone(database: Database) -> None:
    """Also after an error of the database, which on Postgres would otherwise end the whole transaction."""

    def fail(conn: Connection) -> None:
        with savepoint(conn):
            conn.execute(watermarks.insert().values(stream="batches", at=NOON))
            conn.execute(watermarks.insert().values(stream="tasks", at=NOON))

    with database.write() as conn:
        conn.execute(watermarks.insert().values(stream="tasks", at=NOON))
        with pytest.raises(IntegrityError):
            fail(conn)
        conn.execute(watermarks.insert().values(stream="projects", at=at(1)))
    with database.read() as conn:
        assert set(conn.scalars(select(watermarks.c.stream))) == {"tasks", "projects"}


def test_a_value_that_no_column_takes_changes_nothing(database: Database) -> None:
    """What the schema forbids is refused by both engines, with the whole transaction."""

    def attempt(statement: str) -> None:
        with database.write() as conn:
            upsert.write_rows(conn, TASKS, [task("a")], SeenBy(NOON))
            conn.execute(text(statement))

    for statement in ("UPDATE tasks SET task_id = NULL", "INSERT INTO mirror (id) VALUES (2)"):
        with pytest.raises(DatabaseError):
            attempt(statement)
    with database.read() as conn:
        assert conn.execute(select(tasks)).all() == []


_KILLED = """
import os, signal, sys
from sqlalchemy import text
from scalesync.db.database import Database
database = Database.open(sys.argv[1])
insert = "INSERT INTO tasks (task_id, digest, synced_at) VALUES ('%s', 'x', '2026-01-01')"
with database.write() as conn:
    conn.execute(text(insert % "committed"))
with database.write() as conn:
    conn.execute(text(insert % "not"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_commit_outlives_its_process_and_nothing_else_does(database: Database, database_url: str) -> None:
    """Of a process killed within a transaction only what it committed is there, and no lock."""
    done = subprocess.run([sys.executable, "-c", _KILLED, database_url], check=False)
    assert done.returncode == -signal.SIGKILL
    write(database, TASKS, [task("after")], NOON)
    with database.read() as conn:
        assert set(conn.scalars(select(tasks.c.task_id))) == {"committed", "after"}
