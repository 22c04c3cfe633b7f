"""Several hosts on one Postgres: processes of their own, each with another home, share one sync."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import runs, windows
from scalesync.models.sync import RunState, WindowState
from tests.support.databases import opened
from tests.support.misbehaving_api import Answer, MisbehavingApi, Query, task
from tests.support.sync_env import KEY, TASKS_ONLY, present, sync

LATENCY = 0.06
MANY = 2_000

Host = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """Return the mirror that the hosts share."""
    with opened(postgres_url) as database:
        yield database


@pytest.fixture
def start_host(postgres_url: str, forked_cli: Path, tmp_path: Path) -> Iterator[Host]:
    """Return a function that starts a sync as another host does; what still runs is killed at the end."""
    hosts: list[subprocess.Popen[str]] = []

    def start(api: MisbehavingApi, *options: str, command: str = "sync") -> "subprocess.Popen[str]":
        home = tmp_path / f"host {len(hosts)}"
        home.mkdir()
        own = {"HOME": str(home), "TMPDIR": str(home), "SCALE_API_KEY": KEY}
        own |= {"SCALESYNC_API_URL": api.url, "SCALESYNC_DB": postgres_url, "SCALESYNC_LEASE": "60"}
        arguments = [str(forked_cli), command, "tasks", "--workers", "2", "--json", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        hosts.append(subprocess.Popen(arguments, env=os.environ | own, cwd=home, text=True, **pipes))  # type: ignore[call-overload]
        return hosts[-1]

    yield start
    for host in hosts:
        host.kill()
        host.communicate()


@contextmanager
def slow_api(count: int = MANY) -> Iterator[MisbehavingApi]:
    """Yield an API with this many tasks that takes its time for each list of them."""

    def waits(path: str, query: Query) -> Answer | None:  # noqa: ARG001 - the signature of `odd`
        time.sleep(LATENCY if path == "/tasks" else 0)
        return None

    with MisbehavingApi([task(n) for n in range(count)], odd=waits) as api:
        yield api


def ended(*hosts: "subprocess.Popen[str]") -> list[str]:
    """Wait for hosts that have to succeed, and return what each printed."""
    ends = [host.communicate(timeout=60) for host in hosts]
    assert [host.returncode for host in hosts] == [0] * len(hosts), ends
    return [out for out, _ in ends]


def ledger(database: Database) -> list[Any]:
    """Return id, parent, state, claims and run of every window of tasks."""
    columns = (windows.c.id, windows.c.parent_id, windows.c.state, windows.c.attempts, windows.c.run_id)
    with database.read() as conn:
        return list(conn.execute(select(*columns).where(windows.c.stream == "tasks").order_by(windows.c.id)))


def test_three_hosts_read_each_window_once_in_one_run(database: Database, start_host: Host) -> None:
    """All begin at once, take part, and count the run of the first as their own."""
    with slow_api() as api:
        printed = ended(*(start_host(api) for _ in range(3)))
        assert present(database) == api.everything()
        # Parts add a page each that is not full, and each host asks for the time once.
        assert len(api.pages()) <= MANY / 100 + len(ledger(database)) + 3

    assert all('"complete":true' in out and '"new":0' not in out for out in printed), printed
    assert {run for *_, run in ledger(database)} == {1}
    assert {claims for *_, claims, _ in ledger(database)} == {1}


def test_windows_in_hand_are_divided_for_a_host_that_comes_later(
    database: Database, start_host: Host
) -> None:
    """It finds nothing to claim at first; what it gets then was divided after more than one page."""
    with slow_api(1_100) as api:
        first = start_host(api)
        while not any(state == WindowState.SPLIT for _, _, state, *_ in ledger(database)):
            time.sleep(0.01)
        second = start_host(api)
        ended(first, second)
        assert present(database) == api.everything()
    read = select(windows.c.rows_received).where(windows.c.state == WindowState.SPLIT)
    with database.read() as conn:
        assert max(conn.scalars(read)) >= 100


def test_what_is_gone_is_noticed_whichever_host_divided_its_window(
    database: Database, start_host: Host
) -> None:
    """Also on every page read before a division, on its last row and on the first of the next part."""
    with slow_api() as api:
        ended(start_host(api))
        gone = {doc["task_id"] for step in (49, 50, 97, 100) for doc in api.tasks[::step]}
        gone |= {doc["task_id"] for doc in api.tasks[-60::7]}
        api.tasks = [doc for doc in api.tasks if doc["task_id"] not in gone]
        ended(*(start_host(api, "--full") for _ in range(3)))

        assert present(database) == api.everything()
    assert sum(state == WindowState.SPLIT for _, _, state, *_ in ledger(database)) > 2


def test_hosts_killed_in_the_middle_cost_only_the_pages_in_hand(database: Database, start_host: Host) -> None:
    """Two of three get SIGKILL; the third ends complete, and reads no closed window again."""
    with slow_api() as api:
        hosts = [start_host(api) for _ in range(3)]
        while sum(state == WindowState.CLOSED for _, _, state, *_ in ledger(database)) < 3:
            time.sleep(0.01)
        for host in hosts[:2]:
            host.send_signal(signal.SIGKILL)
        closed = {window for window, _, state, *_ in ledger(database) if state == WindowState.CLOSED}
        ended(hosts[2])
        assert present(database) == api.everything()

    assert all(claims == 1 for window, _, _, claims, _ in ledger(database) if window in closed)
    with database.read() as conn:
        assert set(conn.scalars(select(runs.c.state))) == {RunState.COMPLETE}


def test_a_host_that_asks_for_more_reads_it_itself(database: Database, start_host: Host) -> None:
    """A run of changes is not for a host that asks for everything: it begins another one."""
    with slow_api(1_100) as api:
        sync(api, database, TASKS_ONLY)
        ended(start_host(api), start_host(api, "--full"))
        assert present(database) == api.everything()
    with database.read() as conn:
        assert "full" in list(conn.scalars(select(runs.c.kind).where(runs.c.id > 1)))


def test_hosts_that_verify_and_repair_at_once_both_end_right(database: Database, start_host: Host) -> None:
    """What differs is read again by either, in one run after the other."""
    with slow_api(600) as api:
        ended(start_host(api))
        for doc in api.tasks[::50]:
            doc["status"] = "canceled"
        printed = ended(*(start_host(api, "--repair", command="verify") for _ in range(2)))
        with database.read() as conn:
            statuses = list(conn.scalars(select(tasks.c.status)))
    assert statuses.count("canceled") == 12
    assert all('"proven":true' in out for out in printed), printed
