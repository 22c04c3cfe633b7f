"""One pace for all threads: who was told to slow down slows everybody down."""

import threading
from math import inf

from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNotSent, ScaleTooManyRequests, ScaleTurnTooLate

FIRST_INTERVAL = 0.1
"""Seconds between two requests after the first 429: ten a second."""
LONGEST_INTERVAL = 10.0
"""Seconds between two requests after however many."""
RECOVERY = 1.0
"""By how many requests a second the pace rises with each success."""
FREE_INTERVAL = 0.02
"""At fifty requests a second the 429 is forgotten: official scripts run 25 to 50 at once."""


class RateLimiter:
    """Spaces the starts of requests over all threads; the pace halves at a 429 and recovers with successes.

    The API publishes no rate limit, so none is assumed before it refuses (scale_api: unknown). `rate` is a
    fixed maximum per second, or None. `rest` is how many seconds all pause after a 429 without Retry-After.
    """

    def __init__(self, clock: Clock, *, rate: float | None, rest: float) -> None:
        self._clock = clock
        self._floor = 1 / rate if rate else 0.0
        self._rest = rest
        self._lock = threading.Lock()
        self._interval = self._floor
        self._next_at = -inf
        self._resting_until = -inf
        self._slowed_at = -inf

    @property
    def interval(self) -> float:
        """Seconds between the starts of two requests at present."""
        return self._interval

    def acquire(self, patience: float) -> float:
        """Return when it is this thread's turn, with the monotonic instant of its start.

        Raises as `wait` does.
        """
        return self._wait(patience, take=True)

    def wait(self, patience: float) -> None:
        """Return when it would be this thread's turn, which anybody may take before it.

        Raises, without asking the API, ScaleTooManyRequests if that would take longer than `patience`
        seconds because the API refused, ScaleTurnTooLate if because of the fixed maximum alone, and
        ScaleNotSent if the process is asked to stop, or its time is over, while waiting.
        """
        self._wait(patience, take=False)

    def _wait(self, patience: float, *, take: bool) -> float:
        until = self._clock.monotonic() + patience
        while True:
            with self._lock:
                now = self._clock.monotonic()
                turn = max(self._next_at, self._resting_until)
                if turn <= now:
                    self._next_at = now + self._interval if take else self._next_at
                    return now
            if turn > until:
                raise self._too_long(turn - now, until)
            if self._clock.over:
                raise ScaleNotSent("Stopped while waiting for the API's rate limit.")
            self._clock.sleep(turn - now)

    def _too_long(self, seconds: float, until: float) -> ScaleException:
        """Return why nobody waits that long: a refusal of the API, or nothing but the fixed maximum."""
        if self._resting_until > until or self._interval > self._floor or not self._floor:
            msg = f"The API asked for a rest of another {seconds:.0f} s."
            return ScaleTooManyRequests(msg, retry_after=seconds)
        return ScaleTurnTooLate(f"The rate given leaves no turn for another {seconds:.0f} s.")

    def on_throttled(self, started: float, retry_after: float | None) -> None:
        """Note a 429 to the request begun at `started`: all threads pause, and then go at half the pace.

        Requests that were already on their way when the pace dropped prolong the pause and nothing more,
        so that one burst of refusals counts once.
        """
        with self._lock:
            now = self._clock.monotonic()
            rest = self._rest if retry_after is None else retry_after
            self._resting_until = max(self._resting_until, now + rest)
            if started < self._slowed_at:
                return
            self._slowed_at = now
            slower = max(FIRST_INTERVAL, self._interval * 2)
            self._interval = max(self._floor, min(LONGEST_INTERVAL, slower))

    def on_success(self) -> None:
        """Note a success: the pace rises a little, up to the fixed maximum or to none at all."""
        with self._lock:
            if self._interval <= self._floor:
                return
            faster = 1 / (1 / self._interval + RECOVERY)
            self._interval = self._floor if faster < FREE_INTERVAL else max(self._floor, faster)
