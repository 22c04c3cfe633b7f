"""A window in the course of being read: what came so far, and what each page means for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from scalesync.api.client import ScaleApi
from scalesync.db.documents import TASKS, to_row
from scalesync.db.forms import Row
from scalesync.db.windows import key_digest
from scalesync.errors import PageError, ScaleResourceNotFound
from scalesync.model import Document, Page, Window, WindowState
from scalesync.sync.split import AGAIN, LARGE, WORTHWHILE, divide, how_many, is_newest_first
from scalesync.sync.streams import PAGE, Stream
from scalesync.sync.typist import Typist

CONFIRMED_AT_ONCE = 50
"""Objects that one thread looks up before it hands over what it learnt."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page with its documents typed."""

    page: Page
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A page that agrees with those before it, and what becomes of its window."""

    reading: "Reading"
    fetched: Fetched
    window: Window
    """As it is after this page."""
    number: int
    """Of the page in its window, from 0."""
    state: WindowState = WindowState.OPEN
    parts: tuple[Window, ...] = ()
    """What is to read the rest of the window."""
    resting: bool = False
    """Whether nobody reads on in the window until told to."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """What the API said of objects that a complete listing lacked."""

    found: tuple[Document, ...]
    gone: tuple[str, ...]


@dataclass(slots=True)
class Reading:
    """One claimed window, and all that is known of it here.

    What came is noted by the thread that reads it, while one does; everything else by the one that writes.
    """

    stream: Stream
    window: Window
    """As it is after the last page that was taken."""
    pages: int = 0
    """How many are in the ledger."""
    taken: int = 0
    """How many came in all."""
    seen: set[bytes] = field(default_factory=set)
    """Digests of every key received, in this process or before a crash."""
    tokens: set[str] = field(default_factory=set)
    lost: bool = False
    """Another process took the window over: whatever still arrives is dropped."""
    last: Taken | None = None
    """The last page, while objects that the listing lacked are looked up."""
    doubtful: list[str] = field(default_factory=list)
    """Keys that are here, and in the window, and were not on any page; still to be looked up."""

    @property
    def proves_absence(self) -> bool:
        """Whether the pages hold everything created within the window, changed or not."""
        return self.window.updated_from is None

    def take(self, fetched: Fetched) -> Taken:
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
        self.taken += 1
        return Taken(self, fetched, self.window, self.taken - 1)

    @property
    def _came_on_one_page(self) -> bool:
        """Whether one page held all that the API counts, so that a token for more leads nowhere.

        It gives such tokens if it orders tasks of one instant anew at every request (assumed).
        """
        total = self.window.api_total
        return total is not None and self.window.rows_received >= total and total <= PAGE

    def parts(self, first: Fetched, workers: int, share: Callable[[], float]) -> tuple[Window, ...]:
        """Return the windows that should read the rest of this one after its first page, if any should.

        `share` is asked only where it matters, for the rows that each worker has to read at present: to one
        who has more than that it pays to give some away.
        """
        window, created = self.window, [row.created_at for row in first.rows]
        left = (window.api_total or 0) - window.rows_received
        enough = WORTHWHILE if window.parent_id is None else AGAIN
        if not (left >= LARGE or (left >= enough and left > share())):
            return ()
        if not is_newest_first(created) or not created or created[0] is None or created[-1] is None:
            return ()
        ahead = left / len(created)
        parts = divide(window, created[-1], created[0], how_many(left, workers), ahead=ahead)
        # The oldest first: it is not known what lies there, and whoever finds much of it can divide it again.
        return parts[::-1]

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


def typed(stream: Stream, page: Page, typist: Typist | None = None) -> Fetched:
    """Return the page with its documents typed, tasks by the typist if that has time. Raises PageError."""
    rows = typist.rows(page.docs) if typist and stream.kind is TASKS else None
    return Fetched(page, rows or tuple(to_row(stream.kind, doc) for doc in page.docs))


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
