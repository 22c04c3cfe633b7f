"""Which commands a dispatcher takes: all, those it was told, or those it has begun."""

from dataclasses import dataclass, field

from scalesync.clock import Clock
from scalesync.models.commands import Claim, PausedBy, PauseState
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.executor import CommandExecutor
from scalesync.queue.executor_deps import SETTLED


@dataclass
class Claimer:
    """Claims for one dispatcher. Used by one thread."""

    store: DispatcherStore
    clock: Clock
    options: DispatchOptions
    started: set[int] = field(default_factory=set)
    in_hand: set[int] = field(default_factory=set)
    """Those that a worker of this process works on now: no lease of them is over, whatever a clock says."""
    retry_at: dict[int, float] = field(default_factory=dict)
    """Those of the begun that are neither in hand nor settled, and from when on the clock they are due."""
    to_reconcile: list[int] | None = None
    """With `reconcile_only`: what is still to be looked at."""

    @property
    def full(self) -> bool:
        """Whether it has begun as many commands as it may."""
        return self.options.max is not None and len(self.started) >= self.options.max

    def claim(self, idle: int) -> list[Claim]:
        """Return at most `idle` commands that are due, now ours."""
        limit, only = idle, self.options.only
        if self.options.reconcile_only:
            if self.closed() is not None:
                return []
            only = self._unseen()[:idle]
            self.to_reconcile = self._unseen()[idle:]
            limit = len(only)
        elif self.full:
            # It may take no more, but sees through what it has begun.
            only = list(self.retry_at)
        elif self.options.max is not None:
            limit = min(idle, self.options.max - len(self.started))
        if only is not None and not only:
            return []
        claims = self.store.claim(
            limit, looking_only=self.options.reconcile_only, only=only, in_hand=self.in_hand
        )
        for claim in claims:
            self.in_hand.add(claim.command.id)
            self.started.add(claim.command.id)
            self.retry_at.pop(claim.command.id, None)
        return claims

    def due(self) -> float | None:
        """Return in how many seconds there may be something to claim; None: not by waiting alone."""
        if self.options.reconcile_only:
            return 0.0 if self._unseen() else None
        if not self.full and self.options.only is None:
            return self.store.next_due()
        waiting = self.store.still_waiting(self.retry_at) if self.retry_at else set()
        self.retry_at = {one: at for one, at in self.retry_at.items() if one in waiting}
        return min(self.retry_at.values()) - self.clock.monotonic() if self.retry_at else None

    def closed(self) -> PauseState | None:
        """Return the gate if it is closed to us; looking alone may go on while a person paused the queue."""
        gate = self.store.pause_state()
        may_look = self.options.reconcile_only and gate.paused_by is PausedBy.PERSON
        return gate if gate.paused and not may_look else None

    def settled(self, done: CommandExecutor) -> None:
        """Note that a command is not in hand any more, and when it may be claimed again."""
        command_id = done.claim.command.id
        self.in_hand.discard(command_id)
        if done.state is not None and done.settlement is not None and done.state not in SETTLED:
            self.retry_at[command_id] = self.clock.monotonic() + done.settlement.wait

    def give_back(self, command_id: int) -> None:
        """Take note of a command that its lease decides about: nobody could write what became of it."""
        self.in_hand.discard(command_id)
        self.retry_at[command_id] = self.clock.monotonic() + self.store.timing.lease

    def _unseen(self) -> list[int]:
        if self.to_reconcile is None:
            # A claim of nothing frees what dead processes left behind: it is in doubt from then on.
            self.store.claim(0, looking_only=True, only=[], in_hand=self.in_hand)
            only = self.options.only
            self.to_reconcile = [one for one in self.store.in_doubt() if only is None or one in only]
        return self.to_reconcile
