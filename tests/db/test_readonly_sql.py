"""People's own SQL: what it gives, and what the database itself keeps it from doing."""

import os
import shutil
import signal
import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.export.readonly_sql import run_query
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.query import counts
from scalesync.errors import ConfigurationError, DatabaseError, IncompleteError, ScalesyncError
from scalesync.models.columns import ColumnKind
from tests.support.databases import opened
from tests.support.export_account import task, written

ENDLESS = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT {} FROM x {}"
HEAD = "CREATE TABLE mark (a int)"

WRONG = (
    "DELETE FROM tasks",
    "INSERT INTO watermarks VALUES ('tasks', '2026-01-01')",
    "DROP TABLE tasks",
    HEAD,
    "CREATE TEMP TABLE mark (a int)",
    "SELECT 1; DELETE FROM tasks",
    "SELECT 1; COMMIT; DELETE FROM tasks",
    "COMMIT",
    "ROLLBACK",
    "VACUUM",
    "SELEC 1",
    "SELECT * FROM nowhere",
    "SELECT nowhere FROM tasks",
    "",
    "-- nothing",
    "SELECT 1\0",
    "SELECT '\udcff'",
)
BESIDE_SQLITE = (
    "ATTACH DATABASE '{other}' AS other",
    "VACUUM INTO '{other}'",
    "PRAGMA query_only = OFF",
    "PRAGMA user_version = 7",
    "SELECT load_extension('{other}')",
    "BEGIN IMMEDIATE",
)
BEYOND_POSTGRES = (
    "COPY tasks TO PROGRAM 'touch {other}'",
    "COPY (SELECT 1) TO '{other}'",
    "DO $$ BEGIN DELETE FROM tasks; END $$",
    "CALL nothing()",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "WITH gone AS (DELETE FROM tasks RETURNING 1) SELECT * FROM gone",
    "SELECT nextval('runs_id_seq')",
    "SELECT * FROM tasks FOR UPDATE",
    "SELECT 1 INTO mark",
    "SELECT query_to_xml('DELETE FROM tasks', true, true, '')",
    "FETCH ALL FROM scalesync_sql",
    "PREPARE TRANSACTION 'x'",
    "LISTEN x",
    "SELECT 1 FROM (SELECT 1) AS a) ; DELETE FROM tasks; --",
)


class Watch(Clock):
    """A clock that goes on at every look, and else when it is told to."""

    shown = 0.0
    step = 0.0

    def monotonic(self) -> float:
        """Return what is shown."""
        type(self).shown += self.step
        return self.shown


class Ticking(Watch):
    """A clock that goes on by a second at every look."""

    step = 1.0


def ask(database: Database, statement: str, seconds: float = 30) -> list[Sequence[object]]:
    """Return every row of an answer."""
    with run_query(database, statement, seconds=seconds, clock=Clock()) as answer:
        return list(answer.rows)


def refused(database: Database, statement: str) -> str:
    """Return why a statement is refused. Everything is as before."""
    with database.read() as conn:
        before = counts(conn)
    with pytest.raises(ConfigurationError) as refusal:
        ask(database, statement)
    with database.read() as conn:
        assert counts(conn) == before
    return str(refusal.value)


@pytest.fixture
def filled(database: Database) -> Database:
    """Return a database with a task in it."""
    written(database, TASKS, [task("a", metadata={"a": 1})])
    return database


def test_an_answer_has_names_and_values(filled: Database) -> None:
    """As the database gives them, with a semicolon and a comment or without; JSON is marked where known."""
    with run_query(
        filled, "SELECT task_id, metadata, 1 AS n FROM tasks; -- all", seconds=30, clock=Clock()
    ) as answer:
        assert [(column.name) for column in answer.columns] == ["task_id", "metadata", "n"]
        is_json = answer.columns[1].kind is ColumnKind.JSON
        assert [(row[0], row[2]) for row in answer.rows] == [("a", 1)]
    assert is_json is not filled.is_sqlite
    assert ask(filled, "SELECT '100%', '%s' AS \"%(a)s\"") == [("100%", "%s")]


def test_what_is_no_query_is_refused_on_both(filled: Database) -> None:
    """Writing in any form, two statements, and what is wrong: one sentence, and nothing is changed."""
    for statement in WRONG:
        assert refused(filled, statement).startswith("The statement ")


def test_sqlite_keeps_to_the_file_and_does_not_change_it(sqlite_url: str, tmp_path: Path) -> None:
    """No other file can be joined, written or loaded, and what would allow writing is of no use."""
    other = tmp_path / "other.db"
    with opened(sqlite_url) as database:
        for statement in BESIDE_SQLITE:
            refused(database, statement.format(other=other))
        # Not even in memory, which the way the file is opened does not prevent.
        assert "readonly" in refused(database, "CREATE TEMP TABLE mark (a int)")
    assert not other.exists()


