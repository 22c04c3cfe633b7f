"""The only place that reads a clock. Everything else is handed one."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """The machine's clock, and a sleep that a stop can cut short."""

    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process should finish what it holds and end; wakes every sleeper."""

    def now(self) -> datetime:
        """Return this machine's wall clock in UTC. It decides nothing about what is read."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as the process is asked to stop."""
        self.stopping.wait(max(0.0, seconds))

    def boottime(self) -> float:
        """Return seconds on a clock that never goes back and counts the time this machine was suspended.

        Where the system has none, suspended time does not count.
        """
        return (
            time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
        )
