"""Real processes that die by SIGKILL at every named point, over real HTTP, and the one after them."""

import signal
from collections.abc import Iterator
from itertools import cycle, product

import pytest

from scalesync.db.database import Database
from scalesync.db.queue import command_rows
from scalesync.db.queue import enqueue as queued
from scalesync.models.commands import CommandKind, CommandState, NewCommand
from scalesync.queue import file_commands, new_commands
from scalesync.sandbox import SandboxServer
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.batches import create_batch
from scalesync.sandbox.projects import create_project
from scalesync.sandbox.task_writes import create_task
from tests.queue.failure_matrix.cases import PARAMS, TASK, TASK_TYPE
from tests.queue.failure_matrix.crashing_dispatcher import (
    WAITS,
    CrashingDispatchers,
    Point,
    crashing_dispatchers,
)

KILLED = str(-signal.SIGKILL)
FAULTS = {
    Point.SENDING: (f"latency:100%:{round(WAITS * 2000)}ms@POST",),
    Point.WAITING: ("trickle:100%:seconds=0.05@POST",),
}
"""How a process comes to die there: the request is applied after its death, or the answer takes longer."""


def name_of(kind: CommandKind, point: Point) -> str:
    """Return the name of the object that a command is about."""
    return f"{kind}-{point.name}"


def seed(world: Backend) -> None:
    """Make everything that the commands work on."""
    with world.locked():
        create_project(world.live, {"name": "p", "type": TASK_TYPE, "rapid": True})
        create_batch(world.live, {"name": "b", "project": "p"})
        for point in Point:
            batch = name_of(CommandKind.FINALIZE_BATCH, point)
            create_batch(world.live, {"name": batch, "project": "p"})
            create_task(world.live, TASK_TYPE, {**TASK, "batch": batch})
            task = name_of(CommandKind.CANCEL_TASK, point)
            create_task(world.live, TASK_TYPE, {**TASK, "unique_id": task})
            for kind in (CommandKind.SET_TASK_METADATA, CommandKind.SET_TASK_TAGS):
                create_task(world.live, TASK_TYPE, {**TASK, "unique_id": name_of(kind, point)})
            project = name_of(CommandKind.UPDATE_PROJECT, point)
            create_project(
                world.live, {"name": project, "type": TASK_TYPE, "params": {"instruction": "First."}}
            )


def order(world: Backend, kind: CommandKind, name: str) -> NewCommand:  # noqa: C901, PLR0911 - one each
    """Return the command of a kind about the object of that name."""
    match kind:
        case CommandKind.CREATE_TASK:
            return new_commands.create_task(TASK_TYPE, {**TASK, "unique_id": name})
        case CommandKind.CANCEL_TASK:
            return new_commands.cancel_task(task_id=world.live.tasks.by_unique_id[name])
        case CommandKind.CREATE_BATCH:
            return new_commands.create_batch(name, "p")
        case CommandKind.FINALIZE_BATCH:
            return new_commands.finalize_batch(name)
        case CommandKind.CREATE_PROJECT:
            return new_commands.create_project(name, TASK_TYPE, PARAMS)
        case CommandKind.SET_TASK_METADATA:
            return new_commands.set_task_metadata({"n": 1}, unique_id=name)
        case CommandKind.UPLOAD_FILE:
            return file_commands.upload_file(__file__, reference_id=name)
        case CommandKind.SET_TASK_TAGS:
            return new_commands.change_tags(kind, ["a"], unique_id=name)
        case _:
            return new_commands.update_project(name, PARAMS)


EFFECTS = {
    CommandKind.CREATE_TASK: ("unique_id", "created"),
    CommandKind.CANCEL_TASK: ("unique_id", "canceled"),
    CommandKind.CREATE_BATCH: ("batch", "created"),
    CommandKind.FINALIZE_BATCH: ("batch", "finalized"),
    CommandKind.CREATE_PROJECT: ("project", "created"),
    CommandKind.UPDATE_PROJECT: ("project", "versioned"),
    CommandKind.SET_TASK_METADATA: ("task", "described"),
    CommandKind.SET_TASK_TAGS: ("task", "tagged"),
    CommandKind.UPLOAD_FILE: ("file", "created"),
}
"""The kinds that are killed, and the effect of each; that of the others is the same as of one of these."""


@pytest.fixture
def seeded(sandbox: SandboxServer) -> SandboxServer:
    """Return a sandbox that holds what the commands work on."""
    seed(sandbox.backend)
    return sandbox


@pytest.fixture
def start(seeded: SandboxServer, database_url: str) -> Iterator[CrashingDispatchers]:
    """Yield what starts the dispatchers."""
    with crashing_dispatchers(database_url, seeded.url) as starter:
        yield starter


def test_a_kill_at_every_point(seeded: SandboxServer, database: Database, start: CrashingDispatchers) -> None:
    """Every kind is killed at every point; the next process brings each to one effect."""
    world = seeded.backend
    kinds = list(EFFECTS) if database.is_sqlite else [CommandKind.CREATE_TASK, CommandKind.UPDATE_PROJECT]
    queue: dict[int, tuple[CommandKind, str]] = {}
    for kind, point in product(kinds, Point):
        name = name_of(kind, point)
        with database.write() as conn:
            command_id = queued.enqueue(conn, order(world, kind, name)).command_id
        assert command_id is not None
        queue[command_id] = kind, name
        world.faults.replace(FAULTS.get(point, ()))
        assert start.die(command_id, point) == [point.name, KILLED], name

    world.faults.replace(())
    assert start.drain() == "0"
    with database.read() as conn:
        states = {command_id: command_rows.find(conn, command_id) for command_id in queue}
    undelivered = [
        name_of(kind, point)
        for command, (kind, _), point in zip(states.values(), queue.values(), cycle(Point), strict=False)
        if not command or command.state != CommandState.DELIVERED
    ]
    # A file that was made without its answer being kept cannot be asked for: the queue holds it, and says so.
    # Whether one arrives whose sender died is up to the server.
    lost = [Point.WAITING, Point.ANSWERED, Point.SETTLING] if database.is_sqlite else []
    maybe = name_of(CommandKind.UPLOAD_FILE, Point.SENDING)
    assert [name for name in undelivered if name != maybe] == [
        name_of(CommandKind.UPLOAD_FILE, point) for point in lost
    ]
    assert all(
        command.left_to_a_person for command in states.values() if command and command.finished_at is None
    )
    counts = {}
    for kind, name in queue.values():
        of, effect = EFFECTS[kind]
        counted = world.live.tasks.by_unique_id[name] if of == "task" else name
        counts[name] = world.applied.count(of, counted, effect)
    assert {name: count for name, count in counts.items() if count != 1} == {}