def test_postgres_runs_nothing_but_a_query_in_a_reading_transaction(
    postgres_url: str, tmp_path: Path
) -> None:
    """Programs, files, blocks of code, procedures, and every way out of the transaction are refused."""
    other = tmp_path / "other"
    with opened(postgres_url) as database:
        written(database, TASKS, [task("a")])
        for statement in BEYOND_POSTGRES:
            refused(database, statement.format(other=other))
    assert not other.exists()


@pytest.mark.parametrize("rows_first", [0, 1_500])
def test_what_takes_too_long_is_ended(filled: Database, rows_first: int) -> None:
    """Before the first row as well as in the middle of them."""
    statement = (
        ENDLESS.format("n", f"WHERE n <= {rows_first}") if rows_first else ENDLESS.format("count(*)", "")
    )
    with pytest.raises(IncompleteError, match=r"took longer than 0\.3 s"):
        ask(filled, statement, 0.3)


def test_the_time_of_whoever_reads_does_not_count(filled: Database) -> None:
    """An answer may stay on a screen for hours, and still goes on."""
    statement = ENDLESS.format("n", "LIMIT 2500")
    with run_query(filled, statement, seconds=20, clock=Watch()) as answer:
        for number, row in enumerate(answer.rows, 1):
            Watch.shown += 3_600
            assert row == (number,)
    assert number == 2_500


def test_all_that_the_database_takes_is_counted_together(filled: Database) -> None:
    """The first rows in time are no licence for the rest."""
    statement = ENDLESS.format("n", "LIMIT 2500")
    with (
        pytest.raises(IncompleteError),
        run_query(filled, statement, seconds=2.5, clock=Ticking()) as answer,
    ):
        for _ in answer.rows:
            pass


def test_ctrl_c_ends_a_statement_at_once(filled: Database) -> None:
    """It is a KeyboardInterrupt, on SQLite too, where the driver makes an error of its own of it."""
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ask(filled, ENDLESS.format("count(*)", ""))
    timer.join()


def test_a_cursor_of_postgres_holds_few_rows(postgres_url: str) -> None:
    """The rest of an answer stays on the server: its driver would hold all of them."""
    with opened(postgres_url) as database:
        statement = "SELECT name, statement FROM pg_cursors, generate_series(1, 10)"
        with run_query(database, statement, seconds=30, clock=Clock()) as answer:
            assert {row[0] for row in answer.rows} == {"scalesync_sql"}


