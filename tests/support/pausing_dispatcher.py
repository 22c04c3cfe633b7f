"""Dispatchers that stop themselves at a named point, as if their machine slept, forked from one parent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from scalesync.db.database import Database
from scalesync.lease_owner import new_owner_id
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, Settlement
from scalesync.queue.claimer import DispatchOptions
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from tests.support.dispatch_env import dispatch_env

BRIEF = Timing(request=0.4, margin=0.1, settle=0.4)
"""A lease of 1.3 seconds."""


class Point(StrEnum):
    """Where a process stops."""

    CLAIMED = "the claim is committed"
    ARMED = "the arming is committed, and nothing sent"
    ANSWERED = "the answer is read"


@dataclass
class FreezingLedger(DispatcherStore):
    """A store whose process stops at a point until somebody lets it go on."""

    point: Point | None = None

    def claim(self, limit: int, **given: Any) -> list[Claim]:
        """Claim."""
        claims = super().claim(limit, **given)
        if claims:
            self._reach(Point.CLAIMED)
        return claims

    def arm(self, claim: Claim, **given: Any) -> bool:
        """Arm."""
        armed = super().arm(claim, **given)
        self._reach(Point.ARMED)
        return armed

    def settle(
        self,
        claim: Claim,
        verdict: Settlement,
        steps: Sequence[AttemptStep] = (),
        *,
        answer: tuple[str, Document] | None = None,
    ) -> CommandState | None:
        """Settle."""
        self._reach(Point.ANSWERED)
        return super().settle(claim, verdict, steps, answer=answer)

    def _reach(self, point: Point) -> None:
        if self.point is point:
            self.point = None
            # Sent to the process, it would find another thread first, and this one would go on a little.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def serve() -> None:
    """Fork a dispatcher for each argument `ID POINT`; print their processes, and at last how they ended."""
    database_url, api_url, *orders = sys.argv[1:]
    children = []
    for order in orders:
        child = os.fork()
        if not child:
            command_id, _, point = order.partition(" ")
            with (
                closing(Database.open(database_url)) as database,
                dispatch_env(database, api_url, timing=BRIEF) as env,
            ):
                store = FreezingLedger(database, new_owner_id(), BRIEF, Point[point])
                env.dispatch(DispatchOptions(workers=1, only=[int(command_id)]), store=store)
            os._exit(0)
        children.append(child)
    print(*children, flush=True)  # noqa: T201 - how it talks to the test
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(*ends, flush=True)  # noqa: T201 - the same


@dataclass
class PausedDispatchers:
    """Processes that stopped, each at its point."""

    process: "subprocess.Popen[str]"
    children: list[int]

    @property
    def all_stopped(self) -> bool:
        """Whether each has reached its point."""
        states = (Path(f"/proc/{child}/stat").read_text().rpartition(")")[2] for child in self.children)
        return all(state.split()[0] == "T" for state in states)

    def thaw(self) -> list[int]:
        """Let all go on, and return their exit codes."""
        for child in self.children:
            os.kill(child, signal.SIGCONT)
        assert self.process.stdout is not None
        return [int(code) for code in self.process.stdout.readline().split()]


@contextmanager
def frozen(
    database_url: str, api_url: str, orders: Sequence[tuple[int, Point]]
) -> Iterator[PausedDispatchers]:
    """Lend a dispatcher for each command, which stops at its point."""
    told = [f"{command_id} {point.name}" for command_id, point in orders]
    code = "from tests.support.pausing_dispatcher import serve; serve()"
    command = [sys.executable, "-W", "error", "-c", code, database_url, api_url, *told]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = [int(child) for child in process.stdout.readline().split()]
        try:
            yield PausedDispatchers(process, children)
        finally:
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
