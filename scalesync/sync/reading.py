"""A window in the course of being read: what came so far, and what each page means for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from scalesync.api.client import ScaleApi
from scalesync.db.documents import Row, to_row
from scalesync.db.windows import key_digest
from scalesync.errors import PageError, ScaleResourceNotFound
from scalesync.model import Document, Page, Window
from scalesync.sync.split import LARGE, PART, WORTHWHILE, divide, is_newest_first
from scalesync.sync.streams import PAGE, Stream

CONFIRMED_AT_ONCE = 50
"""Objects that one thread looks up before it hands over what it learnt."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page with its documents typed."""

    page: Page
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Lookups:
    """What the API said of objects that a complete listing lacked."""

    found: tuple[Document, ...]
    gone: tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """One claimed window, and all that is known of it here. Changed by the writing thread only."""

    stream: Stream
    window: Window
    pages: int = 0
    seen: set[bytes] = field(default_factory=set)
    """Digests of every key received, in this process or before a crash."""
    tokens: set[str] = field(default_factory=set)
    lost: bool = False
    """Another process took the window over: whatever still arrives is dropped."""
    last: Fetched | None = None
    """The last page, while objects that the listing lacked are looked up."""
    doubtful: list[str] = field(default_factory=list)
    """Keys that are here, and in the window, and were not on any page; still to be looked up."""

    @property
    def proves_absence(self) -> bool:
        """Whether the pages hold everything created within the window, changed or not."""
        return self.window.updated_from is None

    def take(self, fetched: Fetched) -> None:
        """Count the page. Raises PageError if it contradicts itself or the pages before it."""
        page = fetched.page
        fresh = {key_digest(row.key) for row in fetched.rows} - self.seen
        if not fresh and self._came_on_one_page:
            page = replace(page, next_token=None, has_more=False)
        check_page(page, self.tokens, has_news=bool(fresh))
        if self.stream.counted and page.total is None:
            raise PageError("the API does not say how many there are")
        self.seen |= fresh
        if page.next_token is not None:
            self.tokens.add(page.next_token)
        total = page.total if self.window.api_total is None else self.window.api_total
        self.window = replace(
            self.window, next_token=page.next_token, rows_received=len(self.seen), api_total=total
        )
        if page.next_token is None:
            check_count(self.window, page)

    @property
    def _came_on_one_page(self) -> bool:
        """Whether one page held all that the API counts, so that a token for more leads nowhere.

        It gives such tokens if it orders tasks of one instant anew at every request (assumed).
        """
        total = self.window.api_total
        return total is not None and self.window.rows_received >= total and total <= PAGE

    def parts(self, fetched: Fetched, workers: int, somebody_idle: Callable[[], bool]) -> tuple[Window, ...]:
        """Return the windows that should read the rest of this one after its first page, if any should.

        `somebody_idle` is asked only where it matters: where the rest is neither short nor large.
        """
        window, created = self.window, [row.created_at for row in fetched.rows]
        left = (window.api_total or 0) - window.rows_received
        if self.pages > 0 or not (left >= LARGE or (left >= WORTHWHILE and somebody_idle())):
            return ()
        if not is_newest_first(created) or not created or created[0] is None or created[-1] is None:
            return ()
        parts = max(2, min(-(-left // PART), workers))
        return divide(window, created[-1], created[0], parts)

    def next_doubtful(self) -> list[str]:
        """Return the next keys to look up, and take them off the list."""
        keys = self.doubtful[:CONFIRMED_AT_ONCE]
        del self.doubtful[:CONFIRMED_AT_ONCE]
        return keys


def check_page(page: Page, tokens: set[str], *, has_news: bool) -> None:
    """Refuse what would make a window look complete, or never end. Raises PageError."""
    reason = ""
    if page.has_more and page.next_token is None:
        reason = "the API says that there is more and gives no token for it"
    elif page.next_token is not None and not page.docs:
        reason = "the API gives a token for a further page on an empty one"
    elif page.next_token is not None and page.next_token in tokens:
        reason = "the API gives the same page token twice"
    elif page.next_token is not None and not has_news:
        reason = "the API repeats a page and gives a token for a further one"
    if reason:
        raise PageError(reason)


def check_count(window: Window, page: Page) -> None:
    """Refuse to close a window that received fewer rows than its first page counted. Raises PageError.

    Rows that join while it is read may be missed, for they are newer than the run. Where rows left, others
    may have moved up past a token that counts rows, so that only another reading can tell.
    """
    if window.api_total is None or page.total is None or window.rows_received >= window.api_total:
        return
    came = f"{window.rows_received} rows came where the API counts"
    less = f"{window.api_total}, and {page.total} at the end" if page.total < window.api_total else None
    raise PageError(f"{came} {less or window.api_total}")


def fetch(api: ScaleApi, stream: Stream, window: Window) -> Fetched:
    """Read the window's next page and type its documents. Raises ScaleException or PageError."""
    page = stream.page(api, window, PAGE)
    return Fetched(page, tuple(to_row(stream.kind, doc) for doc in page.docs))


def look_up(api: ScaleApi, stream: Stream, keys: Sequence[str]) -> Lookups:
    """Ask the API for objects one by one, and return which are there and which are gone."""
    found: list[Document] = []
    gone: list[str] = []
    for key in keys:
        try:
            found.append(stream.one(api, key))
        except ScaleResourceNotFound:
            gone.append(key)
    return Lookups(tuple(found), tuple(gone))
