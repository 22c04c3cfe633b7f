"""Instants at which a window of tasks can be split safely, so that each task is in exactly one part."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, select

from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.mirror import tasks
from scalesync.db.sync.comparison import of_project, within_time
from scalesync.models.sync import Window
from scalesync.timestamps import whole_milliseconds

MARGIN = timedelta(milliseconds=2)
"""Minimal distance of a split point from every task here."""

# Room for a margin on both sides of a split point, and for rounding it to whole milliseconds.
_ROOM = 3 * MARGIN

# Tasks around the middle that are searched for a gap before the whole window is.
_NEARBY = 500


def middle_point(conn: Connection, window: Window, before: datetime) -> datetime | None:
    """Return an instant that splits the tasks of a window about equally, at a distance from every task.

    None if the tasks follow each other too closely.
    """
    # It must not matter whether the API's bounds are inclusive: with no task near the boundary, exactly one
    # of the two halves holds each task.
    created = tasks.c.created_at
    inside = and_(*within_time(created, window, before), *of_project(TASKS, window))
    ordered = select(created).where(inside, created.is_not(None)).distinct().order_by(created)
    size = conn.execute(select(func.count()).select_from(ordered.subquery())).scalar_one()
    # First search a few tasks around the median, then all; take the gap that is nearest to the median.
    for offset, limit in ((max(0, size // 2 - _NEARBY // 2), _NEARBY), (0, size)):
        near = list(conn.scalars(ordered.offset(offset).limit(limit)))
        gaps = list(_gaps(near))
        if gaps:
            middle = near[min(len(near) - 1, size // 2 - offset)]
            return min(gaps, key=lambda gap: abs(gap - middle))
    return None


def every_point(conn: Connection, window: Window, before: datetime, size: int) -> Iterator[datetime]:
    """Yield safe split points, oldest first, with at least `size` tasks here between any two."""
    created = tasks.c.created_at
    inside = (*within_time(created, window, before), *of_project(TASKS, window), created.is_not(None))
    rest = ordered = select(created).where(*inside).order_by(created)
    # The database skips what cannot be split: reading every instant takes several times as long.
    skipped = since = max(0, size - 1)
    while len(near := conn.scalars(rest.offset(skipped).limit(_NEARBY)).all()) > 1:
        points = list(_gaps(near, size, skipped))
        yield from points
        if points:
            rest, skipped = ordered.where(created >= points[-1]), since
        else:
            skipped += len(near) - 1


def is_clear(conn: Connection, window: Window, instant: datetime) -> bool:
    """Return whether no task of the window's project was created within MARGIN of an instant."""
    created = tasks.c.created_at
    near = and_(created >= instant - MARGIN, created <= instant + MARGIN, *of_project(TASKS, window))
    return conn.execute(select(tasks.c.task_id).where(near).limit(1)).first() is None


def _gaps(instants: Iterable[datetime], size: int = 0, since: int = 0) -> Iterator[datetime]:
    """Yield the middles of gaps wide enough for a split, with at least `size` instants before each.

    `since` instants come before the first one given.
    """
    last = None
    for instant in instants:
        if last is not None and since >= size and instant - last >= _ROOM:
            yield _middle(last, instant)
            since = 0
        since, last = since + 1, instant


def _middle(before: datetime, after: datetime) -> datetime:
    """Return the middle of two instants in whole milliseconds."""
    # The API's times are that precise: of a finer bound the rest would be cut off on the way.
    return whole_milliseconds(before + (after - before) / 2)
