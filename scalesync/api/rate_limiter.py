"""Limit the request rate of all threads, and slow down after a 429 (additive increase, halving)."""

import threading
from math import inf

from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNotSent, ScaleTooManyRequests, ScaleTurnTooLate

FIRST_INTERVAL = 0.1
"""Seconds between two requests after the first 429."""
MAX_INTERVAL = 10.0
"""Seconds between two requests at most, after any number of 429s."""
RECOVERY_RATE = 1.0
"""Requests per second by which the rate rises with each success."""
FREE_INTERVAL = 0.02
"""Seconds below which there is no limit again: official scripts run 25 to 50 requests at once."""


class RateLimiter:
    """A limiter of request starts over all threads; the rate halves at a 429 and rises with successes.

    `rate` is a fixed maximum per second, or None. `pause`: seconds to wait after a 429 without Retry-After.
    """

    # The API documents no rate limit, so none is assumed before its first 429.

    def __init__(self, clock: Clock, *, rate: float | None, pause: float) -> None:
        self._clock = clock
        self._min_interval = 1 / rate if rate else 0.0
        self._default_pause = pause
        self._lock = threading.Lock()
        self._interval = self._min_interval
        self._next_at = -inf
        self._paused_until = -inf
        self._slowed_at = -inf

    @property
    def interval(self) -> float:
        """The present seconds between the starts of two requests."""
        return self._interval

    def acquire(self, patience: float) -> float:
        """Wait for this thread's turn and return the monotonic time of its start. Errors: see `wait`."""
        return self._wait(patience, take=True)

    def wait(self, patience: float) -> None:
        """Wait until a request could start, without taking the turn: another thread may take it.

        If that takes longer than `patience` seconds, raises ScaleTooManyRequests (because of a 429) or
        ScaleTurnTooLate (because of `rate`), without waiting. Raises ScaleNotSent if the process is stopping.
        """
        self._wait(patience, take=False)

    def _wait(self, patience: float, *, take: bool) -> float:
        until = self._clock.monotonic() + patience
        while True:
            with self._lock:
                now = self._clock.monotonic()
                turn = max(self._next_at, self._paused_until)
                if turn <= now:
                    self._next_at = now + self._interval if take else self._next_at
                    return now
            if turn > until:
                raise self._too_late_error(turn - now, until)
            if self._clock.over:
                raise ScaleNotSent("Stopped while waiting for the API's rate limit.")
            self._clock.sleep(turn - now)

    def _too_late_error(self, seconds: float, until: float) -> ScaleException:
        """Return the error for a turn that comes too late: because of a 429 or of the fixed rate."""
        if self._paused_until > until or self._interval > self._min_interval or not self._min_interval:
            msg = f"The API asked for a pause of another {seconds:.0f} s."
            return ScaleTooManyRequests(msg, retry_after=seconds)
        return ScaleTurnTooLate(f"The rate given leaves no turn for another {seconds:.0f} s.")

    def on_throttled(self, started: float, retry_after: float | None) -> None:
        """Pause all threads after a 429 to a request started at `started`, and halve the rate."""
        # Requests that were active when the rate was halved only prolong the pause: one burst counts once.
        with self._lock:
            now = self._clock.monotonic()
            pause = self._default_pause if retry_after is None else retry_after
            self._paused_until = max(self._paused_until, now + pause)
            if started < self._slowed_at:
                return
            self._slowed_at = now
            slower = max(FIRST_INTERVAL, self._interval * 2)
            self._interval = max(self._min_interval, min(MAX_INTERVAL, slower))

    def on_success(self) -> None:
        """Raise the rate after a success, up to the fixed maximum or to no limit."""
        with self._lock:
            if self._interval <= self._min_interval:
                return
            faster = 1 / (1 / self._interval + RECOVERY_RATE)
            self._interval = self._min_interval if faster < FREE_INTERVAL else max(self._min_interval, faster)
