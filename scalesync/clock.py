"""Read clocks and sleep. Other modules get a Clock passed to them and call no clock themselves."""

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Self


@dataclass(frozen=True)
class Clock:
    """The machine's clocks, and a sleep that a stop ends early."""

    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process should finish its current step and end; ends every sleep."""
    ends_at: float = inf
    """End of the time limit, on the monotonic clock: no sleep lasts longer."""
    asked_at: float | None = None
    """On the monotonic clock: when somebody asked for the work; None: when it is called."""

    @property
    def over(self) -> bool:
        """Whether nothing new should be begun: a stop was asked for, or the time limit has passed."""
        return self.stopping.is_set() or self.monotonic() >= self.ends_at

    def allowing(self, seconds: float | None) -> Self:
        """Return this clock with a time limit of `seconds` from now; None changes nothing."""
        return self if seconds is None else replace(self, ends_at=self.monotonic() + seconds)

    def now(self) -> datetime:
        """Return this machine's wall clock in UTC. What is read is decided by the API's clock only."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until a stop is asked for or the time limit has passed."""
        self.stopping.wait(max(0.0, min(seconds, self.ends_at - self.monotonic())))

    def boottime(self) -> float:
        """Return seconds on a clock that never goes back and goes on while the machine is suspended.

        Systems without such a clock do not count suspended time.
        """
        return (
            time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
        )
