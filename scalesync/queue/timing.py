"""Time limits of the queue, and the waits between tries. Pure.

Hazard: these limits are what keeps two processes from sending one command. A command is sent only while
enough of its lease is left (`min_lease_left`), and an absent effect is believed only after `settle`.
"""

from dataclasses import dataclass

from scalesync.errors import ConfigurationError
from scalesync.retry import exponential

_BACKOFF_BASE = 0.5
_BACKOFF_CAP = 20.0
_SLOW_AFTER_TRIES = 8
_SLOW_CAP = 300.0
_TURNS_PER_REQUEST = 3
_MAX_TURN_WAIT = 60.0
"""Seconds between two turns of the rate limiter, at most."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The time limits that keep a command from being sent twice, in seconds.

    Construction raises ConfigurationError for limits under which nothing could be sent.
    """

    request: float = 60.0
    """One whole request; `ApiOptions.total` must cut it off no later."""
    margin: float = 5.0
    """Allowance between arming and sending, and between two clocks."""
    settle: float = 120.0
    """Time from arming after which a request that shows no effect will never have one: the request's own
    time plus the longest that the API may take after the connection broke (not documented, assumed)."""

    def __post_init__(self) -> None:
        if not (self.request > 0 and self.margin > 0 and self.settle >= 0):
            raise ConfigurationError(
                "A request and its margin take time, and the settle time is not negative."
            )

    @property
    def lease(self) -> float:
        """Seconds for which a claim is valid: a look-up, the preparation and the send."""
        return 3 * self.request + self.margin

    @property
    def min_lease_left(self) -> float:
        """Seconds of the lease that must be left when a command is armed or sent."""
        return self.request + self.margin


def max_turn_wait(request: float) -> float:
    """Return the longest wait in seconds between two turns of the rate limiter that keeps leases valid.

    `request` is the time limit of one request.
    """
    # Before a command is armed it waits for at most five turns (four look-ups and its own), for which two
    # thirds of the lease are left; two turns follow. Hence three turns in the time of one request.
    return min(request / _TURNS_PER_REQUEST, _MAX_TURN_WAIT)


def backoff(tries: int, chance: float) -> float:
    """Return the seconds to wait before trying again after `tries` earlier tries; `chance` is from 0 to 1.

    Full jitter up to a limit that doubles from half a second to 20 s, and after eight tries to 5 minutes.
    """
    cap = _BACKOFF_CAP if tries <= _SLOW_AFTER_TRIES else _SLOW_CAP
    return chance * exponential(_BACKOFF_BASE, tries, cap=cap)
