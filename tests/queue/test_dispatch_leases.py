"""Between two steps of a claim a lease, a peer, a discard or the end of the process keeps it from sending."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.errors import ScaleNotSent, ScaleTurnTooLate
from scalesync.queue import new_commands
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import BOX, QUICK, DispatchEnv, dispatch_env, run_to_end, run_until


@dataclass(frozen=True)
class Suspended(Clock):
    """The clock of a machine that was suspended for a while."""

    asleep: list[float] = field(default_factory=list)

    def boottime(self) -> float:
        """Return seconds, those of the suspension included."""
        return super().boottime() + sum(self.asleep)


@pytest.fixture
def clock() -> Suspended:
    """Return a clock that can be suspended."""
    return Suspended()


@pytest.fixture
def env(database: Database, sandbox: SandboxServer, clock: Suspended) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an account with a project."""
    with dispatch_env(database, sandbox, clock=clock) as made:
        made.api.create_project({"name": "p", "type": BOX, "params": {"a": 1}})
        yield made


@pytest.fixture
def sqlite_env(sqlite_url: str, sandbox: SandboxServer, clock: Suspended) -> Iterator[DispatchEnv]:
    """Return the same on SQLite only, for what has nothing to do with the database."""
    with opened(sqlite_url) as database, dispatch_env(database, sandbox, clock=clock) as made:
        made.api.create_project({"name": "p", "type": BOX, "params": {"a": 1}})
        yield made


def sent(sandbox: SandboxServer) -> int:
    """Return how many updates arrived at the API."""
    return sandbox.backend.requests["POST /projects/{name}/setParams"]


def test_the_steps_of_a_clean_send(sqlite_env: DispatchEnv) -> None:
    """Nothing is looked up where nothing is in doubt."""
    sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    names, done = run_to_end(sqlite_env.work().run())

    assert names == ["prepare", "arm", "send", "settle"]
    assert (done.sends, done.looks, done.log.answered, done.signal) == (1, 0, True, None)


@pytest.mark.parametrize(
    "seconds", [QUICK.margin + 0.1, QUICK.lease - QUICK.min_lease_left, QUICK.lease, 10_000]
)
def test_nothing_is_sent_long_after_it_was_armed(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, clock: Suspended, seconds: float
) -> None:
    """A machine suspended between the two steps wakes up, and gives the command back unsent."""
    [one] = sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    steps = sqlite_env.work().run()
    run_until(steps, "send")
    clock.asleep.append(seconds)
    _, done = run_to_end(steps)

    assert (sent(sandbox), done.sends) == (0, 0)
    assert (sqlite_env.states([one]), sqlite_env.command(one).ambiguous) == (["queued"], False)
    assert sqlite_env.dispatch().delivered == 1


def test_nothing_is_sent_late_in_a_lease(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, clock: Suspended
) -> None:
    """What armed in time by the database's clock is still late by the clock that counted the suspension."""
    sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    steps = sqlite_env.work().run()
    run_until(steps, "arm")
    clock.asleep.append(QUICK.lease - QUICK.min_lease_left + 0.01)
    run_to_end(steps)

    assert sent(sandbox) == 0


def test_a_lease_that_is_nearly_over_is_not_armed(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """By the database's clock there must be time for a whole request."""
    with dispatch_env(env.database, sandbox, timing=replace(QUICK, request=0.1)) as short:
        [one] = env.put(new_commands.update_project("p", {"a": 2}))
        work = short.work()
        work.deps = env.tools()
        names, _ = run_to_end(work.run())

    assert (names, sent(sandbox), env.states([one])) == (["prepare", "arm", "settle"], 0, ["queued"])


def test_who_was_overtaken_sends_nothing(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The lease ran out before the arming, and a peer has done it: the fence keeps the first one back."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    run_until(steps, "arm")
    env.expire(one)
    with dispatch_env(env.database, sandbox) as peer:
        assert peer.dispatch().delivered == 1
    names, done = run_to_end(steps)

    assert (names, done.state, sent(sandbox)) == (["settle"], None, 1)
    assert env.ended(one) == ("delivered", "applied")


def test_a_success_that_comes_late_is_recorded_all_the_same(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The lease ran out after the send, and a peer took the command in doubt: the answer settles it."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    run_until(steps, "settle")
    env.expire(one)
    with dispatch_env(env.database, sandbox) as peer:
        others = peer.work().run()
        run_until(others, "look")
        _, done = run_to_end(steps)
        assert done.state is not None
        assert run_to_end(others)[1].state is None

    assert (env.ended(one), sent(sandbox)) == (("delivered", "applied"), 1)


@pytest.mark.parametrize("step", ["prepare", "arm"])
def test_a_discard_before_the_arming_wins(env: DispatchEnv, sandbox: SandboxServer, step: str) -> None:
    """It is honoured at the last moment before the send; the command is discarded."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    run_until(steps, step)
    with env.database.write() as conn:
        management.discard(conn, one)
    _, done = run_to_end(steps)

    assert (env.ended(one), sent(sandbox)) == (("discarded", "withdrawn"), 0)
    assert done.state is not None
    assert done.state.value == "discarded"


def test_a_discard_after_the_arming_comes_too_late(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The send goes on; what was delivered stays delivered."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    run_until(steps, "send")
    with env.database.write() as conn:
        management.discard(conn, one)
    run_to_end(steps)

    assert (env.ended(one), sent(sandbox)) == (("delivered", "applied"), 1)


def test_the_claims_of_a_dead_process_are_free_at_once(env: DispatchEnv) -> None:
    """On the same machine nobody waits for the end of its lease."""
    place, _, own = env.store.owner.split("/")
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    assert DispatcherStore(env.database, f"{place}/{dead.pid}/{own}", QUICK).claim(1)
    summary = env.dispatch()

    assert (env.ended(one), summary.seconds < 2) == (("delivered", "applied"), True)


def test_a_client_that_is_late_writes_nothing(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, clock: Suspended
) -> None:
    """After the wait for its turn the time is looked at again; what comes too late is not waited for."""
    with pytest.raises(ScaleNotSent):
        sqlite_env.api.with_deadline(clock.boottime() - 0.01).update_project("p", {})
    with dispatch_env(sqlite_env.database, sandbox, rate=1.0, clock=clock) as slow:
        slow.api.project("p")
        with pytest.raises(ScaleTurnTooLate):
            slow.api.with_deadline(clock.boottime() + 0.3).update_project("p", {})

    assert sent(sandbox) == 0
