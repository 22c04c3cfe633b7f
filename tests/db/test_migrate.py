"""The schema: created, upgraded and checked, by anybody and by everybody at once."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from scalesync.db.database import Database
from scalesync.db.migrate import REVISIONS, check_schema, current_revision, head_revision, upgrade
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.views import VIEWS
from scalesync.errors import DatabaseError
from tests.support.databases import downgrade, opened

ROOT = Path(__file__).parents[2]


def tables(database: Database) -> set[str]:
    """Return the names of the tables here."""
    with database.read() as conn:
        return set(inspect(conn).get_table_names())


def view_names(database: Database) -> set[str]:
    """Return the names of the views here."""
    with database.read() as conn:
        return set(inspect(conn).get_view_names())


def alembic(*arguments: str, cwd: Path, database: str | None) -> subprocess.CompletedProcess[str]:
    """Run the alembic command with the repository's configuration."""
    environment = {name: value for name, value in os.environ.items() if name != "SCALESYNC_DB"}
    if database is not None:
        environment["SCALESYNC_DB"] = database
    return subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_upgrade_creates_the_schema_once(empty_database_url: str) -> None:
    """The first upgrade makes every table, the second finds nothing to do."""
    with opened(empty_database_url, create=True) as database:
        assert current_revision(database) is None
        assert upgrade(database) == (None, head_revision())
        assert tables(database) == {*metadata.tables, "alembic_version"}
        assert upgrade(database) == (head_revision(), head_revision())
        assert current_revision(database) == head_revision()
        check_schema(database)


def test_the_schema_goes_up_and_down_and_up(database: Database) -> None:
    """Every migration can be undone and done again."""
    with database.write() as conn:
        downgrade(conn, "base")
    assert tables(database) == {"alembic_version"}
    assert view_names(database) == set()
    assert upgrade(database) == (None, head_revision())
    assert tables(database) == {*metadata.tables, "alembic_version"}
    assert view_names(database) == set(VIEWS)


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    """No table, column, type, index or constraint differs between migrations and models."""
    with database.read() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def checks(database: Database) -> dict[str, str]:
    """Return the CHECK constraints here, by name."""
    with database.read() as conn:
        found = inspect(conn).get_multi_check_constraints().values()
        return {str(each["name"]): str(each["sqltext"]) for several in found for each in several}


def test_the_migrations_make_the_checks_that_the_models_say(empty_database_url: str) -> None:
    """CHECK constraints, which alembic does not compare, are the same too."""
    with opened(empty_database_url, create=True) as database:
        with database.write() as conn:
            metadata.create_all(conn)
        said = checks(database)
        with database.write() as conn:
            metadata.drop_all(conn)
        upgrade(database)
        assert checks(database) == said
        assert len(said) >= 6


def test_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    """Of several processes that upgrade at the same moment each succeeds, and one did it."""
    program = (
        "import sys; from scalesync.db.database import Database; from scalesync.db.migrate import upgrade\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "database = Database.open(sys.argv[1], create=True); print(upgrade(database)); database.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, empty_database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    head = head_revision()
    assert sorted(answers) == sorted([(f"{(None, head)}\n", "")] + [(f"{(head, head)}\n", "")] * 2)


def test_the_revisions_named_in_the_code_are_the_migrations() -> None:
    """They are written out, oldest first, so that a command need not load Alembic to know them."""
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))

    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_a_failed_upgrade_leaves_nothing_behind(empty_database_url: str) -> None:
    """Where one statement of an upgrade fails, none of it happened."""
    with opened(empty_database_url, create=True) as database:
        with database.write() as conn:
            conn.execute(text("CREATE TABLE watermarks (mine integer)"))
        with pytest.raises(DatabaseError, match="already exists"):
            upgrade(database)
        assert tables(database) == {"watermarks"}


def test_a_newer_schema_is_refused(database: Database) -> None:
    """A database of a newer scalesync is neither used nor touched, and the advice is to upgrade."""
    with database.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (check_schema, upgrade):
        with pytest.raises(DatabaseError, match="newer scalesync") as caught:
            use(database)
        assert "Upgrade scalesync" in caught.value.advice
    assert current_revision(database) == "9999"


def test_a_database_without_a_schema_is_refused(empty_database_url: str) -> None:
    """The advice for an empty database is `scalesync init`."""
    with opened(empty_database_url, create=True) as database:
        with pytest.raises(DatabaseError, match="holds no mirror") as caught:
            check_schema(database)
        assert "scalesync init" in caught.value.advice


def test_upgrade_says_nothing(
    empty_database_url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An upgrade writes nothing to the terminal and logs nothing below a warning."""
    with caplog.at_level(logging.INFO), opened(empty_database_url, create=True) as database:
        upgrade(database)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("named", "made"), [("sqlite:///named.db", "named.db"), ("bare.db", "bare.db"), (None, "scalesync.db")]
)
def test_the_alembic_command_works(tmp_path: Path, named: str | None, made: str) -> None:
    """In a checkout the alembic command works on SCALESYNC_DB, and on scalesync.db without it."""
    assert alembic("upgrade", "head", cwd=tmp_path, database=named).returncode == 0
    assert (tmp_path / made).exists()
    checked = alembic("check", cwd=tmp_path, database=named)
    assert (checked.returncode, checked.stdout) == (0, "No new upgrade operations detected.\n"), (
        checked.stderr
    )


def test_the_alembic_command_works_on_postgres(postgres_url: str, tmp_path: Path) -> None:
    """`alembic check` finds nothing to do on Postgres either."""
    checked = alembic("check", cwd=tmp_path, database=postgres_url)
    assert (checked.returncode, checked.stdout) == (0, "No new upgrade operations detected.\n"), (
        checked.stderr
    )
