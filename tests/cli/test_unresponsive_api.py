"""An API that keeps every request waiting: a time limit and a signal end each command all the same."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.cli_process import Done, Scalesync, check_refusal, execute
from tests.support.scripted_server import ScriptedServer, Step, hang, say, trickle, trickle_head

SOON = 15.0
"""Seconds; what waits for the API's patience takes a minute at least."""

Stuck = Callable[..., tuple[ScriptedServer, Scalesync]]


@pytest.fixture
def stuck(empty_mirror: Scalesync) -> Iterator[Stuck]:
    """Return what starts an API that goes through steps, the last of which it repeats, and who asks it."""
    with ExitStack() as stack:

        def start(*steps: Step) -> tuple[ScriptedServer, Scalesync]:
            server = stack.enter_context(ScriptedServer(steps))
            return server, empty_mirror.having(SCALESYNC_API_URL=server.url, SCALESYNC_PATIENCE=None)

        yield start


@pytest.mark.parametrize("step", [trickle_head, trickle, hang, say(b"", 503), say(b"<html>")])
def test_a_time_limit_ends_a_sync(step: Step, stuck: Stuck) -> None:
    """Whatever a request waits for, the limit ends it, with the code and words of a limit."""
    _, ready = stuck(step)
    began = time.monotonic()

    done = ready("sync", "--time-limit", "1s")

    check_refusal(done, 1, "time allowed", "scalesync sync")
    assert time.monotonic() - began < SOON


def test_a_time_limit_ends_a_sync_in_the_middle(stuck: Stuck) -> None:
    """What came is saved, and no window is held: the next run goes on at once."""
    page = {"docs": [{"task_id": "t", "created_at": "2026-01-01T00:00:00.000Z"}], "total": 1}
    _, ready = stuck(say(page), trickle_head)

    done = ready("sync", "--time-limit", "2s")

    check_refusal(done, 1, "time allowed", "scalesync sync")
    held = execute(ready.mirror, "SELECT count(*) FROM windows WHERE leased_until IS NOT NULL")
    assert held == [(0,)]
    assert execute(ready.mirror, "SELECT state FROM runs") == [("open",)]


def signalled(
    ready: Scalesync, server: ScriptedServer, number: signal.Signals, *command: str
) -> tuple[Done, float]:
    """Signal a command once it has asked the API; return what it left, and the seconds it took to end."""
    with ready.started(*command) as process:
        until = time.monotonic() + 60
        while not server.seen and time.monotonic() < until:
            time.sleep(0.02)
        began = time.monotonic()
        process.send_signal(number)
        done = ready.ended(process)
    return done, time.monotonic() - began


COMMANDS = [
    ("sync",),
    ("sync", "--dry-run"),
    ("verify",),
    ("verify", "--repair"),
    ("check",),
    ("batch", "status", "b"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_signal_ends_every_command(
    command: tuple[str, ...], number: signal.Signals, stuck: Stuck, mirror: Scalesync
) -> None:
    """It ends in a few seconds, as interrupted, wherever it waits."""
    server, _ = stuck(trickle_head)
    execute(mirror.mirror, f"UPDATE mirror SET api_url = '{server.url}'")
    ready = mirror.having(SCALESYNC_API_URL=server.url, SCALESYNC_PATIENCE=None)
    done, seconds = signalled(ready, server, number, *command)

    assert done.code in {130, -number}, done.err
    assert "Traceback" not in done.err
    assert seconds < SOON


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_dispatch(number: signal.Signals, stuck: Stuck, mirror: Scalesync) -> None:
    """A send without an end is cut off before a service manager would kill; its command is in doubt."""
    server, _ = stuck(trickle_head)
    execute(mirror.mirror, f"UPDATE mirror SET api_url = '{server.url}'")
    ready = mirror.having(SCALESYNC_API_URL=server.url)
    made = ready("project", "create", "p", "--type", "textcollection", "--params", "{}")
    assert made.code == 0, made.err
    done, seconds = signalled(ready, server, number, "dispatch")

    check_refusal(done, 130, "Stopped", "scalesync dispatch")
    assert seconds < SOON
    (seen,) = [one.method for one in server.seen]
    states = execute(ready.mirror, "SELECT state FROM commands")
    assert states == [("in_doubt" if seen == "POST" else "queued",)]
