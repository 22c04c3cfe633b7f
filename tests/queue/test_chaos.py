"""Several dispatchers at once, killed and frozen at random, on bad days of the API."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

import msgspec
from sqlalchemy import case, func, select, update

from scalesync.api import ApiOptions, ScaleApi
from scalesync.db.database import Database
from scalesync.db.queue.command_rows import command_of
from scalesync.db.queue.enqueue import enqueue
from scalesync.db.schema.queue import commands
from scalesync.db.server_clock import time_in
from scalesync.models.commands import CommandKind, NewCommand
from scalesync.queue import file_commands, new_commands
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.sandbox import SandboxServer
from tests.support.dispatcher_processes import KEY, QUICK, DispatcherLauncher, dispatcher, launching

Start = Callable[..., SandboxServer]

PROJECTS = [f"project {number}" for number in range(4)]
BATCHES = [f"batch {number}" for number in range(12)]
TASKS = 230
CANCELS = 26
UPDATES = 4
KILLS = {"postgres": 50, "sqlite": 20}
STOPS = {"postgres": 10, "sqlite": 4}
FAULTS = 20
"""More than so many requests are to be struck."""
CHANGED = 2
"""Of each kind that changes or makes something else."""
UNSEEN = (
    CommandKind.IMPORT_FILE,
    CommandKind.UPLOAD_FILE,
    CommandKind.SEND_CALLBACK,
    CommandKind.CREATE_EVALUATION_TASK,
    CommandKind.CREATE_TRAINING_TASK,
)
"""The kinds that may end held: the API cannot be asked about them."""
QUALITY = (CommandKind.CREATE_EVALUATION_TASK, CommandKind.CREATE_TRAINING_TASK)
ALL = 300 + 13 * CHANGED
DISPATCHERS = 3
FROZEN = 3.0
"""Seconds for which a process is stopped: longer than its lease."""
PATIENCE = 0.6
NEWS = 4
"""Commands delivered between two bad things, if it does not take longer than PATIENCE seconds."""

BAD_DAYS = (
    "500:3%",
    "503:1%",
    "429:1%:retry-after=0.2",
    "reset:3%",
    "truncate:2%",
    "hang:1%",
    "applied-then-dropped:4%",
    "applied-then-500:3%",
    "applied-late:2%:seconds=0.4",
)


def project_of(batch: str) -> str:
    """Return the project that a batch belongs to."""
    return PROJECTS[BATCHES.index(batch) % len(PROJECTS)]


def intents() -> Iterator[NewCommand]:
    """Yield everything that is queued: the batches' tasks mixed with one another, then what changes tasks."""
    for name in PROJECTS:
        yield new_commands.create_project(name, "textcollection", {"instruction": "first"}, studio=True)
    for name in BATCHES:
        yield new_commands.create_batch(name, project_of(name))
    for number in range(TASKS):
        batch = BATCHES[number % len(BATCHES)]
        body = {"unique_id": f"task {number}", "project": project_of(batch), "batch": batch, "number": number}
        yield new_commands.create_task("textcollection", body)
    for number in range(CANCELS):
        yield new_commands.cancel_task(unique_id=f"old {number}")
    yield from changes()
    for version in range(UPDATES):
        for name in PROJECTS:
            yield new_commands.update_project(name, {"instruction": f"version {version}"})
    for name in BATCHES:
        yield new_commands.finalize_batch(name)


