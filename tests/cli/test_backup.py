"""`scalesync backup`: a copy of a mirror in use, and what it takes to put it back."""

import os
import shutil
import signal
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from scalesync.cli.atomic_files import sigterm_as_interrupt
from scalesync.db.backup import back_up
from scalesync.db.schema.sync import watermarks
from scalesync.errors import ConfigurationError
from scalesync.mirror import Mirror
from tests.cli.test_unusable_databases import limited
from tests.db.test_upserts import NOON
from tests.db.test_wal import killed
from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.databases import opened


def files(directory: Path) -> list[str]:
    """Return the names of everything in a directory."""
    return sorted(path.name for path in directory.iterdir())


def filled(mirror: Scalesync) -> Scalesync:
    """Return a mirror that is copied in several steps."""
    execute(mirror.mirror, "CREATE TABLE ballast AS SELECT zeroblob(40000000) AS bytes")
    return mirror


def test_a_backup_is_a_mirror_of_its_own(mirror: Scalesync) -> None:
    """For its owner only, one file, with everything; a link stays a link."""
    (mirror.directory / "link.db").symlink_to("copy.db")
    done = mirror("backup", "link.db")
    copy = mirror.directory / "copy.db"

    assert (done.code, done.out, " MB in link.db\n" in done.err) == (0, "", True)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert files(mirror.directory) == ["copy.db", "link.db", "scalesync.db"]
    assert mirror("--db", "copy.db", "export", "tasks").out == mirror("export", "tasks").out
    assert mirror("--db", "copy.db", "sync").code == 0


def test_a_backup_is_the_state_of_one_moment(empty_mirror: Scalesync) -> None:
    """Whoever writes meanwhile is not waited for, nor kept waiting; no half of a transaction is in it."""
    url = f"sqlite:///{filled(empty_mirror).mirror}"
    stop = threading.Event()
    written, turns = [0], [0]

    def write() -> None:
        while not stop.is_set():
            with database.write() as conn:
                pair = [{"stream": f"{written[0]}{half}", "at": NOON} for half in "ab"]
                conn.execute(insert(watermarks), pair)
            written[0] += 1

    def watch(_copied: int, _pages: int) -> None:
        turns[0] += 1
        before = written[0]
        while written[0] < before + 3:
            stop.wait(0.001)

    copy = empty_mirror.directory / "copy.db"
    with opened(url) as database:
        writer = threading.Thread(target=write)
        writer.start()
        back_up(database, copy, watch)
        stop.set()
        writer.join()
    assert (turns[0] > 3, written[0] >= 3 * turns[0]) == (True, True)
    assert execute(copy, "PRAGMA integrity_check") == [("ok",)]
    ((rows,),) = execute(copy, "SELECT count(*) FROM watermarks")
    assert int(str(rows)) % 2 == 0
    assert int(str(rows)) <= 2 * (written[0] - 3 * turns[0] + 3)


def test_what_is_there_is_not_replaced_unasked(mirror: Scalesync) -> None:
    """Nor the mirror itself, nor a directory, nor a database that something is beside, even if asked."""
    (mirror.directory / "old.db").write_text("the old one")
    (mirror.directory / "used.db").touch()
    (mirror.directory / "used.db-wal").touch()
    (mirror.directory / "same.db").hardlink_to(mirror.mirror)

    check_refusal(mirror("backup", "old.db"), 2, "old.db is there already", "--overwrite")
    assert (mirror.directory / "old.db").read_text() == "the old one"
    for name in ("scalesync.db", "same.db"):
        check_refusal(mirror("backup", name, "--overwrite"), 2, "is the mirror itself")
    check_refusal(mirror("backup", "used.db", "--overwrite"), 2, "used.db-wal is there")
    for end in ("-wal", "-shm", "-journal"):
        name = f"scalesync.db{end}"
        check_refusal(mirror("backup", name, "--overwrite"), 2, f"{name} belongs to the database beside it")
    for name in (".", "", "/dev/null"):
        check_refusal(mirror("backup", name, "--overwrite"), 2, "is not a file")
    assert mirror("backup", "old.db", "--overwrite").code == 0
    assert execute(mirror.directory / "old.db", "SELECT count(*) FROM tasks") == [(1000,)]


