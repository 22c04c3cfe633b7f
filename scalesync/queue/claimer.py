"""Choose and claim commands for one dispatcher, and remember which of them it works on."""

from dataclasses import dataclass, field

from scalesync.clock import Clock
from scalesync.models.commands import Claim
from scalesync.models.queue_state import PausedBy, PauseState
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatcher_store import DispatcherStore
from scalesync.queue.executor import CommandExecutor
from scalesync.queue.executor_deps import SETTLED
from scalesync.queue.timing import max_turn_wait

WORKERS_PER_SPARE = 4
"""Workers for each command that is claimed before a worker is free for it."""


@dataclass
class Claimer:
    """The claims of one dispatcher. Used by its coordinating thread only."""

    store: DispatcherStore
    clock: Clock
    options: DispatchOptions
    rate: float | None
    """Requests a second that the API client makes, at most."""
    started: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    """Ids that a worker of this process works on now."""
    retry_at: dict[int, float] = field(default_factory=dict)
    """Ids that were started and released again, with when they are due (`clock.monotonic()`)."""
    to_reconcile: list[int] | None = None
    """With `reconcile_only`: ids that are still to be looked up; None before the first claim."""

    @property
    def limit_reached(self) -> bool:
        """Whether as many commands were started as `options.max` allows."""
        return self.options.max is not None and len(self.started) >= self.options.max

    @property
    def worker_count(self) -> int:
        """The number of workers; under a rate limit only as many as get their turn in time."""
        workers, timing = max(1, self.options.workers), self.store.timing
        if self.rate is None:
            return workers
        # With more, a command would wait for the rate limiter until its lease is too short to be armed.
        turn_wait = min(timing.margin, max_turn_wait(timing.request))
        return max(1, int(min(workers, self.rate * turn_wait)))

    def wanted(self, active: int, *, probing: bool) -> int:
        """Return how many commands to claim while `active` are in hand; with `probing` one is enough."""
        if probing or self.rate is not None or self.options.reconcile_only:
            return (1 if probing else self.worker_count) - active
        # Some more than the workers have, so that none waits for a claim; several of them with each claim.
        spare = self.worker_count // WORKERS_PER_SPARE
        return self.worker_count + spare - active if active < self.worker_count + max(1, spare // 2) else 0

    def claim(self, idle: int) -> list[Claim]:
        """Claim at most `idle` commands that are due, and return them."""
        limit, only = idle, self.options.only
        if self.options.reconcile_only:
            # During a pause the claim returns nothing: the ids must not leave the list for that.
            if self.blocking_pause() is not None:
                return []
            only = self._lookups_left()[:idle]
            limit = len(only)
        elif self.limit_reached:
            # No new commands, but those already started are seen through to their end.
            only = list(self.retry_at)
        elif self.options.max is not None:
            limit = min(idle, self.options.max - len(self.started))
        if only is not None and not only:
            return []
        # Active commands are named to the database: if its clock jumps ahead, their leases look over, and
        # without this they would be claimed a second time while a worker is sending them.
        claims = self.store.claim(
            limit, looking_only=self.options.reconcile_only, only=only, in_hand=self.active
        )
        # Only now: what a claim could not reach for an outage must stay on the list.
        self.to_reconcile = None if self.to_reconcile is None else self.to_reconcile[limit:]
        for claim in claims:
            self.active.add(claim.command.id)
            self.started.add(claim.command.id)
            self.retry_at.pop(claim.command.id, None)
        return claims

    def due(self) -> float | None:
        """Return seconds until something may be claimed; None: waiting alone makes nothing due."""
        if self.options.reconcile_only:
            return 0.0 if self._lookups_left() else None
        if not self.limit_reached and self.options.only is None:
            return self.store.next_due()
        waiting = self.store.still_waiting(self.retry_at) if self.retry_at else set()
        self.retry_at = {key: at for key, at in self.retry_at.items() if key in waiting}
        return min(self.retry_at.values()) - self.clock.monotonic() if self.retry_at else None

    def blocking_pause(self) -> PauseState | None:
        """Return the pause that stops this dispatcher, or None."""
        # A person's pause is about sending: it does not stop a dispatcher that only looks up.
        pause = self.store.pause_state()
        may_look = self.options.reconcile_only and pause.paused_by is PausedBy.PERSON
        return pause if pause.paused and not may_look else None

    def record_settled(self, done: CommandExecutor) -> None:
        """Record that a command is no longer active, and when it may be claimed again."""
        command_id = done.claim.command.id
        self.active.discard(command_id)
        if done.state is not None and done.settlement is not None and done.state not in SETTLED:
            self.retry_at[command_id] = self.clock.monotonic() + done.settlement.wait

    def abandon(self, command_id: int) -> None:
        """Record that a command's settlement could not be written: its lease has to run out first."""
        self.active.discard(command_id)
        self.retry_at[command_id] = self.clock.monotonic() + self.store.timing.lease

    def _lookups_left(self) -> list[int]:
        if self.to_reconcile is None:
            # Claims nothing, but frees the commands of dead processes, which puts them in doubt.
            self.store.claim(0, looking_only=True, only=[], in_hand=self.active)
            only = self.options.only
            self.to_reconcile = [key for key in self.store.in_doubt() if only is None or key in only]
        return self.to_reconcile
