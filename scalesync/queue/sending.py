"""What a person can ask of a dispatcher."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sending:
    """How the queue is to be taken to the API."""

    workers: int = 8
    """Commands at once, at most."""
    max: int | None = None
    """Commands in all, at most."""
    rate: float | None = None
    """Requests a second, at most."""
    timeout: float = 60.0
    """Seconds that one request may take as a whole; then it is cut off, and its command in doubt."""
    settle_time: float = 60.0
    """Seconds after which the API applies no request any more that was cut off."""
    stay: bool = False
    """Whether to wait for work instead of ending."""
    look_only: bool = False
    """Whether to look at what is in doubt and send nothing."""

    @property
    def grace(self) -> float:
        """Seconds that requests may still take after a stop: service managers kill after ten.

        A send that is cut off then is in doubt, and looked up by the next dispatcher.
        """
        return min(8.0, self.timeout)
