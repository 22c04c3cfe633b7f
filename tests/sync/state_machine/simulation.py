"""Simulate one account over HTTP, its mirror, and processes that sync, crash, stall and wake."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from scalesync.api.client import ScaleApi
from scalesync.api.options import ApiOptions
from scalesync.clock import Clock
from scalesync.db.mirror.account import Account, fingerprint
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.sync import windows
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import ScalesyncError
from scalesync.lease_owner import new_owner_id
from scalesync.sandbox import SandboxOptions, SandboxServer, Switches
from scalesync.sync.planner import EVERY_STREAM, SyncRequest
from scalesync.sync.runner import SyncRunner, SyncSummary
from scalesync.sync.store import SyncStore
from scalesync.sync.verify.models import Verification
from scalesync.sync.verify.runner import VerifyRunner
from scalesync.sync.verify.verifier import LIST_THRESHOLD
from tests.support.sync_env import KEY, QUICK
from tests.sync.state_machine.changes import Scene, Time
from tests.sync.state_machine.crashing_database import Crash, CrashingDatabase, Fate

LEASE = 30.0
_NOBODY = 2_000_000_000
"""A process number that no system gives."""
_KEPT = {"dispatch_gate"}
_LONG_AGO = timedelta(days=1)


@dataclass(frozen=True)
class OurClock(Clock):
    """A machine's clock that may be wrong by hours; whoever sleeps is awake at once, so much later."""

    ahead: timedelta = timedelta()
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return what it says."""
        return super().now() + self.ahead

    def monotonic(self) -> float:
        """Return seconds, those included that were slept."""
        return super().monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        """Let so much time be over."""
        self.slept.append(max(0.0, seconds))


@dataclass
class Stalled:
    """A sync that stands still on a thread of its own."""

    thread: threading.Thread
    fate: Fate


class Simulation:
    """Everything of one example; the database is emptied first."""

    def __init__(self, database: CrashingDatabase, switches: Switches, tasks: int) -> None:
        self.database = database
        with database.write() as conn:
            _empty(conn)
        self.time = Time()
        self.server = SandboxServer(SandboxOptions(tasks=tasks, switches=switches), self.time)
        self.server.start()
        self.server.backend.before_list = self._let_changes_land
        self.scene = Scene(self.server.backend.live, self.time)
        self.ahead = timedelta()
        """How far our own clock is ahead."""
        self.arriving: deque[tuple[str, int]] = deque()
        """Changes that land before the next pages, one each."""
        self.stalled: Stalled | None = None

    def close(self) -> None:
        """Let go of everything."""
        if self.stalled is not None:
            self.stalled.fate.dead = True
            self.wake()
        self.server.stop()

    def change(self, name: str, number: int) -> None:
        """Make a change."""
        with self.server.backend.locked():
            self.scene.apply(name, number)

    def sync(self, request: SyncRequest, *, lapsed: bool = True) -> SyncSummary:
        """Sync to the end; whatever others hold, their leases are over, if not said otherwise."""
        if lapsed:
            self.lapse()
        with self._session(Fate()) as session:
            return session.sync(request)

    def prove(self, *, repair: bool = False, listed: int = LIST_THRESHOLD) -> Verification:
        """Hold the mirror against the API. What was made before this call is all in it."""
        self.lapse()
        self.time.step(2)
        with self._session(Fate()) as session:
            return VerifyRunner(session, lambda _: None, listed).verify(SyncRequest(), repair=repair)

    def complete_once(self) -> bool:
        """Return whether every stream was complete at some time, before which there is nothing to prove."""
        with self.database.read() as conn:
            return read_watermarks(conn).keys() >= set(EVERY_STREAM)

    def sync_fatally(self, request: SyncRequest, fate: Fate, *, elsewhere: bool) -> SyncSummary | None:
        """Sync as a process of this fate; None: it died, or gave up. Of one elsewhere nobody can tell."""
        self.lapse()
        try:
            with self._session(fate, elsewhere=elsewhere) as session:
                return session.sync(request)
        except (Crash, ScalesyncError):
            return None

    def stall(self, request: SyncRequest, fate: Fate) -> None:
        """Begin a sync that stands still before one of its transactions, if it comes so far."""

        def run() -> None:
            try:
                self.sync_fatally(request, fate, elsewhere=True)
            finally:
                fate.stalled.set()

        thread = threading.Thread(target=run, name="stalled", daemon=True)
        thread.start()
        assert fate.stalled.wait(60)
        self.stalled = Stalled(thread, fate)

    def wake(self) -> None:
        """Let the stalled sync go on, to its end."""
        stalled, self.stalled = self.stalled, None
        if stalled is not None:
            self.lapse()
            stalled.fate.woken.set()
            stalled.thread.join(60)
            assert not stalled.thread.is_alive()

    def lapse(self) -> None:
        """Let every lease run out, as time does."""
        with self.database.write() as conn:
            now = datetime.now(UTC)
            conn.execute(
                update(windows).where(windows.c.owner.is_not(None)).values(leased_until=now - _LONG_AGO)
            )

    def tamper(self, stream: str, key: str, *, lose: bool) -> None:
        """Delete a row, or give it another status, past everything that looks after the mirror."""
        table, column = MAPPINGS[stream].table, MAPPINGS[stream].table.c[MAPPINGS[stream].key]
        with self.database.write() as conn:
            if lose:
                conn.execute(delete(table).where(column == key))
                return
            status = conn.execute(select(table.c.status).where(column == key)).scalar_one()
            other = "pending" if status == "completed" else "completed"
            conn.execute(update(table).where(column == key).values(status=other))

    @contextmanager
    def _session(self, fate: Fate, *, elsewhere: bool = False) -> Iterator[SyncRunner]:
        clock = OurClock(ahead=self.ahead)
        place, _, rest = new_owner_id().rsplit("/", 2)
        owner = f"elsewhere/1/{rest}" if elsewhere else f"{place}/{_NOBODY}/{rest}"
        options = ApiOptions(url=self.server.url, retry=QUICK)
        with ScaleApi(KEY, options, clock=clock) as api:
            mine = Account(fingerprint(KEY), "live", self.server.url, clock.now())
            store = SyncStore(self.database.lent(fate), api, owner, LEASE)
            # With one worker the same example takes the same steps each time.
            yield SyncRunner(store, clock, lambda _: None, mine, workers=1)

    def _let_changes_land(self, _kind: str, _params: object) -> None:
        if self.arriving:
            self.change(*self.arriving.popleft())


def _empty(conn: Connection) -> None:
    for table in metadata.sorted_tables:
        if table.name not in _KEPT:
            conn.execute(delete(table))


def merged(readings: "list[Switches]") -> Switches:
    """Return the switches in which any of these readings differ from the usual."""
    usual, result = Switches(), Switches()
    for reading in readings:
        own = {
            name: getattr(reading, name)
            for name in Switches.__dataclass_fields__
            if getattr(reading, name) != getattr(usual, name)
        }
        result = replace(result, **own)
    return result
