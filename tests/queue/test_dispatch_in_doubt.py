"""What is in doubt is looked up at the API, and sent again only where that proves it absent."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scalesync.api import ScaleApi
from scalesync.db.database import Database
from scalesync.db.queue import pause
from scalesync.errors import ScaleResourceNotFound
from scalesync.models.commands import Command
from scalesync.models.queue_state import PausedBy
from scalesync.queue import new_commands
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.handlers.batches import FinalizeBatch
from scalesync.queue.handlers.interface import LookUp, Payload
from scalesync.queue.handlers.tasks import CancelTask
from scalesync.sandbox import SandboxServer
from scalesync.sandbox.projects import create_project
from tests.support.databases import opened
from tests.support.dispatch_env import (
    BOX,
    HASTY,
    QUICK,
    WHOLE,
    DispatchEnv,
    dispatch_env,
    projects,
    run_to_end,
    run_until,
    versions,
)

BODY = {"attachment": "https://example.com/1.jpg"}


def seed(sandbox: SandboxServer) -> None:
    """Make a project, without a request."""
    with sandbox.backend.locked():
        create_project(sandbox.backend.live, {"name": "p", "type": BOX, "params": {"a": 1}})


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an account with a project."""
    seed(sandbox)
    with dispatch_env(database, sandbox) as made:
        yield made