@pytest.fixture
def writer(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """Return a connection that keeps an SQLite mirror's file in WAL mode."""
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        yield connection


def test_what_others_committed_and_did_not_write_back_is_seen(
    writer: sqlite3.Connection, sqlite_url: str
) -> None:
    """A mirror in WAL mode is read along with its log, while somebody else is writing to it."""
    writer.execute("INSERT INTO watermarks VALUES ('one', '2026')")
    writer.commit()
    writer.execute("INSERT INTO watermarks VALUES ('two', '2026')")
    with opened(sqlite_url) as database:
        assert ask(database, "SELECT stream FROM watermarks") == [("one",)]


def test_a_mirror_stays_in_wal_mode(sqlite_url: str) -> None:
    """It is the way the file is opened that keeps a PRAGMA from changing it: they are no writes to SQLite."""
    path = sqlite_url.removeprefix("sqlite:///")
    with opened(sqlite_url) as database, pytest.raises(ScalesyncError):
        ask(database, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_a_file_may_have_any_name(sqlite_template: Path, tmp_path: Path) -> None:
    """Its name is never read as a part of an address."""
    for name in ("a?b.db", "a#b.db", "100%41.db", "ä b'\".db", "?mode=rwc"):
        path = tmp_path / name
        shutil.copyfile(sqlite_template, path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO watermarks VALUES ('here', '2026')")
        with opened("sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F")) as database:
            assert ask(database, "SELECT stream FROM watermarks") == [("here",)]
        assert [left.name for left in tmp_path.iterdir() if not left.name.startswith(name)] == []
        path.unlink()
        for left in tmp_path.glob("*-*"):
            left.unlink()


def test_text_that_is_not_utf_8_is_read_all_the_same(sqlite_url: str) -> None:
    """SQLite holds whatever bytes somebody wrote; one such name hides no row."""
    with opened(sqlite_url) as database:
        assert ask(database, "SELECT CAST(x'61ff' AS TEXT)") == [("a�",)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("timestamptz 'infinity'", "infinity"),
        ("timestamp '-infinity'", "-infinity"),
        ("date '12026-01-02'", "12026-01-02"),
        ("timestamptz '0044-03-15 12:00:00+00 BC'", "0044-03-15 12:00:00+00 BC"),
        ("time '24:00:00'", "24:00:00"),
        ("interval '9999999 years'", "9999999 years"),
        ("interval '1 year 2 months'", "1 year 2 mons"),
        ("interval '2000000000 days'", "2000000000 days"),
        ("ARRAY[date '2026-01-02', 'infinity']", [date(2026, 1, 2), "infinity"]),
        ("timestamptz '2026-01-02'", datetime(2026, 1, 2, tzinfo=UTC)),
        ("interval '26 hours'", timedelta(hours=26)),
    ],
)
def test_a_time_that_python_cannot_hold_is_text(postgres_url: str, value: str, shown: object) -> None:
    """As Postgres writes it; what Python can hold is a time as ever."""
    with opened(postgres_url) as database:
        assert ask(database, f"SELECT {value}") == [(shown,)]


def test_placeholders_are_the_mistake_of_whoever_asks(filled: Database) -> None:
    """There is nothing to put in their place, on either database, and the database is not to blame."""
    assert "given for them" in refused(filled, "SELECT $1") or filled.is_sqlite
    assert refused(filled, "SELECT count(*) FROM tasks WHERE task_id = $1 AND project = $2")


@pytest.mark.parametrize(
    "statement",
    ["SELECT currval('runs_id_seq')", "SELECT 1/0", "SELECT pg_catalog.lo_get(1)", "FETCH 1 IN x"],
)
def test_whatever_postgres_says_of_a_statement_is_its_fault(postgres_url: str, statement: str) -> None:
    """The server is to blame where it lost the connection, is short of something or ended the statement."""
    with opened(postgres_url) as database:
        assert refused(database, statement)
        with pytest.raises(DatabaseError, match="was lost"):
            ask(database, "SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(DatabaseError, match="ended a statement"):
            ask(database, "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10)")


def test_a_password_in_the_answer_to_a_wrong_statement_is_hidden(postgres_url: str) -> None:
    """What the driver says of a statement is no way round the filter."""
    with opened(postgres_url.replace("//postgres:", "//postgres:s3cret")) as database:
        assert "s3cret" not in refused(database, "SELECT 's3cret'::integer")


def test_a_user_of_fewer_rights_is_told_so(filled: Database) -> None:
    """What the database denies is the statement's fault, and its words are kept."""
    if filled.is_sqlite:
        assert "not authorized" in refused(filled, "SELECT load_extension('x')")
    else:
        with filled.write() as conn:
            conn.execute(
                text("CREATE FUNCTION no() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'")
            )
        assert "no" in refused(filled, "SELECT no()")


STUBBORN = "SELECT instr(zeroblob({0}), zeroblob({0} / 4) || x'01')"
"""One call of a function that takes as long as the square of its number, and looks at no clock."""
LONG = (
    "SELECT hex(randomblob(500000000))",
    "SELECT replace(hex(zeroblob(100000000)), '0', '0000')",
    "SELECT zeroblob(1000000000)",
    (
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 3000)"
        " SELECT group_concat(hex(zeroblob(100000))) FROM x"
    ),
)


@pytest.mark.parametrize("statement", LONG)
def test_values_longer_than_any_document_are_refused(statement: str, sqlite_url: str) -> None:
    """Before they are made, and with them what functions could do with them."""
    with opened(sqlite_url) as database:
        assert "too big" in refused(database, statement)


def test_a_document_of_many_megabytes_can_be_read(sqlite_url: str) -> None:
    """Like any that the API sends."""
    with opened(sqlite_url) as database:
        rows = ask(database, "SELECT hex(zeroblob(50000000)) AS document", 60)
    assert len(str(rows[0][0])) == 100_000_000


def test_long_rows_are_read_a_few_at_a_time(sqlite_url: str) -> None:
    """As many as before were too many where each has megabytes; of short ones many come at once."""
    taken = []
    query = (
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 300)"
        " SELECT n, hex(zeroblob({})) FROM x"
    )
    with opened(sqlite_url) as database:
        for size in (1_000_000, 1):
            tracemalloc.start()
            with run_query(database, query.format(size), seconds=60, clock=Clock()) as answer:
                assert sum(1 for _ in answer.rows) == 300
            taken.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert taken[0] < 20_000_000


def test_a_function_that_does_not_end_is_left_behind(sqlite_url: str) -> None:
    """Whoever asked is told in time, and another statement can be asked meanwhile."""
    with opened(sqlite_url) as database:
        began = time.monotonic()
        with pytest.raises(IncompleteError, match=r"took longer than 0\.2 s"):
            ask(database, STUBBORN.format(700_000), 0.2)
        assert time.monotonic() - began < 5
        assert ask(database, "SELECT 1", 5) == [(1,)]
