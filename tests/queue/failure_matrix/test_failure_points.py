"""What can go wrong besides the API and the dispatcher: the database, people, clocks, and somebody else."""

from collections.abc import Callable
from itertools import count

import pytest

from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.errors import DatabaseError
from scalesync.models.commands import CommandState
from scalesync.models.queue_state import DiscardAnswer
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.batches import create_batch, finalize_batch
from scalesync.sandbox.projects import create_project, set_params
from scalesync.sandbox.task_writes import complete_task, create_task
from tests.queue.failure_matrix.cases import BY_NAME, CASES, PARAMS, TASK, TASK_TYPE, Case
from tests.queue.failure_matrix.disturbances import finish, forward
from tests.queue.failure_matrix.failing_store import (
    OpenStore,
    arm_commit_unknown,
    arm_fails,
    down_for_good,
    down_for_moments,
    settle_commit_unknown,
)
from tests.queue.failure_matrix.fake_api import WriteOutcome
from tests.queue.failure_matrix.simulation import Dispatcher, Protections, Simulation, drain


def staged(arena: Database, case: Case, *writes: WriteOutcome) -> tuple[Simulation, int]:
    """Return a simulation with the command of a case, and what becomes of its first writes."""
    sim = Simulation(arena)
    command_id = sim.queue(case.order(sim.server.backend.live))
    sim.server.write_outcomes.extend(writes)
    return sim, command_id


def assert_delivered_once(sim: Simulation, case: Case, command_id: int) -> None:
    """Fail unless the command ended well, even after all that was late."""
    sim.timeline.advance(sim.protections.timing.settle)
    assert case.ended_well(sim.command(command_id), sim.server.backend), (case.name, sim.story())


@pytest.mark.parametrize("store", [arm_fails, arm_commit_unknown], ids=["not committed", "commit unknown"])
def test_an_arming_of_which_nobody_knows(arena: Database, store: OpenStore) -> None:
    """Nothing is sent where the commit of an arming failed or is unknown; the next process sends it once."""
    for case in CASES:
        sim, command_id = staged(arena, case)
        with pytest.raises(DatabaseError):
            Dispatcher(sim, protections=Protections(store=store)).finish()

        assert case.happened(sim.server.backend) == 0, case.name
        drain(sim)
        assert_delivered_once(sim, case, command_id)


@pytest.mark.parametrize(
    "fate", [WriteOutcome.ANSWERED, WriteOutcome.DROPPED, WriteOutcome.LOST, WriteOutcome.MUCH_LATER]
)
def test_a_settlement_of_which_nobody_knows(arena: Database, fate: WriteOutcome) -> None:
    """A settlement whose commit is unknown is tried again, and does no harm if it was done."""
    for case in CASES:
        sim, command_id = staged(arena, case, fate)
        Dispatcher(sim, protections=Protections(store=settle_commit_unknown)).finish()
        drain(sim)
        assert_delivered_once(sim, case, command_id)


@pytest.mark.parametrize(
    "fate", [WriteOutcome.ANSWERED, WriteOutcome.DROPPED, WriteOutcome.LOST, WriteOutcome.MUCH_LATER]
)
def test_a_database_that_is_down_after_the_send(arena: Database, fate: WriteOutcome) -> None:
    """Back soon, it gets the answer from the process that has it; back late, the API is asked."""
    for case in CASES:
        sim, command_id = staged(arena, case, fate)
        list(Dispatcher(sim, protections=Protections(store=down_for_moments)).once())
        looked = len(sim.server.log)
        if fate is WriteOutcome.ANSWERED:
            assert sim.command(command_id).state is CommandState.DELIVERED
        drain(sim)
        assert fate is not WriteOutcome.ANSWERED or len(sim.server.log) == looked
        assert_delivered_once(sim, case, command_id)

        sim, command_id = staged(arena, case, fate)
        with pytest.raises(DatabaseError):
            Dispatcher(sim, protections=Protections(store=down_for_good)).finish()
        drain(sim)
        assert_delivered_once(sim, case, command_id)


