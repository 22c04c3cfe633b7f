"""What a person can ask of a dispatcher."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # It loads the client, which a look at the queue does without.
    from scalesync.api.options import ApiOptions

GRACE = 8.0
"""Seconds that requests may still take after a stop: service managers kill after ten.

A send that is cut off then is in doubt, and looked up by the next dispatcher."""


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
