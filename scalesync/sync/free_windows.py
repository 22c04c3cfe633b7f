"""Which windows of a run are open, and which of them are free to claim, as this process last looked.

Open it for how often a process looks, and for what becomes of the windows of dead processes.
"""

from dataclasses import dataclass

from scalesync.clock import Clock
from scalesync.models.sync import Window
from scalesync.sync.store import SyncStore
from scalesync.sync.window_progress import WindowProgress

POLL_SECONDS = 0.05
"""Seconds between two looks: hosts that wait for each other's windows notice them after as long."""


@dataclass
class FreeWindows:
    """A view of the run's windows, old by POLL_SECONDS at most. Reader threads call `rests`."""

    store: SyncStore
    clock: Clock
    open: int = 0
    free: int = 0
    """With the parts that this process made since and did not write yet."""
    next_look_at: float = 0.0
    resting: WindowProgress | None = None
    """The window whose reader waits for it to be divided: one at a time, while the others read on."""

    @property
    def few(self) -> bool:
        """Whether fewer wait to be claimed than half of those being read: soon workers will find none."""
        return 3 * self.free < self.open

    def rests(self, progress: WindowProgress) -> bool:
        """Return whether the reader of a window should wait for it to be divided; called from its thread."""
        if not progress.is_divisible or not (progress.is_large or (self.few and self.resting is None)):
            return False
        # Two readers may get here at once: then both rest, which costs a moment.
        self.resting = progress
        return True

    def handled(self, progress: WindowProgress) -> None:
        """Let others rest, if this is the window that did."""
        if self.resting is progress:
            self.resting = None

    def look(self, run_id: int, idle: int, *, again: bool = False) -> None:
        """Count the windows of a run if the last look is old, or `again`.

        Frees those of dead processes of this machine if some of our workers are idle.
        """
        if self.clock.monotonic() < self.next_look_at and not again:
            return
        self.next_look_at = self.clock.monotonic() + POLL_SECONDS
        self.open, self.free = self.store.count_open(run_id)
        if self.open and not self.free and idle > 0:
            self.free = self.store.release_dead_owners()

    def claim(self, number: int) -> list[Window]:
        """Claim up to `number` windows, without a statement if none is free."""
        if not self.free:
            return []
        claimed = self.store.claim_several(number)
        # Others may have been faster: then none is left.
        self.free = max(0, self.free - len(claimed)) if len(claimed) == number else 0
        return claimed

    def divided(self, parts: int) -> None:
        """Count the parts of a window that was divided here, which are not written yet."""
        self.free += parts
        self.open += parts - 1

    def look_soon(self) -> None:
        """Take the last look for old: windows were added, ended or given back."""
        self.next_look_at = 0.0
