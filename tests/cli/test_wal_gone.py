"""Commands at work when somebody deletes the -wal beside their mirror: they end with 5 and say so."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scalesync.sandbox import SandboxServer
from tests.cli.test_interruptions import wait_for_pages
from tests.support.cli_process import Scalesync, check_refusal, execute

Start = Callable[..., SandboxServer]
BESIDE = [("-wal",), ("-wal", "-shm")]
SAID = ("was deleted or replaced while it was in use", "queue distrust")


def take_away(path: Path, suffixes: tuple[str, ...]) -> None:
    """Delete files beside a mirror as soon as all of them are there."""
    deadline = time.monotonic() + 60
    beside = [Path(f"{path}{suffix}") for suffix in suffixes]
    while not all(each.exists() for each in beside):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for each in beside:
        each.unlink()


def wait_until_idle(process: subprocess.Popen[str]) -> None:
    """Wait until a dispatcher has looked for work: before, it opens the mirror more than once."""
    assert process.stderr is not None
    assert "waiting for work" in process.stderr.readline()


@pytest.mark.parametrize("gone", BESIDE)
def test_a_sync_ends(gone: tuple[str, ...], start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """What it had is saved at its end, as nobody else used the mirror, and the next one goes on."""
    server = start_sandbox(tasks=2000, faults=("latency:100ms",))
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url)
    with ready.started("sync", "--workers", "2") as process:
        wait_for_pages(process, ready, 3)
        before = int(str(execute(ready.mirror, "SELECT count(*) FROM tasks")[0][0]))
        take_away(ready.mirror, gone)
        check_refusal(ready.ended(process), 5, *SAID)
    server.backend.faults.replace([])
    assert execute(ready.mirror, "PRAGMA integrity_check") == [("ok",)]
    assert int(str(execute(ready.mirror, "SELECT count(*) FROM tasks")[0][0])) >= before
    assert ready("sync").code == 0
    assert execute(ready.mirror, "SELECT count(*) FROM tasks") == [(2000,)]


@pytest.mark.parametrize("gone", BESIDE)
def test_an_idle_dispatcher_ends(
    gone: tuple[str, ...], sandbox: SandboxServer, empty_mirror: Scalesync
) -> None:
    """At its next look for work."""
    ready = empty_mirror.having(SCALESYNC_API_URL=sandbox.url)
    with ready.started("dispatch", "--watch") as process:
        wait_until_idle(process)
        take_away(ready.mirror, gone)
        check_refusal(ready.ended(process), 5, *SAID)


def test_what_is_queued_into_new_files_is_kept(sandbox: SandboxServer, empty_mirror: Scalesync) -> None:
    """Whoever comes later begins new ones; the process that has the old ones ends without harm."""
    ready = empty_mirror.having(SCALESYNC_API_URL=sandbox.url)
    order = ("task", "create", "textcollection")
    with ready.started("dispatch", "--watch") as process:
        wait_until_idle(process)
        take_away(ready.mirror, ("-wal", "-shm"))
        assert ready(*order, "unique_id=kept").code == 0
        check_refusal(ready.ended(process), 5, *SAID)
    assert execute(ready.mirror, "SELECT resource FROM commands") == [("task:kept",)]
    assert execute(ready.mirror, "PRAGMA integrity_check") == [("ok",)]
