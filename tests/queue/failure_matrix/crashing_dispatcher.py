"""Start dispatchers that kill themselves at a named point."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.lease_owner import new_owner_id
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatcher import Dispatcher
from scalesync.queue.timing import Timing
from scalesync.retry import RetryPolicy
from tests.support.forked import ForkServer, exit_code, fork, fork_server, say
from tests.support.hooked_store import HookedStore, Method

KEY = "live_key"
TIMING = Timing(request=1.0, margin=0.2, settle=1.5)
WAITS = 0.15
"""Seconds after which a process dies that waits for an answer."""


class Point(StrEnum):
    """Where a process dies."""

    CLAIMED = "the claim is committed"
    ARMING = "the arming is written and not committed"
    ARMED = "the arming is committed"
    SENDING = "the request is on its way, and arrives"
    WAITING = "the answer is on its way"
    ANSWERED = "the answer is read"
    SETTLING = "the settlement is written and not committed"
    SETTLED = "the settlement is committed"


class CrashingDatabase(Database):
    """A database whose process may die just before a commit."""

    dies: Point | None = None

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Return one writing transaction."""
        with super().write(durable=durable) as conn:
            yield conn
            if self.dies is not None:
                _die(self.dies)


@dataclass(frozen=True)
class Crash:
    """Kills the process at a point; its methods are the hooks of a HookedStore."""

    point: Point | None
    database: CrashingDatabase

    def before(self, method: Method) -> None:
        """Die with an answer in hand, or see to it that the commit that follows is the end."""
        if method == "settle":
            self._reach(Point.ANSWERED)
        if self.point is not None and self.point is _UNCOMMITTED.get(method):
            self.database.dies = self.point

    def after(self, method: Method) -> None:
        """Die after a commit, or a little later while the request is on its way."""
        self._reach(_COMMITTED[method])
        if method == "arm" and self.point in (Point.SENDING, Point.WAITING):
            threading.Timer(WAITS, _die, [self.point]).start()

    def _reach(self, point: Point) -> None:
        if self.point is point:
            _die(point)


_UNCOMMITTED: dict[Method, Point] = {"arm": Point.ARMING, "settle": Point.SETTLING}
_COMMITTED: dict[Method, Point] = {
    "claim": Point.CLAIMED,
    "arm": Point.ARMED,
    "settle": Point.SETTLED,
}


def _die(point: Point) -> None:
    say(f"{point.name}\n")
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def _dispatch(order: str) -> None:
    """Dispatch by an order `ID POINT` one command, or all by an empty one, to the end or to the point."""
    database_url, api_url = sys.argv[1:]
    command_id, _, point = order.partition(" ")
    clock, total = Clock(), TIMING.request
    reach = ApiOptions(
        url=api_url, read_timeout=total, deadline=total, total=total, retry=RetryPolicy(attempts=1)
    )
    database = CrashingDatabase.open(database_url)
    assert isinstance(database, CrashingDatabase)
    with closing(database), ScaleApi(KEY, reach, clock=clock) as api:
        crash = Crash(Point[point] if point else None, database)
        store = HookedStore(database, new_owner_id(), TIMING, before=crash.before, after=crash.after)
        options = DispatchOptions(workers=4, only=[int(command_id)] if command_id else None)
        Dispatcher(store, api, clock, lambda _: None, TIMING, options).run()


def serve() -> None:
    """Fork a dispatcher for each order on stdin; print how it ended, by its signal."""
    for line in sys.stdin:
        order = line.strip()
        say(f"{exit_code(fork(lambda order=order: _dispatch(order)))}\n")  # type: ignore[misc]


@dataclass(frozen=True)
class CrashingDispatchers:
    """Starts dispatchers, one after the other."""

    server: ForkServer

    def die(self, command_id: int, point: Point) -> list[str]:
        """Let one dispatch a command until it dies; return the point that it named and its exit code."""
        self.server.send(f"{command_id} {point.name}")
        said = [self.server.receive()]
        if not said[0].lstrip("-").isdigit():
            said.append(self.server.receive())
        return said

    def drain(self) -> str:
        """Let one do all there is to do; return its exit code."""
        self.server.send()
        return self.server.receive()


@contextmanager
def crashing_dispatchers(database_url: str, api_url: str) -> Iterator[CrashingDispatchers]:
    """Yield a starter of dispatchers; its server ends with the block."""
    with fork_server(serve, database_url, api_url) as server:
        yield CrashingDispatchers(server)
