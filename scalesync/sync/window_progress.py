"""A window in the course of being read: what came so far, and what each page means for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.sync.window_ledger import key_digest
from scalesync.errors import InconsistentPageError, ScaleException, ScaleResourceNotFound
from scalesync.models.api import Document, Page
from scalesync.models.sync import Window, WindowState
from scalesync.parsing.row_parser import Row
from scalesync.sync.page_checks import check_bounds, check_count, check_page, is_within
from scalesync.sync.parser_client import ParserProcess
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
"""How many objects that are not in the mirror are named."""

SHOWN_CHARACTERS = 80
"""Bytes of an object that are shown where it has no name to be known by."""

LOOKUPS_AT_ONCE = 50
"""Objects that one thread looks up before it hands over what it learnt."""


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """A page with its documents typed."""

    page: Page
    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    """The objects that no table can hold, each with the reason."""


@dataclass(frozen=True, slots=True)
class AcceptedPage:
    """A page that agrees with those before it, and what becomes of its window."""

    progress: "WindowProgress"
    parsed: ParsedPage
    window: Window
    """As it is after this page."""
    number: int
    """Of the page in its window, from 0."""
    state: WindowState = WindowState.OPEN
    parts: tuple[Window, ...] = ()
    """What is to read the rest of the window."""
    paused: bool = False
    """Whether nobody reads on in the window until told to."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the API said of objects that a complete listing lacked."""

    found: tuple[Document, ...]
    gone: tuple[str, ...]
    failed: tuple[str, ...] = ()
    """The objects of which it said neither, each with the reason."""