def changes() -> Iterator[NewCommand]:
    """Yield the changes of tasks and batches, and what the API cannot be asked about."""
    for number in range(CHANGED):
        name = f"changed {number}"
        yield new_commands.audit_task(unique_id=name, accepted=True, comments="good")
        yield new_commands.change_tags(CommandKind.SET_TASK_TAGS, ["a", "b"], unique_id=name)
        yield new_commands.change_tags(CommandKind.ADD_TASK_TAGS, ["c"], unique_id=name)
        yield new_commands.change_tags(CommandKind.DELETE_TASK_TAGS, ["a"], unique_id=name)
        yield new_commands.set_task_metadata({"n": number}, unique_id=name)
        yield new_commands.update_task_unique_id(f"renamed {number}", unique_id=name)
        yield new_commands.clear_task_unique_id(unique_id=f"named {number}")
        yield new_commands.set_batch_metadata(BATCHES[number], {"n": number})
        yield file_commands.import_file("https://example.com/1.jpg", reference_id=f"file {number}")
        yield file_commands.upload_file(__file__, reference_id=f"upload {number}")
        yield new_commands.send_callback(unique_id=f"called {number}")
        for kind in QUALITY:
            body = {"unique_id": f"{kind} {number}", "attachment": "https://a", "expected_response": {"a": 1}}
            yield new_commands.create_quality_task(kind, "imageannotation", body)


@dataclass
class Chaos:
    """Keeps dispatchers running while it kills and freezes them."""

    launcher: DispatcherLauncher
    database: Database
    chance: random.Random
    running: list[int] = field(default_factory=list)
    frozen: dict[int, float] = field(default_factory=dict)
    """Process ids and when they are to thaw."""
    kills: int = 0
    stops: int = 0

    @property
    def planned_kills(self) -> int:
        """How many are to be killed."""
        return KILLS["sqlite" if self.database.is_sqlite else "postgres"]

    @property
    def planned_stops(self) -> int:
        """How many are to be frozen for a while."""
        return STOPS["sqlite" if self.database.is_sqlite else "postgres"]

    @property
    def unfinished(self) -> bool:
        """Whether something bad is still to be done."""
        return self.kills < self.planned_kills or self.stops < self.planned_stops

    def once(self) -> None:
        """Do the next bad thing to one of them, and start others in its place."""
        while len(self.running) < DISPATCHERS:
            self.running.append(self.launcher.start())
        self.await_news()
        time.sleep(self.chance.uniform(0, 0.1))
        victim = self.running.pop(self.chance.randrange(len(self.running)))
        if self.stops < self.planned_stops and self.chance.random() < self.planned_stops / self.planned_kills:
            self.stops += 1
            os.kill(victim, signal.SIGSTOP)
            self.frozen[victim] = time.monotonic() + FROZEN
        else:
            self.kills += 1
            os.kill(victim, signal.SIGKILL)
        self.thaw(time.monotonic())

    def await_news(self) -> None:
        """Return when some more commands came to their end, or nothing moves for a while."""
        until, before = time.monotonic() + PATIENCE, states(self.database).get("delivered", 0)
        while time.monotonic() < until and states(self.database).get("delivered", 0) < before + NEWS:
            time.sleep(0.02)

    def thaw(self, now: float) -> None:
        """Let those go on whose time has come."""
        for process in [process for process, until in self.frozen.items() if until <= now]:
            del self.frozen[process]
            os.kill(process, signal.SIGCONT)
            self.running.append(process)

    def end(self) -> None:
        """Kill them all."""
        self.thaw(float("inf"))
        for process in self.running:
            os.kill(process, signal.SIGKILL)


def states(database: Database) -> dict[str, int]:
    """Return how many commands are in each state, or held. Takes no lock: whoever is frozen may hold one."""
    with database.read() as conn:
        state = case((commands.c.hold_reason.is_not(None), "held"), else_=commands.c.state).label("state")
        query = select(state, func.count().label("size")).group_by(state)
        return {str(row.state): int(row.size) for row in conn.execute(query)}


def end_waits(database: Database) -> None:
    """Have commands that failed often tried again soon, and no sooner than what they sent has settled."""
    with database.write() as conn:
        soon = time_in(conn, QUICK.settle)
        conn.execute(update(commands).where(commands.c.not_before > soon).values(not_before=soon))


def over(database: Database) -> bool:
    """Return whether everything is delivered, or held."""
    found = states(database)
    return found.get("delivered", 0) + found.get("held", 0) == ALL


