"""Abort requests at their time limit and soon after a stop, in any phase of a request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scalesync.api.interruptible_connect import SendTracker
from scalesync.clock import Clock

TICK_SECONDS = 0.1
"""Between two checks of the active requests."""

IDLE_SECONDS = 5.0
"""Without a request, after which the thread ends; the next request starts another."""


class Watchdog:
    """One thread that aborts the requests of all other threads when their time is up.

    `grace` seconds after a stop, or after the end of the clock's time limit, it aborts all of them.
    """

    # Socket timeouts are not enough: they start anew with every byte, and do not cover name resolution.
    def __init__(self, clock: Clock, grace: float) -> None:
        self._clock = clock
        self._grace = grace
        self._due: dict[SendTracker, float] = {}
        """Monotonic time at which each active request is aborted."""
        self._ending_since: float | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._idle = False

    @contextmanager
    def watching(self, tracker: SendTracker, seconds: float) -> Iterator[None]:
        """Abort the request made in this block after `seconds`, connecting included, or after a stop."""
        with self._changed:
            now = self._clock.monotonic()
            tracker.begin()
            self._due[tracker] = now + seconds
            self._cut_off_late(now)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif self._idle:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._due[tracker]

    def _run(self) -> None:
        with self._changed:
            while True:
                self._idle = not self._due
                woken = self._changed.wait(IDLE_SECONDS if self._idle else TICK_SECONDS)
                if self._idle and not (woken or self._due):
                    self._thread = None
                    return
                self._cut_off_late(self._clock.monotonic())

    def _cut_off_late(self, now: float) -> None:
        if self._clock.over and self._ending_since is None:
            self._ending_since = now
        over = self._ending_since is not None and now >= self._ending_since + self._grace
        for tracker, due in self._due.items():
            if over:
                tracker.abort("the process was asked to stop, or its time is over")
            elif now >= due:
                tracker.abort("its time was up")
