"""Give processes, API and database one virtual time that tests move on."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from scalesync.clock import Clock
from scalesync.db.database import Database

_COLUMNS = {
    "commands": ("leased_until", "sent_at", "not_before", "created_at", "finished_at"),
    "command_attempts": ("at",),
    "dispatch_gate": ("paused_until",),
}
"""Every instant by which the queue measures how much time went by."""


def shift_database(database: Database, seconds: float) -> None:
    """Let the database's clock be `seconds` further on: what it is compared with is so much older."""
    moved = "strftime('%Y-%m-%dT%H:%M:%fZ', {0}, '{1:+.3f} seconds')"
    if not database.is_sqlite:
        moved = "{0} + make_interval(secs => {1:.6f})"
    with database.write() as conn:
        for table, columns in _COLUMNS.items():
            changes = ", ".join(f"{column} = {moved.format(column, -seconds)}" for column in columns)
            conn.exec_driver_sql(f"UPDATE {table} SET {changes}")


class Timeline:
    """How far time was moved on, for everybody, and what is to happen on the way."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.moved = 0.0
        """Seconds by which this time is ahead of the machine's."""
        self._numbers = count()
        self._ahead: list[tuple[float, int, Callable[[], object]]] = []

    def now(self) -> datetime:
        """Return the wall clock of every machine."""
        return datetime.now(UTC) + timedelta(seconds=self.moved)

    def later(self, seconds: float, event: Callable[[], object]) -> None:
        """Let `event` happen when time has moved on by `seconds`."""
        heapq.heappush(self._ahead, (self.moved + seconds, next(self._numbers), event))

    def advance(self, seconds: float) -> None:
        """Move time on, letting happen what was to happen meanwhile, each at its own instant."""
        until = self.moved + max(0.0, seconds)
        while self._ahead and self._ahead[0][0] <= until:
            at, _, event = heapq.heappop(self._ahead)
            self.moved = max(self.moved, at)
            event()
        self.moved = until
        if seconds > 0:
            shift_database(self.database, seconds)

    def next_event(self) -> float | None:
        """Return in how many seconds something is to happen; None: nothing is."""
        return max(0.0, self._ahead[0][0] - self.moved) if self._ahead else None


@dataclass(frozen=True)
class VirtualClock(Clock):
    """The clock of a process that lives on a timeline; sleeping moves the time of everybody."""

    timeline: Timeline = field(kw_only=True)

    def now(self) -> datetime:
        """Return the timeline's wall clock."""
        return self.timeline.now()

    def monotonic(self) -> float:
        """Return seconds on the timeline."""
        return super().monotonic() + self.timeline.moved

    def boottime(self) -> float:
        """Return seconds on the timeline, during which this process may have been frozen."""
        return super().boottime() + self.timeline.moved

    def sleep(self, seconds: float) -> None:
        """Move the timeline on."""
        self.timeline.advance(seconds)


@dataclass(frozen=True)
class StoppedClock(VirtualClock):
    """A clock that does not notice that its process was frozen."""

    def boottime(self) -> float:
        """Return the same instant for ever."""
        return 0.0
