"""What a good day's sync prints, and where."""

import errno
import os
import pty
import subprocess
from collections.abc import Callable
from typing import get_args

import pytest

from scalesync.queue import events as queue_events
from scalesync.sandbox import SandboxServer
from scalesync.sync import download_events
from scalesync.sync import events as sync_events
from tests.support.cli_process import COMMAND, Scalesync, execute

Start = Callable[..., SandboxServer]


def on_a_terminal(scalesync: Scalesync, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal of 100 columns, and return its code and everything it showed."""
    ours, theirs = pty.openpty()
    environment = {**scalesync.environment(), "TERM": "xterm-256color", "LINES": "40"}
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=scalesync.directory,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = bytearray()
        while part := _read(ours):
            shown += part
        os.close(ours)
    return process.returncode, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError as error:
        if error.errno == errno.EIO:  # what Linux says when the last writer has gone
            return b""
        raise


@pytest.fixture
def ready(start_sandbox: Start, empty_mirror: Scalesync) -> Scalesync:
    """Return what runs commands beside an empty mirror, with a small account at the API."""
    return empty_mirror.having(SCALESYNC_API_URL=start_sandbox(tasks=1000).url)


def test_a_sync_tells_what_is_new_and_then_that_nothing_is(ready: Scalesync) -> None:
    """The summary stands on stdout, stream by stream; progress on stderr, in plain lines."""
    first, second = ready("sync"), ready("sync")

    rows = [line.split() for line in first.out.splitlines()]
    assert rows[0] == ["stream", "new", "changed", "unchanged"]
    assert [row[0] for row in rows[1:4]] == ["projects", "batches", "tasks"]
    assert rows[3][1] == "1,000"
    assert "rows/s" in first.out
    assert "tasks: 1,000 of 1,000 rows (100%)" in first.err
    assert "begins a run (incremental)" in second.err
    assert [line.split()[1:3] for line in second.out.splitlines()[1:4]] == [["0", "0"]] * 3
    assert "\x1b" not in first.out + first.err


def test_a_sync_for_machines_prints_one_object(ready: Scalesync) -> None:
    """Stdout holds the summary as JSON and nothing else; its keys are documented by this test."""
    done = ready("sync", "--json")

    assert set(done.json) == {
        "complete",
        "runs",
        "streams",
        "missing",
        "texts_replaced",
        "values_replaced",
        "requests",
        "seconds",
        "rows_per_second",
    }
    unread = {"unread": 23, "values_replaced": 0}  # chats, of which no annotations can be made
    assert done.json["streams"]["tasks"] == {"new": 1000, "changed": 0, "unchanged": 0, "stale": 0} | unread  # type: ignore[index]
    assert list(done.json["streams"]) == ["projects", "batches", "tasks"]  # type: ignore[call-overload]
    assert (done.code, done.json["complete"], done.json["texts_replaced"]) == (0, True, 0)


def test_a_quiet_sync_says_nothing(ready: Scalesync) -> None:
    """So that cron sends no mail on a good day; what --json asks for is printed all the same."""
    silent, asked = ready("--quiet", "sync"), ready("-q", "sync", "--json")

    assert (silent.code, silent.out, silent.err) == (0, "", "")
    assert (asked.code, asked.json["complete"], asked.err) == (0, True, "")


def test_verbose_tells_every_event_and_twice_every_request(ready: Scalesync) -> None:
    """By fixed names with fields, and never the key."""
    once, twice = ready("-v", "sync", "tasks"), ready("-vv", "sync", "tasks")

    assert "info scalesync.sync received stream=tasks rows=100" in once.err
    assert "scalesync.api request" not in once.err
    assert "debug scalesync.api request method=GET route=tasks status=200" in twice.err
    assert ready.environment()["SCALE_API_KEY"] not in once.err + twice.err


def test_on_a_terminal_bars_show_real_percentages(ready: Scalesync) -> None:
    """Each stream that has rows has its bar, which ends at 100 %."""
    code, shown = on_a_terminal(ready, "sync")

    last = [line for line in shown.replace("\r", "\n").split("\n") if "━" in line][-2:]
    assert code == 0, shown
    assert ["100%" in line for line in last] == [True, True]
    assert "1000/1000" in last[-1]
    assert any(f"{percent}%" in shown for percent in range(5, 96))


def test_a_dry_run_writes_nothing(ready: Scalesync) -> None:
    """It says what would be read, as a table or as JSON, and leaves even the ledger alone."""
    shown, plan = ready("sync", "--dry-run"), ready("sync", "tasks", "--dry-run", "--json")

    assert (shown.code, plan.code) == (0, 0)
    assert "full run:" in shown.out
    assert "Nothing was written." in shown.out
    assert (plan.json["rows"], plan.json["kind"]) == (1000, "full")
    for table in ("tasks", "runs", "windows", "mirror", "watermarks"):
        assert execute(ready.mirror, f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_backfill_and_a_part_move_no_watermark(ready: Scalesync) -> None:
    """--since, --until and --project read their part; variables say the same as options."""
    named = ready.having(SCALESYNC_SYNC_PROJECT="Street scenes,chat-reviews", SCALESYNC_SYNC_JSON="1")
    dated, some = ready("sync", "--since", "2026-01-01", "--until", "2026-06-30"), named("sync", "tasks")

    projects = execute(ready.mirror, "SELECT DISTINCT project FROM tasks WHERE created_at > '2026-07'")
    assert (dated.code, some.code) == (0, 0), dated.err + some.err
    assert sorted(str(name) for (name,) in projects) == ["Street scenes", "chat-reviews"]
    assert some.json["runs"][0]["kind"] == "backfill"  # type: ignore[index]
    assert execute(ready.mirror, "SELECT * FROM watermarks") == []


def test_what_is_gone_at_the_api_is_told_by_a_full_run(start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """The row stays, and status counts it apart."""
    server = start_sandbox(tasks=300)
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url)
    ready("sync")
    gone = str(execute(ready.mirror, "SELECT min(task_id) FROM tasks")[0][0])
    server.backend.remove("tasks", gone)

    done = ready("sync", "--full")

    assert f"tasks: 1 gone at the API: {gone}" in done.err
    assert "1 object is gone at the API" in done.out
    assert "1 missing" in ready("status").out


def test_events_are_logged_under_these_names() -> None:
    """Whoever filters a log by them finds them under the same names in every version."""
    of_sync, of_results, of_queue = (
        [event.name for event in get_args(events)]
        for events in (sync_events.SyncEvent, download_events.FetchEvent, queue_events.DispatchEvent)
    )

    assert of_sync == [
        "planned", "expected", "received", "contradicted", "missed", "onlybyproject", "clockwasahead",
        "waiting", "away",
    ]  # fmt: skip
    assert of_results == ["begun", "kept", "failed"]
    assert of_queue == ["stepped", "settled", "rested", "closed", "unreachable", "away", "waiting"]
