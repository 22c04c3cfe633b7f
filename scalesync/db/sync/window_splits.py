"""Divided windows: where they are cut, what was read before, and whether the parts add up to the whole."""

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
    """Record, as a part of its own, what was read of a window before it was divided.

    It is closed, or failed if there is an `error`. None: what was read is not known to be a part.
    """
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
    """Return the planned windows whose parts do not add up, each with the distinct rows of its closed parts.

    Parts lie side by side, so a row created within the bounds of one counts there and nowhere else. They do
    not add up if these are fewer than the API counted in the whole: lists with bounds hide some. A window
    with a part that failed is left out. Parts read by a version that did not count so are taken to have
    received nothing twice.
    """
    columns = (windows.c[name] for name in Window.__dataclass_fields__)
    planned = sa.select(*columns).where(windows.c.run_id == run_id, windows.c.parent_id.is_(None))
    divided = conn.execute(planned.where(windows.c.state == WindowState.SPLIT)).all()
    if not divided:
        return []
    root_of, rows = _roots(conn, run_id), dict.fromkeys((each.id for each in divided), 0)
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
    """Have a planned window that was divided read as a whole; return False if that is under way already.

    Its parts are removed from the ledger, so that whoever reads one has lost it; what they received stays in
    the mirror.
    """
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
    """Return the id of the planned window that this one is, or is a part of."""
    return _roots(conn, window.run_id).get(window.id, window.id)


def _roots(conn: sa.Connection, run_id: int) -> dict[int, int]:
    """Return the planned window of every window of a run, by id. Parts come after what they are part of."""
    roots: dict[int, int] = {}
    lines = sa.select(windows.c.id, windows.c.parent_id).where(windows.c.run_id == run_id)
    for part, parent in conn.execute(lines.order_by(windows.c.id)):
        roots[part] = part if parent is None else roots.get(parent, parent)
    return roots


def recount(conn: sa.Connection, window: Window, total: int) -> None:
    """Note how many rows the API counts by now in a window that was divided: some have left it."""
    conn.execute(
        sa.update(windows)
        .where(windows.c.id == window.id, windows.c.state == WindowState.SPLIT)
        .values(api_total=total)
    )


def total_of(conn: sa.Connection, window_id: int) -> int | None:
    """Return what the API counted in a window, if it did."""
    query = sa.select(windows.c.api_total).where(windows.c.id == window_id)
    found: int | None = conn.execute(query).scalar_one_or_none()
    return found


def failed_and_came(conn: sa.Connection, window: Window) -> tuple[int, int]:
    """Return how many windows of the same run, stream and project failed and how many came to their end."""
    failed, came = windows.c.error.is_not(None), windows.c.state == WindowState.CLOSED
    query = sa.select(sa.func.count().filter(failed), sa.func.count().filter(came)).where(
        windows.c.run_id == window.run_id,
        windows.c.stream == window.stream,
        windows.c.project.is_not_distinct_from(window.project),
    )
    row = conn.execute(query).one()
    return int(row[0]), int(row[1])


def has_undated(conn: sa.Connection, mapping: StreamMapping, project: str | None) -> bool:
    """Return whether an object here has no time of creation: lists with bounds may hide it."""
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
    """Return an instant above which about half of the mirrored objects of the window were created.

    At least one object here was created before it, within the window; None where no instant divides them.
    """
    inside = [created.is_not(None), *inclusive(created, window.created_from, window.created_to)]
    size, oldest = conn.execute(sa.select(sa.func.count(), sa.func.min(created)).where(*inside)).one()
    median = sa.select(created).where(*inside).order_by(created).offset(size // 2).limit(1)
    found = conn.execute(median).scalar_one_or_none()
    if found is not None and found == oldest:
        later = sa.select(sa.func.min(created)).where(*inside, created > found)
        found = conn.execute(later).scalar_one()
    return found
