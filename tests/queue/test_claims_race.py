"""Many claim at once, as threads and as processes: every command goes to one of them, once."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from scalesync.db.database import Database
from scalesync.models.commands import CommandState
from scalesync.queue import new_commands
from tests.support.claims import DONE, arm, claim, ids, settle
from tests.support.commands import found, put_all, states, task
from tests.support.databases import opened

THREADS, PROCESSES, COMMANDS = 6, 3, 90

_CLAIM_ALL = """
import sys
from scalesync.db.database import Database
from tests.support.claims import ids
database = Database.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while got := ids(database, 4, owner=sys.argv[2]):
    print(*got, flush=True)
database.close()
"""


def fill(database: Database) -> None:
    """Queue tasks, half of them for one batch."""
    put_all(database, (task(f"t{n}", "b" if n % 2 else None) for n in range(COMMANDS)))


def test_threads_share_the_queue(database: Database) -> None:
    """No command is claimed twice, and none is left."""
    fill(database)
    start = Barrier(THREADS)

    def work(number: int) -> list[int]:
        start.wait()
        mine: list[int] = []
        while got := ids(database, 4, owner=f"thread {number}"):
            mine += got
        return mine

    with ThreadPoolExecutor(THREADS) as pool:
        taken = [one for mine in pool.map(work, range(THREADS)) for one in mine]
    assert sorted(taken) == list(range(1, COMMANDS + 1))
    assert all(found(database, one).fence == 1 for one in (1, COMMANDS))


def test_processes_share_the_queue(database_url: str) -> None:
    """No command is claimed twice, and none is left."""
    with opened(database_url) as database:
        fill(database)
        command = [sys.executable, "-W", "error", "-c", _CLAIM_ALL, database_url]
        running = [
            subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for n in range(PROCESSES)
        ]
        assert [one.stdout.readline() for one in running if one.stdout] == ["ready\n"] * PROCESSES
        for one in running:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        taken = Counter(int(word) for one in running for word in one.communicate(timeout=60)[0].split())
        assert [one.returncode for one in running] == [0] * PROCESSES
        assert taken == Counter(range(1, COMMANDS + 1))


def test_a_resource_is_in_one_hand_however_many_claim(database: Database) -> None:
    """Updates of one project are claimed one after the other, in order, by whoever comes."""
    put_all(database, (new_commands.update_project("p", {"n": n}) for n in range(12)))
    order: list[int] = []

    def work(_: int) -> None:
        while CommandState.QUEUED in states(database).values():
            for one in claim(database, 3):
                order.append(one.command.id)
                assert arm(database, one)
                assert settle(database, one, DONE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert order == list(range(1, 13))
