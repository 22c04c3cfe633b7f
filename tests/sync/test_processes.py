"""Real processes on one mirror: killed, doubled, and none the worse for it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select

from scalesync.db.database import Database
from scalesync.db.schema.sync import windows
from scalesync.sandbox import SandboxServer
from tests.support.sync_env import KEY, differences, task_pages

Start = Callable[..., SandboxServer]

SLOW = ("latency:40ms",)


def environment(server: SandboxServer, url: str) -> dict[str, str]:
    """Return the environment of a process that mirrors the sandbox at `url`."""
    return os.environ | {"SCALE_API_KEY": KEY, "SCALESYNC_API_URL": server.url, "SCALESYNC_DB": url}


def spawn(
    server: SandboxServer, url: str, *options: str, forked_cli: Path | None = None
) -> "subprocess.Popen[str]":
    """Start `scalesync sync` in a process of its own, one that starts quickly if it is at hand."""
    program = [sys.executable, "-m", "scalesync"] if forked_cli is None else [str(forked_cli)]
    command = [*program, "sync", *options]
    return subprocess.Popen(
        command, env=environment(server, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def rows_received(database: Database) -> int:
    """Return how many rows the ledger has seen."""
    with database.read() as conn:
        return int(conn.execute(select(func.coalesce(func.sum(windows.c.rows_received), 0))).scalar_one())


def wait_for_news(database: Database, process: "subprocess.Popen[str]") -> None:
    """Return as soon as the process has committed something, or ended."""
    before = rows_received(database)
    while process.poll() is None and rows_received(database) == before:
        time.sleep(0.01)


def test_a_sync_killed_ten_times_loses_nothing(
    start_sandbox: Start,
    database: Database,
    database_url: str,
    sqlite_template: Path,
    tmp_path: Path,
    forked_cli: Path,
) -> None:
    """SIGKILL at ten moments of progress: the next run completes, with at most twice the pages in all."""
    server = start_sandbox(tasks=2000, faults=SLOW)
    calm = shutil.copyfile(sqlite_template, tmp_path / "calm.db")
    undisturbed = spawn(server, str(calm), "--workers", "2", forked_cli=forked_cli)
    assert "rows/s" in undisturbed.communicate(timeout=60)[0]
    pages = task_pages(server)

    killed = 0
    while killed < 10:
        process = spawn(server, database_url, "--workers", "2", forked_cli=forked_cli)
        wait_for_news(database, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
        killed += 1
    last = spawn(server, database_url, "--workers", "2", forked_cli=forked_cli)
    out, err = last.communicate(timeout=60)

    assert last.returncode == 0, out + err
    assert differences(server, database) == {}
    assert task_pages(server) - pages <= 2 * pages, (task_pages(server) - pages, pages)


def test_two_processes_share_one_run(
    start_sandbox: Start, database: Database, database_url: str, forked_cli: Path
) -> None:
    """Both take part, the mirror is complete, and no window is claimed or read twice."""
    # So slow that the second is there long before the first could be through.
    server = start_sandbox(tasks=3000, faults=("latency:150ms",))
    first = spawn(server, database_url, "--workers", "2", "--json", forked_cli=forked_cli)
    wait_for_news(database, first)
    second = spawn(server, database_url, "--workers", "2", "--json", forked_cli=forked_cli)
    ends = [process.communicate(timeout=60) for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], ends
    assert all('"tasks":{"new":' in out and '"tasks":{"new":0' not in out for out, _ in ends), ends
    assert differences(server, database) == {}
    with database.read() as conn:
        claims = conn.execute(select(func.max(windows.c.attempts), func.min(windows.c.attempts))).one()
    assert tuple(claims) == (1, 1)


def peak_memory(server: SandboxServer, url: str) -> int:
    """Sync in a process of its own and return the most memory it held at once, in KiB."""
    # Not ru_maxrss: that begins with what the parent held when it forked.
    code = (
        "from pathlib import Path; from scalesync.cli.main import cli; cli(['sync'], standalone_mode=False);"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(server, url), capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def test_memory_does_not_grow_with_the_account(
    start_sandbox: Start, sqlite_template: Path, tmp_path: Path
) -> None:
    """Of 15,000 further tasks less than a half is ever in memory: threads and caches keep a little."""
    peaks, weights = [], []
    for tasks in (10_000, 25_000):
        server = start_sandbox(tasks=tasks)
        peaks.append(peak_memory(server, str(shutil.copyfile(sqlite_template, tmp_path / f"{tasks}.db"))))
        weights.append(sum(map(len, server.backend.documents("tasks"))) // 1024)

    assert peaks[1] - peaks[0] < (weights[1] - weights[0]) / 2, (peaks, weights)
