"""The ledger of windows: who reads what, how far they came, and what is proven complete."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from scalesync.db.schema.sync import runs, window_pages, windows
from scalesync.db.server_clock import seconds_from_now, utc_now
from scalesync.errors import LeaseLostError
from scalesync.models.sync import RunState, Window, WindowState

KEY_BYTES = 8
"""Length of a key's digest: two of 10 million keys share one with a chance of about 3 in a million."""

_FILTER = ("stream", "project", "created_from", "created_to", "updated_from")
_FIELDS = (
    *_FILTER, "id", "run_id", "parent_id", "next_token", "rows_received", "rows_within", "undivided",
    "api_total", "attempts", "failures",
)  # fmt: skip

_FREE = sa.or_(
    windows.c.owner.is_(None),
    windows.c.leased_until < utc_now(),
    windows.c.leased_until > seconds_from_now("too_far"),
)
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
_SAVE_PAGE = sa.insert(window_pages)
_SAVE_PROGRESS = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("which"))
    .values(
        next_token=sa.bindparam("token"),
        rows_received=sa.bindparam("received"),
        rows_within=sa.bindparam("within"),
        api_total=sa.bindparam("counted"),
    )
)
_DELETE_PAGES = sa.delete(window_pages).where(window_pages.c.window_id == sa.bindparam("which"))
_FINISH = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("which"))
    .values(
        state=sa.bindparam("now"), error=sa.bindparam("why"), owner=None, leased_until=None, next_token=None
    )
)
_COUNT_UNCLAIMED = sa.select(sa.func.count()).where(
    windows.c.run_id == sa.bindparam("run"), windows.c.owner.is_(None), windows.c.state == WindowState.OPEN
)
_PROGRESS = (
    sa.select(
        windows.c.stream,
        # What a divided window received is counted again by the part that holds it.
        sa.func.coalesce(
            sa.func.sum(windows.c.rows_received).filter(windows.c.state != WindowState.SPLIT), 0
        ),
        sa.func.coalesce(sa.func.sum(windows.c.api_total).filter(windows.c.parent_id.is_(None)), 0),
    )
    .where(windows.c.run_id == sa.bindparam("run"))
    .group_by(windows.c.stream)
)


def key_digest(key: str) -> bytes:
    """Return the short digest under which a received key is remembered while its window is open."""
    return blake2b(key.encode(), digest_size=KEY_BYTES).digest()


def add(conn: sa.Connection, run_id: int, planned: Iterable[Window], *, parent_id: int | None = None) -> None:
    """Put planned windows into the ledger, open and free to claim."""
    rows = [
        {name: getattr(window, name) for name in (*_FILTER, "failures")}
        | {"run_id": run_id, "parent_id": parent_id, "state": WindowState.OPEN}
        for window in planned
    ]
    if rows:
        conn.execute(sa.insert(windows), rows)


def claim(conn: sa.Connection, owner: str, lease: float) -> Window | None:
    """Return the oldest free window of the open run, now ours as by `claim_several`, or None."""
    return next(iter(claim_several(conn, owner, lease, 1)), None)


def claim_several(conn: sa.Connection, owner: str, lease: float, number: int) -> list[Window]:
    """Return the oldest free windows of the open run, at most so many, now leased for `lease` seconds.

    Free is what nobody owns, what a lease ran out on, and what is leased for longer than two leases: then the
    database's clock went back. `attempts` of a window is the fence that `require_lease` checks.
    """
    given = {"claimer": owner, "lease": lease, "too_far": 2 * lease, "number": number}
    return sorted(map(_window, conn.execute(_CLAIM, given)), key=attrgetter("id"))


def extend(conn: sa.Connection, owner: str, lease: float) -> None:
    """Make every lease of `owner` last `lease` seconds from now."""
    conn.execute(
        sa.update(windows)
        .where(windows.c.owner == owner, windows.c.state == WindowState.OPEN)
        .values(leased_until=seconds_from_now(lease))
    )


def release(conn: sa.Connection, owners: Collection[str]) -> int:
    """Give up every lease of `owners` and return how many there were; their pages and tokens stay."""
    return conn.execute(
        sa.update(windows)
        .where(windows.c.owner.in_(owners), windows.c.state == WindowState.OPEN)
        .values(owner=None, leased_until=None)
    ).rowcount


def owners(conn: sa.Connection) -> list[str]:
    """Return everybody who owns an open window."""
    query = sa.select(windows.c.owner).distinct()
    found = conn.execute(query.where(windows.c.state == WindowState.OPEN, windows.c.owner.is_not(None)))
    return [str(owner) for owner in found.scalars()]


