"""Checks of a page before its window relies on it: each raises InconsistentPageError, or returns."""

from collections.abc import Sequence
from datetime import datetime

from scalesync.errors import InconsistentPageError, OutsideWindowError
from scalesync.models.api import Page
from scalesync.models.sync import Window
from scalesync.parsing.row_parser import RowHead
from scalesync.sync.splitting import TIME_RESOLUTION
from scalesync.sync.streams import BOUND_MARGIN

ALLOWED = BOUND_MARGIN + TIME_RESOLUTION
"""How far outside its window a row may be: requests are widened, and times may be rounded."""


def is_within(window: Window, created: datetime | None) -> bool:
    """Return whether a time of creation lies within the window's own bounds, or the window has none."""
    lower, upper = window.created_from, window.created_to
    if lower is None and upper is None:
        return True
    return created is not None and (lower is None or created >= lower) and (upper is None or created <= upper)


def check_bounds(window: Window, rows: Sequence[RowHead]) -> None:
    """Raise OutsideWindowError if a row has a time of creation or a project that was not asked for.

    A row without them passes.
    """
    # Times of change are not checked: which of an object's changes the API's filter goes by is not known.
    lower = window.created_from and window.created_from - ALLOWED
    upper = window.created_to and window.created_to + ALLOWED
    for row in rows if lower or upper else ():
        at = row.created_at
        if at is not None and ((lower is not None and at < lower) or (upper is not None and at > upper)):
            raise OutsideWindowError(f"{row.key} came in a list of other times of creation than its own")
    for row in rows if window.project is not None else ():
        if row.project is not None and row.project != window.project:
            raise OutsideWindowError(f"{row.key} came in a list of another project than its own")


def check_page(page: Page, tokens: set[str], *, has_new_rows: bool) -> None:
    """Raise InconsistentPageError for a page that would end its window too early, or never."""
    reason = ""
    if page.has_more and page.next_token is None:
        reason = "the API says that there is more and gives no token for it"
    elif page.next_token is not None and not page.docs:
        reason = "the API gives a token for a further page on an empty one"
    elif page.next_token is not None and page.next_token in tokens:
        reason = "the API gives the same page token twice"
    elif page.next_token is not None and not has_new_rows:
        reason = "the API repeats a page and gives a token for a further one"
    if reason:
        raise InconsistentPageError(reason)


def check_count(window: Window, page: Page) -> None:
    """Raise InconsistentPageError if the window received fewer rows than its first page counted."""
    # Rows created meanwhile may be missed: they are newer than the run. Rows that left are no excuse: others
    # may have moved up past a token that counts rows, and only another reading shows that.
    if window.api_total is None or page.total is None or window.rows_received >= window.api_total:
        return
    received = f"{window.rows_received} rows came where the API counts"
    less = f"{window.api_total}, and {page.total} at the end" if page.total < window.api_total else None
    raise InconsistentPageError(f"{received} {less or window.api_total}")
