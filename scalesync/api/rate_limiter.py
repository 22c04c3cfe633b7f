"""Limit the request rate of all threads, and slow down after a 429 (additive increase, halving).

Several processes may share one rate: then each turn is taken from a SharedRate, and what follows is the rule
of a process that has none, or whose SharedRate does not answer.
"""

import threading
from collections import deque
from math import inf

from scalesync.clock import Clock
from scalesync.errors import ScaleException, ScaleNotSent, ScaleTooManyRequests, ScaleTurnTooLate
from scalesync.models.request_rate import SharedRate, faster, slower

AHEAD_SECONDS = 0.1
"""For which turns are taken at once from a SharedRate, so that not every request waits for its answer."""
_VAIN_SECONDS = 1.0
"""Seconds before it is said that a turn of a SharedRate comes too late."""


class RateLimiter:
    """A limiter of request starts over all threads; the rate halves at a 429 and rises with successes.

    `rate` is a fixed maximum per second, or None. `pause`: seconds to wait after a 429 without Retry-After.
    """

    # The API documents no rate limit, so none is assumed before its first 429.

    def __init__(
        self, clock: Clock, *, rate: float | None, pause: float, shared: SharedRate | None = None
    ) -> None:
        self._clock = clock
        self._min_interval = 1 / rate if rate else 0.0
        self._default_pause = pause
        self._shared = shared
        self._lock = threading.Lock()
        self._interval = self._min_interval
        self._next_at = -inf
        self._paused_until = -inf
        self._slowed_at = -inf
        self._taking = threading.Lock()
        """Held by the one thread that asks the shared rate."""
        self._turns: deque[float] = deque()
        """Monotonic times of the turns that it gave and that are not used yet."""
        self._successes = 0
        """Since it was asked last."""

    @property
    def interval(self) -> float:
        """The present seconds between the starts of two requests."""
        return max(self._interval, self._shared.interval if self._shared else 0.0)

    def acquire(self, patience: float) -> float:
        """Wait for this thread's turn and return the monotonic time of its start. Errors: see `wait`."""
        return self._wait(patience, take=True)

    def wait(self, patience: float) -> None:
        """Wait until a request could start, without taking the turn: another thread may take it.

        If that takes longer than `patience` seconds, raises ScaleTooManyRequests (because of a 429) or
        ScaleTurnTooLate (because of `rate`), without waiting for long. Raises ScaleNotSent if the process is
        stopping.
        """
        self._wait(patience, take=False)

    def _wait(self, patience: float, *, take: bool) -> float:
        until = self._clock.monotonic() + patience
        while True:
            shared = self._shared_turn(until)
            with self._lock:
                now = self._clock.monotonic()
                turn = max(self._next_at if shared is None else shared, self._pause_ends)
                # Meanwhile another thread may have used the turn: then this one asks again.
                if turn <= now and (shared is None or shared in self._turns):
                    if take:
                        self._next_at = now + self.interval
                        if shared is not None:
                            self._turns.remove(shared)
                    return now
            if turn > until:
                error = self._too_late_error(turn - now, until)
                if shared is not None and isinstance(error, ScaleTurnTooLate):
                    # Other processes have the turns until then: whoever asks again at once asks in vain.
                    self._clock.sleep(min(patience, _VAIN_SECONDS))
                raise error
            if self._clock.over:
                raise ScaleNotSent("Stopped while waiting for the API's rate limit.")
            self._clock.sleep(turn - now)

    @property
    def _pause_ends(self) -> float:
        return max(self._paused_until, self._shared.paused_until if self._shared else -inf)

    def _shared_turn(self, until: float) -> float | None:
        """Return the monotonic time of the next turn of the shared rate; None: go by one's own rate."""
        shared = self._shared
        # Nothing is asked while nothing limits the rate: requests are free before the first 429.
        slowed = shared is not None and shared.interval > 0
        if shared is None or not (self._min_interval or slowed):
            self._turns.clear()
            return None
        with self._taking:
            if self._turns:
                return self._turns[0]
            with self._lock:
                done, self._successes = self._successes, 0
            # After a 429 a turn is only taken when it is free: one in hand would miss the next 429 of others.
            # Otherwise some are taken at once, so that not every request waits for the answer.
            number = 1 if slowed else max(1, int(AHEAD_SECONDS / self._min_interval))
            longest = 0.0 if slowed else until - self._clock.monotonic()
            given = shared.take(number, self._min_interval, done, longest)
            first = self._clock.monotonic() + (given.wait if given else 0.0)
            if given is None:
                return None
            with self._lock:
                self._turns.extend(first + at * given.interval for at in range(given.number))
                self._successes += 0 if given.number else done
            return first

    def _too_late_error(self, seconds: float, until: float) -> ScaleException:
        """Return the error for a turn that comes too late: because of a 429 or of the fixed rate."""
        if self._pause_ends > until or self.interval > self._min_interval or not self._min_interval:
            msg = f"The API asked for a pause of another {seconds:.0f} s."
            return ScaleTooManyRequests(msg, retry_after=seconds)
        return ScaleTurnTooLate(f"The rate given leaves no turn for another {seconds:.0f} s.")

    def on_throttled(self, started: float, retry_after: float | None) -> None:
        """Pause all threads after a 429 to a request started at `started`, and halve the rate."""
        # Requests that were active when the rate was halved only prolong the pause: one burst counts once.
        pause = self._default_pause if retry_after is None else retry_after
        with self._lock:
            now = self._clock.monotonic()
            self._turns.clear()
            self._paused_until = max(self._paused_until, now + pause)
            if started >= self._slowed_at:
                self._slowed_at = now
                self._interval = max(self._min_interval, slower(self._interval))
        if self._shared is not None:
            self._shared.slow_down(started, pause, self._min_interval)

    def on_success(self) -> None:
        """Raise the rate after a success, up to the fixed maximum or to no limit."""
        with self._lock:
            self._successes += 1
            if self._interval > self._min_interval:
                self._interval = max(self._min_interval, faster(self._interval))
