"""State of a window while it is read, and what each page means for it.

Open it for the rules by which a page is accepted, a window divided, or an object looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.errors import InconsistentPageError, ScaleException, ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.models.sync import Window, WindowState
from scalesync.parsing.row_parser import RowHead, key_digest
from scalesync.sync.page_checks import check_bounds, check_count, check_page, is_within
from scalesync.sync.parsed_page import ParsedPage
from scalesync.sync.splitting import (
    MAX_WINDOW_ROWS,
    MIN_RESPLIT_ROWS,
    MIN_SPLIT_ROWS,
    divide,
    is_newest_first,
    newer_than,
    part_count,
)
from scalesync.sync.streams import PAGE_SIZE, Stream, api_works_otherwise

MAX_NAMED = 5
"""Objects that could not be stored and are named in an error; the others are counted."""

MAX_STORED_BEFORE = 10
"""Objects that the mirror may have in a window whose pages are taken to be new after the first one."""

LOOKUPS_AT_ONCE = 50
"""Objects that one thread looks up before it hands over the results."""


@dataclass(frozen=True, slots=True)
class AcceptedPage:
    """A page that agrees with those before it, and the state of its window after it."""

    progress: "WindowProgress"
    parsed: ParsedPage
    window: Window
    """State after this page."""
    number: int
    """Position of the page in its window, from 0."""
    state: WindowState = WindowState.OPEN
    parts: tuple[Window, ...] = ()
    """Windows that read the rest, if the window is divided."""
    paused: bool = False
    """Whether its reader stopped after it."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The API's answers about objects that a complete list lacked."""

    found: tuple[Document, ...]
    gone: tuple[str, ...]
    failed: tuple[str, ...] = ()
    """Objects without an answer, each with the reason."""


