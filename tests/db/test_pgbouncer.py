"""What scalesync does in Postgres, through a PgBouncer that gives each transaction another session."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.export.readonly_sql import run_query
from scalesync.errors import DatabaseError
from scalesync.sandbox import SandboxOptions, SandboxServer
from tests.db.test_session_settings import DEFAULTS, NEEDED, alter, shown
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Done, Scalesync, scalesync_in
from tests.support.databases import PostgresServer, opened
from tests.support.poolers import pooling

SIZE = 2
"""Sessions of the server: fewer than a command has connections, so that they change hands."""


@pytest.fixture
def pooled_url(postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """Return the URL of a fresh migrated database behind a pooler."""
    with pooling(postgres_server.directory, size=SIZE) as pooler:
        yield pooler.url(postgres_url)


@pytest.fixture
def narrow_url(postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """Return the same behind a pooler that has a single session, so that nobody may need two at a time."""
    with pooling(postgres_server.directory, size=1) as pooler:
        yield pooler.url(postgres_url)


@pytest.fixture(scope="module")
def account() -> Iterator[SandboxServer]:
    """Start an account that is written to; its tests see what others made there."""
    with SandboxServer(SandboxOptions(tasks=1_500)) as server:
        yield server


def direct(url: str, server: PostgresServer) -> str:
    """Return the URL of the same database without a pooler."""
    return server.url(str(make_url(url).database))


def checked(done: Done, code: int = 0) -> Done:
    """Return what a command left behind; it ended as expected."""
    assert done.code == code, f"{done.out}\n{done.err}"
    return done


def test_every_flow_works_through_a_pooler(
    pooled_url: str, postgres_server: PostgresServer, account: SandboxServer, tmp_path: Path
) -> None:
    """A schema, two syncs with many workers, orders and their dispatch, a proof, questions and an export.

    What is there afterwards is what a direct connection finds, and nothing is left in the pool's sessions.
    """
    postgres_server.run(f"DROP DATABASE {make_url(pooled_url).database} WITH (FORCE)")
    postgres_server.create(str(make_url(pooled_url).database))
    run = in_process(scalesync_in(tmp_path, account.url)).having(SCALESYNC_DB=pooled_url)
    assert "created" in checked(run("init")).err
    assert "up to date" in checked(run("init")).err
    assert "pooler" in checked(run("check")).out
    for _ in range(2):
        assert checked(run("sync", "--json", "--workers", "8")).json["complete"]
    (tmp_path / "x.jsonl").write_text(
        "".join(f'{{"attachment": "https://example.com/{number}.jpg"}}\n' for number in range(120))
    )
    checked(
        run("project", "create", "Pooled", "--type", "imageannotation", "--params", '{"instruction": "x"}')
    )
    checked(run("batch", "create", "pooled 1", "--project", "Pooled"))
    place = ("imageannotation", "--project", "Pooled", "--batch", "pooled 1")
    checked(run("task", "create", *place, "--from", "x.jsonl"))
    checked(run("batch", "finalize", "pooled 1"))
    assert checked(run("dispatch", "--json")).json["delivered"] == 123
    assert checked(run("dispatch", "--json")).json["delivered"] == 0
    checked(run("sync", "--full"))
    checked(run("verify", "--deep"))
    checked(run("status"))
    counted = checked(run("sql", "--format", "json", "SELECT count(*) AS n FROM tasks")).lines
    assert counted == [{"n": 1_620}]
    checked(run("export", "tasks", "-o", "tasks.jsonl"))
    assert len((tmp_path / "tasks.jsonl").read_text().splitlines()) == 1_620
    checked(run("queue", "list", "--all"))
    checked(run.having(SCALESYNC_DB=direct(pooled_url, postgres_server))("verify", "--deep"))
    assert_nothing_is_left(pooled_url)


def test_two_processes_share_the_work_through_a_single_session(
    narrow_url: str, account: SandboxServer, tmp_path: Path
) -> None:
    """Syncs and dispatchers at once, each a process of its own: each effect is there once."""
    run = scalesync_in(tmp_path, account.url).having(SCALESYNC_DB=narrow_url)
    (tmp_path / "x.jsonl").write_text(
        "".join(f'{{"attachment": "https://example.com/two/{number}.jpg"}}\n' for number in range(60))
    )
    checked(run("task", "create", "imageannotation", "--project", "Street scenes", "--from", "x.jsonl"))
    before = account.backend.requests["POST /task/{type}"]
    steps = (("sync",), ("sync",), ("dispatch",), ("dispatch",))
    with ExitStack() as stack:
        running = [stack.enter_context(run.started("--quiet", *step)) for step in steps]
        codes = [(step[0], Scalesync.ended(process)) for step, process in zip(steps, running, strict=True)]
    assert [done for step, done in codes if done.code not in ({0, 6} if step == "sync" else {0})] == []
    assert account.backend.requests["POST /task/{type}"] == before + 60
    checked(run("sync"))
    checked(run("verify"))
    assert_nothing_is_left(narrow_url, sessions=1)


def assert_nothing_is_left(url: str, *, sessions: int = SIZE) -> None:
    """Hold every session of the pool to be as it was before anybody used it."""
    with ExitStack() as stack:
        lent = [stack.enter_context(psycopg.connect(url, prepare_threshold=None)) for _ in range(sessions)]
        seen = set()
        for connection in lent:
            one = connection.execute("""
                SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements),
                    (SELECT count(*) FROM pg_listening_channels()),
                    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
                    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
                    current_setting('lock_timeout'), current_setting('row_security'),
                    current_setting('extra_float_digits'), current_setting('IntervalStyle')
            """).fetchone()
            assert one is not None
            seen.add(one[0])
            assert one[1:] == (0, 0, 0, 0, "0", "on", "1", "postgres")
    assert len(seen) == sessions


def test_what_others_set_in_a_session_does_not_matter(
    pooled_url: str, postgres_server: PostgresServer
) -> None:
    """A client whose settings stay in the session that it shares with us; defaults of the database."""
    alter(postgres_server, pooled_url, *(f"{name} = {value}" for name, value in DEFAULTS.items()))
    with ExitStack() as stack:
        others = [
            stack.enter_context(psycopg.connect(pooled_url, autocommit=True, prepare_threshold=None))
            for _ in range(SIZE)
        ]
        for other in others:
            for name in ("IntervalStyle = sql_standard", "lock_timeout = 1", "row_security = on"):
                other.execute(f"SET {name}")
        with opened(pooled_url) as database:
            for write in (True, False):
                found = shown(database, write=write)
                assert found.items() >= NEEDED.items()
                assert found["DateStyle"].startswith("ISO")


def answers(database: Database) -> object:
    """Return the answer to a question of somebody's own."""
    with run_query(database, "SELECT '0.1'::float8", seconds=30, clock=Clock()) as answer:
        return list(answer.rows)


@pytest.mark.parametrize("hint", ["", "&pgbouncer=true&connection_limit=1", "&statement_cache_size=0"])
def test_options_of_other_programs_are_no_hindrance(pooled_url: str, hint: str) -> None:
    """Addresses are copied from where others use them, with a word about the pooler in them."""
    with opened(pooled_url + hint) as database:
        assert answers(database) == [(0.1,)]
        assert "pooler" in database.examine()


def test_a_pooler_that_takes_no_options_says_so(pooled_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses what the environment wants set from the start: one sentence, and what to do."""
    monkeypatch.setenv("PGOPTIONS", "-c geqo=off")
    with opened(pooled_url) as database, pytest.raises(DatabaseError, match="startup parameter") as caught:
        answers(database)
    assert "PGOPTIONS" in caught.value.advice
    monkeypatch.delenv("PGOPTIONS")
    unknown = pooled_url.replace("//postgres:", "//stranger:").replace("/test_", "/none_")
    with opened(unknown) as database, pytest.raises(DatabaseError) as caught:
        answers(database)
    assert "none_" in caught.value.message
