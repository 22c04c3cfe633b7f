"""What a Postgres server, a database, a role or the environment sets for sessions reaches no mirror."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, make_url, select, text

from scalesync.clock import Clock
from scalesync.db.caller_transaction import caller_transaction
from scalesync.db.database import Database
from scalesync.db.export.readonly_sql import run_query
from scalesync.db.migrate import upgrade
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import annotations
from scalesync.db.schema.sync import watermarks
from scalesync.errors import DatabaseError
from tests.db.test_database import add, count, refusal
from tests.db.test_upserts import NOON
from tests.support.databases import PostgresServer, durable_server, migrate, opened
from tests.support.export_account import task, written

DEFAULTS = {
    "client_encoding": "latin1",
    "DateStyle": "'German'",
    "IntervalStyle": "iso_8601",
    "TimeZone": "'Asia/Tokyo'",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "array_nulls": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "row_security": "on",
    "synchronous_commit": "off",
    "statement_timeout": "'400ms'",
    "lock_timeout": "'400ms'",
    "idle_in_transaction_session_timeout": "'400ms'",
    "transaction_timeout": "'400ms'",
    "enable_indexscan": "off",
    "xmloption": "document",
}
"""Settings that an administrator may give to a database or a role, each far from what is usual."""
NEEDED = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "row_security": "off",
    "synchronous_commit": "on",
    "statement_timeout": "0",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "IntervalStyle": "postgres",
}


def alter(server: PostgresServer, url: str, *settings: str) -> None:
    """Set defaults of a database for sessions to come."""
    name = make_url(url).database
    for setting in settings:
        server.run(f"ALTER DATABASE {name} SET {setting}")


@pytest.fixture
def twisted_url(postgres_server: PostgresServer, postgres_url: str) -> str:
    """Return the URL of a migrated database whose sessions begin with nothing as usual."""
    alter(postgres_server, postgres_url, *(f"{name} = {value}" for name, value in DEFAULTS.items()))
    return postgres_url


def shown(database: Database, *, write: bool) -> dict[str, str]:
    """Return the settings that a transaction has."""
    with database.write() if write else database.read() as conn:
        names = (*NEEDED, "DateStyle", "transaction_isolation", "transaction_read_only")
        return {name: conn.execute(text(f"SHOW {name}")).scalar_one() for name in names}


def test_a_transaction_has_the_settings_that_we_rely_on(twisted_url: str) -> None:
    """Whatever the database's defaults are; writing sees what others committed, reading sees one state."""
    with opened(twisted_url) as database:
        for write, isolation in ((True, "read committed"), (False, "repeatable read")):
            found = shown(database, write=write)
            assert found.pop("DateStyle").startswith("ISO")
            assert found.pop("transaction_isolation") == isolation
            assert found.pop("transaction_read_only") == ("off" if write else "on")
            assert found == NEEDED


def test_values_come_back_as_they_went(twisted_url: str) -> None:
    """Instants, names in any script, floats to the last digit, bytes; statements may take their time."""
    with opened(twisted_url) as database:
        add(database, "Straßen & 東京")
        written(database, TASKS, [task("ä", metadata={"東": 0.1})])
        with database.write() as conn:
            conn.execute(annotations.insert().values(task_id="ä", ordinal=7, geometry="box", left=0.1 + 0.2))
            conn.execute(text("SELECT pg_sleep(0.6)"))
        with database.read() as conn:
            row = conn.execute(select(watermarks)).one()
            assert (row.stream, row.at, row.at.utcoffset()) == ("Straßen & 東京", NOON, timedelta(0))
            assert conn.scalars(select(annotations.c.left).where(annotations.c.ordinal == 7)).all() == [
                0.1 + 0.2
            ]
            assert conn.execute(text("SELECT '\\x00ff'::bytea")).scalar_one() == b"\x00\xff"


def test_a_schema_is_made_under_any_defaults(postgres_server: PostgresServer) -> None:
    """By the first command in a database whose DateStyle, isolation and time-outs are unusual."""
    url = postgres_server.create("empty_and_twisted")
    alter(postgres_server, url, *(f"{name} = {value}" for name, value in DEFAULTS.items()))
    with opened(url) as database:
        assert upgrade(database)[0] is None
        assert count(database) == 0


@contextmanager
def variables(**values: str) -> Iterator[None]:
    """Have variables in the environment while the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def test_the_environment_does_not_reach_a_session(postgres_url: str) -> None:
    """Libpq's own variables for the encoding, the time zone, the style of dates and anything else."""
    options = " ".join(f"-c {name}={value.strip(chr(39))}" for name, value in DEFAULTS.items())
    with (
        variables(PGCLIENTENCODING="SQL_ASCII", PGTZ="Asia/Tokyo", PGDATESTYLE="German", PGOPTIONS=options),
        opened(postgres_url) as database,
    ):
        assert shown(database, write=True).items() >= NEEDED.items()
        add(database, "東京")
        assert count(database) == 1


def test_options_of_the_url_do_not_either(postgres_url: str) -> None:
    """Those that concern what we rely on: an encoding, a style of dates."""
    with opened(f"{postgres_url}&client_encoding=latin1&options=-cDateStyle%3DGerman") as database:
        assert shown(database, write=False).items() >= NEEDED.items()
        add(database, "東京")
        with database.read() as conn:
            assert conn.execute(select(watermarks)).one() == ("東京", NOON)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_that_cannot_hold_every_name_is_refused(
    postgres_server: PostgresServer, encoding: str
) -> None:
    """Before anything is read or written, with what to do about it."""
    name = f"encoded_{encoding.lower()}"
    postgres_server.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    error = refusal(postgres_server.url(name))
    assert f"encoded in {encoding}" in error.message
    assert "ENCODING 'UTF8'" in error.advice
    with opened(postgres_server.url(name)) as database, pytest.raises(DatabaseError, match=encoding):
        upgrade(database)


