"""What has been read and is to be written: pages in their order, several in one transaction."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

from scalesync.errors import LeaseLostError
from scalesync.models.sync import WriteCounts
from scalesync.sync.events import PagesSaved, SyncWatcher
from scalesync.sync.store import SyncStore
from scalesync.sync.window_progress import AcceptedPage

PAGES_PER_TRANSACTION = 10
"""Pages in one transaction, so that none takes long: others wait for it, and leases run on."""


@dataclass
class SyncTotals:
    """What this process did, by stream."""

    written: dict[str, WriteCounts] = field(default_factory=dict)
    replaced: int = 0
    missed: int = 0

    def add(self, stream: str, written: WriteCounts) -> None:
        """Add rows that are in the database."""
        self.written[stream] = self.written.get(stream, WriteCounts()) + written


@dataclass
class WriteBuffer:
    """Pages to be written: those of one window in their order."""

    store: SyncStore
    watch: SyncWatcher
    totals: SyncTotals
    pages: deque[AcceptedPage] = field(default_factory=deque)

    def add(self, page: AcceptedPage) -> None:
        """Have a page written after those that wait, or before them if others get something to do by it."""
        if page.parts:
            self.pages.appendleft(page)
        else:
            self.pages.append(page)

    def save_some(self) -> list[AcceptedPage]:
        """Write the first pages, as many as go together in one transaction, and return them.

        Pages of a window that was lost are dropped, and it is marked so.
        """
        first = list(islice(_same_transaction(self.pages), PAGES_PER_TRANSACTION))
        for _ in first:
            self.pages.popleft()
        if first:
            self._save(first)
        return first

    def _save(self, pages: list[AcceptedPage]) -> None:
        try:
            written = self.store.save_together(pages)
        except LeaseLostError:
            if len(pages) == 1:
                pages[0].progress.lost = True
                return
            for page in pages:
                self._save([page])
            return
        stream = pages[0].progress.stream.name
        self.totals.add(stream, written)
        self.totals.replaced += sum(page.parsed.page.replaced for page in pages)
        self.watch(PagesSaved(stream, sum(len(page.parsed.rows) for page in pages), written))


def _same_transaction(pages: deque[AcceptedPage]) -> Iterator[AcceptedPage]:
    """Yield the first pages, as far as they are of one stream and one instant.

    Where a window that was planned begins, its page goes alone: others may wait for its parts.
    """
    return takewhile(lambda page: _kind(page) == _kind(pages[0]), pages)


def _kind(page: AcceptedPage) -> tuple[str, datetime, int | None]:
    begins = page.number == 0 and page.window.parent_id is None
    return page.progress.stream.name, page.parsed.page.served_at, page.window.id if begins else None
