"""Call hooks before and after what a dispatcher's store writes, so that a test can fail or stop it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scalesync.errors import DatabaseError
from scalesync.models.commands import Claim, CommandState
from scalesync.queue.dispatcher_store import DispatcherStore

Method = Literal["claim", "arm", "settle"]
Hook = Callable[[Method], None]


def _do_nothing(_: Method) -> None:
    pass


@dataclass
class HookedStore(DispatcherStore):
    """Calls `before` and `after` around each claim, arming and settlement; no `after` a claim of nothing.

    If `before` raises, nothing is written. If `after` raises, what was written stays.
    """

    before: Hook = _do_nothing
    after: Hook = _do_nothing

    def claim(self, limit: int, **given: Any) -> list[Claim]:
        """Claim between the hooks."""
        self.before("claim")
        claims = super().claim(limit, **given)
        if claims:
            self.after("claim")
        return claims

    def arm(self, claim: Claim, **given: Any) -> bool:
        """Arm between the hooks."""
        self.before("arm")
        armed = super().arm(claim, **given)
        self.after("arm")
        return armed

    def settle(self, claim: Claim, *settlement: Any, **given: Any) -> CommandState | None:
        """Settle between the hooks."""
        self.before("settle")
        state = super().settle(claim, *settlement, **given)
        self.after("settle")
        return state


@dataclass
class Failing:
    """A hook that raises DatabaseError at the next `left` calls of one method."""

    method: Method
    left: int
    message: str = "The connection was lost."

    def __call__(self, method: Method) -> None:
        """Raise if the method is the one and failures are left."""
        if method == self.method and self.left:
            self.left -= 1
            raise DatabaseError(self.message)
