"""Run dispatchers within the test process, and build claimed commands without a database."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.queue.command_rows import attempts, find
from scalesync.db.queue.enqueue import enqueue
from scalesync.lease_owner import new_owner_id
from scalesync.models.commands import Command, CommandState, NewCommand
from scalesync.queue import new_commands
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatch_summary import DispatchSummary
from scalesync.queue.dispatcher import Dispatcher
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.events import DispatchEvent
from scalesync.queue.executor import CommandExecutor, Steps
from scalesync.queue.executor_deps import ExecutorDeps
from scalesync.queue.timing import Timing
from scalesync.retry import RetryPolicy
from scalesync.sandbox import SandboxServer

KEY = "live_key"
BOX = "imageannotation"
QUICK = Timing(request=3, margin=1, settle=0.4)
"""Requests that have time on a busy machine, and less than half a second of doubt."""
HASTY = Timing(request=0.4, margin=0.2, settle=0.4)
"""A lease of less than two seconds."""
WHOLE = DispatchOptions(workers=4, patience=10)

EPOCH = datetime(2026, 11, 3, 10, tzinfo=UTC)
_CLAIMED = Command(
    id=1,
    cid="c",
    kind="",
    state=CommandState.SENDING,
    outcome=None,
    resource="",
    scope=None,
    depends_on=None,
    payload="{}",
    idempotency_key=None,
    priority=0,
    hold_reason=None,
    fence=1,
    sends=0,
    failures=0,
    max_failures=25,
    ambiguous=False,
    sent_at=None,
    not_before=None,
    owner="me",
    leased_until=EPOCH,
    base=None,
    discard_requested=False,
    result=None,
    error_code=None,
    error=None,
    created_at=EPOCH,
    finished_at=None,
)


def claimed(order: NewCommand, **columns: Any) -> Command:
    """Return the command of an order as a claim gives it, with other columns as they are given."""
    named = {name: getattr(order, name) for name in ("kind", "resource", "scope", "depends_on", "payload")}
    return replace(_CLAIMED, **named, **columns)


@dataclass
class DispatchEnv:
    """A database with a queue, an API, and everything to dispatch with."""

    database: Database
    api: ScaleApi
    clock: Clock = field(default_factory=Clock)
    timing: Timing = QUICK
    chance: Callable[[], float] = lambda: 0.1
    events: list[DispatchEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = DispatcherStore(self.database, new_owner_id(), self.timing)

    def put(self, *orders: NewCommand) -> list[int]:
        """Queue orders and return their commands."""
        with self.database.write() as conn:
            made = [enqueue(conn, order).command_id for order in orders]
        return [one for one in made if one is not None]

    def dispatcher(self, options: DispatchOptions = WHOLE, **more: Any) -> Dispatcher:
        """Return a dispatcher of this process."""
        watch = self.events.append
        store = more.pop("store", self.store)
        return Dispatcher(
            store, self.api, self.clock, watch, self.timing, options, more.pop("random", self.chance), **more
        )

    def dispatch(self, options: DispatchOptions = WHOLE, **more: Any) -> DispatchSummary:
        """Dispatch to the end."""
        return self.dispatcher(options, **more).run()

    def tools(self) -> ExecutorDeps:
        """Return what work is done with."""
        return ExecutorDeps(self.store, self.api, self.clock, self.timing, self.chance)

    def work(self, *ids: int) -> CommandExecutor:
        """Claim the next command, or the next of these, and return the work on it, not yet begun."""
        before = self.clock.boottime()
        [claim] = self.store.claim(1, only=ids or None)
        return CommandExecutor(claim, self.tools(), before)

    def expire(self, command_id: int) -> None:
        """Let the lease of a command be over."""
        self.change(command_id, leased_until=EPOCH)

    def command(self, command_id: int) -> Command:
        """Return a command as it is now."""
        with self.database.read() as conn:
            found = find(conn, command_id)
        assert found is not None
        return found

    def states(self, ids: Iterable[int]) -> list[str]:
        """Return where commands are."""
        return [self.command(one).state.value for one in ids]

    def ended(self, command_id: int) -> tuple[str, str | None]:
        """Return state and outcome of a command."""
        command = self.command(command_id)
        return command.state.value, command.outcome and command.outcome.value

    def log(self, command_id: int) -> list[str]:
        """Return the steps that were taken with a command, each with its outcome."""
        with self.database.read() as conn:
            return [f"{step.step} {step.outcome}" for step in attempts(conn, command_id)]

    def change(self, command_id: int, **columns: Any) -> None:
        """Change a row behind everybody's back."""
        from sqlalchemy import update

        from scalesync.db.schema.queue import commands

        with self.database.write() as conn:
            conn.execute(update(commands).where(commands.c.id == command_id).values(**columns))


@contextmanager
def dispatch_env(
    database: Database,
    server: SandboxServer | str,
    *,
    timing: Timing = QUICK,
    clock: Clock | None = None,
    key: str = KEY,
    **reach: Any,
) -> Iterator[DispatchEnv]:
    """Yield an environment whose requests end in time."""
    url = server if isinstance(server, str) else server.url
    used = clock or Clock()
    options = ApiOptions(
        url=url,
        connect_timeout=timing.request / 2,
        read_timeout=timing.request,
        deadline=timing.request,
        total=timing.request,
        retry=RetryPolicy(attempts=1),
        **reach,
    )
    with ScaleApi(key, options, clock=used, random=lambda: 0.5) as api:
        yield DispatchEnv(database, api, used, timing)


def projects(count: int, first: int = 0) -> Iterator[NewCommand]:
    """Yield orders that depend on nothing."""
    for number in range(first, first + count):
        yield new_commands.create_project(f"p{number}", BOX, {})


def events(env: DispatchEnv, kind: type) -> list[Any]:
    """Return what a dispatcher told of one kind."""
    return [event for event in env.events if isinstance(event, kind)]


def in_background(run: Callable[[], DispatchSummary]) -> tuple[threading.Thread, list[DispatchSummary]]:
    """Start a dispatcher in a thread of its own; its summary comes into the list."""
    summaries: list[DispatchSummary] = []
    thread = threading.Thread(target=lambda: summaries.append(run()))
    thread.start()
    return thread, summaries


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Return when something is true. Fails if that takes too long."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def run_until(steps: Steps, name: str) -> None:
    """Take every step before the next one of this name."""
    while next(steps) != name:
        pass


def run_to_end(steps: Steps) -> tuple[list[str], CommandExecutor]:
    """Take every step that is left; return their names and what came of them."""
    names = []
    while True:
        try:
            names.append(next(steps))
        except StopIteration as end:
            return names, end.value


def versions(server: SandboxServer, name: str = "p") -> list[dict[str, Any]]:
    """Return what each version of a project says."""
    [found] = [doc for doc in map(json.loads, server.backend.documents("projects")) if doc["name"] == name]
    stamps = {"version", "created_at"}
    return [{key: entry[key] for key in entry if key not in stamps} for entry in found["param_history"]]
