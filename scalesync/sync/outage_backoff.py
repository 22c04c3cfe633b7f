"""Bearing with a database that is away for a while."""

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from math import inf

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.errors import DatabaseUnavailableError
from scalesync.retry import exponential
from scalesync.sync.events import DatabaseUnavailable, SyncEvent, SyncWatcher

INITIAL_DELAY = 0.5
"""Seconds to wait after the first failure; they double with every further one."""

MAX_DELAY = 10.0
"""Where the waits stop growing."""


@dataclass
class OutageBackoff:
    """How often the database was away, and for how long that is borne. Used by one thread."""

    clock: Clock
    watch: SyncWatcher
    patience: float
    """Seconds from the first failure after which it is given up, unless something was saved meanwhile."""
    deadline: float = inf
    """On the monotonic clock: nothing is waited for beyond it."""
    tries: int = 0
    began: float = 0.0
    saved: int = 0

    def open_database(self, open_it: Callable[[], Database], look: Callable[[Database], object]) -> Database:
        """Return an open database that was looked at, opened anew after each time that it was away."""
        while True:
            try:
                with ExitStack() as undo:
                    database = undo.enter_context(closing(open_it()))
                    look(database)
                    undo.pop_all()
                    return database
            except DatabaseUnavailableError as error:
                self.wait(error, saved=0)

    def wait(self, error: DatabaseUnavailableError, *, saved: int) -> None:
        """Return when it is time to try again; raise `error` if patience is over or a stop was asked for.

        `saved` grows with everything that is saved: a failure after that is the first of another outage.
        """
        now = self.clock.monotonic()
        if self.tries == 0 or saved > self.saved:
            self.tries, self.began, self.saved = 0, now, saved
        pause = exponential(INITIAL_DELAY, self.tries, cap=MAX_DELAY)
        self.tries += 1
        if now + pause > min(self.began + self.patience, self.deadline):
            raise error
        self.watch(DatabaseUnavailable(pause, error.message))
        self.clock.sleep(pause)
        if self.clock.stopping.is_set():
            raise error


def log_unavailable(event: SyncEvent) -> None:
    """Warn that the database does not answer, where nobody watches yet."""
    if isinstance(event, DatabaseUnavailable):
        logging.getLogger("scalesync").warning("%s Trying again in %.1f s.", event.reason, event.seconds)
