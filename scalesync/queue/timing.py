"""How long things may take, and how long to wait before they are tried again. Pure."""

from dataclasses import dataclass

from scalesync.errors import ConfigurationError
from scalesync.retry import exponential

_BASE = 0.5
_CAP = 20.0
_PATIENT_AFTER = 8
_PATIENT_CAP = 300.0
_TURNS = 3
"""For how many requests the rate must have room in the time of one. Before a command is armed it waits for at
most five turns, four looks and its own, and two thirds of its lease are left for that; two come after it."""
_LONGEST_TURN = 60.0
"""Seconds; a read that waits for several turns of that length keeps within its patience."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The limits that keep a command from being sent twice, in seconds.

    Construction raises ConfigurationError for limits under which nothing could be sent.
    """

    request: float = 60.0
    """One request as a whole, whatever its answer does; `ApiOptions.total` must cut it off no later."""
    margin: float = 5.0
    """What may pass unnoticed: between arming and sending, and between two clocks."""
    settle: float = 120.0
    """Counted from the arming: after this no request has an effect any more that it did not show. It is as
    long as a request, plus the latest that the API applies one after its connection broke (not known)."""

    def __post_init__(self) -> None:
        if not (self.request > 0 and self.margin > 0 and self.settle >= 0):
            raise ConfigurationError(
                "A request and its margin take time, and the settle time is not negative."
            )

    @property
    def lease(self) -> float:
        """How long a claim lasts: a look, what comes before the sending, and the sending."""
        return 3 * self.request + self.margin

    @property
    def min_lease_left(self) -> float:
        """How much of the lease must be left when a command is armed or sent."""
        return self.request + self.margin


def longest_turn(request: float) -> float:
    """Return how many seconds may pass between the turns of a worker whose requests may take `request`."""
    return min(request / _TURNS, _LONGEST_TURN)


def backoff(tries: int, chance: float) -> float:
    """Return how many seconds to wait after so many tries before this one; `chance` is from 0 to 1.

    Full jitter up to a limit that doubles from half a second to 20 s, and after eight tries to 5 minutes.
    """
    cap = _CAP if tries <= _PATIENT_AFTER else _PATIENT_CAP
    return chance * exponential(_BASE, tries, cap=cap)
