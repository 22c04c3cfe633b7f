"""What a dispatcher reads and writes: each method is one transaction of its own."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scalesync.db.database import Database
from scalesync.db.mirror.upsert import apply_response
from scalesync.db.queue import claim_arm_settle, enqueue, pause
from scalesync.db.queue.selection import any_unfinished, in_doubt, still_waiting
from scalesync.lease_owner import owner_is_dead
from scalesync.models.api import Document
from scalesync.models.commands import AttemptStep, Claim, CommandState, PausedBy, PauseState, Settlement
from scalesync.queue.timing import Timing

log = logging.getLogger("scalesync.queue")


@dataclass
class DispatcherStore:
    """The queue and the mirror, as one process works with them. Every method may raise DatabaseError."""

    database: Database
    owner: str
    """A name that no other process ever had."""
    timing: Timing

    def claim(
        self,
        limit: int,
        *,
        looking_only: bool = False,
        only: Collection[int] | None = None,
        in_hand: Collection[int] = (),
    ) -> list[Claim]:
        """Return up to `limit` commands, now ours for the length of a lease.

        Commands whose owner died on this machine, or whose lease ran out, are free again first; not what this
        process has `in_hand`.
        """
        with self.database.write() as conn:
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
        """Return whether the command may be sent now; if so, it outlasts a power cut that it may have been.

        Raises DatabaseError where that is not known: then it must not be sent either.
        """
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
        """Give the command up with a verdict, and take the API's answer (stream, object) into the mirror.

        Returns the state it is in now, which is discarded where a person asked for that meanwhile; None: it
        belonged to somebody else by then, and the verdict was dropped. An answer that the mirror cannot take
        does not undo the delivery.
        """
        with self.database.write() as conn:
            kept = claim_arm_settle.settle(conn, claim, settlement, steps)
            if answer is not None and not apply_response(conn, *answer):
                log.warning("answer not mirrored", extra={"command": claim.command.id, "stream": answer[0]})
            if not kept or settlement.state not in (CommandState.QUEUED, CommandState.DEAD):
                return settlement.state if kept else None
            command = enqueue.find(conn, claim.command.id)
            return None if command is None else command.state

    def pause(self, seconds: float | None, reason: str) -> None:
        """Let nobody send anything for `seconds`, or until a person resumes if None."""
        with self.database.write() as conn:
            pause.pause(conn, seconds=seconds, reason=reason, by=PausedBy.API)

    def pause_state(self) -> PauseState:
        """Return whether anything may be sent."""
        with self.database.read() as conn:
            return pause.pause_state(conn)

    def next_due(self) -> float | None:
        """Return in how many seconds there may be something to claim; None: not by waiting alone."""
        with self.database.read() as conn:
            return pause.next_due(conn)

    def in_doubt(self) -> list[int]:
        """Return every command in doubt, in the order in which they are claimed."""
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
