"""One claim, step by step: what happens between two steps, and how little may be sent after it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from scalesync.api import ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.errors import ScaleNotSent, ScaleResourceNotFound, ScaleTurnTooLate
from scalesync.models.commands import Command
from scalesync.queue import new_commands
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.execution_result import ExecutionResult
from scalesync.queue.executor import Steps
from scalesync.queue.handlers import LookUp, Payload
from scalesync.queue.handlers.batches import FinalizeBatch
from scalesync.queue.handlers.tasks import CancelTask
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import QUICK, DispatchEnv, dispatch_env

BOX = "imageannotation"
BODY = {"attachment": "https://example.com/1.jpg"}


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


def until(steps: Steps, name: str) -> None:
    """Take every step before the next one of this name."""
    while next(steps) != name:
        pass


def finish(steps: Steps) -> tuple[list[str], ExecutionResult]:
    """Take every step that is left; return their names and what came of them."""
    names = []
    while True:
        try:
            names.append(next(steps))
        except StopIteration as end:
            return names, end.value


def sent(sandbox: SandboxServer) -> int:
    """Return how many updates arrived at the API."""
    return sandbox.world.requests["POST /projects/{name}/setParams"]


def test_the_steps_of_a_clean_send(sqlite_env: DispatchEnv) -> None:
    """Nothing is looked up where nothing is in doubt."""
    sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    names, done = finish(sqlite_env.work().run())

    assert names == ["prepare", "arm", "send", "settle"]
    assert (done.sends, done.looks, done.answered, done.alarm) == (1, 0, True, None)


@pytest.mark.parametrize(
    "seconds", [QUICK.margin + 0.1, QUICK.lease - QUICK.min_lease_left, QUICK.lease, 10_000]
)
def test_nothing_is_sent_long_after_it_was_armed(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, clock: Suspended, seconds: float
) -> None:
    """A machine suspended between the two steps wakes up, and gives the command back unsent."""
    [one] = sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    steps = sqlite_env.work().run()
    until(steps, "send")
    clock.asleep.append(seconds)
    _, done = finish(steps)

    assert (sent(sandbox), done.sends) == (0, 0)
    assert (sqlite_env.states([one]), sqlite_env.command(one).ambiguous) == (["queued"], False)
    assert sqlite_env.dispatch().delivered == 1


def test_nothing_is_sent_late_in_a_lease(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, clock: Suspended
) -> None:
    """What armed in time by the database's clock is still late by the clock that counted the suspension."""
    sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    steps = sqlite_env.work().run()
    until(steps, "arm")
    clock.asleep.append(QUICK.lease - QUICK.min_lease_left + 0.01)
    finish(steps)

    assert sent(sandbox) == 0


