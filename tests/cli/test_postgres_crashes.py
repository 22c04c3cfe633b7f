"""A Postgres that crashes under everybody at once."""

import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.errors import DatabaseUnavailableError
from scalesync.mirror.connections import Connections
from scalesync.queue import new_commands
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.events import CommandSettled, QueueUnavailable
from scalesync.sandbox import SandboxServer
from scalesync.settings import SettingsInput, load_settings
from scalesync.sync.planner import SyncRequest
from tests.cli.test_unusable_databases import limited
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Scalesync, check_interrupted, check_refusal, execute, scalesync_in
from tests.support.databases import PostgresServer, migrate, opened
from tests.support.dispatch_env import dispatch_env, until
from tests.support.pausing_dispatcher import BRIEF
from tests.support.sandboxes import LIVE_KEY
from tests.support.scripted_server import SkippingClock
from tests.support.sync_env import KEY, differences, session

Start = Callable[..., SandboxServer]
READING = [
    ("status",),
    ("sync",),
    ("dispatch",),
    ("fetch-results",),
    ("export", "tasks"),
    ("task", "list"),
    ("queue", "list"),
    ("sql", "SELECT 1"),
]
NAMES = [f"u{number}" for number in range(40)]


def asked(database: Database) -> bool:
    """Return whether the server is at work on what a person asked."""
    with database.read() as conn:
        busy = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        return bool(conn.execute(busy).scalar_one())


def test_a_postgres_that_crashes_and_comes_back(
    mortal_server: PostgresServer, start_sandbox: Start, tmp_path: Path
) -> None:
    """Sync and dispatch wait and go on by themselves; a signal ends the wait; all else ends with 5."""
    server = start_sandbox(tasks=800, faults=("latency:200ms@GET",))
    url = mortal_server.create("mirror")
    migrate(url)
    scalesync = scalesync_in(tmp_path, server.url).having(SCALESYNC_DB=url, SCALE_API_KEY=KEY)
    with (
        scalesync.started("sql", "SELECT pg_sleep(60)") as asking,
        scalesync.started("sync", "--workers", "2") as stopped,
        opened(url) as database,
        session(server, database) as staying,
        dispatch_env(database, server, timing=BRIEF) as env,
    ):
        ids = env.put(*(new_commands.create_task("textcollection", {"unique_id": name}) for name in NAMES))
        env.chance = lambda: 0.0
        assert stopped.stderr is not None
        assert "begins a run" in stopped.stderr.readline()
        with ThreadPoolExecutor(2) as pool:
            synced, dispatched = pool.submit(staying.sync, SyncRequest()), pool.submit(env.dispatch)
            until(lambda: asked(database) and any(isinstance(event, CommandSettled) for event in env.events))
            mortal_server.crash()
            server.backend.faults.replace([])
            check_refusal(scalesync.ended(asking), 5, "was lost", "Run again")
            hasty = in_process(scalesync.having(SCALESYNC_PATIENCE="0s"))
            for arguments in READING:
                check_refusal(hasty(*arguments), 5, "Cannot connect", "Is the server running")
            assert hasty("check").code == 5
            said = check_interrupted(stopped, signal.SIGINT)
            mortal_server.start()

        check_refusal(said, 130, "everything received is saved")
        assert "trying again in" in said.err
        assert synced.result().complete
        assert dispatched.result().ended is StopReason.DONE
        assert any(isinstance(event, QueueUnavailable) for event in env.events)
        assert env.states(ids) == ["delivered"] * len(ids)
        assert in_process(scalesync)("sync").code == 0
        assert differences(server, database) == {}
    assert [server.backend.applied.count("unique_id", name, "created") for name in NAMES] == [1] * len(NAMES)


def said_to_wait(process: "subprocess.Popen[str]") -> bool:
    """Return whether a command warns that its database is away, and goes on trying."""
    assert process.stderr is not None
    line = process.stderr.readline()
    return "Cannot connect" in line and "Trying again in 0.5 s" in line


