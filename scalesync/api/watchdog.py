"""Whatever a peer does, a request ends: by its own time, and soon after the work is to end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scalesync.api.interruptible_connect import SendTracker
from scalesync.clock import Clock

TICK = 0.1
"""Seconds between two looks at the requests in hand."""

IDLE = 5.0
"""Seconds without a request after which the thread ends; the next request starts another."""


class Watchdog:
    """Cuts off each request in hand when its time is up, and all of them once the work is over.

    The work is over `grace` seconds after a stop was asked for or a time limit was reached: what is in hand
    then may end by itself, and nothing begins any more. One thread looks after the requests of all others.
    """

    def __init__(self, clock: Clock, grace: float) -> None:
        self._clock = clock
        self._grace = grace
        self._due: dict[SendTracker, float] = {}
        """By the mark of each request in hand, when its time is up."""
        self._ending_since: float | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._idle = False

    @contextmanager
    def watching(self, tracker: SendTracker, seconds: float) -> Iterator[None]:
        """Begin a request that is cut off after `seconds`, connecting included, or when the work is over."""
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
                woken = self._changed.wait(IDLE if self._idle else TICK)
                if self._idle and not (woken or self._due):
                    self._thread = None
                    return
                self._cut_off_late(self._clock.monotonic())

    def _cut_off_late(self, now: float) -> None:
        if self._clock.over and self._ending_since is None:
            self._ending_since = now
        over = self._ending_since is not None and now >= self._ending_since + self._grace
        for mark, due in self._due.items():
            if over:
                mark.abort("the process was asked to stop, or its time is over")
            elif now >= due:
                mark.abort("its time was up")
