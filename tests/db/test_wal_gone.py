"""A -wal or -shm that is deleted while a mirror is in use: noticed at once, and nothing is made worse."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.errors import DatabaseError, DatabaseUnavailableError
from scalesync.mirror import Mirror
from tests.db.test_database import add, count
from tests.db.test_wal import names
from tests.support.databases import opened

WAITING = """
import sys
from scalesync.db.database import Database
from scalesync.errors import DatabaseError
from tests.db.test_database import add
database = Database.open(sys.argv[1])
add(database, "before")
print("ready", flush=True)
for act in sys.stdin:
    try:
        add(database, "late")
    except DatabaseError as error:
        print(error.message, flush=True)
database.close()
"""
BESIDE = [("-wal",), ("-shm",), ("-wal", "-shm")]


@contextmanager
def noticed() -> Iterator[None]:
    """Hold a block to say that something beside the file was deleted, which no waiting mends."""
    with pytest.raises(DatabaseError, match=r"-(wal|shm) was deleted or replaced") as caught:
        yield
    assert not isinstance(caught.value, DatabaseUnavailableError)
    assert "queue distrust" in caught.value.advice


def take_away(path: Path, suffixes: tuple[str, ...]) -> None:
    """Delete files beside a mirror."""
    for suffix in suffixes:
        Path(f"{path}{suffix}").unlink()


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has the mirror open and waits for what to do."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, f"sqlite:///{path}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        yield waiting


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """Return the path of a new mirror."""
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.mark.parametrize("gone", BESIDE)
def test_every_transaction_after_it_says_so(gone: tuple[str, ...], path: Path) -> None:
    """Reading and writing, and the one that was open; what was written before is saved at the end."""
    with opened(f"sqlite:///{path}") as database:
        add(database, "before")
        with noticed(), database.write() as conn:
            conn.execute(text("INSERT INTO watermarks VALUES ('lost', '2026-01-01')"))
            take_away(path, gone)
        with noticed():
            count(database)
        with noticed():
            add(database, "after")
    assert names(path) == ["before"]


@pytest.mark.parametrize("acts", ["", "add\n"])
@pytest.mark.parametrize("gone", BESIDE[1:])
def test_what_others_wrote_into_new_ones_is_not_damaged(gone: tuple[str, ...], acts: str, path: Path) -> None:
    """SQLite would write the pages of the old -wal over it when the process ends that still has that."""
    with another_process(path) as waiting:
        take_away(path, gone)
        with opened(f"sqlite:///{path}") as database:
            for number in range(700):
                add(database, f"{number:03000}")
            said, _ = waiting.communicate(acts)
        assert (waiting.returncode, "was deleted or replaced" in said) == (0, bool(acts))
    assert len(names(path)) == 700 + (gone == ("-shm",))


def test_whoever_comes_while_only_the_wal_is_gone_is_told(path: Path) -> None:
    """SQLite itself speaks of a failing disk; what was in the -wal is saved by the process that has it."""
    with another_process(path) as waiting:
        take_away(path, ("-wal",))
        with (
            pytest.raises(DatabaseError, match="-wal beside it") as caught,
            opened(f"sqlite:///{path}") as late,
        ):
            count(late)
        assert "End every process" in caught.value.advice
        waiting.communicate()
    assert names(path) == ["before"]


def test_a_process_that_others_left_behind_refuses_the_file_from_then_on(path: Path) -> None:
    """All its connections would use what others do not."""
    program = (
        "import sys; from pathlib import Path; from scalesync.errors import DatabaseError\n"
        "from tests.db.test_wal_gone import *\n"
        "path = Path(sys.argv[1])\n"
        "with opened(f'sqlite:///{path}') as database:\n"
        "    add(database, 'before')\n"
        "    take_away(path, ('-wal', '-shm'))\n"
        "    Path(f'{path}-wal').write_bytes(b'theirs')\n"
        "for _ in range(2):\n"
        "    with noticed(), opened(f'sqlite:///{path}') as database: count(database)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_queueing_transaction_never_says_queued(path: Path) -> None:
    """Also where nothing but its end was left to do."""
    mirror = Mirror(path, api_key="live_x")
    with noticed(), mirror.transaction() as tx:
        assert tx.create_task("textcollection", {"unique_id": "u"}).new
        take_away(path, ("-wal", "-shm"))


def test_files_beside_that_come_and_go_by_themselves_are_no_loss(path: Path) -> None:
    """Each use of the mirror alone makes and removes them."""
    with opened(f"sqlite:///{path}") as database:
        for number in range(3):
            with opened(f"sqlite:///{path}") as other:
                add(other, f"{number}")
            assert count(database) == number + 1
    assert not Path(f"{path}-wal").exists()


def test_a_file_that_is_not_in_wal_mode_needs_none(path: Path) -> None:
    """One that another tool has rewritten works, and what is beside it is noted when it comes."""
    with opened(f"sqlite:///{path}") as database:
        connection = database.driver_connection()
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
    with opened(f"sqlite:///{path}") as database:
        add(database, "a")
        assert not Path(f"{path}-wal").exists()
        other = Database.open(f"sqlite:///{path}", create=True)
        add(database, "b")
        add(other, "c")
        other.close()
        assert count(database) == 3