@dataclass(slots=True)
class WindowProgress:
    """A claimed window and everything this process knows about it.

    At most one reader thread has it at a time and changes what `accept` changes; the writing thread changes
    everything else.
    """

    stream: Stream
    window: Window
    """State after the last accepted page."""
    pages: int = 0
    """Pages in the database."""
    accepted: int = 0
    """Pages accepted, written or not."""
    seen: set[bytes] = field(default_factory=set)
    """Digests of every key received, in this process or before a crash."""
    tokens: set[str] = field(default_factory=set)
    in_order: bool = True
    """Whether every page so far was newest first, all of them read by this process."""
    newest: datetime | None = None
    oldest: datetime | None = None
    """Times of creation of the first and the last object received, while they come in order."""
    at_oldest: int = 0
    """Distinct objects received that share their time of creation with the last one."""
    paused: bool = False
    """Whether its reader stopped, until the engine lets it go on."""
    whole: bool = False
    """Whether dividing was tried and is impossible."""
    began_empty: bool = False
    """Whether the mirror had no object within its bounds when it was claimed."""
    stored_before: int | None = None
    """Objects in it that the mirror had at the claim and no page of it had brought; None: not counted."""
    lost: bool = False
    """Whether another process took the window over: anything that still arrives is dropped."""
    last: AcceptedPage | None = None
    """The last page, while objects that the listing lacked are looked up."""
    unconfirmed: list[str] = field(default_factory=list)
    """Keys that the mirror has in this window and no page showed; still to be looked up."""
    left_out: list[str] = field(default_factory=list)
    """Objects that could not be stored or looked up, each with the reason."""

    @property
    def waiting(self) -> int:
        """Pages accepted and not written yet."""
        return self.accepted - self.pages

    @property
    def proves_absence(self) -> bool:
        """Whether the pages hold everything created within the window, changed or not."""
        return self.window.updated_from is None

    @property
    def expects_new(self) -> bool:
        """Whether the mirror is not expected to have any object of the next page."""
        # The instant at which a page ends belongs to the next part too, whose first page begins with it.
        few = MAX_STORED_BEFORE if self.accepted else 0
        return self.stored_before is not None and self.stored_before <= few

    @property
    def left(self) -> int:
        """Rows that the API counted and no page brought yet."""
        return (self.window.api_total or 0) - self.window.rows_received

    @property
    def is_large(self) -> bool:
        """Whether too much is left for one reader, even if others wait for nothing."""
        return self.left >= MAX_WINDOW_ROWS

    @property
    def is_divisible(self) -> bool:
        """Whether dividing pays, and the pages so far divide read from unread."""
        enough = MIN_SPLIT_ROWS if self.window.parent_id is None else MIN_RESPLIT_ROWS
        if self.left < enough or self.whole or self.window.undivided:
            return False
        # Only in the documented order does the oldest row divide read from unread. Rows of its very time are
        # read again by the next part: they must not be the most.
        return self.in_order and self.oldest is not None and 2 * self.at_oldest <= self.window.rows_received

    @property
    def read_part(self) -> Window | None:
        """Return the part that was read: created after the oldest object received; None if out of order."""
        if not self.in_order or self.oldest is None:
            return None
        window = self.window
        # Objects created at the very time of the oldest one may be on the next page too: all of them are left
        # to other parts, so their number is subtracted here.
        inside = window.created_from is None or window.created_from <= self.oldest
        return replace(
            newer_than(window, self.oldest),
            rows_received=window.rows_received - self.at_oldest,
            rows_within=window.rows_within - (self.at_oldest if inside else 0),
        )

    @property
    def shortfall(self) -> str | None:
        """Return the objects that could not be stored or looked up as one text; None if there are none."""
        if not self.left_out:
            return None
        others = len(self.left_out) - MAX_NAMED
        return "; ".join(self.left_out[:MAX_NAMED]) + (f"; and {others:,} more" if others > 0 else "")

    def accept(self, parsed: ParsedPage) -> AcceptedPage:
        """Count the page. Raises InconsistentPageError if it contradicts itself or the pages before it."""
        page = parsed.page
        # 1. Check the page. Requests are a little wider than the window, so that a neighbour may receive the
        # same rows: `rows_within` counts each row in one window only, and those are what parts must add up
        # to.
        check_bounds(self.window, parsed.heads)
        received = {row.key_digest: row.created_at for row in parsed.heads}
        new = received.keys() - self.seen
        created = [received[digest] for digest in new]
        within = sum(is_within(self.window, at) for at in created)
        new |= {key_digest(each) for each in parsed.left_out} - self.seen
        if not new and self._fits_on_one_page:
            page = replace(page, next_token=None, has_more=False)
        check_page(page, self.tokens, has_new_rows=bool(new))
        if self.stream.counted and page.total is None:
            raise InconsistentPageError("the API does not say how many there are")
        # 2. Move the window on. Its total is the one of the first page: later ones count what was created
        # since.
        self.seen |= new
        if page.next_token is not None:
            self.tokens.add(page.next_token)
        total = page.total if self.window.api_total is None else self.window.api_total
        self.window = replace(
            self.window,
            next_token=page.next_token,
            rows_received=len(self.seen),
            rows_within=self.window.rows_within + within,
            api_total=total,
        )
        # 3. Only a window that received what was counted may close.
        if page.next_token is None:
            check_count(self.window, page)
        self._note_order(parsed.heads, created)
        self.accepted += 1
        self.left_out += parsed.left_out
        return AcceptedPage(self, parsed, self.window, self.accepted - 1)

    def _note_order(self, rows: Sequence[RowHead], new: list[datetime | None]) -> None:
        """Update order and range of times of creation; `new` are those of rows not seen before."""
        created = [row.created_at for row in rows]
        if not created:
            return
        follows = self.oldest is None or (created[0] is not None and created[0] <= self.oldest)
        self.in_order = self.in_order and follows and is_newest_first(created)
        before = self.at_oldest if created[-1] == self.oldest else 0
        self.at_oldest = before + new.count(created[-1])
        self.newest, self.oldest = self.newest or created[0], created[-1]

    @property
    def _fits_on_one_page(self) -> bool:
        """Whether one page held all that the API counts, so that a token for more leads nowhere."""
        # Assumed: the API orders tasks of one instant anew at every request, and then gives such tokens.
        total = self.window.api_total
        return total is not None and self.window.rows_received >= total and total <= PAGE_SIZE

    def parts(self) -> tuple[Window, ...]:
        """Return the windows that should read the rest of a divisible one; empty: it is too short in time."""
        if self.oldest is None or self.newest is None:
            return ()
        ahead = self.left / self.window.rows_received
        parts = divide(self.window, self.oldest, self.newest, part_count(self.left), ahead=ahead)
        # The oldest first: its size is unknown, and the sooner it is begun, the sooner it can be divided
        # again.
        return parts[::-1]

    def next_unconfirmed(self) -> list[str]:
        """Return the next keys to look up, and remove them from `unconfirmed`."""
        keys = self.unconfirmed[:LOOKUPS_AT_ONCE]
        del self.unconfirmed[:LOOKUPS_AT_ONCE]
        return keys


def look_up(api: ScaleApi, stream: Stream, keys: Sequence[str]) -> LookupResult:
    """Request objects one by one, and return which exist and which are gone.

    An object without an answer is named in `failed` if the API answers other requests; otherwise its error
    is raised.
    """
    found: list[Document] = []
    gone: list[str] = []
    failed: list[str] = []
    for key in keys:
        try:
            found.append(stream.one(api, key))
        except ScaleResourceNotFound:
            gone.append(key)
        except ScaleException as error:
            if not api_works_otherwise(api, stream.name, error):
                raise
            failed.append(f"{key} could not be looked up: {error.message}")
    return LookupResult(tuple(found), tuple(gone), tuple(failed))
