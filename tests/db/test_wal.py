"""A -wal beside an SQLite file: replayed where it is the file's own, recognized where it is not."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from scalesync.db.database import Database
from scalesync.db.schema.sync import watermarks
from scalesync.db.wal import check_log
from scalesync.errors import DatabaseError
from tests.db.test_database import add, count
from tests.support.databases import migrate, opened

KILLED = """
import os, sys
from sqlalchemy import text
from scalesync.db.database import Database
from tests.db.test_database import add
database = Database.open(sys.argv[1])
for name in sys.argv[2:]:
    if name.startswith("PRAGMA"):
        database.driver_connection().execute(name)
    else:
        add(database, name)
os.kill(os.getpid(), 9)
"""
RESTART = "PRAGMA wal_checkpoint(RESTART)"


def killed(path: Path, *acts: str) -> None:
    """Let a process add watermarks, or give pragmas, and be killed: its -wal stays."""
    subprocess.run([sys.executable, "-c", KILLED, f"sqlite:///{path}", *acts], check=False)
    assert Path(f"{path}-wal").stat().st_size


def names(path: Path) -> list[str]:
    """Return the watermarks in a mirror, and end with a sound file that has no -wal."""
    with opened(f"sqlite:///{path}") as database, database.read() as conn:
        found = sorted(conn.scalars(select(watermarks.c.stream)))
        assert conn.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    return found


def check_refused(path: Path, kept: int) -> None:
    """Hold a file with another's -wal: refused in a sentence, untouched, and sound without the -wal."""
    before = [Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")]
    with pytest.raises(DatabaseError, match="does not belong to") as caught, opened(f"sqlite:///{path}"):
        pass
    assert "delete the -wal and -shm" in caught.value.advice
    assert "queue distrust" in caught.value.advice
    assert [Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")] == before
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    assert len(names(path)) == kept


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a new mirror that holds one watermark."""
    path = tmp_path / "mirror.db"
    migrate(f"sqlite:///{path}")
    with opened(f"sqlite:///{path}") as database:
        add(database, "first")
    return path


@pytest.mark.parametrize("acts", [("a", "b"), ("a", RESTART, "b"), ("a", "b", RESTART, "c", RESTART)])
def test_its_own_is_replayed_after_a_kill(acts: tuple[str, ...], path: Path) -> None:
    """However far it was copied into the file by then, and whether it was begun anew or not."""
    killed(path, *acts)
    killed(path, "x", "y")
    wanted = sorted(["first", "x", "y", *(act for act in acts if act != RESTART)])
    assert names(path) == wanted


def test_a_kill_in_the_life_of_the_first_transaction_is_none(tmp_path: Path) -> None:
    """A file that was never counted in fits its -wal."""
    path = tmp_path / "mirror.db"
    migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    killed(path, "a", "b")
    assert names(path) == ["a", "b"]


@pytest.mark.parametrize("shm", [True, False])
def test_a_backup_copied_over_a_mirror_whose_wal_was_left(shm: bool, path: Path, tmp_path: Path) -> None:
    """An older copy is refused, where SQLite would replay the -wal over it."""
    shutil.copyfile(path, tmp_path / "backup.db")
    killed(path, "a", RESTART, "b")
    killed(path, "c", RESTART, "d")
    shutil.copyfile(tmp_path / "backup.db", path)
    if not shm:
        Path(f"{path}-shm").unlink()
    check_refused(path, 1)


def test_a_newer_file_copied_over_an_older_wal(path: Path, tmp_path: Path) -> None:
    """It is refused as well."""
    newer = tmp_path / "newer.db"
    shutil.copyfile(path, newer)
    killed(path, "a")
    with opened(f"sqlite:///{newer}") as database:
        for name in "abcdef":
            add(database, name)
    shutil.copyfile(newer, path)
    check_refused(path, 7)


def test_the_wal_of_another_mirror(path: Path, tmp_path: Path) -> None:
    """Two files made apart do not fit each other's."""
    other = tmp_path / "other.db"
    migrate(f"sqlite:///{other}")
    killed(other, "a", "b")
    shutil.copyfile(f"{other}-wal", f"{path}-wal")
    check_refused(path, 1)


def test_a_wal_of_pages_of_another_size(path: Path, tmp_path: Path) -> None:
    """It is recognized by that alone."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a)")
        shutil.copyfile(f"{other}-wal", f"{path}-wal")
    check_refused(path, 1)


def test_what_sqlite_would_not_read_is_none(path: Path) -> None:
    """An empty -wal, or one cut off in its heading, is no obstacle."""
    for content in (b"", b"\x37\x7f\x06\x82", b"no log at all" * 10):
        Path(f"{path}-wal").write_bytes(content)
        assert names(path) == ["first"]


def test_a_wal_in_use_fits_at_every_moment(path: Path) -> None:
    """While transactions and checkpoints follow each other, whoever comes finds it right."""

    def write(database: Database) -> None:
        for number in range(100):
            add(database, f"{number}")
            if number % 7 == 0:
                with closing(database.driver_connection()) as connection:
                    connection.execute(RESTART)

    with opened(f"sqlite:///{path}") as database:
        writer = threading.Thread(target=write, args=(database,))
        writer.start()
        while writer.is_alive():
            check_log(path)
        assert count(database) == 101
