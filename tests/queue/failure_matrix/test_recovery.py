"""What tries the whole queue: restored backups, crash loops, a closed gate, clocks that jump, order."""

from itertools import product

import pytest
from sqlalchemy import delete, insert, select

from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.db.queue.pause import resume
from scalesync.db.schema.queue import commands
from scalesync.models.commands import CommandState, NewCommand
from scalesync.queue import new_commands
from tests.queue.failure_matrix.cases import CASES, PARAMS, TASK, TASK_TYPE, Case
from tests.queue.failure_matrix.disturbances import forward
from tests.queue.failure_matrix.fake_api import ReadOutcome, WriteOutcome
from tests.queue.failure_matrix.simulation import FINAL, Dispatcher, Protections, Simulation, drain
from tests.queue.failure_matrix.virtual_time import shift_database

CRASHES = 40
"""More than any limit on crashes in a row."""
DAY = 86_400.0


def staged(arena: Database, case: Case) -> tuple[Simulation, int]:
    """Return a simulation with the command of a case."""
    sim = Simulation(arena)
    return sim, sim.queue(case.order(sim.server.backend.live))


def ended(sim: Simulation, case: Case, command_id: int) -> tuple[CommandState, int]:
    """Return how a command ended and how often its effect is there, after all that was late; ONCE: well."""
    sim.timeline.advance(sim.protections.timing.settle)
    if case.ended_well(sim.command(command_id), sim.server.backend):
        return ONCE
    return sim.command(command_id).state, case.happened(sim.server.backend)


ONCE = (CommandState.DELIVERED, 1)


@pytest.mark.parametrize("steps", [0, 3, 4])
def test_a_restored_backup(arena: Database, steps: int) -> None:
    """A queue from before everything was sent, distrusted, finds each effect there and repeats none."""
    for case in CASES:
        sim, command_id = staged(arena, case)
        process = Dispatcher(sim).rounds()
        for _ in range(steps):
            next(process)
        with arena.read() as conn:
            rows = [dict(row) for row in conn.execute(select(commands)).mappings()]
        Dispatcher(sim).finish()
        list(process)
        drain(sim)
        assert ended(sim, case, command_id) == ONCE

        with arena.write() as conn:
            conn.execute(delete(commands))
            conn.execute(insert(commands), rows)
            assert management.distrust(conn) == 1
        drain(sim)
        assert ended(sim, case, command_id) == ONCE, (case.name, sim.story())


def crash(sim: Simulation, command_id: int, at: str) -> None:
    """Let a dispatcher work until it comes to that step of the command, or has nothing to do; kill it."""
    process = Dispatcher(sim, gone=True)
    for step in process.rounds():
        if process.holds == command_id and step != "claim" and at in ("first", step):
            return


@pytest.mark.parametrize(("at", "cases"), [("first", CASES[::4]), ("arm", CASES[1::4]), ("send", CASES[::3])])
def test_a_command_that_kills_its_dispatcher_each_time(arena: Database, at: str, cases: list[Case]) -> None:
    """It is held after some crashes in a row, others go on, and a retry lets it go on to its one effect."""
    for case in cases:
        sim, command_id = staged(arena, case)
        other = sim.queue(new_commands.create_batch("other", "p"))
        for _ in range(CRASHES):
            crash(sim, command_id, at)
            if sim.command(command_id).hold_reason:
                break
        drain(sim)
        held = sim.command(command_id)
        assert held.hold_reason is not None, (case.name, sim.story())
        assert held.state not in FINAL
        assert sim.command(other).state is CommandState.DELIVERED

        with arena.write() as conn:
            management.retry(conn, command_id)
        drain(sim)
        assert ended(sim, case, command_id) == ONCE, (case.name, sim.story())


@pytest.mark.parametrize("fate", [WriteOutcome.SLOW_DOWN, WriteOutcome.BAD_KEY, WriteOutcome.FORBIDDEN])
def test_the_gate(arena: Database, fate: WriteOutcome) -> None:
    """429 stops everybody for as long as the API asks, 401 and 403 until a person resumes."""
    for case in CASES:
        sim, command_id = staged(arena, case)
        sim.server.write_outcomes.append(fate)
        sim.server.retry_after = 30
        list(Dispatcher(sim).once())
        requests = len(sim.server.log)
        list(Dispatcher(sim).once())
        sim.timeline.advance(29)
        list(Dispatcher(sim).once())
        waiting = sim.command(command_id)
        assert len(sim.server.log) == requests
        assert (waiting.state, waiting.failures, waiting.ambiguous) == (CommandState.QUEUED, 0, False)

        sim.timeline.advance(5)
        if fate is not WriteOutcome.SLOW_DOWN:
            Dispatcher(sim).finish()
            assert len(sim.server.log) == requests
            with arena.write() as conn:
                resume(conn)
        Dispatcher(sim).finish()
        assert ended(sim, case, command_id) == ONCE, (case.name, sim.story())


