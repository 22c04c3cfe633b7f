"""Ledgers on a database that fails at a bad moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scalesync.errors import DatabaseError
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, Settlement
from scalesync.queue.dispatcher_store import DispatcherStore


@dataclass
class ArmUnknown(DispatcherStore):
    """Loses the connection while it commits an arming: that was done, and nobody told."""

    def arm(self, claim: Claim, **given: Any) -> bool:
        """Arm, and raise DatabaseError."""
        super().arm(claim, **given)
        raise DatabaseError("The connection was lost while it committed.")


@dataclass
class ArmFails(DispatcherStore):
    """Loses the connection before it arms."""

    def arm(self, claim: Claim, **given: Any) -> bool:  # noqa: ARG002 - it does not come so far
        """Raise DatabaseError."""
        raise DatabaseError("The connection was lost.")


@dataclass
class SettleUnknown(DispatcherStore):
    """Loses the connection while it commits its first settlement: that was done, and nobody told."""

    failures: int = 1
    """How many settlements end so."""

    def settle(
        self,
        claim: Claim,
        verdict: Settlement,
        steps: Sequence[AttemptStep] = (),
        *,
        answer: tuple[str, Document] | None = None,
    ) -> CommandState | None:
        """Settle, and raise DatabaseError the first time."""
        state = super().settle(claim, verdict, steps, answer=answer)
        if self.failures > 0:
            self.failures -= 1
            raise DatabaseError("The connection was lost while it committed.")
        return state


@dataclass
class Down(DispatcherStore):
    """A database that is down once a command was sent."""

    outage: ClassVar[int]
    """How many settlements fail."""
    failures: int = 0

    def settle(
        self,
        claim: Claim,
        verdict: Settlement,
        steps: Sequence[AttemptStep] = (),
        *,
        answer: tuple[str, Document] | None = None,
    ) -> CommandState | None:
        """Raise DatabaseError while it is down, then settle."""
        if self.failures < self.outage:
            self.failures += 1
            raise DatabaseError("The connection was refused.")
        return super().settle(claim, verdict, steps, answer=answer)


class DownForMoments(Down):
    """Back in time for the settlement."""

    outage = 3


class DownForGood(Down):
    """Down for longer than any lease."""

    outage = 10_000
