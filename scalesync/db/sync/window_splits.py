"""Split windows: where to split, the part that was read before, and whether the parts add up to the whole."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from scalesync.db.filters import inclusive
from scalesync.db.mirror.documents import StreamMapping
from scalesync.db.schema.sync import window_pages, windows
from scalesync.models.sync import Window, WindowState


def add_read_part(
    conn: sa.Connection, parent: Window, part: Window | None, divided_at: datetime, error: str | None
) -> None:
    """Record the rows read of a window before its split as a part: closed, or failed if there is an `error`.

    Does nothing for None: then the rows read do not form a time range.
    """
    # Without this part the sum of the parts would be short by what was read already.
    if part is None:
        return
    divided = sa.update(windows).where(windows.c.id == parent.id).values(divided_at=divided_at)
    conn.execute(divided)
    conn.execute(
        sa.insert(windows).values(
            run_id=parent.run_id,
            parent_id=parent.id,
            stream=part.stream,
            project=part.project,
            created_from=part.created_from,
            created_to=part.created_to,
            updated_from=part.updated_from,
            state=WindowState.FAILED if error else WindowState.CLOSED,
            error=error,
            attempts=parent.attempts,
            rows_received=part.rows_received,
            rows_within=part.rows_within,
            api_total=part.rows_received,
        )
    )


def short(conn: sa.Connection, run_id: int) -> list[tuple[Window, int]]:
    """Return the planned windows whose parts hold fewer rows than the API counted, with the rows they hold.

    Windows with a failed part are left out.
    """
    # Lists with time bounds may hide tasks, so the sum of the parts must be checked. Parts lie side by side:
    # a row counts only in the part within whose bounds it was created.
    columns = (windows.c[name] for name in Window.__dataclass_fields__)
    planned = sa.select(*columns).where(windows.c.run_id == run_id, windows.c.parent_id.is_(None))
    divided = conn.execute(planned.where(windows.c.state == WindowState.SPLIT)).all()
    if not divided:
        return []
    root_of, rows = _roots(conn, run_id), dict.fromkeys((each.id for each in divided), 0)
    # Older versions did not record rows_within: their parts count as without repetitions.
    within = sa.func.coalesce(windows.c.rows_within, windows.c.rows_received)
    parts = sa.select(windows.c.id, windows.c.state, within).where(windows.c.run_id == run_id)
    for part, state, received in conn.execute(parts):
        root = root_of.get(part, part)
        if state == WindowState.FAILED:
            rows.pop(root, None)
        elif state == WindowState.CLOSED and root in rows:
            rows[root] += received
    found = [Window(**each._mapping) for each in divided if each.id in rows]  # noqa: SLF001 - documented name
    return [(window, rows[window.id]) for window in found if rows[window.id] < (window.api_total or 0)]


def read_undivided(conn: sa.Connection, run_id: int, root: int, error: str) -> bool:
    """Reopen a split window to be read as a whole, and delete its parts; return False if done already.

    Processes that are reading a part lose it at their next write; rows already mirrored stay.
    """
    # The state in the condition decides between two processes that find the parts short at the same time.
    again = (
        sa.update(windows)
        .where(windows.c.id == root, windows.c.state == WindowState.SPLIT)
        .values(
            state=WindowState.OPEN,
            undivided=sa.true(),
            next_token=None,
            rows_received=0,
            rows_within=0,
            api_total=None,
            error=error,
            owner=None,
            leased_until=None,
        )
    )
    if not conn.execute(again).rowcount:
        return False
    parts = [part for part, whole in _roots(conn, run_id).items() if whole == root and part != root]
    _remove(conn, sorted(parts))
    return True


def _remove(conn: sa.Connection, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        conn.execute(sa.delete(window_pages).where(window_pages.c.window_id.in_(some)))
        conn.execute(sa.delete(windows).where(windows.c.id.in_(some)))


def root_of(conn: sa.Connection, window: Window) -> int:
    """Return the id of the planned window that this window belongs to, or its own id."""
    return _roots(conn, window.run_id).get(window.id, window.id)


def _roots(conn: sa.Connection, run_id: int) -> dict[int, int]:
    """Return the id of the planned window of every window of a run, by id."""
    roots: dict[int, int] = {}
    # Parts have larger ids than the windows they come from: in this order one pass resolves all levels.
    lines = sa.select(windows.c.id, windows.c.parent_id).where(windows.c.run_id == run_id)
    for part, parent in conn.execute(lines.order_by(windows.c.id)):
        roots[part] = part if parent is None else roots.get(parent, parent)
    return roots


def recount(conn: sa.Connection, window: Window, total: int) -> None:
    """Store the API's present total of a split window, after rows have left it."""
    conn.execute(
        sa.update(windows)
        .where(windows.c.id == window.id, windows.c.state == WindowState.SPLIT)
        .values(api_total=total)
    )


def total_of(conn: sa.Connection, window_id: int) -> int | None:
    """Return the API's total of a window, or None if it is unknown."""
    query = sa.select(windows.c.api_total).where(windows.c.id == window_id)
    found: int | None = conn.execute(query).scalar_one_or_none()
    return found


def failed_and_came(conn: sa.Connection, window: Window) -> tuple[int, int]:
    """Return the numbers of windows with errors and of closed ones in the same run, stream and project."""
    failed, came = windows.c.error.is_not(None), windows.c.state == WindowState.CLOSED
    query = sa.select(sa.func.count().filter(failed), sa.func.count().filter(came)).where(
        windows.c.run_id == window.run_id,
        windows.c.stream == window.stream,
        windows.c.project.is_not_distinct_from(window.project),
    )
    row = conn.execute(query).one()
    return int(row[0]), int(row[1])


def has_undated(conn: sa.Connection, mapping: StreamMapping, project: str | None) -> bool:
    """Return whether an object of the project here has no `created_at`, so that time bounds may hide it."""
    columns = mapping.table.c
    undated = sa.select(columns[mapping.key]).where(
        columns.created_at.is_(None), columns.missing_since.is_(None)
    )
    if project is not None:
        undated = undated.where(sa.or_(columns.project == project, columns.project.is_(None)))
    return conn.execute(undated.limit(1)).first() is not None


def dividing_instant(
    conn: sa.Connection, created: sa.ColumnElement[datetime], window: Window
) -> datetime | None:
    """Return an instant that splits the mirrored objects of the window in two halves, or None.

    At least one object here was created before it within the window.
    """
    # The median; if it equals the oldest time, the lower half would be empty: take the next later time.
    inside = [created.is_not(None), *inclusive(created, window.created_from, window.created_to)]
    size, oldest = conn.execute(sa.select(sa.func.count(), sa.func.min(created)).where(*inside)).one()
    median = sa.select(created).where(*inside).order_by(created).offset(size // 2).limit(1)
    found = conn.execute(median).scalar_one_or_none()
    if found is not None and found == oldest:
        later = sa.select(sa.func.min(created)).where(*inside, created > found)
        found = conn.execute(later).scalar_one()
    return found