@dataclass(slots=True)
class WindowProgress:
    """One claimed window, and all that is known of it here.

    What came is noted by the thread that reads it, while one does; everything else by the one that writes.
    """

    stream: Stream
    window: Window
    """As it is after the last page that was taken."""
    pages: int = 0
    """How many are in the ledger."""
    accepted: int = 0
    """How many came in all."""
    seen: set[bytes] = field(default_factory=set)
    """Digests of every key received, in this process or before a crash."""
    tokens: set[str] = field(default_factory=set)
    in_order: bool = True
    """Whether every page since the first came newest first, in this process."""
    newest: datetime | None = None
    oldest: datetime | None = None
    """When the first and the last object that came were created, as long as they come in order."""
    at_oldest: int = 0
    """Distinct objects received that were created when the last one was."""
    lost: bool = False
    """Another process took the window over: whatever still arrives is dropped."""
    last: AcceptedPage | None = None
    """The last page, while objects that the listing lacked are looked up."""
    unconfirmed: list[str] = field(default_factory=list)
    """Keys that are here, and in the window, and were not on any page; still to be looked up."""
    left_out: list[str] = field(default_factory=list)
    """Objects that came and are not in the mirror, or could not be looked up, each with the reason."""

    @property
    def proves_absence(self) -> bool:
        """Whether the pages hold everything created within the window, changed or not."""
        return self.window.updated_from is None

    @property
    def read_part(self) -> Window | None:
        """Return what was read as a part of its own: what was created after the oldest object that came.

        Everything created at that time or before is left to other parts. None where pages came out of order.
        """
        if not self.in_order or self.oldest is None:
            return None
        window = self.window
        inside = window.created_from is None or window.created_from <= self.oldest
        return replace(
            newer_than(window, self.oldest),
            rows_received=window.rows_received - self.at_oldest,
            rows_within=window.rows_within - (self.at_oldest if inside else 0),
        )

    @property
    def shortfall(self) -> str | None:
        """Return what came and is not in the mirror, or could not be looked up; None if there is nothing."""
        if not self.left_out:
            return None
        others = len(self.left_out) - MAX_NAMED
        return "; ".join(self.left_out[:MAX_NAMED]) + (f"; and {others:,} more" if others > 0 else "")

    def accept(self, parsed: ParsedPage) -> AcceptedPage:
        """Count the page. Raises InconsistentPageError if it contradicts itself or the pages before it."""
        page = parsed.page
        check_bounds(self.window, parsed.rows)
        came = {key_digest(row.key): row for row in parsed.rows}
        fresh = came.keys() - self.seen
        within = sum(is_within(self.window, came[digest]) for digest in fresh)
        fresh = fresh | ({key_digest(each) for each in parsed.left_out} - self.seen)
        if not fresh and self._came_on_one_page:
            page = replace(page, next_token=None, has_more=False)
        check_page(page, self.tokens, has_news=bool(fresh))
        if self.stream.counted and page.total is None:
            raise InconsistentPageError("the API does not say how many there are")
        self.seen |= fresh
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
        if page.next_token is None:
            check_count(self.window, page)
        self._note_order(parsed.rows, [came[each].created_at for each in fresh & came.keys()])
        self.accepted += 1
        self.left_out += parsed.left_out
        return AcceptedPage(self, parsed, self.window, self.accepted - 1)

    def _note_order(self, rows: Sequence[Row], fresh: list[datetime | None]) -> None:
        """Note when the objects of a page were created, and when those that came for the first time."""
        created = [row.created_at for row in rows]
        if not created:
            return
        follows = self.oldest is None or (created[0] is not None and created[0] <= self.oldest)
        self.in_order = self.in_order and follows and is_newest_first(created)
        before = self.at_oldest if created[-1] == self.oldest else 0
        self.at_oldest = before + fresh.count(created[-1])
        self.newest, self.oldest = self.newest or created[0], created[-1]

    @property
    def _came_on_one_page(self) -> bool:
        """Whether one page held all that the API counts, so that a token for more leads nowhere.

        It gives such tokens if it orders tasks of one instant anew at every request (assumed).
        """
        total = self.window.api_total
        return total is not None and self.window.rows_received >= total and total <= PAGE_SIZE

    def parts(self, first: ParsedPage, workers: int, share: Callable[[], float]) -> tuple[Window, ...]:
        """Return the windows that should read the rest of this one after its first page, if any should.

        `share` is asked only where it matters, for the rows that each worker has to read at present: to one
        who has more than that it pays to give some away.
        """
        window, created = self.window, [row.created_at for row in first.rows]
        if window.undivided:
            return ()
        left = (window.api_total or 0) - window.rows_received
        enough = MIN_SPLIT_ROWS if window.parent_id is None else MIN_RESPLIT_ROWS
        if not (left >= MAX_WINDOW_ROWS or (left >= enough and left > share())):
            return ()
        if not is_newest_first(created) or not created or created[0] is None or created[-1] is None:
            return ()
        ahead = left / len(created)
        parts = divide(window, created[-1], created[0], part_count(left, workers), ahead=ahead)
        # The oldest first: it is not known what lies there, and whoever finds much of it can divide it again.
        return parts[::-1]

    def next_unconfirmed(self) -> list[str]:
        """Return the next keys to look up, and take them off the list."""
        keys = self.unconfirmed[:LOOKUPS_AT_ONCE]
        del self.unconfirmed[:LOOKUPS_AT_ONCE]
        return keys


def parse_page(stream: Stream, page: Page, parser: ParserProcess | None = None) -> ParsedPage:
    """Return the page with its documents typed, tasks by the typist if that has time.

    Objects that no table can hold are left out, one by one. Raises InconsistentPageError if that is all of
    them: such a page is the answer to something else.
    """
    rows = parser.parse(page.docs) if parser and stream.mapping is TASKS else None
    if rows:
        return ParsedPage(page, rows)
    held: list[Row] = []
    left_out: list[str] = []
    for doc in page.docs:
        try:
            held.append(to_row(stream.mapping, doc))
        except InconsistentPageError as error:
            left_out.append(
                f"{error.message} It begins with {bytes(doc)[:SHOWN_CHARACTERS].decode(errors='replace')}"
            )
            if len(left_out) == len(page.docs):
                raise
    return ParsedPage(page, tuple(held), tuple(left_out))


def look_up(api: ScaleApi, stream: Stream, keys: Sequence[str]) -> LookupResult:
    """Ask the API for objects one by one, and return which are there and which are gone.

    One for which it gives no answer is named, as long as it answers other requests; else its error is raised.
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
