"""Databases that cannot be used, and what is said of each: exit code 5, and nothing is lost."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import COMMAND, Done, Scalesync, check_refusal, execute
from tests.support.databases import PostgresServer

Start = Callable[..., SandboxServer]


def test_a_missing_mirror_says_how_to_make_one(scalesync: Scalesync) -> None:
    """And is not made by looking for it."""
    for command in ("sync", "status"):
        check_refusal(scalesync(command), 5, "No mirror at", "scalesync init")

    assert not scalesync.mirror.exists()


@pytest.mark.parametrize("name", ["a directory", "a text", "an empty file", "another program's database"])
def test_what_is_no_mirror_is_refused_and_left_alone(name: str, scalesync: Scalesync) -> None:
    """A directory, a file of another kind, or a database without our tables."""
    path = scalesync.directory / name
    if name == "a directory":
        path.mkdir()
    elif name == "another program's database":
        execute(path, "CREATE TABLE other (id INTEGER)")
    else:
        path.write_text("hello" * 1000 if name == "a text" else "")
    before = None if path.is_dir() else path.read_bytes()
    words = {"a directory": "is a directory", "a text": "is not an SQLite database"}

    check_refusal(scalesync("--db", path, "status"), 5, words.get(name, "holds no mirror yet"))
    assert before == (None if path.is_dir() else path.read_bytes())


def test_a_mirror_of_a_newer_scalesync_is_refused(mirror: Scalesync) -> None:
    """Neither read nor downgraded; `init` does not touch it either."""
    execute(mirror.mirror, "UPDATE alembic_version SET version_num = '9999'")

    for command in ("sync", "init", "status"):
        check_refusal(mirror(command), 5, "9999", "newer", "Upgrade scalesync")


def test_a_database_where_nothing_can_be_made_is_named(scalesync: Scalesync) -> None:
    """No such directory, and a place that takes no files."""
    check_refusal(scalesync("--db", "nowhere/mirror.db", "init"), 5, "nowhere/mirror.db", "--db")
    check_refusal(scalesync("--db", "/proc/mirror.db", "init"), 5, "/proc/mirror.db", "--db")


def test_a_postgres_that_does_not_answer_is_named_without_its_password(scalesync: Scalesync) -> None:
    """Refused connections end with 5, and no message holds the password."""
    done = scalesync("--db", "postgresql://user:opensesame@127.0.0.1:9/mirror", "status")

    check_refusal(done, 5, "Cannot connect", "127.0.0.1:9", "Is the server running")
    assert "opensesame" not in done.err


def test_an_unknown_postgres_database_is_named_without_its_password(
    scalesync: Scalesync, postgres_server: PostgresServer
) -> None:
    """The server's own words, and advice."""
    url = postgres_server.url("nowhere").replace("postgres:@", "postgres:opensesame@")
    done = scalesync.having(SCALESYNC_DB=url)("status")

    check_refusal(done, 5, '"nowhere"', "Create it there")
    assert "opensesame" in url
    assert "opensesame" not in done.err


def test_an_empty_postgres_database_says_how_to_make_a_mirror(
    scalesync: Scalesync, postgres_server: PostgresServer
) -> None:
    """It exists, and holds none of our tables."""
    url = postgres_server.create("empty_for_cli")

    check_refusal(scalesync.having(SCALESYNC_DB=url)("status"), 5, "holds no mirror yet", "scalesync init")


COMMANDS = (
    ("init",),
    ("sync",),
    ("status",),
    ("verify",),
    ("fetch-results",),
    ("dispatch",),
    ("task", "list"),
    ("project", "create", "p", "--type", "annotation", "--params", "{}"),
    ("queue", "list"),
    ("changes",),
    ("sql", "SELECT 1"),
    ("export", "tasks"),
)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgres_database_that_cannot_hold_every_name_is_refused(
    encoding: str, scalesync: Scalesync, postgres_server: PostgresServer
) -> None:
    """By every command, before it reads or writes anything, with what to do about it."""
    name = f"cli_{encoding.lower()}"
    postgres_server.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    run = scalesync.having(
        SCALESYNC_DB=postgres_server.url(name),
        SCALESYNC_API_URL="http://127.0.0.1:9/v1",
        SCALESYNC_PATIENCE="0",
    )

    for command in COMMANDS:
        check_refusal(run(*command), 5, f"encoded in {encoding}", "ENCODING 'UTF8'")
    checked = run("check")

    assert checked.code == 5
    assert "ENCODING 'UTF8'" in checked.out


def test_no_command_minds_how_a_role_writes_dates(
    scalesync: Scalesync, shared_sandbox: SandboxServer, postgres_url: str, postgres_server: PostgresServer
) -> None:
    """Nor its time zone, its encoding or its time-outs: each says what it says to everybody else."""
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    run = scalesync.having(SCALESYNC_DB=postgres_url, SCALESYNC_API_URL=shared_sandbox.url)
    plain = [run(*command) for command in (*COMMANDS[:4], *COMMANDS[6:], ("sql", "SELECT now() - now()"))]
    for setting in ("datestyle = 'German'", "intervalstyle = 'iso_8601'", "timezone = 'Asia/Tokyo'",
                    "client_encoding = 'SQL_ASCII'", "statement_timeout = '2s'"):  # fmt: skip
        postgres_server.run(f"ALTER ROLE postgres IN DATABASE {name} SET {setting}")

    twisted = [run(*command) for command in (*COMMANDS[:4], *COMMANDS[6:], ("sql", "SELECT now() - now()"))]

    assert [done.code for done in twisted] == [done.code for done in plain]
    assert {done.code for done in plain} == {0}
    assert not [done.err for done in twisted if "Traceback" in done.err]
    assert [done.out for done in twisted[-3:]] == [done.out for done in plain[-3:]]


