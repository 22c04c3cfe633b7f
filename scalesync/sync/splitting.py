"""Dividing windows in time, so that several workers can read what one began."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil

from scalesync.models.sync import Window
from scalesync.timestamps import whole_milliseconds

TIME_RESOLUTION = timedelta(milliseconds=1)
"""The API's resolution: the smallest difference between two times of creation."""

EARLIEST_TASK = datetime(2016, 1, 1, tzinfo=UTC)
"""Before the first task in any account: where guessing begins without a lower bound. Not a bound itself."""

MIN_PART_ROWS = 500
"""Rows that make a part worth its own first request."""

MIN_SPLIT_ROWS = 1_000
"""Rows left to read from which dividing pays, while somebody has nothing to do or less to do."""

MIN_RESPLIT_ROWS = 300
"""The same of a part: what is large enough to be divided should not wait for its slowest part."""

MAX_WINDOW_ROWS = 10_000
"""Rows left to read from which a window is always divided, so that memory stays flat."""

MAX_PART_ROWS = 2_000
"""Parts that a window is divided into at most: what is left of larger ones is divided again."""

TAIL_PARTS = 3
"""Parts for what lies further back than the rows should reach, and may hold them all or none."""

DENSE_SHARE = 0.6
"""Of the length of the rest: rows that should reach further back than this are taken to fill it."""


def is_newest_first(created: Sequence[datetime | None]) -> bool:
    """Return whether a page came in the documented order, so that its end divides read from unread."""
    known = [instant for instant in created if instant is not None]
    return len(known) == len(created) and all(a >= b for a, b in pairwise(known))


def part_count(left: int, workers: int) -> int:
    """Return into how many parts so many rows are best divided for so many workers."""
    rows = min(max(MIN_PART_ROWS, left / workers), MAX_WINDOW_ROWS / 2)
    return min(MAX_PART_ROWS, max(2, ceil(left / rows))) + TAIL_PARTS


def divide(
    window: Window, oldest_read: datetime, newest_read: datetime, parts: int, *, ahead: float = 1.0
) -> tuple[Window, ...]:
    """Return up to `parts` windows, newest first, that together cover the unread rest of `window`.

    The rest is everything in it created at `oldest_read` or before: `ahead` times as many rows as were read
    down to there. As far back as these reach where they lie as densely, the parts are equally long; behind
    that each is a fixed factor longer than the one after it. An empty tuple: the rest is too short to divide.
    """
    length = oldest_read - (window.created_from or EARLIEST_TASK)
    ages = _part_ages(max(newest_read - oldest_read, TIME_RESOLUTION), length, parts, ahead)
    edges = [whole_milliseconds(oldest_read - age) for age in ages]
    cuts = _strictly_falling(edges, oldest_read, window.created_from)
    if not cuts:
        return ()
    uppers = [oldest_read, *(cut - TIME_RESOLUTION for cut in cuts)]
    lowers = [*cuts, window.created_from]
    return tuple(_part(window, lower, upper) for lower, upper in zip(lowers, uppers, strict=True))


def newer_than(window: Window, oldest_read: datetime) -> Window:
    """Return the part of `window` that was read, newest first, down to `oldest_read` and without it."""
    return _part(window, oldest_read + TIME_RESOLUTION, window.created_to)


def without_failing_page(window: Window, oldest_read: datetime, page: timedelta) -> tuple[Window, ...]:
    """Return the parts of what is unread of `window`, whose next page cannot be had.

    The first is as long as a `page` that came, and so holds most of the one that did not.
    """
    at = whole_milliseconds(oldest_read - max(page, TIME_RESOLUTION))
    if window.created_from is not None and at <= window.created_from:
        return (_part(window, window.created_from, oldest_read),)
    return _part(window, at, oldest_read), _part(window, window.created_from, at - TIME_RESOLUTION)


def middle(window: Window, now: datetime) -> datetime | None:
    """Return the instant in the middle of a window; None if it is too short to be halved.

    An open end is taken to be `now`.
    """
    upper, lower = window.created_to or now, window.created_from or EARLIEST_TASK
    at = whole_milliseconds(lower + (upper - lower) / 2)
    return at if lower < at <= upper else None


def halve(window: Window, at: datetime) -> tuple[Window, Window]:
    """Return the part of `window` created at `at` or later, and the part created before."""
    return _part(window, at, window.created_to), _part(window, window.created_from, at - TIME_RESOLUTION)


def _part(window: Window, lower: datetime | None, upper: datetime | None) -> Window:
    return Window(window.stream, window.project, lower, upper, window.updated_from)


def _part_ages(page: timedelta, length: timedelta, parts: int, ahead: float) -> list[timedelta]:
    """Return how far the parts of a rest of this `length` reach back, the last left out.

    No part of the first kind is meant to be shorter than the `page` that was read.
    """
    near = max(1, min(parts - TAIL_PARTS, int(ahead)))
    if ahead >= length / page * DENSE_SHARE:
        near = max(2, near)
        return [length * number / near for number in range(1, near)]
    reach = page * ahead
    factor = (length / reach) ** (1 / (parts - near))
    evenly = [reach * number / near for number in range(1, near + 1)]
    return evenly + [reach * factor**number for number in range(1, parts - near)]


def _strictly_falling(edges: list[datetime], above: datetime, below: datetime | None) -> list[datetime]:
    """Return the edges that leave something on both sides."""
    kept: list[datetime] = []
    for edge in edges:
        if edge < (kept[-1] if kept else above) and (below is None or edge > below):
            kept.append(edge)
    return kept