@pytest.fixture
def sqlite_env(sqlite_url: str, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return the same on SQLite only, for what has nothing to do with the database."""
    seed(sandbox)
    with opened(sqlite_url) as database, dispatch_env(database, sandbox) as made:
        yield made


def sent(sandbox: SandboxServer) -> int:
    """Return how many updates arrived at the API."""
    return sandbox.backend.requests["POST /projects/{name}/setParams"]


def test_an_unanswered_request_is_cut_off_and_looked_up(sqlite_url: str, sandbox: SandboxServer) -> None:
    """An API that says nothing, or never ends, holds a worker no longer than a request may last."""
    sandbox.backend.faults.replace(["hang:100%:times=1@POST", "trickle:100%:times=1@POST"])
    with opened(sqlite_url) as database, dispatch_env(database, sandbox, timing=HASTY) as env:
        ids = env.put(*(new_commands.create_project(name, BOX, {"a": "b" * 50}) for name in ("x", "y")))
        env.dispatch()

        assert env.states(ids) == ["delivered"] * 2
        assert [env.command(one).failures for one in ids] == [1, 1]
    assert [sandbox.backend.applied.count("project", name, "created") for name in ("x", "y")] == [1, 1]


@pytest.mark.parametrize("step", ["prepare", "arm", "send", "settle"])
def test_a_dispatcher_that_dies_leaves_no_doubt_that_is_not_settled(
    env: DispatchEnv, sandbox: SandboxServer, step: str
) -> None:
    """Before the arming: sent by the next one; after it: looked up by the next one, and sent if absent."""
    [one] = env.put(new_commands.update_project("p", {"a": 2}))
    steps = env.work().run()
    run_until(steps, step)
    steps.close()
    env.expire(one)
    summary = env.dispatch()

    assert (env.ended(one), sent(sandbox)) == (("delivered", "applied"), 1)
    assert (summary.looks > 0) == (step in ("send", "settle"))


def test_what_has_no_key_is_not_sent_again_before_the_settle_time(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """An absent update may still arrive: it waits; everything else may go again at once."""
    [update] = sqlite_env.put(new_commands.update_project("p", {"a": 2}))
    sandbox.backend.faults.replace(["503:100%:times=2@POST"])
    run_to_end(sqlite_env.work().run())
    sqlite_env.change(update, not_before=None)
    names, done = run_to_end(sqlite_env.work().run())
    assert (names, done.sends) == (["look", "settle"], 0)
    assert done.settlement is not None
    assert 0 < done.settlement.wait <= QUICK.settle

    [create] = sqlite_env.put(new_commands.create_task(BOX, BODY))
    run_to_end(sqlite_env.work().run())
    sqlite_env.change(create, not_before=None)
    names, done = run_to_end(sqlite_env.work().run())
    assert (names, done.sends) == (["look", "prepare", "arm", "send", "settle"], 1)
    assert sqlite_env.ended(create) == ("delivered", "applied")


def test_a_4xx_while_in_doubt_is_looked_at_in_the_same_claim(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """The first request was applied late, so that the second is refused: it is our own echo."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    sandbox.backend.faults.replace(["reset:100%:times=1@POST"])
    run_to_end(sqlite_env.work().run())
    sqlite_env.change(one, not_before=None)
    steps = sqlite_env.work().run()
    run_until(steps, "send")
    sqlite_env.api.create_task(BOX, {**BODY, "unique_id": "u"})
    names, done = run_to_end(steps)

    assert (names, done.looks) == (["look", "settle"], 2)
    assert sqlite_env.ended(one) == ("delivered", "applied")
    assert sandbox.backend.applied.count("unique_id", "u", "created") == 1


def test_a_failed_look_is_no_absence(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """It is looked again until the API shows what came of the request; only unanswered sends are failures."""
    [one] = sqlite_env.put(new_commands.update_project("q", {"a": 2}))
    sqlite_env.api.create_project({"name": "q", "type": BOX, "params": {"a": 1}})
    work = sqlite_env.work()
    sandbox.backend.faults.replace(["applied-then-dropped:100%:times=1@POST"])
    list(work.run())
    sandbox.backend.faults.replace(["500:100%:times=1@GET", "reset:100%:times=1@GET"])
    summary = sqlite_env.dispatch()

    assert (versions(sandbox, "q"), sqlite_env.ended(one)) == ([{"a": 1}, {"a": 2}], ("delivered", "applied"))
    assert (summary.sends, sqlite_env.command(one).failures) == (0, 1)


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
    run_to_end(sqlite_env.work().run())
    [one] = sqlite_env.put(new_commands.cancel_task(unique_id="u", clear_unique_id=True))
    sandbox.backend.faults.replace(["reset:100%:times=1@POST"])
    run_to_end(sqlite_env.work().run())
    sqlite_env.change(one, not_before=None)
    work = sqlite_env.work()
    work.deps = replace(work.deps, handlers={"cancel_task": Lagging()})
    names, _ = run_to_end(work.run())

    assert (names, sqlite_env.states([create, one])) == (["look", "settle"], ["delivered", "in_doubt"])
    assert sqlite_env.dispatch().delivered == 1
    assert sandbox.backend.applied.count("unique_id", "u", "canceled") == 1


def test_a_409_whose_task_cannot_be_found_is_a_failure_in_doubt(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """A look that lags behind the refusal proves nothing: it is looked up again, and in the end given up."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    sandbox.backend.faults.replace(["409:100%@POST"])
    run_to_end(sqlite_env.work().run())

    command = sqlite_env.command(one)
    assert (command.state.value, command.ambiguous, command.failures) == ("in_doubt", True, 1)
    assert (command.error_code, command.error) == (409, "The sandbox was asked to fail.")


def test_a_409_that_cannot_be_looked_at_is_in_doubt(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Without a failure: the send was answered, and the look alone failed."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    sandbox.backend.faults.replace(["409:100%@POST", "500:100%@GET"])
    run_to_end(sqlite_env.work().run())

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
        sandbox.backend.faults.replace(faults)
        names, done = run_to_end(work.run())

        end = ("in_doubt", None) if faults else ("delivered", "applied")
        assert (names[-2:], done.looks, sqlite_env.ended(one)) == (["look", "settle"], 1, end)
        assert (sqlite_env.command(one).result is None) == bool(faults)
    sandbox.backend.faults.replace([])
    assert sqlite_env.dispatch().delivered == 1


def test_a_cancel_in_doubt_of_a_completed_task_is_too_late(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """Nobody could have won that race: it is discarded, says why, and needs no person."""
    sqlite_env.api.create_task(BOX, {**BODY, "unique_id": "old 1"})
    [one] = sqlite_env.put(new_commands.cancel_task(unique_id="old 1"))
    sandbox.backend.faults.replace(["reset:100%:times=1@POST"])
    list(sqlite_env.work().run())
    sandbox.backend.complete(sandbox.backend.live.tasks.by_unique_id["old 1"])
    sqlite_env.dispatch()

    assert sqlite_env.ended(one) == ("discarded", "rejected")
    assert "completed" in (sqlite_env.command(one).error or "")


def test_an_update_in_doubt_stops_at_a_version_of_somebody_else(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """It is held for a person; once that one withdraws it, the next look drops it."""
    sqlite_env.api.create_project({"name": "q", "type": BOX, "params": {"a": 1}})
    [one] = sqlite_env.put(new_commands.update_project("q", {"a": 2}))
    sandbox.backend.faults.replace(["reset:100%:times=1@POST"])
    list(sqlite_env.work().run())
    sqlite_env.api.update_project("q", {"a": 9})
    summary = sqlite_env.dispatch(replace(WHOLE, max=1))
    held = sqlite_env.command(one)

    assert (held.state.value, held.ambiguous, "Version 1 " in (held.hold_reason or "")) == (
        "in_doubt",
        True,
        True,
    )
    assert (summary.ended, summary.in_doubt, summary.sends) == (StopReason.ENOUGH, 1, 0)
    sqlite_env.change(one, discard_requested=True, hold_reason=None)
    with dispatch_env(sqlite_env.database, sandbox, timing=replace(QUICK, settle=60)) as patient:
        patient.dispatch(replace(WHOLE, reconcile_only=True))
    assert (sqlite_env.states([one]), sqlite_env.command(one).hold_reason) == (["in_doubt"], None)
    sqlite_env.change(one, not_before=None)
    sqlite_env.dispatch()
    assert sqlite_env.ended(one)[0] == "discarded"
    assert versions(sandbox, "q") == [{"a": 1}, {"a": 9}]


def test_a_person_may_withdraw_what_is_in_doubt(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Dropped once it is proven absent, which takes the settle time; never sent again meanwhile."""
    [one] = env.put(new_commands.create_batch("never", "p"))
    sandbox.backend.faults.replace(["503:100%:times=1@POST"])
    list(env.work().run())
    env.change(one, discard_requested=True)
    summary = env.dispatch()

    assert (env.ended(one)[0], summary.discarded, summary.sends) == ("discarded", 1, 0)
    assert not [step for step in env.log(one)[1:] if step.startswith(("arm", "send"))]
    assert sandbox.backend.requests["POST /batches"] == 1


def test_a_command_that_failed_too_often_is_dead_once_proven_absent(
    env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """Not before the settle time is over, and with what went wrong last."""
    [one] = env.put(new_commands.create_batch("never", "p"))
    env.change(one, max_failures=2)
    sandbox.backend.faults.replace(["503:100%@POST"])
    summary = env.dispatch()

    assert (env.ended(one), env.command(one).failures) == (("dead", "exhausted"), 2)
    assert (env.command(one).error_code, summary.sends) == (503, 2)


def test_looking_only_settles_doubts_and_sends_nothing(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Present: delivered; absent and the settle time over: queued; absent too early, or no look: in doubt.

    Held ones and those not yet due are looked at too, each once, and what is queued is left alone.
    """
    ids = env.put(*projects(4))
    sandbox.backend.faults.replace(["applied-then-dropped:100%:times=2@POST", "reset:100%@POST"])
    for one in ids[:3]:
        list(env.work(one).run())
    sandbox.backend.faults.replace([])
    for one in ids[:3]:
        env.change(one, hold_reason="somebody wanted to look")
    patient = replace(QUICK, settle=60)
    with dispatch_env(env.database, sandbox, timing=patient) as waiting:
        early = waiting.dispatch(replace(WHOLE, reconcile_only=True))

    assert env.states(ids) == ["delivered", "delivered", "in_doubt", "queued"]
    assert (early.ended, early.looks, early.sends, early.in_doubt) == (StopReason.DONE, 3, 0, 1)
    with dispatch_env(env.database, sandbox, timing=replace(QUICK, settle=0)) as hasty:
        late = hasty.dispatch(replace(WHOLE, reconcile_only=True))
    assert (env.states(ids), late.looks, late.returned) == (["delivered"] * 2 + ["queued"] * 2, 1, 1)
    assert sandbox.backend.requests["POST /projects"] == 3
    assert [env.command(one).hold_reason is None for one in ids] == [True, True, False, True]


def test_looking_goes_on_while_a_person_paused_the_queue(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """It sends nothing, so a pause does not concern it; a closed door does."""
    ids = sqlite_env.put(*projects(1))
    sandbox.backend.faults.replace(["applied-then-dropped:100%@POST"])
    list(sqlite_env.work().run())
    with sqlite_env.database.write() as conn:
        pause.pause(conn, seconds=None, reason="lunch", by=PausedBy.PERSON)

    assert sqlite_env.dispatch(replace(WHOLE, reconcile_only=True)).delivered == 1
    assert sqlite_env.states(ids) == ["delivered"]
