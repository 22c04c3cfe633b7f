"""Opening databases, and their transactions."""

import contextlib
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError

from scalesync.db.caller_transaction import caller_transaction, savepoint
from scalesync.db.database import Database
from scalesync.db.migrate import upgrade
from scalesync.db.schema.sync import watermarks
from scalesync.errors import DatabaseError, IncompleteError
from tests.db.test_upserts import NOON
from tests.support.databases import opened


def count(database: Database) -> int:
    """Return how many watermarks there are."""
    with database.read() as conn:
        return conn.execute(select(func.count()).select_from(watermarks)).scalar_one()


def add(database: Database, stream: str) -> None:
    """Add a watermark in a transaction of its own."""
    with database.write() as conn:
        conn.execute(insert(watermarks).values(stream=stream, at=NOON))


def refusal(url: str, *, create: bool = False) -> DatabaseError:
    """Return the error of opening and using a database."""
    with pytest.raises(DatabaseError) as caught, opened(url, create=create) as database:
        count(database)
    return caught.value


def test_a_transaction_commits_at_its_end(database: Database) -> None:
    """What was written in a transaction that ends well is seen by the next."""
    add(database, "tasks")
    assert count(database) == 1


def test_an_error_rolls_back(database: Database) -> None:
    """What was written in a transaction that ends with an error never happened, and the error passes."""

    def add_and_fail() -> None:
        with database.write() as conn:
            conn.execute(insert(watermarks).values(stream="tasks", at=NOON))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert count(database) == 0


def test_a_reader_sees_one_state_and_waits_for_nobody(database: Database) -> None:
    """A reading transaction sees the state of its first look while another commits."""
    add(database, "tasks")
    with database.read() as conn:
        before = conn.execute(select(func.count()).select_from(watermarks)).scalar_one()
        add(database, "batches")
        assert conn.execute(select(func.count()).select_from(watermarks)).scalar_one() == before
    with database.write() as conn:
        conn.execute(update(watermarks).values(at=NOON))
        assert count(database) == 2


def test_a_reader_cannot_write(database: Database) -> None:
    """A write in a reading transaction is refused, and the next writing transaction works."""
    with pytest.raises(DatabaseError, match="may only be read"), database.read() as conn:
        conn.execute(insert(watermarks).values(stream="tasks", at=NOON))
    add(database, "tasks")
    assert count(database) == 1


def test_threads_share_a_database(database: Database) -> None:
    """Writers and readers of several threads take turns without an error."""
    threads = [threading.Thread(target=add, args=(database, f"s{number}")) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 12


def test_instants_come_back_as_they_went(database: Database) -> None:
    """An instant keeps its milliseconds and is in UTC, whatever the machine's or the server's time zone."""
    instant = NOON.replace(microsecond=123_000)
    with database.write() as conn:
        conn.execute(insert(watermarks).values(stream="tasks", at=instant))
        found = conn.execute(select(watermarks.c.at)).scalar_one()
    assert (found, found.utcoffset()) == (instant, NOON.utcoffset())


def test_postgres_sessions_are_named_and_in_utc(postgres_url: str) -> None:
    """A session on Postgres shows its name to the administrator and its times in UTC."""
    with opened(postgres_url) as database, database.read() as conn:
        assert conn.execute(text("SHOW application_name")).scalar_one() == "scalesync"
        assert conn.execute(text("SHOW TIME ZONE")).scalar_one() == "UTC"
        assert conn.execute(text("SHOW transaction_isolation")).scalar_one() == "repeatable read"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgres_works(postgres_url: str, scheme: str) -> None:
    """All three schemes mean psycopg 3."""
    with opened(scheme + postgres_url[len("postgresql") :]) as database:
        assert count(database) == 0
        assert not database.is_sqlite


def test_a_new_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    """The file and its companions can be read and written by nobody else."""
    path = tmp_path / "new.db"
    with opened(f"sqlite:///{path}", create=True) as database:
        upgrade(database)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


def test_sqlite_is_in_wal_mode(sqlite_url: str) -> None:
    """Readers and the writer do not wait for each other."""
    with opened(sqlite_url) as database, database.read() as conn:
        assert conn.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    """Without `create` a missing file is an error that says what to do, and is still missing after."""
    error = refusal(f"sqlite:///{tmp_path / 'none.db'}")
    assert f"No mirror at {tmp_path / 'none.db'}" in error.message
    assert error.advice == "Run `scalesync init` first."
    assert list(tmp_path.iterdir()) == []


def test_only_init_changes_the_mode_of_a_file(tmp_path: Path) -> None:
    """A database of another program that was named by mistake is left as it is."""
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    try:
        other.execute("CREATE TABLE theirs (id)")
        before = path.read_bytes()
        assert "no mirror's tables" in refusal(f"sqlite:///{path}").message
        assert path.read_bytes() == before
    finally:
        other.close()


def test_a_writer_waits_for_the_lock(sqlite_url: str) -> None:
    """A writer that finds the file locked goes on when the lock is gone."""
    with opened(sqlite_url) as first, opened(sqlite_url) as second:
        with first.write():
            waiting = threading.Thread(target=add, args=(second, "tasks"))
            waiting.start()
            time.sleep(0.2)
        waiting.join()
        assert count(first) == 1


def test_opening_waits_for_the_lock(tmp_path: Path) -> None:
    """A file that somebody holds before it was ever in WAL mode is opened when it is free."""
    path = tmp_path / "mirror.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE theirs (id)")
        release = threading.Timer(0.3, other.execute, ["COMMIT"])
        release.start()
        with opened(f"sqlite:///{path}", create=True) as database, database.read() as conn:
            assert conn.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        release.join()
    finally:
        other.close()


