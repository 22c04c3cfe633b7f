"""Which commands a dispatcher takes: all, those it was told, or those it has begun."""

from collections.abc import Collection
from dataclasses import dataclass, field

from scalesync.clock import Clock
from scalesync.models.commands import Claim, Gate, PausedBy
from scalesync.queue.dispatcher_store import Ledger
from scalesync.queue.execution_result import Done


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """What a dispatcher is to do."""

    workers: int = 8
    """Commands at once, at most."""
    max: int | None = None
    """How many commands it takes; these it sees through. None: all."""
    stay: bool = False
    """Whether it waits for work to come instead of ending."""
    patience: float = 240.0
    """Seconds without progress after which it ends, unless it stays."""
    look_only: bool = False
    """Whether it looks once at everything in doubt, held commands included, and sends nothing."""
    only: Collection[int] | None = None
    """The commands it takes; None: any."""


@dataclass
class Agenda:
    """Claims for one dispatcher. Used by one thread."""

    ledger: Ledger
    clock: Clock
    options: DispatchOptions
    begun: set[int] = field(default_factory=set)
    in_hand: set[int] = field(default_factory=set)
    """Those that a worker of this process works on now: no lease of them is over, whatever a clock says."""
    returning: dict[int, float] = field(default_factory=dict)
    """Those of the begun that are neither in hand nor settled, and from when on the clock they are due."""
    unseen: list[int] | None = None
    """With `look_only`: what is still to be looked at."""

    @property
    def full(self) -> bool:
        """Whether it has begun as many commands as it may."""
        return self.options.max is not None and len(self.begun) >= self.options.max

    def claim(self, idle: int) -> list[Claim]:
        """Return at most `idle` commands that are due, now ours."""
        if self.options.look_only:
            if self.shut() is not None:
                return []
            chosen = self._unseen()[:idle]
            claims = self._claim(len(chosen), chosen) if chosen else []
            self.unseen = self._unseen()[idle:]
            return claims
        if self.full:
            return self._claim(idle, list(self.returning)) if self.returning else []
        limit = idle if self.options.max is None else min(idle, self.options.max - len(self.begun))
        return self._claim(limit, self.options.only)

    def due(self) -> float | None:
        """Return in how many seconds there may be something to claim; None: not by waiting alone."""
        if self.options.look_only:
            return 0.0 if self._unseen() else None
        if not self.full and self.options.only is None:
            return self.ledger.next_due()
        waiting = self.ledger.still_waiting(self.returning) if self.returning else set()
        self.returning = {one: at for one, at in self.returning.items() if one in waiting}
        return min(self.returning.values()) - self.clock.monotonic() if self.returning else None

    def shut(self) -> Gate | None:
        """Return the gate if it is closed to us; looking alone may go on while a person paused the queue."""
        gate = self.ledger.gate()
        may_look = self.options.look_only and gate.paused_by is PausedBy.PERSON
        return gate if gate.paused and not may_look else None

    def settled(self, done: Done) -> None:
        """Take note of what became of a command."""
        self.in_hand.discard(done.command.id)
        if done.state is not None and not done.progress:
            self.returning[done.command.id] = self.clock.monotonic() + done.verdict.wait

    def left(self, command_id: int) -> None:
        """Take note of a command that its lease decides about: nobody could write what became of it."""
        self.in_hand.discard(command_id)
        self.returning[command_id] = self.clock.monotonic() + self.ledger.timing.lease

    def _claim(self, limit: int, only: Collection[int] | None) -> list[Claim]:
        claims = self.ledger.claim(
            limit, looking_only=self.options.look_only, only=only, in_hand=self.in_hand
        )
        for claim in claims:
            self.in_hand.add(claim.command.id)
            self.begun.add(claim.command.id)
            self.returning.pop(claim.command.id, None)
        return claims

    def _unseen(self) -> list[int]:
        if self.unseen is None:
            self._claim(0, [])  # what the dead left behind is in doubt from then on
            only = self.options.only
            self.unseen = [one for one in self.ledger.in_doubt() if only is None or one in only]
        return self.unseen