def test_a_gate_that_a_look_closes(arena: Database) -> None:
    """A look that is refused with 429 or 401 leaves the doubt as it was, and everybody waits."""
    for case in [case for case in CASES if not case.unseen]:
        for fate in (ReadOutcome.SLOW_DOWN, ReadOutcome.BAD_KEY):
            sim, command_id = staged(arena, case)
            sim.server.write_outcomes.append(WriteOutcome.DROPPED)
            list(Dispatcher(sim).once())
            sim.server.read_outcomes.extend([fate] * 3)
            list(Dispatcher(sim).once())
            requests = len(sim.server.log)
            list(Dispatcher(sim).once())

            assert len(sim.server.log) == requests
            assert sim.command(command_id).state is CommandState.IN_DOUBT
            drain(sim)
            assert ended(sim, case, command_id) == ONCE, (case.name, sim.story())


@pytest.mark.parametrize("jump", [-3 * DAY, -70.0, 70.0, 300.0])
@pytest.mark.parametrize("killed", [False, True])
def test_the_database_s_clock_jumps(arena: Database, jump: float, killed: bool) -> None:
    """At every step, and either way: the process goes on or dies, and the effect is there once in the end.

    A jump forward while a process sends ends its lease too soon. Then only the API keeps a peer from doing it
    again: so the kinds that append are spared the peer.
    """
    for case, fate, step in product(CASES[::2], (WriteOutcome.ANSWERED, WriteOutcome.LOST), (3, 4, 5)):
        sim, command_id = staged(arena, case)
        sim.server.write_outcomes.append(fate)
        process = Dispatcher(sim, gone=killed).rounds()
        forward(process, step)
        shift_database(arena, jump)
        if not killed and not case.appends:
            list(Dispatcher(sim).once())
        if not killed:
            list(process)
        drain(sim)

        assert ended(sim, case, command_id) == ONCE, (case.name, fate, step, jump, sim.story())


def everything() -> list[NewCommand]:
    """Return a project, two batches in it with three tasks each, and their finalizes, in the order queued."""
    found = [new_commands.create_project("np", TASK_TYPE, PARAMS, rapid=True)]
    for batch in ("x", "y"):
        found.append(new_commands.create_batch(batch, "np"))
        found += [
            new_commands.create_task(
                TASK_TYPE, {**TASK, "project": "np", "batch": batch, "unique_id": f"{batch}{number}"}
            )
            for number in range(3)
        ]
        found.append(new_commands.finalize_batch(batch))
    return found


BAD_DAY = [
    WriteOutcome.DROPPED, WriteOutcome.LOST, WriteOutcome.ANSWERED, WriteOutcome.LATER,
    WriteOutcome.ECHO, WriteOutcome.REFUSED_500, WriteOutcome.MUCH_LATER, WriteOutcome.APPLIED_500,
    WriteOutcome.NOT_SENT, WriteOutcome.SLOW_DOWN, WriteOutcome.BROKEN,
]  # fmt: skip


@pytest.mark.parametrize("turn", [0, 4, 8])
def test_order_on_a_bad_day(arena: Database, turn: int) -> None:
    """With two dispatchers and every fault: the project, then a batch, then its tasks, then its finalize."""
    sim = Simulation(arena, Protections(random=lambda: 1.0))
    effects: list[tuple[str, str, str]] = []
    sim.server.backend.applied.on_count = lambda kind, name, effect, _: effects.append((kind, name, effect))
    ids = [sim.queue(new) for new in everything()]
    sim.server.write_outcomes.extend([*BAD_DAY[turn:], *BAD_DAY[:turn]] * 3)
    processes = [Dispatcher(sim).rounds(), Dispatcher(sim).rounds()]
    for number in range(600):
        next(processes[number // 5 % 2], None)
    drain(sim)
    sim.timeline.advance(sim.protections.timing.settle)

    assert {sim.command(one).state for one in ids} == {CommandState.DELIVERED}, sim.story()
    told = [effect for effect in effects if effect[0] != "task"]
    assert len(told) == len(set(told)) == len(ids)
    for batch in ("x", "y"):
        created = [told.index(("unique_id", f"{batch}{number}", "created")) for number in range(3)]
        made, finalized = told.index(("batch", batch, "created")), told.index(("batch", batch, "finalized"))
        assert told.index(("project", "np", "created")) < made < min(created)
        assert max(created) < finalized
