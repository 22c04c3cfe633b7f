"""What has been read and is to be written: pages in their order, several in one transaction."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

from scalesync.errors import ClaimLostError
from scalesync.models.sync import Written
from scalesync.sync.events import Received, Watcher
from scalesync.sync.store import Ledger
from scalesync.sync.window_progress import Taken

TOGETHER = 10
"""Pages in one transaction, so that none takes long: others wait for it, and leases run on."""


@dataclass
class Totals:
    """What this process did, by stream."""

    written: dict[str, Written] = field(default_factory=dict)
    replaced: int = 0
    missed: int = 0

    def add(self, stream: str, written: Written) -> None:
        """Add rows that are in the database."""
        self.written[stream] = self.written.get(stream, Written()) + written


@dataclass
class Backlog:
    """Pages to be written: those of one window in their order."""

    ledger: Ledger
    watch: Watcher
    totals: Totals
    pages: deque[Taken] = field(default_factory=deque)

    def add(self, page: Taken) -> None:
        """Have a page written after those that wait, or before them if others get something to do by it."""
        if page.parts:
            self.pages.appendleft(page)
        else:
            self.pages.append(page)

    def save_some(self) -> list[Taken]:
        """Write the first pages, as many as go together in one transaction, and return them.

        Pages of a window that was lost are dropped, and it is marked so.
        """
        first = list(islice(_alike(self.pages), TOGETHER))
        for _ in first:
            self.pages.popleft()
        if first:
            self._save(first)
        return first

    def _save(self, pages: list[Taken]) -> None:
        try:
            written = self.ledger.save_together(pages)
        except ClaimLostError:
            if len(pages) == 1:
                pages[0].reading.lost = True
                return
            for page in pages:
                self._save([page])
            return
        stream = pages[0].reading.stream.name
        self.totals.add(stream, written)
        self.totals.replaced += sum(page.fetched.page.replaced for page in pages)
        self.watch(Received(stream, sum(len(page.fetched.rows) for page in pages), written))


def _alike(pages: deque[Taken]) -> Iterator[Taken]:
    """Yield the first pages, as far as they are of one stream and one instant.

    Where a window that was planned begins, its page goes alone: others may wait for its parts.
    """
    return takewhile(lambda page: _kind(page) == _kind(pages[0]), pages)


def _kind(page: Taken) -> tuple[str, datetime, int | None]:
    begins = page.number == 0 and page.window.parent_id is None
    return page.reading.stream.name, page.fetched.page.served_at, page.window.id if begins else None
