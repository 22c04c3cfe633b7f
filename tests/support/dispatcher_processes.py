"""Start dispatchers as forked processes that a test may kill or stop."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.lease_owner import new_owner_id
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatcher import Dispatcher
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from scalesync.retry import RetryPolicy
from tests.support.forked import ForkServer, fork, fork_server, say

KEY = "live_key"
QUICK = Timing(request=0.8, margin=0.2, settle=2.5)
"""A lease of 2.6 seconds; what the API applies late, it applies before the settle time is over."""


@contextmanager
def dispatcher(
    database_url: str, api_url: str, options: DispatchOptions, timing: Timing = QUICK
) -> Iterator[Dispatcher]:
    """Yield a dispatcher of this process."""
    clock = Clock()
    reach = ApiOptions(
        url=api_url,
        connect_timeout=timing.request / 2,
        read_timeout=timing.request,
        deadline=timing.request,
        total=timing.request,
        retry=RetryPolicy(attempts=1),
    )
    database = Database.open(database_url)
    try:
        with ScaleApi(KEY, reach, clock=clock) as api:
            store = DispatcherStore(database, new_owner_id(), timing)
            yield Dispatcher(store, api, clock, lambda _: None, timing, options)
    finally:
        database.close()


def serve() -> None:
    """Fork a dispatcher for every line on stdin and print its process id; end with stdin.

    Children that end are reaped at once: a process that is gone must not look alive.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        say(f"{fork(_dispatch)}\n")


def _dispatch() -> None:
    database_url, api_url = sys.argv[1:]
    with dispatcher(database_url, api_url, DispatchOptions(workers=4, watch=True)) as running:
        running.run()


@dataclass(frozen=True)
class DispatcherLauncher:
    """Starts dispatchers, each a process of its own."""

    server: ForkServer

    def start(self) -> int:
        """Start one and return its process id."""
        self.server.send()
        return int(self.server.receive())


@contextmanager
def launching(database_url: str, api_url: str) -> Iterator[DispatcherLauncher]:
    """Yield a launcher; every process that it started must have been killed at the end of the block."""
    with fork_server(serve, database_url, api_url) as server:
        yield DispatcherLauncher(server)
