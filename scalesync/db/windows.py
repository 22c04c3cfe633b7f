"""The ledger of windows: who reads what, how far they came, and what is proven complete."""

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from scalesync.db.clock import database_time
from scalesync.db.tables import runs, window_pages, windows
from scalesync.errors import ClaimLostError
from scalesync.model import RunState, Window, WindowState

KEY_BYTES = 8
"""Length of a key's digest: two of 10 million keys share one with a chance of about 3 in a million."""

_FILTER = ("stream", "project", "created_from", "created_to", "updated_from")
_FIELDS = (
    *_FILTER, "id", "run_id", "parent_id", "next_token", "rows_received", "api_total", "attempts", "failures",
)  # fmt: skip


def key_digest(key: str) -> bytes:
    """Return the short digest under which a received key is remembered while its window is open."""
    return blake2b(key.encode(), digest_size=KEY_BYTES).digest()


def add(conn: Connection, run_id: int, planned: Iterable[Window], *, parent_id: int | None = None) -> None:
    """Put planned windows into the ledger, open and free to claim."""
    rows = [
        {name: value for name, value in asdict(window).items() if name in _FILTER}
        | {"run_id": run_id, "parent_id": parent_id, "state": WindowState.OPEN}
        for window in planned
    ]
    if rows:
        conn.execute(insert(windows), rows)


