"""Dispatchers as processes to be killed and frozen, forked from one parent so that starting is quick."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.lease_owner import new_owner_id
from scalesync.queue.dispatcher import Dispatcher, DispatchOptions
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from scalesync.retry import RetryPolicy

KEY = "live_key"
QUICK = Timing(request=0.8, margin=0.2, settle=2.5)
"""A lease of 2.6 seconds; what the API applies late, it applies before the settle time is over."""


@contextmanager
def dispatcher(
    database_url: str, api_url: str, options: DispatchOptions, timing: Timing = QUICK
) -> Iterator[Dispatcher]:
    """Lend a dispatcher of this process."""
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
    database_url, api_url = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with dispatcher(database_url, api_url, DispatchOptions(workers=4, watch=True)) as running:
                running.run()
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


@dataclass
class DispatcherLauncher:
    """Starts dispatchers, each a process of its own."""

    process: "subprocess.Popen[str]"

    def start(self) -> int:
        """Start one and return its process id."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def launching(database_url: str, api_url: str) -> Iterator[DispatcherLauncher]:
    """Lend a launcher. Whatever it started must have been killed at the end of the block."""
    code = "from tests.support.dispatcher_processes import serve; serve()"
    command = [sys.executable, "-W", "error", "-c", code, database_url, api_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield DispatcherLauncher(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=10)
