"""What `scalesync check` and `scalesync status` have to tell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from scalesync.clock import Clock
from scalesync.errors import LOOK_CLOSER, IncompleteError, ScalesyncError
from scalesync.models.selection import ObjectCounts
from scalesync.models.sync import Run, VerificationRecord
from scalesync.sqlite_files import readable_by_others

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from scalesync.api.client import ScaleApi
    from scalesync.db.caller_transaction import Connection
    from scalesync.db.database import Database
    from scalesync.db.mirror import account
    from scalesync.models.commands import PauseState, QueueStats

SKEW_TOLERATED = 60.0
"""Seconds that our clock may differ from the API's without a word. It decides nothing about what is read."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that `check` looked at."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    exit_code: int = 0


def run_check(name: str, look: Callable[[], str]) -> CheckResult:
    """Return what a look found: what it says of what is well, or the error that it raised."""
    try:
        return CheckResult(name, ok=True, detail=look())
    except ScalesyncError as error:
        advice = (
            "Look after the disk, or into the server's log." if error.advice == LOOK_CLOSER else error.advice
        )
        return CheckResult(name, ok=False, detail=str(error), advice=advice, exit_code=error.exit_code)


CLOCKS_DIFFER = timedelta(minutes=5)
"""By how much the API's clock and ours may differ before a person should hear of it."""


def describe_database(database: "Database") -> str:
    """Return what is worth knowing of a database that has our schema. Raises DatabaseError without."""
    from scalesync.db import migrate

    notes = [f"{database.url_shown}, schema {migrate.head_revision()}", database.examine()]
    migrate.check_schema(database)
    if database.is_sqlite and readable_by_others(Path(database.url_shown)):
        notes.append("others may read it or write to it: chmod 600 it")
    return "; ".join(filter(None, notes))


def compare_clocks(lend: "Callable[[], AbstractContextManager[ScaleApi]]", api_url: str, clock: Clock) -> str:
    """Return how our clock and the API's differ. Raises IncompleteError where one of them is wrong."""
    with lend() as api:
        served_at = api.projects().served_at
    skew = (clock.now() - served_at).total_seconds()
    if abs(skew) > SKEW_TOLERATED:
        msg = f"This machine's clock differs from the API's by {skew:+.0f} s."
        raise IncompleteError(msg, advice="Nothing read depends on it, but set the clock right.")
    return f"{api_url} answers; its clock and ours differ by {skew:+.0f} s"


def describe_owner(conn: "Connection", mine: "account.Account") -> str:
    """Return whose mirror it is. Raises DatabaseError where it is not that of `mine`."""
    from scalesync.db.mirror import account

    held = account.read_account(conn)
    if held is None:
        return "the mirror belongs to no account yet; the first sync settles whose it is"
    account.claim_for_account(conn, mine)
    return f"the mirror belongs to this {held.mode} account"


@dataclass(frozen=True, slots=True)
class Status:
    """What is here and how far behind it is."""

    database: str
    account: "account.Account | None"
    counts: "dict[str, ObjectCounts]"
    watermarks: dict[str, datetime]
    open_windows: int
    runs: "list[Run]"
    queue: "QueueStats"
    gate: "PauseState"
    files_wanted: int
    """Files that responses name and that were not fetched yet: their annotations are no rows so far."""
    files_unread: int
    """Files that were fetched and could not be read: their annotations are not complete."""
    verified: "VerificationRecord | None"
    """What the last verification came to."""
    proven: "VerificationRecord | None"
    """The last one that held everything against the API and found nothing to differ."""
    now: datetime

    def behind(self, stream: str) -> float | None:
        """Return how many seconds ago, by our clock, the stream was known complete; None: never."""
        at = self.watermarks.get(stream)
        return None if at is None else max(0.0, (self.now - at).total_seconds())

    def ahead(self) -> list[str]:
        """Return the streams whose watermark lies ahead of our clock by more than clocks usually differ."""
        return [stream for stream, at in self.watermarks.items() if at - self.now > CLOCKS_DIFFER]


def read_status(conn: "Connection", database: str, now: datetime, *, recent: int) -> Status:
    """Return how the mirror stands at `now` by our clock, with the last `recent` runs."""
    from scalesync.db.mirror import account, query
    from scalesync.db.queue import listing, pause
    from scalesync.db.sync import runs, verifications, window_ledger
    from scalesync.models.sync import WindowState

    run = runs.open_run(conn)
    return Status(
        database,
        account.read_account(conn),
        query.counts(conn),
        runs.read_watermarks(conn),
        0 if run is None else window_ledger.count(conn, run.id, WindowState.OPEN),
        runs.recent(conn, recent),
        listing.queue_stats(conn),
        pause.pause_state(conn),
        query.files_wanted(conn),
        query.files_unread(conn),
        verifications.last(conn),
        verifications.last_proof(conn),
        now,
    )
