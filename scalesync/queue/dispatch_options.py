"""Options of a dispatcher: workers, limits, rate, time limits and patience."""

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from scalesync.errors import ConfigurationError
from scalesync.queue.timing import Timing, max_turn_wait

if TYPE_CHECKING:
    # Importing it loads the HTTP client, which commands that only read the queue do not need.
    from scalesync.api.options import ApiOptions

GRACE = 8.0
"""Seconds that requests may still take after a stop: service managers kill after ten."""

MAX_RATE = 1_000_000
"""Requests a second; more can only be a typing error."""


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """How a dispatcher sends what is queued.

    Construction raises ConfigurationError for a rate above `MAX_RATE`, and for one so low that a command
    would wait for the rate limiter longer than its lease lasts.
    """

    workers: int = 8
    """Commands at once, at most."""
    max: int | None = None
    """Commands in all, at most."""
    rate: float | None = None
    """Requests a second of all processes on one Postgres, at most; at least three per `timeout` and one a
    minute. None: no limit."""
    timeout: float = 60.0
    """Seconds for one whole request; then it is cut off, and its command is in doubt."""
    settle_time: float = 60.0
    """Seconds after a request was cut off during which the API may still apply it."""
    patience: float = 240.0
    """Seconds without progress after which the dispatcher ends; ignored with `watch`."""
    watch: bool = False
    """Whether to wait for new commands instead of ending."""
    reconcile_only: bool = False
    """Whether to look up what is in doubt, and send nothing."""
    only: Collection[int] | None = None
    """The ids of the commands that may be claimed; None: any."""

    def __post_init__(self) -> None:
        _ = self.timing  # its construction refuses time limits under which nothing could be sent
        if self.rate is None:
            return
        least = 1 / max_turn_wait(self.timeout)
        if not least <= self.rate <= MAX_RATE:
            raise ConfigurationError(
                f"The rate must be from {ceil(least * 1000) / 1000:g} to {MAX_RATE:,} requests a second "
                f"where one request may take {self.timeout:g} s.",
                advice="Correct the rate, or leave it out.",
            )

    @property
    def timing(self) -> Timing:
        """The time limits that keep two processes from sending the same command."""
        return Timing(request=self.timeout, settle=self.timeout + self.settle_time)

    def api_options(self, url: str, *, insecure_http: bool) -> "ApiOptions":
        """Return options for a client that sends each request once and cuts it off after `timeout`."""
        from scalesync.api.options import ApiOptions
        from scalesync.retry import RetryPolicy

        # One attempt: the HTTP layer must never repeat a write, only the executor may after a look-up.
        # A send that is cut off by the grace after a stop is in doubt; the next dispatcher looks it up.
        return ApiOptions(
            url,
            connect_timeout=min(10.0, self.timeout),
            read_timeout=self.timeout,
            deadline=self.timeout,
            total=self.timeout,
            grace=min(GRACE, self.timeout),
            retry=RetryPolicy(attempts=1),
            rate=self.rate,
            insecure_http=insecure_http,
        )