def wrongly_held(database: Database) -> list[str]:
    """Return the kinds of held commands of which the API shows whether they were applied."""
    with database.read() as conn:
        found = [command_of(row) for row in conn.execute(select(commands))]
    held = [command for command in found if command.hold_reason is not None]
    return [one.kind for one in held if one.kind not in UNSEEN or not one.left_to_a_person]


def test_every_effect_is_there_exactly_once(
    start_sandbox: Start, database: Database, database_url: str
) -> None:
    """326 commands of all kinds, 3 dispatchers, 50 SIGKILLs, 10 SIGSTOPs, faults at 20 %: each object once.

    A studio batch takes no task once it is finalized, so every finalize came after all its creates.
    """
    server = start_sandbox()
    with ScaleApi(KEY, ApiOptions(url=server.url)) as api:
        for number in range(CANCELS):
            api.create_task("textcollection", {"unique_id": f"old {number}"})
        for word, number in product(("changed", "named", "called"), range(CHANGED)):
            api.create_task("textcollection", {"unique_id": f"{word} {number}"})
    ids = dict(server.backend.live.tasks.by_unique_id)
    for number in range(CHANGED):
        server.backend.complete(ids[f"changed {number}"])
    with database.write() as conn:
        queued = [enqueue(conn, order) for order in intents()]
    assert len(queued) == ALL
    server.backend.faults.replace(BAD_DAYS)

    def struck() -> int:
        return sum(server.backend.faults.injected.values())

    with launching(database_url, server.url) as launcher:
        chaos = Chaos(launcher, database, random.Random(7))
        try:
            # On a busy machine they may all be killed before they sent much: then it goes on.
            while chaos.unfinished or (struck() <= FAULTS and not over(database)):
                chaos.once()
        finally:
            chaos.end()
    faults = struck()
    server.backend.faults.replace([])
    end_waits(database)
    with dispatcher(database_url, server.url, DispatchOptions(workers=4)) as quiet:
        quiet.run()

    assert over(database), states(database)
    assert wrongly_held(database) == []
    assert faults > FAULTS
    assert wrong_effects(server, ids) == []
    assert versions(server) == {
        name: ["first", *(f"version {n}" for n in range(UPDATES))] for name in PROJECTS
    }


def wrong_effects(server: SandboxServer, ids: dict[str, str]) -> list[tuple[str, str, str, int]]:
    """Return the effects that did not happen exactly once; those that nobody can see: more than once."""
    expected = [
        *(("project", name, "created") for name in PROJECTS),
        *(("batch", name, effect) for name in BATCHES for effect in ("created", "finalized")),
        *(("unique_id", f"task {number}", "created") for number in range(TASKS)),
        *(("unique_id", f"old {number}", "canceled") for number in range(CANCELS)),
    ]
    for number in range(CHANGED):
        changed = ids[f"changed {number}"]
        expected += [("task", changed, effect) for effect in ("audited", "described", "renamed")]
        expected += [
            ("task", ids[f"named {number}"], "renamed"),
            ("batch", BATCHES[number], "described"),
        ]
    unseen = [
        *(
            ("file", f"{word} {number}", "created")
            for word in ("file", "upload")
            for number in range(CHANGED)
        ),
        *(("quality_task", f"{kind} {number}", "created") for kind in QUALITY for number in range(CHANGED)),
        *(("task", ids[f"called {number}"], "called_back") for number in range(CHANGED)),
    ]
    effects = server.backend.applied
    tagged = [("task", ids[f"changed {number}"], "tagged") for number in range(CHANGED)]
    return [
        *((*effect, count) for effect in expected if (count := effects.count(*effect)) != 1),
        *((*effect, count) for effect in unseen if (count := effects.count(*effect)) > 1),
        *((*effect, count) for effect in tagged if (count := effects.count(*effect)) != 3),
    ]


def versions(server: SandboxServer) -> dict[str, list[object]]:
    """Return the instructions of every project, version by version."""
    projects = (msgspec.json.decode(document) for document in server.backend.documents("projects"))
    return {
        project["name"]: [version["instruction"] for version in project["param_history"]]
        for project in projects
    }