def test_a_file_that_cannot_be_written_leaves_nothing(mirror: Scalesync) -> None:
    """No directory, none that takes files, no room, too long a name: one sentence, and exit code 2."""
    before = files(mirror.directory)
    for name in ("none/copy.db", "scalesync.db/copy.db", "/proc/copy.db", "n" * 300):
        check_refusal(mirror("backup", name), 2, "Cannot write", "Name another file")
    check_refusal(limited(mirror, 100_000, "backup", "copy.db"), 2, "Cannot write copy.db", "another file")
    assert files(mirror.directory) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_half(number: signal.Signals, empty_mirror: Scalesync) -> None:
    """What was there stays as it was."""
    copy = empty_mirror.directory / "copy.db"
    copy.write_text("the old one")
    url = f"sqlite:///{filled(empty_mirror).mirror}"
    with opened(url) as database, sigterm_as_interrupt(), pytest.raises(KeyboardInterrupt):
        back_up(database, copy, lambda *_: os.kill(os.getpid(), number), overwrite=True)
    assert (copy.read_text(), files(empty_mirror.directory)) == ("the old one", ["copy.db", "scalesync.db"])


def test_a_backup_put_back_over_a_wal_that_was_left(mirror: Scalesync) -> None:
    """Every command says so and ends with 5, whatever the -wal holds; the recipe leads out of it."""
    assert mirror("task", "create", "textcollection", "unique_id=before").code == 0
    assert mirror("backup", "backup.db").code == 0
    killed(mirror.mirror, "later")
    shutil.copyfile(mirror.directory / "backup.db", mirror.mirror)

    for words in (["status"], ["sync"], ["dispatch"], ["sql", "SELECT 1"], ["init"], ["backup", "more.db"]):
        check_refusal(mirror(*words), 5, "scalesync.db-wal does not belong to", "delete the -wal and -shm")
    assert "FAILED  database" in mirror("check").out
    for suffix in ("-wal", "-shm"):
        Path(f"{mirror.mirror}{suffix}").unlink()
    assert mirror("queue", "distrust").code == 0
    assert mirror("sync").code == 0
    assert execute(mirror.mirror, "SELECT count(*) FROM watermarks WHERE stream = 'later'") == [(0,)]


def test_an_older_schema_is_backed_up_before_its_upgrade(mirror: Scalesync) -> None:
    """Whatever the schema is."""
    execute(mirror.mirror, "UPDATE alembic_version SET version_num = '0001'")
    assert mirror("-q", "backup", "copy.db").err == ""
    assert execute(mirror.directory / "copy.db", "SELECT version_num FROM alembic_version") == [("0001",)]


def test_on_postgres_it_names_the_servers_own_tool(scalesync: Scalesync, postgres_url: str) -> None:
    """And makes no file."""
    ready = scalesync.having(SCALESYNC_DB=postgres_url)
    check_refusal(ready("backup", "copy.db"), 2, "Postgres", "pg_dump")
    assert files(scalesync.directory) == []


def test_a_backup_from_python(mirror: Scalesync) -> None:
    """The same, by a path of either kind."""
    copy = mirror.directory / "copy.db"
    ours = Mirror(mirror.mirror, api_key="live_x")
    ours.backup(copy)
    with pytest.raises(ConfigurationError, match="is there already"):
        ours.backup(str(copy))
    ours.backup(copy, overwrite=True)
    with opened(f"sqlite:///{copy}") as database, database.read() as conn:
        assert conn.scalar(text("SELECT count(*) FROM tasks")) == 1000
