"""Pages waiting to be written: kept in order per window, several to a transaction."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

from scalesync.clock import Clock
from scalesync.errors import LeaseLostError
from scalesync.models.sync import WriteCounts
from scalesync.sync.events import PagesSaved, SyncWatcher
from scalesync.sync.store import SyncStore
from scalesync.sync.window_progress import AcceptedPage

MAX_WAIT_SECONDS = 0.05
"""Seconds that a page waits for others to be written with it, at most."""

PAGES_PER_TRANSACTION = 10
"""Pages written in one transaction: few, because other processes wait for it while leases run."""


@dataclass
class SyncTotals:
    """Counts of what this process did, by stream."""

    written: dict[str, WriteCounts] = field(default_factory=dict)
    replaced: int = 0
    missed: int = 0

    def add(self, stream: str, written: WriteCounts) -> None:
        """Add rows that are in the database."""
        self.written[stream] = self.written.get(stream, WriteCounts()) + written


@dataclass
class WriteBuffer:
    """Queue of pages to be written; pages of one window keep their order."""

    store: SyncStore
    clock: Clock
    watch: SyncWatcher
    totals: SyncTotals
    pages: deque[AcceptedPage] = field(default_factory=deque)
    since: float = 0.0
    """On the monotonic clock: when the first of the waiting pages was added."""

    def waiting_time(self, readers: int, without_pages: float) -> float:
        """Return how many seconds to wait for more pages; 0 if there is a page of each reader.

        The same holds for a full transaction, and for a page whose parts others wait for. If there is nothing
        to write, returns `without_pages`.
        """
        if not self.pages:
            return without_pages
        # A transaction of one page costs several times as much a page as a full one.
        first = self.pages[0]
        awaited = any(page.parts for page in self.pages) or _begins_planned(first)
        if awaited or len(self.pages) >= min(PAGES_PER_TRANSACTION, readers):
            return 0.0
        return max(0.0, self.since + MAX_WAIT_SECONDS - self.clock.monotonic())

    def add(self, page: AcceptedPage) -> None:
        """Queue a page; one that divides its window goes first, because idle workers wait for the parts."""
        if not self.pages:
            self.since = self.clock.monotonic()
        self.pages.append(page)
        if page.parts:
            # With the pages of its window that wait: they keep their order.
            first = [each for each in self.pages if each.progress is page.progress]
            others = [each for each in self.pages if each.progress is not page.progress]
            self.pages = deque((*first, *others))

    def save_some(self) -> list[AcceptedPage]:
        """Write the first pages that fit in one transaction, and return them.

        Pages of a window whose lease was lost are dropped, and its progress is marked `lost`.
        """
        first = list(islice(_same_transaction(self.pages), PAGES_PER_TRANSACTION))
        for _ in first:
            self.pages.popleft()
        if not first:
            return first
        try:
            self._count(first, self.store.save_together(first))
        except LeaseLostError:
            # One lost window must not cost the others their pages: write each alone.
            for page in first:
                try:
                    self._count([page], self.store.save_together([page]))
                except LeaseLostError:
                    page.progress.lost = True
        return first

    def _count(self, pages: list[AcceptedPage], written: WriteCounts) -> None:
        stream = pages[0].progress.stream.name
        self.totals.add(stream, written)
        self.totals.replaced += sum(page.parsed.page.replaced for page in pages)
        self.watch(PagesSaved(stream, sum(len(page.parsed.heads) for page in pages), written))


def _same_transaction(pages: deque[AcceptedPage]) -> Iterator[AcceptedPage]:
    return takewhile(lambda page: _transaction_key(page) == _transaction_key(pages[0]), pages)


def _transaction_key(page: AcceptedPage) -> tuple[str, datetime, int | None]:
    """Return stream, API time and, for the first page of a planned window, its id.

    Such a page is written alone and at once: other workers may wait for the parts of the window.
    """
    alone = page.window.id if _begins_planned(page) else None
    return page.progress.stream.name, page.parsed.page.served_at, alone


def _begins_planned(page: AcceptedPage) -> bool:
    return page.number == 0 and page.window.parent_id is None
