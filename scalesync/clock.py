"""The only place that reads a clock. Everything else is handed one."""

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Self


@dataclass(frozen=True)
class Clock:
    """The machine's clock, and a sleep that a stop can cut short."""

    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process should finish what it holds and end; wakes every sleeper."""
    ends_at: float = inf
    """When the time allowed is over, on the monotonic clock: nobody sleeps beyond it."""

    @property
    def over(self) -> bool:
        """Whether nothing new should be begun: a stop was asked for, or the time allowed is over."""
        return self.stopping.is_set() or self.monotonic() >= self.ends_at

    def allowing(self, seconds: float | None) -> Self:
        """Return this clock with so many seconds allowed from now on; None: no limit."""
        return self if seconds is None else replace(self, ends_at=self.monotonic() + seconds)

    def now(self) -> datetime:
        """Return this machine's wall clock in UTC. It decides nothing about what is read."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as a stop is asked for or the time allowed is over."""
        self.stopping.wait(max(0.0, min(seconds, self.ends_at - self.monotonic())))

    def boottime(self) -> float:
        """Return seconds on a clock that never goes back and counts the time this machine was suspended.

        Where the system has none, suspended time does not count.
        """
        return (
            time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
        )
