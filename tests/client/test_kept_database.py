"""The client leaves its database open between two calls, and copes with what happens to it meanwhile."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from scalesync import Mirror
from scalesync.client import ScaleClient
from scalesync.errors import DatabaseError
from scalesync.sandbox import SandboxServer
from tests.client.conftest import Connect
from tests.support.databases import PostgresServer, migrate

BOX = "imageannotation"
PICTURE = "https://example.com/1.jpg"


def _open_files(name: str) -> list[str]:
    """Return the files of this process whose names hold a text."""
    links = Path("/proc/self/fd").iterdir()
    return [path for link in links if link.is_symlink() and name in (path := str(link.readlink()))]


@pytest.fixture
def reading(shared_sandbox: SandboxServer, connect: Connect, sqlite_url: str) -> ScaleClient:
    """Return a client that reads a synced SQLite mirror."""
    client = connect(shared_sandbox, sqlite_url, writes="refuse")
    assert Mirror(sqlite_url, api_key="live_0123456789abcdef", api_url=shared_sandbox.url).sync().complete
    return client


def _file(url: str) -> str:
    return url.partition(":///")[2]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
def test_it_is_open_from_the_first_call_until_it_is_closed(reading: ScaleClient, sqlite_url: str) -> None:
    """One connection for calls one after another, none after `close`, and then a new one."""
    name = _file(sqlite_url)
    assert reading.tasks(limit=1).total == 1000
    opened = _open_files(name)
    assert opened
    assert reading.tasks(limit=1).total == 1000
    assert _open_files(name) == opened
    reading.close()
    assert _open_files(name) == []
    assert reading.tasks(limit=1).total == 1000
    reading.close()


def test_a_replaced_file_is_an_error_once_and_opened_by_the_next_call(
    reading: ScaleClient, sqlite_url: str, tmp_path: Path
) -> None:
    """As after a backup was put back in its place."""
    file = Path(_file(sqlite_url))
    reading.mirror.backup(tmp_path / "copy.db")
    assert reading.tasks(limit=1).total == 1000
    for each in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        each.unlink(missing_ok=True)
    shutil.copy(tmp_path / "copy.db", file)
    with pytest.raises(DatabaseError, match="replaced"):
        reading.tasks(limit=1)
    assert reading.tasks(limit=1).total == 1000


def test_a_restarted_server_goes_unnoticed(
    mortal_server: PostgresServer, shared_sandbox: SandboxServer, connect: Connect
) -> None:
    """A connection that was lost between two calls is made again."""
    url = mortal_server.create("restarted")
    migrate(url)
    client = connect(shared_sandbox, url, writes="queue")
    client.create_task(BOX, attachment=PICTURE, unique_id="one")
    mortal_server.crash()
    mortal_server.start()
    client.create_task(BOX, attachment=PICTURE, unique_id="two")
    assert client.mirror.queue.depth()[0].open == 2
    client.close()


def test_a_forked_process_opens_its_own(sandbox: SandboxServer, connect: Connect, database_url: str) -> None:
    """Parent and child write with the same client at once, and nothing is lost or done twice."""
    client = connect(sandbox, database_url, writes="queue")
    client.create_task(BOX, attachment=PICTURE, unique_id="first")
    child = os.fork()
    who = "parent" if child else "child"
    try:
        for number in range(20):
            client.create_task(BOX, attachment=PICTURE, unique_id=f"{who} {number}")
    finally:
        if child == 0:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert client.mirror.queue.depth()[0].open == 41


def test_a_pickled_task_finds_its_client_again(reading: ScaleClient) -> None:
    """As a pool of processes sends it: what comes out reads from a database of its own."""
    task = reading.tasks(limit=1)[0]
    copied = pickle.loads(pickle.dumps(task))
    assert copied == task
    copied.refresh()
    assert copied == task


def test_threads_share_a_client(sandbox: SandboxServer, connect: Connect, database_url: str) -> None:
    """Each has its own connection of the one database, and each write its effect once."""
    client = connect(sandbox, database_url)

    def write(name: str) -> None:
        for number in range(5):
            client.create_task(BOX, attachment=PICTURE, unique_id=f"{name} {number}")

    threads = [Thread(target=write, args=[f"thread {number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sandbox.backend.documents("tasks")) == 20
    assert client.mirror.queue.depth()[0].open == 0


def test_a_program_that_ends_closes_it(sandbox: SandboxServer, sqlite_url: str) -> None:
    """Without a warning, and without a `-wal` that stays behind."""
    Mirror(sqlite_url, api_key="live_0123456789abcdef", api_url=sandbox.url).init()
    program = (
        "import sys; from scalesync.client import ScaleClient\n"
        "client = ScaleClient('live_0123456789abcdef', database=sys.argv[1], writes='queue')\n"
        f"client.create_task('imageannotation', attachment={PICTURE!r}, unique_id='one')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, sqlite_url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not Path(f"{_file(sqlite_url)}-wal").exists()