def test_a_success_that_is_told_late(arena: Database) -> None:
    """A process frozen after a success records it, although another process has claimed the command."""
    for case in CASES:
        sim, command_id = staged(arena, case)
        first = Dispatcher(sim).rounds()
        # A bare `OK` is looked up before it is settled.
        assert next(step for step in first if sim.server.written_at >= 0 and step != "look") == "settle"
        sim.timeline.advance(sim.protections.timing.lease + 1)
        peer = Dispatcher(sim).rounds()
        forward(peer, 2)
        finish(first)
        told = sim.command(command_id).state
        drain(sim)

        assert told is CommandState.DELIVERED, (case.name, sim.story())
        assert_delivered_once(sim, case, command_id)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_discard_races_with_the_send(arena: Database, case: Case, killed: bool) -> None:
    """At every step the answer to a discard is one of three, and the effect agrees with it."""
    for fate in (
        (WriteOutcome.DROPPED, WriteOutcome.LOST)
        if killed
        else (WriteOutcome.ANSWERED, WriteOutcome.MUCH_LATER)
    ):
        answers = set()
        for step in count(1):
            sim, command_id = staged(arena, case, fate)
            steps = Dispatcher(sim, gone=killed).rounds()
            if not forward(steps, step):
                break
            before = sim.command(command_id)
            with arena.write() as conn:
                answer = management.discard(conn, command_id).answer
            if not killed:
                list(steps)
            drain(sim)
            sim.timeline.advance(sim.protections.timing.settle)

            answers.add(answer)
            after = sim.command(command_id)
            end = (after.state, case.happened(sim.server.backend))
            gone, there = (CommandState.DISCARDED, 0), (CommandState.DELIVERED, 1)
            allowed = {
                DiscardAnswer.DISCARDED: {gone},
                DiscardAnswer.REQUESTED: {gone, there} if before.sends else {gone},
                DiscardAnswer.TOO_LATE: {there},
            }
            if case.unseen and before.left_to_a_person:
                allowed[DiscardAnswer.DISCARDED].add((CommandState.DISCARDED, 1))
            if case.unseen and before.sends and after.left_to_a_person:
                allowed[DiscardAnswer.REQUESTED] |= {(CommandState.IN_DOUBT, count) for count in (0, 1)}
            assert end in allowed[answer], (case.name, fate, step, answer, sim.story())
        assert answers >= {DiscardAnswer.DISCARDED, DiscardAnswer.REQUESTED}, (case.name, fate)


# Somebody else -------------------------------------------------------------------------------------------


def _remove(kind: str, name: str) -> Callable[[Backend], object]:
    return lambda world: world.remove(kind, world.live.tasks.by_unique_id[name] if kind == "tasks" else name)


def _here(world: Backend) -> str:
    return world.live.tasks.by_unique_id["here"]


MEDDLING: list[tuple[str, Callable[[Backend], object], CommandState, int]] = [
    (
        "create_task",
        lambda w: create_task(w.live, TASK_TYPE, {**TASK, "unique_id": "new"}),
        CommandState.DELIVERED,
        1,
    ),
    (
        "create_task",
        lambda w: create_task(w.live, TASK_TYPE, {**TASK, "unique_id": "new", "attachment": "https://other"}),
        CommandState.DEAD,
        1,
    ),
    ("create_task", lambda w: finalize_batch(w.live, "b"), CommandState.DEAD, 0),
    ("create_task", _remove("batches", "b"), CommandState.DEAD, 0),
    ("cancel_task", lambda w: complete_task(w.live, _here(w)), CommandState.DISCARDED, 0),
    ("cancel_task", _remove("tasks", "here"), CommandState.DEAD, 0),
    (
        "create_batch",
        lambda w: create_batch(w.live, {"name": "new", "project": "p"}),
        CommandState.DELIVERED,
        1,
    ),
    ("create_batch", _remove("projects", "p"), CommandState.DEAD, 0),
    ("finalize_batch", _remove("batches", "b"), CommandState.DEAD, 0),
    (
        "create_project",
        lambda w: create_project(w.live, {"name": "new", "type": TASK_TYPE, "params": PARAMS}),
        CommandState.DELIVERED,
        1,
    ),
    (
        "create_project",
        lambda w: create_project(
            w.live, {"name": "new", "type": TASK_TYPE, "params": {"instruction": "Other."}}
        ),
        CommandState.DEAD,
        1,
    ),
    (
        "create_project",
        lambda w: create_project(w.live, {"name": "new", "type": "chat"}),
        CommandState.DEAD,
        1,
    ),
    ("update_project", lambda w: set_params(w.live, "p", PARAMS), CommandState.DELIVERED, 1),
    ("update_project", _remove("projects", "p"), CommandState.DEAD, 0),
]
"""What somebody else does, where the command then ends, and how often its effect is there."""


@pytest.mark.parametrize(("name", "meddle", "end", "effects"), MEDDLING)
def test_somebody_else_was_there_before(
    arena: Database, name: str, meddle: Callable[[Backend], object], end: CommandState, effects: int
) -> None:
    """What somebody else made or removed before the send is found, and decides."""
    sim, command_id = staged(arena, BY_NAME[name])
    meddle(sim.server.backend)
    drain(sim)
    drain(sim)

    command = sim.command(command_id)
    assert (command.state, BY_NAME[name].happened(sim.server.backend)) == (end, effects), sim.story()
    assert command.state is not CommandState.DELIVERED or command.outcome in ("already_applied", "no_op")


def test_another_version_while_in_doubt(arena: Database) -> None:
    """A version of somebody else's, made while an update is in doubt, holds it: a person decides."""
    case = BY_NAME["update_project"]
    sim, command_id = staged(arena, case, WriteOutcome.LOST)
    list(Dispatcher(sim).once())
    set_params(sim.server.backend.live, "p", {"instruction": "Somebody else's."})
    drain(sim)
    held = sim.command(command_id)
    with arena.write() as conn:
        answer = management.discard(conn, command_id).answer
    drain(sim)

    assert (held.state, bool(held.hold_reason)) == (CommandState.IN_DOUBT, True)
    assert len(sim.server.backend.live.projects["p"]["param_history"]) == 2
    assert (answer, sim.command(command_id).state) == (DiscardAnswer.REQUESTED, CommandState.DISCARDED), (
        sim.story()
    )