def test_a_mirror_keeps_to_one_account_and_mode(mirror: Scalesync) -> None:
    """Another key is refused until the mirror is handed over; the other mode always."""
    rotated = mirror.having(SCALE_API_KEY="live_another")

    check_refusal(rotated("sync"), 5, "another key", "init --adopt")
    assert (rotated("check").code, "another key" in rotated("check").out) == (5, True)
    check_refusal(rotated.having(SCALE_API_KEY="test_one")("init", "--adopt"), 5, "live data", "test key")
    assert rotated("init", "--adopt").code == 0
    assert rotated("sync").code == 0
    check_refusal(mirror("sync"), 5, "another key")


def limited(scalesync: Scalesync, limit: int, *arguments: str) -> Done:
    """Run a command that can make no file larger than `limit` bytes: a full disk, near enough."""

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    # Python does not notice where it writes half of a compiled module, and the next command would read it.
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=scalesync.directory,
        env=scalesync.environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit_files,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_ends_with_5_and_loses_nothing(
    shared_sandbox: SandboxServer, empty_mirror: Scalesync
) -> None:
    """What was committed is kept; with room again the next run goes on with the same run."""
    ready = empty_mirror.having(SCALESYNC_API_URL=shared_sandbox.url)

    check_refusal(limited(ready, 600_000, "sync"), 5, "scalesync.db")
    assert execute(ready.mirror, "PRAGMA integrity_check") == [("ok",)]
    done = ready("sync", "--json")

    assert (done.code, done.json["complete"]) == (0, True)
    assert execute(ready.mirror, "SELECT count(*) FROM tasks") == [(1000,)]


def test_a_full_disk_while_exporting_leaves_the_old_file(mirror: Scalesync) -> None:
    """A file is written whole or not at all, and no remains lie about."""
    path = mirror.directory / "tasks.jsonl"
    path.write_text("the old one")

    done = limited(mirror, 100_000, "export", "tasks", "-o", "tasks.jsonl")

    check_refusal(done, 2, "Cannot write tasks.jsonl", "-o")
    assert path.read_text() == "the old one"
    assert [left.name for left in mirror.directory.glob(".*")] == []


def test_a_full_disk_behind_stdout_is_named(synced: Scalesync) -> None:
    """Printed data that could not be written never ends with 0."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "export", "tasks"],
            cwd=synced.directory,
            env=synced.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    check_refusal(Done(done.returncode, "", done.stderr), 2, "No space left on device")


def test_init_is_safe_to_run_twice_and_by_two_at_once(scalesync: Scalesync) -> None:
    """All end with 0, one creates the schema, and the file is its owner's alone."""
    keyless = scalesync.having(SCALE_API_KEY=None)
    with keyless.started("init") as one, keyless.started("init") as other:
        both = [keyless.ended(one), keyless.ended(other)]
    again = keyless("init")

    assert [done.code for done in (*both, again)] == [0, 0, 0]
    assert sorted(done.err.split()[-1] for done in both) == ["created.", "date."]
    assert "is up to date" in again.err
    assert scalesync.mirror.stat().st_mode & 0o777 == 0o600


def test_init_by_two_at_once_on_postgres(scalesync: Scalesync, postgres_server: PostgresServer) -> None:
    """The same as on SQLite: both end with 0, and one creates the schema."""
    url = postgres_server.create("init_by_two")
    keyless = scalesync.having(SCALE_API_KEY=None, SCALESYNC_DB=url)
    with keyless.started("init") as one, keyless.started("init") as other:
        both = [keyless.ended(one), keyless.ended(other)]

    assert [done.code for done in both] == [0, 0], both
    assert sorted(done.err.split()[-1] for done in both) == ["created.", "date."]


def test_an_older_schema_is_upgraded_by_init_only(mirror: Scalesync) -> None:
    """A mirror without a version is one that `init` has not finished."""
    execute(mirror.mirror, "DELETE FROM alembic_version")

    check_refusal(mirror("sync"), 5, "holds no mirror yet", "scalesync init")


def test_the_database_is_chosen_by_option_before_variable(mirror: Scalesync) -> None:
    """--db, then SCALESYNC_DB, then scalesync.db in the working directory."""
    shutil.copyfile(mirror.mirror, mirror.directory / "other.db")
    named = mirror.having(SCALESYNC_DB="other.db")

    shown = [
        mirror("status", "--json").json["database"],
        named("status", "--json").json["database"],
        named("--db", "scalesync.db", "status", "--json").json["database"],
    ]

    assert [os.path.basename(str(path)) for path in shown] == ["scalesync.db", "other.db", "scalesync.db"]  # noqa: PTH119
