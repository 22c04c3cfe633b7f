"""The database of a dispatcher: each method is one transaction."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scalesync.db.database import Database
from scalesync.db.mirror.upsert import apply_response
from scalesync.db.queue import claim_arm_settle, command_rows, pause
from scalesync.db.queue.selection import in_doubt, still_waiting
from scalesync.db.queue.stats import any_unfinished
from scalesync.lease_owner import owner_is_dead
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, Settlement
from scalesync.models.queue_state import PausedBy, PauseState
from scalesync.queue.timing import Timing

if TYPE_CHECKING:
    # Only mirrors on Postgres share a rate.
    from scalesync.db.request_rate import SharedRequestRate

log = logging.getLogger("scalesync.queue")


@dataclass
class DispatcherStore:
    """Reads and writes of one dispatcher process. Every method may raise DatabaseError."""

    database: Database
    owner: str
    """The owner of this process's claims, unique among all processes of all hosts."""
    timing: Timing
    rate: "SharedRequestRate | None" = None
    """The request rate of all processes, of whose refusals a claim learns; None: each has its own."""

    def claim(
        self,
        limit: int,
        *,
        looking_only: bool = False,
        only: Collection[int] | None = None,
        in_hand: Collection[int] = (),
    ) -> list[Claim]:
        """Claim up to `limit` commands for the length of a lease, and return them.

        Commands whose owner died on this machine, or whose lease ran out, are released first, except those
        `in_hand`: a worker of this process has them.
        """
        with self.database.write() as conn:
            if self.rate is not None:
                self.rate.notice(conn)
            return claim_arm_settle.claim(
                conn,
                owner=self.owner,
                lease=self.timing.lease,
                limit=limit,
                gone=[owner for owner in claim_arm_settle.owners(conn) if owner_is_dead(owner)],
                in_hand=in_hand,
                looking_only=looking_only,
                only=only,
            )

    def arm(self, claim: Claim, *, base: int | None = None, target: str | None = None) -> bool:
        """Commit that the command may have been sent, and return whether it may be.

        Raises DatabaseError if the outcome of the commit is unknown: then it must not be sent.
        """
        # Durable: after a power cut the command must still be known as possibly sent.
        with self.database.write(durable=True) as conn:
            return claim_arm_settle.arm(
                conn, claim, need=self.timing.min_lease_left, base=base, target=target
            )

    def settle(
        self,
        claim: Claim,
        settlement: Settlement,
        steps: Sequence[AttemptStep] = (),
        *,
        answer: tuple[str, Document] | None = None,
    ) -> CommandState | None:
        """End a claim: write its settlement, and mirror the API's answer (stream, object).

        Returns the command's state now: discarded if a person asked for that meanwhile. None: another process
        had claimed the command, and the settlement was dropped.
        """
        with self.database.write() as conn:
            kept = claim_arm_settle.settle(conn, claim, settlement, steps)
            # An answer that the mirror cannot store must not undo the delivery, which is a fact.
            if answer is not None and not apply_response(conn, *answer):
                log.warning("answer not mirrored", extra={"command": claim.command.id, "stream": answer[0]})
            if not kept or settlement.state not in (CommandState.QUEUED, CommandState.DEAD):
                return settlement.state if kept else None
            command = command_rows.find(conn, claim.command.id)
            return None if command is None else command.state

    def pause(self, seconds: float | None, reason: str) -> None:
        """Pause the queue of all hosts for `seconds`; None: until a person resumes it."""
        with self.database.write() as conn:
            pause.pause(conn, seconds=seconds, reason=reason, by=PausedBy.API)

    def pause_state(self) -> PauseState:
        """Return whether the queue is paused, by whom and for how long."""
        with self.database.read() as conn:
            return pause.pause_state(conn)

    def next_due(self) -> float | None:
        """Return seconds until something may be claimed; None: waiting alone makes nothing due."""
        with self.database.read() as conn:
            return pause.next_due(conn)

    def in_doubt(self) -> list[int]:
        """Return the ids of all commands in doubt, in the order in which they are claimed."""
        with self.database.read() as conn:
            return in_doubt(conn)

    def still_waiting(self, ids: Collection[int]) -> set[int]:
        """Return those of `ids` that may be claimed once they are due."""
        with self.database.read() as conn:
            return still_waiting(conn, ids)

    def any_unfinished(self) -> bool:
        """Return whether any command waits, blocked or not, or is being sent; held ones do not count."""
        with self.database.read() as conn:
            return any_unfinished(conn)
