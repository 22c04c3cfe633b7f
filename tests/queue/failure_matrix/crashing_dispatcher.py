"""Dispatchers that kill themselves at a named point, each forked from one parent that has imported."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from scalesync.api import ApiOptions, ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.lease_owner import new_owner_id
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, Settlement
from scalesync.queue.dispatcher import Dispatcher, DispatchOptions
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from scalesync.retry import RetryPolicy

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


@dataclass
class CrashingStore(DispatcherStore):
    """A store whose process dies at a point."""

    point: Point | None = None

    def claim(self, limit: int, **given: Any) -> list[Claim]:
        """Claim, and die if that is the point."""
        claims = super().claim(limit, **given)
        if claims:
            self._reach(Point.CLAIMED)
        return claims

    def arm(self, claim: Claim, **given: Any) -> bool:
        """Arm, and die before the commit, after it, or a little later."""
        self._doom(Point.ARMING)
        armed = super().arm(claim, **given)
        self._reach(Point.ARMED)
        if self.point in (Point.SENDING, Point.WAITING):
            threading.Timer(WAITS, _die, [self.point]).start()
        return armed

    def settle(
        self,
        claim: Claim,
        verdict: Settlement,
        steps: Sequence[AttemptStep] = (),
        *,
        answer: tuple[str, Document] | None = None,
    ) -> CommandState | None:
        """Settle, and die before that, before the commit or after it."""
        self._reach(Point.ANSWERED)
        self._doom(Point.SETTLING)
        state = super().settle(claim, verdict, steps, answer=answer)
        self._reach(Point.SETTLED)
        return state

    def _doom(self, point: Point) -> None:
        if self.point is point:
            assert isinstance(self.database, CrashingDatabase)
            self.database.dies = point

    def _reach(self, point: Point) -> None:
        if self.point is point:
            _die(point)


def _die(point: Point) -> None:
    os.write(1, f"{point.name}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def dispatch(database_url: str, api_url: str, only: int | None, point: Point | None) -> None:
    """Dispatch one command, or all, until nothing is left to do or the point is reached."""
    clock, total = Clock(), TIMING.request
    reach = ApiOptions(
        url=api_url, read_timeout=total, deadline=total, total=total, retry=RetryPolicy(attempts=1)
    )
    database = CrashingDatabase.open(database_url)
    with closing(database), ScaleApi(KEY, reach, clock=clock) as api:
        store = CrashingStore(database, new_owner_id(), TIMING, point)
        options = DispatchOptions(workers=4, only=None if only is None else [only])
        Dispatcher(store, api, clock, lambda _: None, TIMING, options).run()


def serve() -> None:
    """Fork a dispatcher for each line on stdin, `ID POINT` or nothing; print how it ended, by its signal."""
    database_url, api_url = sys.argv[1:]
    for line in sys.stdin:
        child = os.fork()
        if not child:
            command_id, _, point = line.strip().partition(" ")
            dispatch(
                database_url,
                api_url,
                int(command_id) if command_id else None,
                Point[point] if point else None,
            )
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


@dataclass
class CrashingDispatchers:
    """Starts dispatchers, one after the other."""

    process: "subprocess.Popen[str]"

    def die(self, command_id: int, point: Point) -> list[str]:
        """Let one dispatch a command until it dies; returns the point that it named and its exit code."""
        self._order(f"{command_id} {point.name}")
        said = [self._line()]
        if not said[0].lstrip("-").isdigit():
            said.append(self._line())
        return said

    def drain(self) -> str:
        """Let one do all there is to do; returns its exit code."""
        self._order("")
        return self._line()

    def _order(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def crashing_dispatchers(database_url: str, api_url: str) -> Iterator[CrashingDispatchers]:
    """Lend a starter of dispatchers."""
    code = "from tests.queue.failure_matrix.crashing_dispatcher import serve; serve()"
    command = [sys.executable, "-W", "error", "-c", code, database_url, api_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield CrashingDispatchers(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=10)
