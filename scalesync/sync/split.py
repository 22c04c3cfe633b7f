"""Dividing windows in time, so that several workers can read what one began."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from scalesync.model import Window, whole_milliseconds

INSTANT = timedelta(milliseconds=1)
"""The API's resolution: the smallest difference between two times of creation."""

FOUNDED = datetime(2016, 1, 1, tzinfo=UTC)
"""Before the first task in any account: where guessing begins without a lower bound. Not a bound itself."""

PART = 500
"""Rows that make a part worth its own first request."""

WORTHWHILE = 1_000
"""Rows left to read from which dividing pays while somebody has nothing to do."""

LARGE = 10_000
"""Rows left to read from which a window is always divided, so that memory stays flat."""


def is_newest_first(created: Sequence[datetime | None]) -> bool:
    """Return whether a page came in the documented order, so that its end divides read from unread."""
    known = [instant for instant in created if instant is not None]
    return len(known) == len(created) and all(a >= b for a, b in pairwise(known))


def divide(window: Window, oldest_read: datetime, newest_read: datetime, parts: int) -> tuple[Window, ...]:
    """Return up to `parts` windows, newest first, that together cover the unread rest of `window`.

    The rest is everything in it created at `oldest_read` or before. Between known bounds the parts are
    equally long; without a lower bound each is a fixed factor longer than the one after it, since the
    beginning of the account is not known. An empty tuple: the rest is too short to divide.
    """
    if window.created_from is None:
        ages = _growing(newest_read - oldest_read, newest_read - FOUNDED, parts)
        edges = [newest_read - age for age in ages]
    else:
        length = oldest_read - window.created_from
        edges = [oldest_read - length * number / parts for number in range(1, parts)]
    cuts = _strictly_falling([whole_milliseconds(edge) for edge in edges], oldest_read, window.created_from)
    if not cuts:
        return ()
    uppers = [oldest_read, *(cut - INSTANT for cut in cuts)]
    lowers = [*cuts, window.created_from]
    return tuple(_part(window, lower, upper) for lower, upper in zip(lowers, uppers, strict=True))


def halve(window: Window, at: datetime) -> tuple[Window, Window]:
    """Return the part of `window` created at `at` or later, and the part created before."""
    return _part(window, at, window.created_to), _part(window, window.created_from, at - INSTANT)


def _part(window: Window, lower: datetime | None, upper: datetime | None) -> Window:
    return Window(window.stream, window.project, lower, upper, window.updated_from)


def _growing(first: timedelta, last: timedelta, parts: int) -> list[timedelta]:
    """Return `parts` - 1 ages between the two, each the same factor larger than the one before."""
    first = max(first, INSTANT)
    factor = max(last / first, 1.0) ** (1 / parts)
    return [first * factor**number for number in range(1, parts)]


def _strictly_falling(edges: list[datetime], above: datetime, below: datetime | None) -> list[datetime]:
    """Return the edges that leave something on both sides."""
    kept: list[datetime] = []
    for edge in edges:
        if edge < (kept[-1] if kept else above) and (below is None or edge > below):
            kept.append(edge)
    return kept