def test_a_role_that_only_reads_is_told_so(postgres_server: PostgresServer, postgres_url: str) -> None:
    """A default of somebody's that keeps from writing is kept; reading works, and writing says why not."""
    alter(postgres_server, postgres_url, "default_transaction_read_only = on")
    with opened(postgres_url) as database:
        assert count(database) == 0
        for _ in range(2):
            with pytest.raises(DatabaseError, match="may only be read") as caught:
                add(database, "tasks")
            assert "default_transaction_read_only" in caught.value.advice
        with pytest.raises(DatabaseError, match="default_transaction_read_only is on") as caught:
            database.examine()
        assert "SET default_transaction_read_only = off" in caught.value.advice


def test_a_missing_schema_is_named(postgres_server: PostgresServer) -> None:
    """A search_path that leads nowhere leaves no place for tables: one sentence, and what to do."""
    url = postgres_server.create("pathless")
    alter(postgres_server, url, "search_path = nowhere")
    with opened(url) as database, pytest.raises(DatabaseError, match="schema") as caught:
        upgrade(database)
    assert "search_path" in caught.value.advice


def test_rows_that_a_policy_hides_are_an_error(postgres_url: str) -> None:
    """A reader whom row-level security shows a part is told so: a part never passes for all there is."""
    with opened(postgres_url) as database:
        add(database, "tasks")
        with database.write() as conn:
            for statement in (
                "CREATE ROLE partial LOGIN",
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO partial",
                "ALTER TABLE watermarks ENABLE ROW LEVEL SECURITY",
            ):
                conn.execute(text(statement))
    partial = postgres_url.replace("//postgres:", "//partial:")
    assert "row-level security" in refusal(partial).message
    with opened(partial) as database:
        statement = "SELECT count(*) FROM watermarks"
        with run_query(database, statement, seconds=30, clock=Clock()) as answer:
            assert list(answer.rows) == [(0,)]


def test_a_value_that_python_cannot_hold_is_an_error_of_the_database(postgres_url: str) -> None:
    """Somebody's `infinity` in a column of ours is one sentence, though the driver finds it while reading."""
    with opened(postgres_url) as database:
        with database.write() as conn:
            conn.execute(text("INSERT INTO watermarks VALUES ('tasks', 'infinity')"))
        with pytest.raises(DatabaseError, match="timestamp"), database.read() as conn:
            conn.execute(select(watermarks)).all()
        assert count(database) == 1


@pytest.mark.parametrize(
    "variable", [{"PGTZ": "Nowhere/City"}, {"PGDATESTYLE": "Klingon"}, {"PGOPTIONS": "-c nothing=1"}]
)
def test_a_session_that_the_server_refuses_is_explained(postgres_url: str, variable: dict[str, str]) -> None:
    """A variable of the environment that the server cannot take is not taken for a server that is away."""
    with variables(**variable):
        error = refusal(postgres_url)
    assert type(error) is DatabaseError
    assert "PGOPTIONS" in error.advice


def test_a_connection_of_somebody_else_keeps_its_settings(postgres_url: str) -> None:
    """What is queued in a transaction of theirs is read in ours, and their DateStyle is as before."""
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as conn:
            conn.execute(text("SET DateStyle = 'German'"))
            with caller_transaction(conn) as lent:
                lent.execute(text("INSERT INTO watermarks VALUES ('tasks', '2026-01-01T00:00:00Z')"))
                assert lent.execute(select(watermarks.c.at)).scalar_one().year == 2026
            assert conn.execute(text("SHOW DateStyle")).scalar_one().startswith("German")
    finally:
        engine.dispose()


def test_checks_say_how_fit_a_server_is(postgres_server: PostgresServer, postgres_url: str) -> None:
    """A server that forgets commits is named; without temporary tables nothing can be written."""
    with opened(postgres_url) as database:
        assert "fsync is off" in database.examine()
    name = make_url(postgres_url).database
    postgres_server.run(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    postgres_server.run("CREATE ROLE poor LOGIN")
    try:
        with (
            opened(postgres_url.replace("//postgres:", "//poor:")) as database,
            pytest.raises(DatabaseError, match="temporary tables") as caught,
        ):
            database.examine()
        assert "GRANT TEMPORARY" in caught.value.advice
    finally:
        postgres_server.run("DROP ROLE poor")


def test_a_standby_is_read_and_not_written() -> None:
    """Whatever would write there says what it is, and so does a check: never to run a check."""
    with durable_server() as server:
        migrate(url := server.create("replicated"))
        with opened(url) as database:
            add(database, "tasks")
        server.crash()
        (server.directory / "standby.signal").touch()
        server.start()
        with opened(url) as database:
            for _ in range(2):
                assert count(database) == 1
                with pytest.raises(DatabaseError, match="may only be read") as caught:
                    add(database, "batches")
                assert "primary" in caught.value.advice
            with pytest.raises(DatabaseError, match="is a standby") as caught:
                database.examine()
            assert "primary" in caught.value.advice
            with run_query(database, "SELECT 1", seconds=30, clock=Clock()) as answer:
                assert list(answer.rows) == [(1,)]
        with opened(server.url("postgres")) as empty, pytest.raises(DatabaseError) as caught:
            upgrade(empty)
        assert "primary" in caught.value.advice