def claim(conn: Connection, owner: str, lease: float) -> Window | None:
    """Return the oldest free window of the open run, now leased to `owner` for `lease` seconds, or None.

    Free is what nobody owns, what a lease ran out on, and what is leased for longer than two leases: then the
    database's clock went back. `attempts` of the window is the fence that `hold` checks.
    """
    free = or_(
        windows.c.owner.is_(None),
        windows.c.leased_until < database_time(conn),
        windows.c.leased_until > database_time(conn, 2 * lease),
    )
    candidate = (
        select(windows.c.id)
        .join(runs, runs.c.id == windows.c.run_id)
        .where(runs.c.state == RunState.OPEN, windows.c.state == WindowState.OPEN, free)
        .order_by(windows.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=windows)
        .cte("candidate")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    row = conn.execute(
        update(windows)
        .where(windows.c.id == select(candidate.c.id).scalar_subquery(), windows.c.state == WindowState.OPEN)
        .values(owner=owner, leased_until=database_time(conn, lease), attempts=windows.c.attempts + 1)
        .returning(*(windows.c[name] for name in _FIELDS))
    ).one_or_none()
    return None if row is None else _window(row)


def extend(conn: Connection, owner: str, lease: float) -> None:
    """Make every lease of `owner` last `lease` seconds from now."""
    conn.execute(
        update(windows)
        .where(windows.c.owner == owner, windows.c.state == WindowState.OPEN)
        .values(leased_until=database_time(conn, lease))
    )


def release(conn: Connection, owners: Collection[str]) -> int:
    """Give up every lease of `owners` and return how many there were; their pages and tokens stay."""
    return conn.execute(
        update(windows)
        .where(windows.c.owner.in_(owners), windows.c.state == WindowState.OPEN)
        .values(owner=None, leased_until=None)
    ).rowcount


def owners(conn: Connection) -> list[str]:
    """Return everybody who owns an open window."""
    query = select(windows.c.owner).distinct()
    found = conn.execute(query.where(windows.c.state == WindowState.OPEN, windows.c.owner.is_not(None)))
    return [str(owner) for owner in found.scalars()]


def hold(conn: Connection, window: Window, owner: str, lease: float) -> None:
    """Lock the window for this transaction and extend its lease.

    Raises ClaimLostError if it was claimed by anybody else since, so that a process which was stalled cannot
    write over its successor.
    """
    held = _change(conn, _mine(window, owner), leased_until=database_time(conn, lease))
    if held != 1:
        msg = f"Window {window.id} was taken over by another process."
        raise ClaimLostError(msg)


def save_page(conn: Connection, window: Window, number: int, keys: Iterable[str]) -> None:
    """Remember that this page was received: its keys, the window's token and both counts."""
    digests = b"".join(key_digest(key) for key in keys)
    conn.execute(insert(window_pages).values(window_id=window.id, number=number, keys=digests))
    _change(
        conn,
        windows.c.id == window.id,
        next_token=window.next_token,
        rows_received=window.rows_received,
        api_total=window.api_total,
    )


def received(conn: Connection, window_id: int) -> tuple[int, set[bytes]]:
    """Return how many pages of an open window are here and the digests of all keys on them."""
    query = select(window_pages.c["keys"]).where(window_pages.c.window_id == window_id)
    pages = conn.execute(query).scalars().all()
    digests = {page[at : at + KEY_BYTES] for page in pages for at in range(0, len(page), KEY_BYTES)}
    return len(pages), digests


def finish(conn: Connection, window: Window, state: WindowState, error: str | None = None) -> None:
    """Leave the window in a final state; its counts stay for people to see."""
    conn.execute(delete(window_pages).where(window_pages.c.window_id == window.id))
    _change(
        conn,
        windows.c.id == window.id,
        state=state,
        error=error,
        owner=None,
        leased_until=None,
        next_token=None,
    )


def begin_again(conn: Connection, window: Window, error: str) -> None:
    """Forget what was received of the window and leave it free to be read from its first page."""
    conn.execute(delete(window_pages).where(window_pages.c.window_id == window.id))
    _change(
        conn,
        windows.c.id == window.id,
        next_token=None,
        rows_received=0,
        api_total=None,
        failures=windows.c.failures + 1,
        error=error,
        owner=None,
        leased_until=None,
    )


def count(conn: Connection, run_id: int, state: WindowState) -> int:
    """Return how many windows of a run are in `state`."""
    query = select(func.count()).where(windows.c.run_id == run_id, windows.c.state == state)
    return int(conn.execute(query).scalar_one())


def planned(conn: Connection, run_id: int) -> list[Window]:
    """Return what a run was to read: its windows as they were before any was split."""
    whole = select(*(windows.c[name] for name in _FILTER)).where(windows.c.parent_id.is_(None))
    found = conn.execute(whole.where(windows.c.run_id == run_id).order_by(windows.c.id))
    return [_window(row) for row in found]


def unclaimed(conn: Connection, run_id: int) -> int:
    """Return how many windows of a run wait for somebody to claim them."""
    query = select(func.count()).where(windows.c.run_id == run_id, windows.c.owner.is_(None))
    return int(conn.execute(query.where(windows.c.state == WindowState.OPEN)).scalar_one())


def streams(conn: Connection, run_id: int) -> list[str]:
    """Return the streams that a run reads."""
    query = select(windows.c.stream).distinct().where(windows.c.run_id == run_id)
    return [str(stream) for stream in conn.execute(query).scalars()]


def progress(conn: Connection, run_id: int) -> list[tuple[str, int, int]]:
    """Return (stream, rows received, rows expected as far as first pages told) of a run."""
    expected = func.coalesce(func.sum(windows.c.api_total).filter(windows.c.parent_id.is_(None)), 0)
    query = select(windows.c.stream, func.coalesce(func.sum(windows.c.rows_received), 0), expected)
    rows = conn.execute(query.where(windows.c.run_id == run_id).group_by(windows.c.stream))
    return [(str(stream), int(done), int(total)) for stream, done, total in rows]


def failures(conn: Connection, run_id: int) -> list[str]:
    """Return why windows of a run were given up, once each."""
    query = select(windows.c.error).distinct()
    found = query.where(windows.c.run_id == run_id, windows.c.state == WindowState.FAILED)
    return [str(error) for error in conn.execute(found).scalars()]


def dividing_instant(conn: Connection, created: ColumnElement[datetime], window: Window) -> datetime | None:
    """Return an instant above which about half of the mirrored objects of the window were created.

    At least one object here was created before it, within the window; None where no instant divides them.
    """
    inside: list[ColumnElement[bool]] = [created.is_not(None)]
    if window.created_from is not None:
        inside.append(created >= window.created_from)
    if window.created_to is not None:
        inside.append(created <= window.created_to)
    size, oldest = conn.execute(select(func.count(), func.min(created)).where(*inside)).one()
    median = select(created).where(*inside).order_by(created).offset(size // 2).limit(1)
    found = conn.execute(median).scalar_one_or_none()
    if found is not None and found == oldest:
        later = select(func.min(created)).where(*inside, created > found)
        found = conn.execute(later).scalar_one()
    return found


def _mine(window: Window, owner: str) -> ColumnElement[bool]:
    return and_(
        windows.c.id == window.id,
        windows.c.owner == owner,
        windows.c.attempts == window.attempts,
        windows.c.state == WindowState.OPEN,
    )


def _change(conn: Connection, where: ColumnElement[bool], **values: object) -> int:
    return conn.execute(update(windows).where(where).values(**values)).rowcount


def _window(row: Row[Any]) -> Window:
    return Window(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's documented name
