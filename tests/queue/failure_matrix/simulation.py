"""Simulate one queue with its API and its time, and move dispatchers on step by step."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from scalesync.db.database import Database
from scalesync.db.queue import command_rows
from scalesync.db.queue import enqueue as queued
from scalesync.db.queue.pause import pause_state, resume
from scalesync.lease_owner import new_owner_id
from scalesync.models.commands import Command, CommandState, NewCommand
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.executor import CommandExecutor
from scalesync.queue.executor_deps import ExecutorDeps
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import CommandHandler
from scalesync.queue.timing import Timing
from scalesync.sandbox.switches import Switches
from scalesync.timestamps import parse_instant
from tests.queue.failure_matrix.cases import seed
from tests.queue.failure_matrix.fake_api import FakeApi, FakeApiClient
from tests.queue.failure_matrix.virtual_time import Timeline, VirtualClock

_TABLES = (
    "commands", "command_attempts", "batch_seals", "tasks", "batches", "projects", "project_versions"
)  # fmt: skip
_NOBODY = 2_000_000_000
"""A process number that no system gives."""
_ROUNDS = 400
_OPENINGS = 20
_MOMENT = 0.05
_NUMBERS = count(1)

FINAL = frozenset({CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED})


def _never_waits() -> float:
    return 0.0


@dataclass(frozen=True)
class Protections:
    """What dispatchers are made of. The protections of the protocol, each of which a test may take away."""

    timing: Timing = field(default_factory=Timing)
    handlers: Mapping[str, CommandHandler] = field(default_factory=lambda: HANDLERS)
    store: Callable[[Database, str, Timing], DispatcherStore] = DispatcherStore
    clock: type[VirtualClock] = VirtualClock
    random: Callable[[], float] = _never_waits
    """What every backoff is multiplied with: waiting less is the harder test."""


class Simulation:
    """One scenario's queue, API and time; the database is emptied first."""

    def __init__(
        self, database: Database, protections: Protections | None = None, switches: Switches | None = None
    ) -> None:
        self.database = database
        self.protections = protections or Protections()
        _empty(database)
        self.timeline = Timeline(database)
        self.server = FakeApi(self.timeline, switches)
        seed(self.server.backend)

    def queue(self, new: NewCommand) -> int:
        """Put a command into the queue and return its id."""
        with self.database.write() as conn:
            command_id = queued.enqueue(conn, new).command_id
        assert command_id is not None
        return command_id

    def command(self, command_id: int) -> Command:
        """Return a command as it stands."""
        with self.database.read() as conn:
            command = command_rows.find(conn, command_id)
        assert command is not None
        return command

    def outlook(self) -> float | None:
        """Return in how many seconds there may be more to claim than now; None: not by waiting alone.

        Asked in plain SQL, in a tenth of the time that `Ledger.next_due` takes.
        """
        query = (
            "SELECT not_before, leased_until FROM commands WHERE hold_reason IS NULL"
            " AND state IN ('queued', 'sending', 'in_doubt')"
        )
        shut = "SELECT paused_until, pause_reason FROM dispatch_gate"
        with self.database.read() as conn:
            waits = [time for row in conn.exec_driver_sql(query) for time in row]
            until, reason = conn.exec_driver_sql(shut).one()
        if not waits or (reason is not None and until is None):
            return None
        opens = 0.0 if until is None else max(0.0, _seconds_until(until))
        # What came due since the claim a moment ago is still to be claimed.
        ahead = [max(0.0, wait) for wait in map(_seconds_until, filter(None, waits)) if wait > -_MOMENT]
        return max(opens, min(ahead)) if ahead else opens or None

    def open(self) -> bool:
        """Return whether there is a command that has not ended."""
        query = "SELECT 1 FROM commands WHERE state IN ('queued', 'sending', 'in_doubt') LIMIT 1"
        with self.database.read() as conn:
            return conn.exec_driver_sql(query).one_or_none() is not None

    def story(self) -> str:
        """Return what happened here, for a failed test's message."""
        with self.database.read() as conn:
            query = "SELECT command_id, fence, step, outcome, http_status, detail FROM command_attempts"
            steps = [" ".join(map(str, row)) for row in conn.exec_driver_sql(f"{query} ORDER BY id")]
        return "\n  ".join(["", *self.server.log, *steps])


class Dispatcher:
    """A dispatcher with one worker. It does nothing by itself: `rounds` is moved on by hand."""

    def __init__(
        self, sim: Simulation, *, gone: bool = False, protections: Protections | None = None
    ) -> None:
        """With `gone` it is named like a dead process of this machine, so its leases are free at once."""
        self.sim = sim
        protections = protections or sim.protections
        place, _, rest = new_owner_id().split("/")
        owner = f"{place}/{_NOBODY}/{rest}" if gone else f"elsewhere/{next(_NUMBERS)}/{rest}"
        clock = protections.clock(timeline=sim.timeline)
        self.store = protections.store(sim.database, owner, protections.timing)
        self.tools = ExecutorDeps(
            self.store,
            FakeApiClient(sim.server, clock),
            clock,
            protections.timing,
            protections.random,
            protections.handlers,
        )
        self.holds: int | None = None
        """The command in its hands."""
        self.done: list[CommandExecutor] = []

    def once(self) -> Generator[str, None, bool]:
        """Claim one command and work on it; returns whether there was one."""
        claimed_at = self.tools.clock.boottime()
        yield "claim"
        claims = self.store.claim(1)
        for claim in claims:
            self.holds = claim.command.id
            self.done.append((yield from CommandExecutor(claim, self.tools, claimed_at).run()))
            self.holds = None
        return bool(claims)

    def rounds(self) -> Iterator[str]:
        """Work until nothing is to be had by waiting; time moves on where waiting is all there is to do."""
        for _ in range(_ROUNDS):
            if not self.sim.open():
                return
            if not (yield from self.once()):
                due = self.sim.outlook()
                if due is None:
                    return
                self.sim.timeline.advance(due + 0.002)

    def finish(self) -> None:
        """Do all that can be done."""
        for _ in self.rounds():
            pass


def drain(sim: Simulation) -> None:
    """Let a dispatcher that nobody disturbs do all there is to do, and a person open the gate for it.

    What was scripted for the API and did not strike yet strikes it still.
    """
    for _ in range(_OPENINGS):
        with sim.database.write() as conn:
            resume(conn)
        Dispatcher(sim).finish()
        with sim.database.read() as conn:
            if not pause_state(conn).paused:
                return


def _empty(database: Database) -> None:
    with database.write() as conn:
        for table in _TABLES:
            conn.exec_driver_sql(f"DELETE FROM {table}")
        conn.exec_driver_sql(
            "UPDATE dispatch_gate SET paused_until = NULL, pause_reason = NULL, paused_by = NULL"
        )


def _seconds_until(instant: datetime | str) -> float:
    """Return how far an instant, as it is stored, is ahead."""
    found = parse_instant(instant) if isinstance(instant, str) else instant
    return (found - datetime.now(UTC)).total_seconds()
