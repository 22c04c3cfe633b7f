"""What a statement of one's own may do beside reading tables, and what of it stays."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from scalesync.db.mirror.documents import TASKS
from scalesync.errors import ConfigurationError
from tests.db.test_readonly_sql import ask, refused
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Scalesync, check_refusal, scalesync_in
from tests.support.databases import opened
from tests.support.export_account import task, written

READER = "scalesync_reader"

CHANGING_SQLITE = (
    "PRAGMA journal_mode",
    "PRAGMA journal_mode = DELETE",
    "pragma JOURNAL_MODE = off",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA optimize",
    "PRAGMA main.incremental_vacuum",
    "PRAGMA writable_schema = ON",
    "PRAGMA mmap_size = 1000000",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA hard_heap_limit = 1",
    "PRAGMA application_id = 7",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('{other}', 'x')",
    "SELECT edit('x')",
    "SELECT load_extension('{other}')",
    "SELECT fts3_tokenizer('simple', x'00')",
)
CHANGING_POSTGRES = (
    "SELECT setval('runs_id_seq', 1000)",
    "SELECT nextval('runs_id_seq')",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('{other}')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lo_unlink(1)",
    "SELECT txid_current() FROM tasks FOR SHARE",
)
ONLY_FOR_MORE_RIGHTS = (
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_export(1, '{other}')",
    "SELECT pg_reload_conf()",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('log_statement', 'all', false)",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
)


def test_sqlite_takes_pragmas_that_only_tell(sqlite_url: str, tmp_path: Path) -> None:
    """Any other, and whatever would touch a file, is refused as a wrong statement is."""
    with opened(sqlite_url) as database:
        for statement in CHANGING_SQLITE:
            refused(database, statement.format(other=tmp_path / "other"))
        assert ask(database, "PRAGMA main.table_info(mirror)")[0][:3] == (0, "id", "INTEGER")
        assert ask(database, "SELECT name FROM pragma_table_info('mirror')")[0] == ("id",)
        for pragma in ("user_version", "Page_Count", "integrity_check"):
            assert len(ask(database, f"PRAGMA {pragma}")) == 1
    assert not (tmp_path / "other").exists()


def test_postgres_keeps_sequences_and_large_objects(postgres_url: str, tmp_path: Path) -> None:
    """A transaction that only reads holds even for a superuser where it is about what is in the database."""
    (tmp_path / "other").write_text("x")
    with opened(postgres_url) as database:
        for statement in CHANGING_POSTGRES:
            words = refused(database, statement.format(other=tmp_path / "other"))
            assert "read-only" in words, statement


def test_nothing_of_a_statement_outlives_it(postgres_url: str) -> None:
    """Not its locks, settings or prepared statements; a notification it asks for is never sent."""
    with opened(postgres_url) as database, closing(psycopg.connect(postgres_url, autocommit=True)) as other:
        other.execute("LISTEN heard")
        ask(database, "SELECT pg_advisory_lock(7), pg_notify('heard', 'x')::text")
        ask(database, "SELECT set_config('work_mem', '1MB', false)")
        assert ask(database, "SELECT current_setting('work_mem')") != [("1MB",)]
        other.execute("SET statement_timeout = '20s'")
        other.execute("SELECT pg_advisory_lock(7)")
        other.execute("NOTIFY heard, 'of mine'")
        assert [heard.payload for heard in other.notifies(stop_after=1)] == ["of mine"]


@pytest.fixture
def as_reader(postgres_url: str) -> Iterator[str]:
    """Return the URL of a mirror for a role that may do nothing but SELECT, as the documentation makes it."""
    with opened(postgres_url) as database:
        written(database, TASKS, [task("a")])
    with closing(psycopg.connect(postgres_url, autocommit=True)) as owner:
        owner.execute(f"CREATE ROLE {READER} LOGIN")
        try:
            owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
            yield postgres_url.replace("postgres:@", f"{READER}@")
        finally:
            owner.execute(f"DROP OWNED BY {READER}")
            owner.execute(f"DROP ROLE {READER}")


def test_a_role_that_may_only_select_is_enough_to_ask(as_reader: str, tmp_path: Path) -> None:
    """And keeps a statement from files, settings, other sessions and programs of the server."""
    with opened(as_reader) as database:
        assert ask(database, "SELECT task_id FROM tasks") == [("a",)]
        for statement in ONLY_FOR_MORE_RIGHTS:
            with pytest.raises(ConfigurationError, match="permission denied"):
                ask(database, statement.format(other=tmp_path / "other"))
    reader: Scalesync = in_process(scalesync_in(tmp_path)).having(SCALESYNC_DB=as_reader)
    for line in (
        "sql SELECT",
        "status",
        "task list",
        "export tasks",
        "changes",
        "queue list",
        "project list",
    ):
        assert reader(*line.split()).code == 0, line
    check_refusal(reader("queue", "pause"), 5, "permission denied")
    assert list(tmp_path.iterdir()) == []
