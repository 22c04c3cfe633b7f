"""Waits and retries while the database is unreachable."""

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
"""Seconds of the longest wait between two attempts."""


@dataclass
class OutageBackoff:
    """Attempts and waits of one database outage after the other. Used by one thread."""

    clock: Clock
    watch: SyncWatcher
    patience: float
    """Seconds after the first failure of an outage until its error is raised."""
    deadline: float = inf
    """On the monotonic clock: no wait ends later."""
    tries: int = 0
    began: float = 0.0
    saved: int = 0

    def open_database(self, connect: Callable[[], Database], check: Callable[[Database], object]) -> Database:
        """Return an open database that passed `check`; while it is unreachable, wait and open it anew."""
        while True:
            try:
                with ExitStack() as undo:
                    database = undo.enter_context(closing(connect()))
                    check(database)
                    undo.pop_all()
                    return database
            except DatabaseUnavailableError as error:
                self.wait(error, saved=0)

    def wait(self, error: DatabaseUnavailableError, *, saved: int) -> None:
        """Wait until the next attempt; raise `error` if patience is over or a stop was asked for.

        `saved` counts what was saved so far. If it grew since the last failure, a new outage begins here.
        """
        now = self.clock.monotonic()
        # Progress since the last failure: a new outage, with the whole patience again.
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
    """Log a warning that the database does not answer; for use before there is a watcher."""
    if isinstance(event, DatabaseUnavailable):
        logging.getLogger("scalesync").warning("%s Trying again in %.1f s.", event.reason, event.seconds)
