"""Fork dispatchers that stop themselves at a named point, as if their machine slept."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scalesync.db.database import Database
from scalesync.lease_owner import new_owner_id
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.timing import Timing
from tests.support.dispatch_env import dispatch_env
from tests.support.forked import ForkServer, exit_code, fork, fork_server, say
from tests.support.hooked_store import Hook, HookedStore, Method

BRIEF = Timing(request=0.4, margin=0.1, settle=0.4)
"""A lease of 1.3 seconds."""


class Point(StrEnum):
    """Where a process stops."""

    CLAIMED = "the claim is committed"
    ARMED = "the arming is committed, and nothing sent"
    ANSWERED = "the answer is read"


_AFTER = {Point.CLAIMED: "claim", Point.ARMED: "arm"}


def _stop_at(method: str | None) -> Hook:
    """Return a hook that stops the process at the first call of a method."""
    stopped = threading.Event()

    def hook(called: Method) -> None:
        if called == method and not stopped.is_set():
            stopped.set()
            # Sent to the process, it would find another thread first, and this one would go on a little.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    return hook


def _dispatch(order: str) -> None:
    """Dispatch the command of an order `ID POINT`, stopping at the point."""
    database_url, api_url = sys.argv[1:3]
    command_id, _, name = order.partition(" ")
    before = _stop_at("settle" if Point[name] is Point.ANSWERED else None)
    after = _stop_at(_AFTER.get(Point[name]))
    with (
        closing(Database.open(database_url)) as database,
        dispatch_env(database, api_url, timing=BRIEF) as env,
    ):
        store = HookedStore(database, new_owner_id(), BRIEF, before=before, after=after)
        env.dispatch(DispatchOptions(workers=1, only=[int(command_id)]), store=store)


def serve() -> None:
    """Fork a dispatcher for each argument `ID POINT`; print their processes, and at last how they ended."""
    children = [fork(lambda order=order: _dispatch(order)) for order in sys.argv[3:]]  # type: ignore[misc]
    say(f"{' '.join(map(str, children))}\n")
    say(f"{' '.join(str(exit_code(child)) for child in children)}\n")


@dataclass(frozen=True)
class PausedDispatchers:
    """Processes that stopped, each at its point."""

    server: ForkServer
    children: list[int]

    @property
    def all_stopped(self) -> bool:
        """Whether each has reached its point."""
        states = (Path(f"/proc/{child}/stat").read_text().rpartition(")")[2] for child in self.children)
        return all(state.split()[0] == "T" for state in states)

    def resume(self) -> list[int]:
        """Let all go on, and return their exit codes."""
        for child in self.children:
            os.kill(child, signal.SIGCONT)
        return [int(code) for code in self.server.receive().split()]


@contextmanager
def paused_dispatchers(
    database_url: str, api_url: str, orders: Sequence[tuple[int, Point]]
) -> Iterator[PausedDispatchers]:
    """Yield a dispatcher for each command, which stops at its point; all are killed in the end."""
    told = [f"{command_id} {point.name}" for command_id, point in orders]
    with fork_server(serve, database_url, api_url, *told) as server:
        children = [int(child) for child in server.receive().split()]
        try:
            yield PausedDispatchers(server, children)
        finally:
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
