"""Runs that are stopped, cut off, out of time or in each other's way: the next one goes on."""

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Scalesync, check_refusal, execute

Start = Callable[..., SandboxServer]

TASKS = 2000
ROWS = "SELECT count(*) FROM tasks"
PAGES = "SELECT coalesce(sum(pages), 0) FROM runs"


def wait_for_pages(process: "subprocess.Popen[str]", scalesync: Scalesync, pages: int) -> None:
    """Return as soon as so many pages are in the mirror."""
    deadline = time.monotonic() + 60
    while int(str(execute(scalesync.mirror, PAGES)[0][0])) < pages:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_completes(scalesync: Scalesync, server: SandboxServer) -> None:
    """Run again: complete, by going on with what the first one left, and with few pages read twice."""
    again = scalesync("sync", "--json")

    runs = again.json["runs"]
    assert isinstance(runs, list)
    assert (again.code, again.json["complete"], runs[0]["kind"]) == (0, True, "full")
    assert "goes on with the run left open" in again.err
    assert execute(scalesync.mirror, ROWS) == [(TASKS,)]
    assert server.backend.list_pages() < 2 * TASKS / 100 + 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sync_with_130_and_the_next_goes_on(
    number: signal.Signals, start_sandbox: Start, empty_mirror: Scalesync
) -> None:
    """It says how to go on; what was received stays, and is not read again."""
    server = start_sandbox(tasks=TASKS, faults=("latency:100ms",))
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url)
    with ready.started("sync", "--workers", "2") as process:
        wait_for_pages(process, ready, 3)
        process.send_signal(number)
        done = ready.ended(process)

    check_refusal(done, 130, "everything received is saved", "scalesync sync")
    rows = int(str(execute(ready.mirror, ROWS)[0][0]))
    assert 0 < rows < TASKS
    check_completes(ready, server)


def test_a_signal_while_the_api_is_away_ends_the_wait(empty_mirror: Scalesync) -> None:
    """Nobody waits for the patience to run out."""
    away = empty_mirror.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1", SCALESYNC_PATIENCE="10m")
    with away.started("sync") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        done = away.ended(process)

    assert "trying again" in said
    check_refusal(done, 130, "Stopped")


def test_an_api_that_goes_away_in_the_middle_ends_with_4(
    start_sandbox: Start, empty_mirror: Scalesync
) -> None:
    """What came is saved, and the next run completes."""
    server = start_sandbox(tasks=TASKS, faults=("latency:60ms",))
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url, SCALESYNC_PATIENCE="1s")
    with ready.started("sync", "--workers", "2") as process:
        wait_for_pages(process, ready, 3)
        server.backend.faults.replace(["503:100%"])
        done = ready.ended(process)

    check_refusal(done, 4, "503", "What came is saved")
    server.backend.faults.replace([])
    check_completes(ready, server)


def test_a_time_limit_ends_with_1_and_the_next_run_goes_on(
    start_sandbox: Start, empty_mirror: Scalesync
) -> None:
    """Nothing new is begun after it; what came by then stays."""
    server = start_sandbox(tasks=TASKS, faults=("latency:100ms",))
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url)

    done = ready("sync", "--workers", "1", "--time-limit", "1.5s")

    check_refusal(done, 1, "time allowed", "scalesync sync")
    assert execute(ready.mirror, "SELECT count(*) FROM watermarks") == [(0,)]
    server.backend.faults.replace([])
    check_completes(ready, server)


def test_no_time_at_all_is_not_called_complete(mirror: Scalesync) -> None:
    """A run that did not begin has brought nothing up to date."""
    check_refusal(mirror("sync", "--time-limit", "0"), 1, "time allowed")


def test_a_second_run_ends_with_6_while_another_holds_everything(
    start_sandbox: Start, empty_mirror: Scalesync
) -> None:
    """It waits a little, takes nothing, and says so; when the first is killed, the next goes on at once."""
    server = start_sandbox(tasks=900, faults=("latency:100ms",))
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url, SCALESYNC_LEASE="6s")
    with ready.started("sync", "tasks", "--workers", "1") as first:
        wait_for_pages(first, ready, 1)
        server.backend.faults.replace(["hang:100%:seconds=60"])
        second = ready("sync", "tasks")
        first.kill()
        first.wait()
    server.backend.faults.replace([])

    check_refusal(second, 6, "Another run holds everything", "status")
    assert "waiting for another process" in second.err
    assert ready("sync", "tasks").code == 0
    assert execute(ready.mirror, ROWS) == [(900,)]