def test_connections_that_died_while_idle_are_replaced(postgres_url: str) -> None:
    """A server that restarted between two transactions is not noticed."""
    with opened(postgres_url) as database, opened(postgres_url) as other:
        assert count(database) == 0
        with other.write() as conn:
            everybody = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            conn.execute(text(f"SELECT pg_terminate_backend(pid) {everybody}"))
        assert count(database) == 0


def test_a_short_read_ends_a_statement_that_takes_too_long(database: Database) -> None:
    """With a sentence; other errors stay what they are, and the next read has all of its time again."""
    endless = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
        " SELECT max(i) FROM n"
    )
    with pytest.raises(IncompleteError, match=r"took longer than 0\.2 s"), database.read_within(0.2) as conn:
        conn.execute(endless)
    with pytest.raises(DatabaseError), database.read_within(5) as conn:
        conn.execute(text("SELECT none FROM nothing"))
    with database.read() as conn:
        assert conn.scalar(text("SELECT 1")) == 1


def _leave_room(database: Database, pages: int) -> None:
    with database.write() as conn:
        used = conn.execute(text("PRAGMA page_count")).scalar_one()
        conn.execute(text(f"PRAGMA max_page_count = {used + pages}"))


def _fill(database: Database, *, in_savepoints: int) -> None:
    """Write more than there is room for, within this number of savepoints."""
    with contextlib.ExitStack() as stack:
        conn = stack.enter_context(database.write())
        conn.execute(insert(watermarks).values(stream="batches", at=NOON))
        for _ in range(in_savepoints):
            stack.enter_context(savepoint(conn))
        for n in range(2_000):
            conn.execute(insert(watermarks).values(stream=f"{n} {'x' * 1_000}", at=NOON))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_full_disk_is_named_and_undoes_the_transaction_inside_of_savepoints(
    sqlite_url: str, depth: int
) -> None:
    """SQLite ends the transaction itself, and its savepoints with it: what is said is why, not that."""
    with opened(sqlite_url) as database:
        add(database, "tasks")
        _leave_room(database, 100)
        with pytest.raises(DatabaseError, match="is full"):
            _fill(database, in_savepoints=depth)
        assert count(database) == 1
        add(database, "projects")
        assert count(database) == 2


def test_a_caller_cannot_go_on_after_a_full_disk_as_if_its_rows_were_there(sqlite_url: str) -> None:
    """What the caller wrote before is undone too: its next statement is refused."""
    with opened(sqlite_url) as database:
        _leave_room(database, 100)
    engine = create_engine(sqlite_url)
    with engine.begin() as conn:
        conn.execute(text("PRAGMA max_page_count = 200"))
        conn.execute(insert(watermarks).values(stream="tasks", at=NOON))
        with pytest.raises(DatabaseError, match="is full"), caller_transaction(conn) as ours:
            ours.execute(insert(watermarks).values(stream="x" * 9_000_000, at=NOON))
        with pytest.raises(InvalidRequestError):
            conn.execute(insert(watermarks).values(stream="batches", at=NOON))
    with opened(sqlite_url) as database:
        assert count(database) == 0
    engine.dispose()
