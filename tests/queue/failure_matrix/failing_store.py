"""Stores whose database fails at a bad moment: at an arming, or once a command was sent."""

from collections.abc import Callable

from scalesync.db.database import Database
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.timing import Timing
from tests.support.hooked_store import Failing, HookedStore, Method

OpenStore = Callable[[Database, str, Timing], DispatcherStore]
_FOREVER = 10_000
"""More often than any dispatcher tries."""


def _failing(method: Method, times: int) -> OpenStore:
    """Return what opens a store that loses the connection before its first `times` calls of a method."""
    return lambda database, owner, timing: HookedStore(database, owner, timing, before=Failing(method, times))


def _failing_at_commit(method: Method, times: int) -> OpenStore:
    """Return what opens a store whose first `times` calls of a method commit and raise all the same."""
    lost = "The connection was lost while it committed."
    return lambda database, owner, timing: HookedStore(
        database, owner, timing, after=Failing(method, times, lost)
    )


arm_fails = _failing("arm", _FOREVER)
arm_commit_unknown = _failing_at_commit("arm", _FOREVER)
settle_commit_unknown = _failing_at_commit("settle", 1)
down_for_moments = _failing("settle", 3)
"""It is back in time for the settlement."""
down_for_good = _failing("settle", _FOREVER)
"""It is down for longer than any lease."""
