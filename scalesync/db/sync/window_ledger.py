"""The store of windows: claims and leases, pages received, and final states.

Several processes read one run: each claims windows for a lease, and each write checks the lease first, so
that a process that was stalled cannot overwrite the one that took its window over.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa

from scalesync.db.schema.sync import runs, window_pages, windows
from scalesync.db.server_clock import seconds_from_now, utc_now
from scalesync.errors import LeaseLostError
from scalesync.models.sync import RunState, Window, WindowState
from scalesync.parsing.row_parser import KEY_BYTES

_FILTER = ("stream", "project", "created_from", "created_to", "updated_from")
_FIELDS = (
    *_FILTER, "id", "run_id", "parent_id", "next_token", "rows_received", "rows_within", "undivided",
    "api_total", "attempts", "failures",
)  # fmt: skip

_FREE = sa.or_(
    windows.c.owner.is_(None),
    # Leases go by the database's clock, the only one that all processes share.
    windows.c.leased_until < utc_now(),
    # Longer than any lease: that clock went back, and the lease would last for hours.
    windows.c.leased_until > seconds_from_now("too_far"),
)
# SKIP LOCKED: processes that claim at the same time take different windows and do not wait for each other.
# MATERIALIZED: otherwise Postgres may run the query again for each row and lock more than `number` windows.
_CANDIDATES = (
    sa.select(windows.c.id)
    .join(runs, runs.c.id == windows.c.run_id)
    .where(runs.c.state == RunState.OPEN, windows.c.state == WindowState.OPEN, _FREE)
    .order_by(windows.c.id)
    .limit(sa.bindparam("number"))
    .with_for_update(skip_locked=True, of=windows)
    .cte("candidates")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_CLAIM = (
    sa.update(windows)
    .where(windows.c.id.in_(sa.select(_CANDIDATES.c.id)), windows.c.state == WindowState.OPEN)
    .values(
        owner=sa.bindparam("claimer"),
        leased_until=seconds_from_now("lease"),
        # The fence: an owner that claims its own window again must not be taken for its earlier claim.
        attempts=windows.c.attempts + 1,
    )
    .returning(*(windows.c[name] for name in _FIELDS))
)
_EXTEND_HELD = (
    sa.update(windows)
    .where(
        windows.c.id == sa.bindparam("held"),
        windows.c.owner == sa.bindparam("holder"),
        windows.c.attempts == sa.bindparam("fence"),
        windows.c.state == WindowState.OPEN,
    )
    .values(leased_until=seconds_from_now("lease"))
)
_SAVE_PROGRESS = _EXTEND_HELD.values(
    next_token=sa.bindparam("token"),
    rows_received=sa.bindparam("received"),
    rows_within=sa.bindparam("within"),
    api_total=sa.bindparam("counted"),
)
_SAVE_PAGE = sa.insert(window_pages)
_DELETE_PAGES = sa.delete(window_pages).where(window_pages.c.window_id == sa.bindparam("which"))
_FINISH = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("which"))
    .values(
        state=sa.bindparam("now"), error=sa.bindparam("why"), owner=None, leased_until=None, next_token=None
    )
)
_COUNT_OPEN = sa.select(sa.func.count(), sa.func.count().filter(_FREE)).where(
    windows.c.run_id == sa.bindparam("run"), windows.c.state == WindowState.OPEN
)
_PROGRESS = (
    sa.select(
        windows.c.stream,
        # The rows that a split window received are counted by the part that holds them.
        sa.func.coalesce(
            sa.func.sum(windows.c.rows_received).filter(windows.c.state != WindowState.SPLIT), 0
        ),
        sa.func.coalesce(sa.func.sum(windows.c.api_total).filter(windows.c.parent_id.is_(None)), 0),
    )
    .where(windows.c.run_id == sa.bindparam("run"))
    .group_by(windows.c.stream)
)


def add(conn: sa.Connection, run_id: int, planned: Iterable[Window], *, parent_id: int | None = None) -> None:
    """Insert planned windows, open and free to claim."""
    rows = [
        {name: getattr(window, name) for name in (*_FILTER, "failures")}
        | {"run_id": run_id, "parent_id": parent_id, "state": WindowState.OPEN}
        for window in planned
    ]
    if rows:
        conn.execute(sa.insert(windows), rows)


def claim_several(conn: sa.Connection, owner: str, lease: float, number: int) -> list[Window]:
    """Claim up to `number` of the oldest free windows of the open run for `lease` seconds; return them.

    Free are windows without an owner, with an expired lease, or with one longer than two leases, which means
    that the database's clock went back.
    """
    given = {"claimer": owner, "lease": lease, "too_far": 2 * lease, "number": number}
    return sorted(map(_window, conn.execute(_CLAIM, given)), key=attrgetter("id"))


def extend(conn: sa.Connection, owner: str, lease: float) -> None:
    """Extend every lease of `owner` to `lease` seconds from now."""
    conn.execute(
        sa.update(windows)
        .where(windows.c.owner == owner, windows.c.state == WindowState.OPEN)
        .values(leased_until=seconds_from_now(lease))
    )


def release(conn: sa.Connection, owners: Collection[str]) -> int:
    """Give up every lease of `owners` and return their number; pages and tokens stay."""
    return conn.execute(
        sa.update(windows)
        .where(windows.c.owner.in_(owners), windows.c.state == WindowState.OPEN)
        .values(owner=None, leased_until=None)
    ).rowcount


def owners(conn: sa.Connection) -> list[str]:
    """Return the distinct owners of open windows."""
    query = sa.select(windows.c.owner).distinct()
    found = conn.execute(query.where(windows.c.state == WindowState.OPEN, windows.c.owner.is_not(None)))
    return [str(owner) for owner in found.scalars()]


def require_lease(conn: sa.Connection, held: Collection[Window], owner: str, lease: float) -> None:
    """Lock these windows for the transaction and extend their leases.

    Raises LeaseLostError if another process claimed any of them since. Call it before writing for them.
    """
    _update_held(conn, _EXTEND_HELD, [_fence(window, owner, lease) for window in held])


def save_pages(
    conn: sa.Connection, came: Sequence[tuple[Window, int, bytes]], owner: str, lease: float
) -> None:
    """Record received pages (window, page number, digests of keys) and the progress of their windows.

    Requires the leases as `require_lease` does. Must be in one transaction with the rows of the pages. Each
    window's progress is that of its last page.
    """
    progress = [
        _fence(it, owner, lease)
        | {
            "token": it.next_token,
            "received": it.rows_received,
            "within": it.rows_within,
            "counted": it.api_total,
        }
        for it in {window.id: window for window, _, _ in came}.values()
    ]
    _update_held(conn, _SAVE_PROGRESS, progress)
    # The keys are kept because a list may repeat rows from page to page: after a crash, the next owner must
    # still count distinct rows. Eight bytes each, in one blob per page.
    pages = [{"window_id": window.id, "number": number, "keys": keys} for window, number, keys in came]
    conn.execute(_SAVE_PAGE, pages)


def _fence(window: Window, owner: str, lease: float) -> dict[str, object]:
    return {"held": window.id, "holder": owner, "fence": window.attempts, "lease": lease}


def _update_held(conn: sa.Connection, update: sa.Update, mine: Sequence[dict[str, Any]]) -> None:
    # Updates in the order of ids, so that two writers with several windows each cannot deadlock. The lease
    # may have expired: as long as nobody else claimed the window, it is still ours.
    if conn.execute(update, sorted(mine, key=itemgetter("held"))).rowcount != len(mine):
        names = ", ".join(str(each["held"]) for each in mine)
        raise LeaseLostError(f"Window {names} was taken over by another process.")


def keys_received(conn: sa.Connection, window_id: int) -> tuple[int, set[bytes]]:
    """Return the number of pages received of an open window, and the digests of all keys on them."""
    query = sa.select(window_pages.c["keys"]).where(window_pages.c.window_id == window_id)
    pages = conn.execute(query).scalars().all()
    digests = {page[at : at + KEY_BYTES] for page in pages for at in range(0, len(page), KEY_BYTES)}
    return len(pages), digests


def finish(conn: sa.Connection, window: Window, state: WindowState, error: str | None = None) -> None:
    """Set the final state of a window and delete its pages; its counts stay for people to see."""
    conn.execute(_DELETE_PAGES, {"which": window.id})
    conn.execute(_FINISH, {"which": window.id, "now": state, "why": error})


def restart(conn: sa.Connection, window: Window, error: str) -> None:
    """Delete the progress of a window and free it, so that it is read from its first page again."""
    conn.execute(_DELETE_PAGES, {"which": window.id})
    conn.execute(
        sa.update(windows)
        .where(windows.c.id == window.id)
        .values(
            next_token=None,
            rows_received=0,
            rows_within=0,
            api_total=None,
            failures=windows.c.failures + 1,
            error=error,
            owner=None,
            leased_until=None,
        )
    )


def began(conn: sa.Connection, run_id: int) -> datetime:
    """Return when a run was planned (API clock)."""
    at: datetime = conn.execute(sa.select(runs.c.started_at).where(runs.c.id == run_id)).scalar_one()
    return at


def count(conn: sa.Connection, run_id: int, state: WindowState) -> int:
    """Return the number of windows of a run in `state`."""
    query = sa.select(sa.func.count()).where(windows.c.run_id == run_id, windows.c.state == state)
    return int(conn.execute(query).scalar_one())


def planned(conn: sa.Connection, run_id: int) -> list[Window]:
    """Return the windows of a run as planned, without their progress and without parts of split windows."""
    whole = sa.select(*(windows.c[name] for name in _FILTER)).where(windows.c.parent_id.is_(None))
    found = conn.execute(whole.where(windows.c.run_id == run_id).order_by(windows.c.id))
    return [_window(row) for row in found]


def count_open(conn: sa.Connection, run_id: int, lease: float) -> tuple[int, int]:
    """Return the number of open windows of a run, and of those that can be claimed for `lease` seconds."""
    row = conn.execute(_COUNT_OPEN, {"run": run_id, "too_far": 2 * lease}).one()
    return int(row[0]), int(row[1])


def streams(conn: sa.Connection, run_id: int) -> list[str]:
    """Return the names of the streams that a run reads."""
    query = sa.select(windows.c.stream).distinct().where(windows.c.run_id == run_id)
    return [str(stream) for stream in conn.execute(query).scalars()]


def progress(conn: sa.Connection, run_id: int) -> list[tuple[str, int, int]]:
    """Return (stream, rows received, rows expected) of a run; windows not begun count as 0 expected."""
    rows = conn.execute(_PROGRESS, {"run": run_id})
    return [(str(stream), int(done), int(total)) for stream, done, total in rows]


def failures(conn: sa.Connection, run_id: int) -> list[str]:
    """Return the distinct errors of a run's failed windows."""
    query = sa.select(windows.c.error).distinct()
    found = query.where(windows.c.run_id == run_id, windows.c.state == WindowState.FAILED)
    return [str(error) for error in conn.execute(found).scalars()]


def _window(row: sa.Row[Any]) -> Window:
    given = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Window(**given | {"rows_within": given.get("rows_within") or 0})
