"""Options of a dispatcher: how many commands at once, how fast, and for how long it waits."""

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from scalesync.errors import ConfigurationError
from scalesync.queue.timing import Timing, longest_turn

if TYPE_CHECKING:
    # It loads the client, which a look at the queue does without.
    from scalesync.api.options import ApiOptions

GRACE = 8.0
"""Seconds that requests may still take after a stop: service managers kill after ten.

A send that is cut off then is in doubt, and looked up by the next dispatcher."""

HIGHEST_RATE = 1_000_000
"""Requests a second. What nothing reaches is a slip of the hand."""


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """How a dispatcher sends what is queued.

    Construction raises ConfigurationError for a rate that nothing reaches, and for one so low that a command
    would wait for its turns longer than its lease lasts.
    """

    workers: int = 8
    """Commands at once, at most."""
    max: int | None = None
    """Commands in all, at most."""
    rate: float | None = None
    """Requests a second, at most; no less than three in `timeout`, and one a minute."""
    timeout: float = 60.0
    """Seconds that one request may take as a whole; then it is cut off, and its command in doubt."""
    settle_time: float = 60.0
    """Seconds after which the API applies no request any more that was cut off."""
    patience: float = 240.0
    """Seconds without progress after which it ends; with `watch` it never does."""
    watch: bool = False
    """Whether to wait for work instead of ending."""
    reconcile_only: bool = False
    """Whether to look at what is in doubt and send nothing."""

    only: Collection[int] | None = None
    """The ids of the commands that it may take; None: any."""

    def __post_init__(self) -> None:
        _ = self.timing  # refuses limits of time under which nothing could be sent
        if self.rate is None:
            return
        least = 1 / longest_turn(self.timeout)
        if not least <= self.rate <= HIGHEST_RATE:
            raise ConfigurationError(
                f"The rate must be from {ceil(least * 1000) / 1000:g} to {HIGHEST_RATE:,} requests a second "
                f"where one request may take {self.timeout:g} s.",
                advice="Correct the rate, or leave it out.",
            )

    @property
    def timing(self) -> Timing:
        """Return the limits of time that keep two processes from sending one command."""
        return Timing(request=self.timeout, settle=self.timeout + self.settle_time)

    def api_options(self, url: str, *, insecure_http: bool) -> "ApiOptions":
        """Return the options of a client that sends everything once and cuts every request off in time."""
        from scalesync.api.options import ApiOptions
        from scalesync.retry import RetryPolicy

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
