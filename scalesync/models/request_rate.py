"""How fast requests may follow each other after a refusal, and turns of a rate that processes share."""

from dataclasses import dataclass
from typing import Protocol

FIRST_INTERVAL = 0.1
"""Seconds between two requests after the first 429."""
MAX_INTERVAL = 10.0
"""Seconds between two requests at most, after any number of 429s."""
RECOVERY_RATE = 1.0
"""Requests per second by which the rate rises with each success."""
FREE_INTERVAL = 0.02
"""Seconds below which there is no limit again: official scripts run 25 to 50 requests at once."""


def slower(interval: float) -> float:
    """Return the seconds between two requests after a 429 at this interval."""
    return min(MAX_INTERVAL, max(FIRST_INTERVAL, interval * 2))


def faster(interval: float, successes: int = 1) -> float:
    """Return the seconds between two requests after some successes at this interval; 0: no limit."""
    if interval <= 0:
        return 0.0
    recovered = 1 / (1 / interval + RECOVERY_RATE * successes)
    return recovered if recovered >= FREE_INTERVAL else 0.0


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns of one process, given by a SharedRate."""

    number: int
    """0: the first one would have come too late, and none was taken."""
    wait: float
    """Seconds until the first one."""
    interval: float
    """Seconds from one to the next."""


class SharedRate(Protocol):
    """A rate that several processes share. No method raises, or takes longer than a few seconds."""

    @property
    def interval(self) -> float:
        """The seconds between two requests of all processes after a 429, as last known; 0: no limit."""

    @property
    def paused_until(self) -> float:
        """The monotonic time before which no process should send, as last known."""

    def take(self, number: int, least: float, successes: int, longest: float) -> Turns | None:
        """Take turns, at least `least` seconds apart; None: it does not answer.

        `successes` since the last call raise the rate. Takes none if the first one is later than `longest`.
        """

    def slow_down(self, started: float, pause: float, least: float) -> None:
        """Pause all processes, and halve their rate unless it was since the refused request started.

        `started` is a monotonic time; `least`: seconds between two requests at this process's own rate.
        """