def test_a_database_that_is_away_at_the_first_look_is_waited_for(
    mortal_server: PostgresServer, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """By whatever syncs or dispatches; a signal ends the wait; `dispatch --watch` waits without patience."""
    url = mortal_server.create("mirror")
    migrate(url)
    ready = scalesync_in(tmp_path, sandbox.url).having(SCALESYNC_DB=url, SCALESYNC_PATIENCE="100s")
    hasty = ready.having(SCALESYNC_PATIENCE="0s")
    assert in_process(ready)("task", "create", "textcollection", "unique_id=u").code == 0
    mortal_server.crash()
    with (
        ready.started("sync", "--verify") as syncing,
        ready.started("dispatch") as dispatching,
        ready.started("queue", "reconcile") as looking,
        hasty.started("dispatch", "--watch") as staying,
        ready.started("sync") as stopped,
        ready.started("dispatch") as ended,
    ):
        started = (syncing, dispatching, looking, staying, stopped, ended)
        assert [said_to_wait(process) for process in started] == [True] * len(started)
        check_refusal(check_interrupted(stopped, signal.SIGINT), 130, "scalesync sync")
        check_refusal(check_interrupted(ended, signal.SIGTERM), 130, "scalesync dispatch")
        check_refusal(in_process(hasty)("sync"), 5, "Cannot connect")
        mortal_server.start()
        codes = [ready.ended(process).code for process in (syncing, dispatching, looking)]
        until(lambda: sandbox.backend.applied.count("unique_id", "u", "created") == 1)
        assert check_interrupted(staying, signal.SIGTERM).code == 130
    assert codes == [0, 0, 0]


def away() -> None:
    """Fail as a locked file does."""
    raise DatabaseUnavailableError("It is locked.")


def test_a_locked_file_is_waited_for(empty_mirror: Scalesync, sandbox: SandboxServer) -> None:
    """From Python as well: whoever asks again finds it free."""
    settings = load_settings(
        SettingsInput(str(empty_mirror.mirror), sandbox.url), {"SCALE_API_KEY": LIVE_KEY}
    )
    at_once = Connections(settings, SkippingClock())
    looks: list[bool] = []

    def look(database: Database) -> None:
        """Find the file locked at the first two looks."""
        looks.append(database.is_sqlite)
        if len(looks) < 3:
            away()

    with pytest.raises(DatabaseUnavailableError), at_once.database(look):
        pass
    with replace(at_once, wait_seconds=60.0).database(look) as database:
        assert database.is_sqlite
    assert len(looks) == 3
    clock = SkippingClock()
    impatient = Connections(settings, clock, wait_seconds=1.0)
    with pytest.raises(DatabaseUnavailableError), impatient.database(lambda _: away()):
        pass
    assert 0 < sum(clock.skipped) <= 1


def test_a_disk_that_fills_up_in_mid_dispatch(empty_mirror: Scalesync, sandbox: SandboxServer) -> None:
    """It ends with 5, and what was in hand is settled by the next one: each effect is there once."""
    ready = empty_mirror.having(SCALESYNC_API_URL=sandbox.url)
    lines = "".join(f'{{"unique_id": "{name}"}}\n' for name in NAMES)
    (ready.directory / "tasks.jsonl").write_text(lines)
    assert ready("task", "create", "textcollection", "--from", "tasks.jsonl").code == 0

    check_refusal(
        limited(ready, 600_000, "dispatch", "--timeout", "2s"),
        5,
        "scalesync.db",
        "what was committed is kept",
    )
    counts = [sandbox.backend.applied.count("unique_id", name, "created") for name in NAMES]
    assert (0 < sum(counts) < len(NAMES), max(counts)) == (True, 1)

    assert ready("dispatch", "--timeout", "2s").code == 0
    assert [sandbox.backend.applied.count("unique_id", name, "created") for name in NAMES] == [1] * len(NAMES)
    assert execute(ready.mirror, "SELECT DISTINCT state FROM commands") == [("delivered",)]