def test_a_lease_that_is_nearly_over_is_not_armed(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """By the database's clock there must be time for a whole request."""
    with dispatch_env(env.database, sandbox, timing=replace(QUICK, request=0.1)) as short:
        [one] = env.put(new_commands.update_project("p", {"a": 2}))
        work = short.work()
        work.deps = env.tools()
        names, _ = finish(work.run())

    assert (names, sent(sandbox), env.states([one])) == (["prepare", "arm", "settle"], 0, ["queued"])


def test_who_was_overtaken_sends_nothing(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The lease ran out before the arming, and a peer has done it: the fence keeps the first one back."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    until(steps, "arm")
    env.expire(one)
    with dispatch_env(env.database, sandbox) as peer:
        assert peer.dispatch().delivered == 1
    names, done = finish(steps)

    assert (names, done.state, sent(sandbox)) == (["settle"], None, 1)
    assert env.ended(one) == ("delivered", "applied")


def test_a_success_that_comes_late_is_recorded_all_the_same(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The lease ran out after the send, and a peer took the command in doubt: the answer settles it."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    until(steps, "settle")
    env.expire(one)
    with dispatch_env(env.database, sandbox) as peer:
        others = peer.work().run()
        until(others, "look")
        _, done = finish(steps)
        assert done.state is not None
        assert finish(others)[1].state is None

    assert (env.ended(one), sent(sandbox)) == (("delivered", "applied"), 1)


@pytest.mark.parametrize("step", ["prepare", "arm"])
def test_a_discard_before_the_arming_wins(env: DispatchEnv, sandbox: SandboxServer, step: str) -> None:
    """It is honoured at the last moment before the send; the command is discarded."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    until(steps, step)
    with env.database.write() as conn:
        management.discard(conn, one)
    _, done = finish(steps)

    assert (env.ended(one), sent(sandbox)) == (("discarded", "withdrawn"), 0)
    assert done.state is not None
    assert done.state.value == "discarded"


def test_a_discard_after_the_arming_comes_too_late(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The send goes on; what was delivered stays delivered."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    until(steps, "send")
    with env.database.write() as conn:
        management.discard(conn, one)
    finish(steps)

    assert (env.ended(one), sent(sandbox)) == (("delivered", "applied"), 1)


@pytest.mark.parametrize("step", ["prepare", "arm", "send", "settle"])
def test_a_dispatcher_that_dies_leaves_no_doubt_that_is_not_settled(
    env: DispatchEnv, sandbox: SandboxServer, step: str
) -> None:
    """Before the arming: sent by the next one; after it: looked up by the next one, and sent if absent."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    until(steps, step)
    steps.close()
    env.expire(one)
    summary = env.dispatch()

    assert (env.ended(one), sent(sandbox)) == (("delivered", "applied"), 1)
    assert (summary.looks > 0) == (step in ("send", "settle"))


def test_the_claims_of_a_dead_process_are_free_at_once(env: DispatchEnv) -> None:
    """On the same machine nobody waits for the end of its lease."""
    place, _, own = env.store.owner.split("/")
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    assert DispatcherStore(env.database, f"{place}/{dead.pid}/{own}", QUICK).claim(1)
    summary = env.dispatch()

    assert (env.ended(one), summary.seconds < 2) == (("delivered", "applied"), True)


def test_what_has_no_key_is_not_sent_again_before_the_settle_time(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """An absent update may still arrive: it waits; everything else may go again at once."""
    [update] = sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    sandbox.world.faults.replace(["503:100%:times=2@POST"])
    finish(sqlite_env.work().run())
    sqlite_env.change(update, not_before=None)
    names, done = finish(sqlite_env.work().run())
    assert (names, done.sends) == (["look", "settle"], 0)
    assert 0 < done.settlement.wait <= QUICK.settle

    [create] = sqlite_env.put(new_commands.create_task(BOX, BODY))
    finish(sqlite_env.work().run())
    sqlite_env.change(create, not_before=None)
    names, done = finish(sqlite_env.work().run())
    assert (names, done.sends) == (["look", "prepare", "arm", "send", "settle"], 1)
    assert sqlite_env.ended(create) == ("delivered", "applied")


def test_a_4xx_while_in_doubt_is_looked_at_in_the_same_claim(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """The first request was applied late, so that the second is refused: it is our own echo."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    sandbox.world.faults.replace(["reset:100%:times=1@POST"])
    finish(sqlite_env.work().run())
    sqlite_env.change(one, not_before=None)
    steps = sqlite_env.work().run()
    until(steps, "send")
    sqlite_env.api.create_task(BOX, {**BODY, "unique_id": "u"})
    names, done = finish(steps)

    assert (names, done.looks) == (["look", "settle"], 2)
    assert sqlite_env.ended(one) == ("delivered", "applied")
    assert sandbox.world.effects.count("unique_id", "u", "created") == 1


class Lagging(CancelTask):
    """Does not find a task that was just made."""

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Find nothing."""
        raise ScaleResourceNotFound(f"{api!r} knows nothing of {command.resource}.")


def test_a_look_that_lags_behind_a_creation_proves_nothing(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """A task of ours that cannot be found at first has not lost its unique_id: the cancel stays in doubt."""
    [create] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    finish(sqlite_env.work().run())
    [one] = sqlite_env.put(new_commands.cancel_task(unique_id="u", clear_unique_id=True))
    sandbox.world.faults.replace(["reset:100%:times=1@POST"])
    finish(sqlite_env.work().run())
    sqlite_env.change(one, not_before=None)
    work = sqlite_env.work()
    work.deps = replace(work.deps, handlers={"cancel_task": Lagging()})
    names, _ = finish(work.run())

    assert (names, sqlite_env.states([create, one])) == (["look", "settle"], ["delivered", "in_doubt"])
    assert sqlite_env.dispatch().delivered == 1
    assert sandbox.world.effects.count("unique_id", "u", "canceled") == 1


def test_a_409_whose_task_cannot_be_found_is_a_failure_in_doubt(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """A look that lags behind the refusal proves nothing: it is looked up again, and in the end given up."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    sandbox.world.faults.replace(["409:100%@POST"])
    finish(sqlite_env.work().run())

    command = sqlite_env.command(one)
    assert (command.state.value, command.ambiguous, command.failures) == ("in_doubt", True, 1)
    assert (command.error_code, command.error) == (409, "The sandbox was asked to fail.")


def test_a_409_that_cannot_be_looked_at_is_in_doubt(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Without a failure: the send was answered, and the look alone failed."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    sandbox.world.faults.replace(["409:100%@POST", "500:100%@GET"])
    finish(sqlite_env.work().run())

    command = sqlite_env.command(one)
    assert (command.state.value, command.ambiguous, command.failures) == ("in_doubt", True, 0)


class Terse(FinalizeBatch):
    """Gets no more than `OK` for an answer."""

    def send(self, api: ScaleApi, payload: Payload) -> None:
        """Finalize the batch."""
        super().send(api, payload)


def test_a_bare_ok_proves_nothing_and_the_batch_is_looked_at(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """It names no batch, so the look decides; as long as that fails, the command is in doubt."""
    for name, faults in (("b1", []), ("b2", ["500:100%@GET"])):
        sqlite_env.api.create_batch({"name": name, "project": "p"})
        [one] = sqlite_env.put(new_commands.finalize_batch(name))
        work = sqlite_env.work()
        work.deps = replace(work.deps, handlers={"finalize_batch": Terse()})
        sandbox.world.faults.replace(faults)
        names, done = finish(work.run())

        end = ("in_doubt", None) if faults else ("delivered", "applied")
        assert (names[-2:], done.looks, sqlite_env.ended(one)) == (["look", "settle"], 1, end)
        assert (sqlite_env.command(one).result is None) == bool(faults)
    sandbox.world.faults.replace([])
    assert sqlite_env.dispatch().delivered == 1


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