def require_lease(conn: sa.Connection, held: Collection[Window], owner: str, lease: float) -> None:
    """Lock the windows for this transaction, in the order of their ids, and extend their leases.

    Raises LeaseLostError if any was claimed by somebody else since, so that a process which was stalled
    cannot write over its successor.
    """
    mine = [
        {"held": window.id, "holder": owner, "fence": window.attempts, "lease": lease}
        for window in sorted(held, key=attrgetter("id"))
    ]
    if conn.execute(_EXTEND_HELD, mine).rowcount != len(mine):
        names = ", ".join(str(each["held"]) for each in mine)
        raise LeaseLostError(f"Window {names} was taken over by another process.")


def save_pages(conn: sa.Connection, came: Sequence[tuple[Window, int, Iterable[str]]]) -> None:
    """Remember that these pages were received, each the `number`-th of its window, and their keys.

    Of each window the token and both counts are as they stand in its last page here.
    """
    pages = [
        {"window_id": window.id, "number": number, "keys": b"".join(map(key_digest, keys))}
        for window, number, keys in came
    ]
    progress = [
        {
            "which": it.id,
            "token": it.next_token,
            "received": it.rows_received,
            "within": it.rows_within,
            "counted": it.api_total,
        }
        for it in {window.id: window for window, _, _ in came}.values()
    ]
    conn.execute(_SAVE_PAGE, pages)
    conn.execute(_SAVE_PROGRESS, progress)


def keys_received(conn: sa.Connection, window_id: int) -> tuple[int, set[bytes]]:
    """Return how many pages of an open window are here and the digests of all keys on them."""
    query = sa.select(window_pages.c["keys"]).where(window_pages.c.window_id == window_id)
    pages = conn.execute(query).scalars().all()
    digests = {page[at : at + KEY_BYTES] for page in pages for at in range(0, len(page), KEY_BYTES)}
    return len(pages), digests


def finish(conn: sa.Connection, window: Window, state: WindowState, error: str | None = None) -> None:
    """Leave the window in a final state; its counts stay for people to see."""
    conn.execute(_DELETE_PAGES, {"which": window.id})
    conn.execute(_FINISH, {"which": window.id, "now": state, "why": error})


def restart(conn: sa.Connection, window: Window, error: str) -> None:
    """Forget what was received of the window and leave it free to be read from its first page."""
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
    """Return when a run was planned, by the API's clock."""
    at: datetime = conn.execute(sa.select(runs.c.started_at).where(runs.c.id == run_id)).scalar_one()
    return at


def count(conn: sa.Connection, run_id: int, state: WindowState) -> int:
    """Return how many windows of a run are in `state`."""
    query = sa.select(sa.func.count()).where(windows.c.run_id == run_id, windows.c.state == state)
    return int(conn.execute(query).scalar_one())


def planned(conn: sa.Connection, run_id: int) -> list[Window]:
    """Return what a run was to read: its windows as they were before any was split."""
    whole = sa.select(*(windows.c[name] for name in _FILTER)).where(windows.c.parent_id.is_(None))
    found = conn.execute(whole.where(windows.c.run_id == run_id).order_by(windows.c.id))
    return [_window(row) for row in found]


def unclaimed(conn: sa.Connection, run_id: int) -> int:
    """Return how many windows of a run wait for somebody to claim them."""
    return int(conn.execute(_COUNT_UNCLAIMED, {"run": run_id}).scalar_one())


def streams(conn: sa.Connection, run_id: int) -> list[str]:
    """Return the streams that a run reads."""
    query = sa.select(windows.c.stream).distinct().where(windows.c.run_id == run_id)
    return [str(stream) for stream in conn.execute(query).scalars()]


def progress(conn: sa.Connection, run_id: int) -> list[tuple[str, int, int]]:
    """Return (stream, rows received, rows expected as far as first pages told) of a run."""
    rows = conn.execute(_PROGRESS, {"run": run_id})
    return [(str(stream), int(done), int(total)) for stream, done, total in rows]


def failures(conn: sa.Connection, run_id: int) -> list[str]:
    """Return why windows of a run were given up, once each."""
    query = sa.select(windows.c.error).distinct()
    found = query.where(windows.c.run_id == run_id, windows.c.state == WindowState.FAILED)
    return [str(error) for error in conn.execute(found).scalars()]


def _window(row: sa.Row[Any]) -> Window:
    given = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Window(**given | {"rows_within": given.get("rows_within") or 0})
