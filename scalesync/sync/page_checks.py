"""What a page must be so that a window may rely on it: each check refuses it, or returns."""

from collections.abc import Sequence

from scalesync.errors import InconsistentPageError, OutsideWindowError
from scalesync.models.api import Page
from scalesync.models.sync import Window
from scalesync.parsing.row_parser import Row
from scalesync.sync.splitting import TIME_RESOLUTION
from scalesync.sync.streams import BOUND_MARGIN

ALLOWED = BOUND_MARGIN + TIME_RESOLUTION
"""How far outside of its window a row may be: requests are widened, and times may be rounded."""


def is_within(window: Window, row: Row) -> bool:
    """Return whether the object was created within the window's own bounds, or the window has none."""
    lower, upper, created = window.created_from, window.created_to, row.created_at
    if lower is None and upper is None:
        return True
    return created is not None and (lower is None or created >= lower) and (upper is None or created <= upper)


def check_bounds(window: Window, rows: Sequence[Row]) -> None:
    """Refuse a page with rows that its window did not ask for. Raises OutsideWindowError.

    What a row does not say (its project, its creation) is not held against it. Times of change are not
    either: which of an object's changes the API's filter goes by is not known.
    """
    lower = window.created_from and window.created_from - ALLOWED
    upper = window.created_to and window.created_to + ALLOWED
    for row in rows if lower or upper else ():
        at = row.created_at
        if at is not None and ((lower is not None and at < lower) or (upper is not None and at > upper)):
            raise OutsideWindowError(f"{row.key} came in a list of other times of creation than its own")
    for row in rows if window.project is not None else ():
        project = row.values.get("project")
        if project is not None and project != window.project:
            raise OutsideWindowError(f"{row.key} came in a list of another project than its own")


def check_page(page: Page, tokens: set[str], *, has_news: bool) -> None:
    """Refuse what would make a window look complete, or never end. Raises InconsistentPageError."""
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
        raise InconsistentPageError(reason)


def check_count(window: Window, page: Page) -> None:
    """Refuse to close a window that received fewer rows than its first page counted.

    Raises InconsistentPageError. Rows that join while it is read may be missed, for they are newer than the
    run. Where rows left, others may have moved up past a token that counts rows, so that only another reading
    can tell.
    """
    if window.api_total is None or page.total is None or window.rows_received >= window.api_total:
        return
    came = f"{window.rows_received} rows came where the API counts"
    less = f"{window.api_total}, and {page.total} at the end" if page.total < window.api_total else None
    raise InconsistentPageError(f"{came} {less or window.api_total}")
