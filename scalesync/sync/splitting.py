"""Divides windows by time of creation, so that several workers can read what one began.

Pure functions: bounds in, bounds out. Parts never overlap and never leave a gap.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil

from scalesync.models.sync import Window
from scalesync.timestamps import whole_milliseconds

TIME_RESOLUTION = timedelta(milliseconds=1)
"""The API's resolution: the smallest difference between two times of creation."""

EARLIEST_TASK = datetime(2016, 1, 1, tzinfo=UTC)
"""Assumed begin of a window without a lower bound; only used to guess where to cut."""

MIN_PART_ROWS = 1_000
"""Rows of a part, at least, if more are unread: its last page is half empty on average."""

MIN_SPLIT_ROWS = 1_000
"""Unread rows from which dividing a planned window pays, if little else is left to claim."""

MIN_RESPLIT_ROWS = 200
"""Unread rows from which dividing a part pays, and rows of each new part: all workers should end at once."""

MAX_WINDOW_ROWS = 10_000
"""Unread rows from which a window is always divided, so that memory stays flat."""

USUAL_PARTS = 64
"""Parts of one division, unless they would be too small or too large: enough for several hosts."""

MAX_PARTS = 2_000
"""Parts of one division, at most: parts that are still large are divided again."""

TAIL_PARTS = 3
"""Parts behind the time to which the unread rows should reach: they may hold all of the rows, or none."""

DENSE_SHARE = 0.6
"""Share of the rest: if the unread rows should reach back further, they are taken to fill all of it."""


def is_newest_first(created: Sequence[datetime | None]) -> bool:
    """Return whether a page has the documented order, so that its last row divides read from unread."""
    known = [instant for instant in created if instant is not None]
    return len(known) == len(created) and all(a >= b for a, b in pairwise(known))


def part_count(left: int) -> int:
    """Return the number of parts into which to divide `left` unread rows, whoever reads them."""
    least = MIN_PART_ROWS if left > MIN_PART_ROWS else MIN_RESPLIT_ROWS
    rows = min(max(least, left / USUAL_PARTS), MAX_WINDOW_ROWS / 2)
    return min(MAX_PARTS, max(2, ceil(left / rows))) + TAIL_PARTS


def divide(
    window: Window, oldest_read: datetime, newest_read: datetime, parts: int, *, ahead: float = 1.0
) -> tuple[Window, ...]:
    """Return up to `parts` windows, newest first, that together cover the unread rest of `window`.

    The rest is everything created at `oldest_read` or before: about `ahead` times as many rows as were read
    down to there. Returns an empty tuple if the rest is too short to divide.
    """
    length = oldest_read - (window.created_from or EARLIEST_TASK)
    ages = _part_ages(max(newest_read - oldest_read, TIME_RESOLUTION), length, parts, ahead)
    edges = [whole_milliseconds(oldest_read - age) for age in ages]
    cuts = _strictly_falling(edges, oldest_read, window.created_from)
    if not cuts:
        return ()
    # Both bounds of a window are inclusive: each part begins one millisecond below the part before it ends.
    uppers = [oldest_read, *(cut - TIME_RESOLUTION for cut in cuts)]
    lowers = [*cuts, window.created_from]
    return tuple(_part(window, lower, upper) for lower, upper in zip(lowers, uppers, strict=True))


def newer_than(window: Window, oldest_read: datetime) -> Window:
    """Return the part of `window` created after `oldest_read`."""
    return _part(window, oldest_read + TIME_RESOLUTION, window.created_to)


def without_failing_page(window: Window, oldest_read: datetime, page: timedelta) -> tuple[Window, ...]:
    """Return the unread rest of a window in two parts, of which the first holds most of the failing page.

    It is as long in time as `page`, the average of the pages that were read.
    """
    at = whole_milliseconds(oldest_read - max(page, TIME_RESOLUTION))
    if window.created_from is not None and at <= window.created_from:
        return (_part(window, window.created_from, oldest_read),)
    return _part(window, at, oldest_read), _part(window, window.created_from, at - TIME_RESOLUTION)


def middle(window: Window, now: datetime) -> datetime | None:
    """Return the middle of a window, which ends at `now` if it is open; None if it is too short to halve."""
    upper, lower = window.created_to or now, window.created_from or EARLIEST_TASK
    at = whole_milliseconds(lower + (upper - lower) / 2)
    return at if lower < at <= upper else None


def halve(window: Window, at: datetime) -> tuple[Window, Window]:
    """Return two windows: created at `at` or later, and created before."""
    return _part(window, at, window.created_to), _part(window, window.created_from, at - TIME_RESOLUTION)


def _part(window: Window, lower: datetime | None, upper: datetime | None) -> Window:
    return Window(window.stream, window.project, lower, upper, window.updated_from)


def _part_ages(page: timedelta, length: timedelta, parts: int, ahead: float) -> list[timedelta]:
    """Return how far back each part of the rest begins, except the last one, which takes all that is left.

    `page` is the time that the rows read cover, `length` the time of the rest.
    """
    near = max(1, min(parts - TAIL_PARTS, int(ahead)))
    # 1. At the density of the page the rows fill the rest: parts of equal length.
    if ahead >= length / page * DENSE_SHARE:
        near = max(2, near)
        return [length * number / near for number in range(1, near)]
    # 2. They should end after `reach`: equal parts down to there, then parts that grow by a fixed factor, for
    # nothing is known about how far back the account goes or how dense it is there.
    reach = page * ahead
    factor = (length / reach) ** (1 / (parts - near))
    even = [reach * number / near for number in range(1, near + 1)]
    return even + [reach * factor**number for number in range(1, parts - near)]


def _strictly_falling(edges: list[datetime], above: datetime, below: datetime | None) -> list[datetime]:
    """Return the edges that leave time on both sides, each below the one before."""
    kept: list[datetime] = []
    for edge in edges:
        if edge < (kept[-1] if kept else above) and (below is None or edge > below):
            kept.append(edge)
    return kept
