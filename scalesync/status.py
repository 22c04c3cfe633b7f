"""The facts that `scalesync check` and `scalesync status` print."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from scalesync import advice
from scalesync.clock import Clock
from scalesync.errors import LOOK_CLOSER, IncompleteError, ScalesyncError
from scalesync.models.selection import ObjectCounts
from scalesync.models.storage import OLD, PrunableKind
from scalesync.models.sync import Run, VerificationRecord
from scalesync.sqlite_files import readable_by_others
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from scalesync.api.client import ScaleApi
    from scalesync.db.caller_transaction import Connection
    from scalesync.db.database import Database
    from scalesync.db.mirror import account
    from scalesync.models.queue_state import PauseState, QueueStats
    from scalesync.models.storage import DatabaseSizes

MAX_SKEW = 60.0
"""Seconds by which this machine's clock may differ from the API's without an error in `check`."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""Difference of the clocks from which on `status` warns."""
MANY_OLD_ROWS = 10_000
"""Rows older than OLD from which on `check` says that they may be pruned."""
STREAMS = ("tasks", "batches", "projects")
NEVER_SYNCED = "This mirror was never synced completely: what is here may be any part of the account."


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    exit_code: int = 0


def run_check(name: str, describe: Callable[[], str | tuple[str, str]]) -> CheckResult:
    """Run one check; return its text, perhaps with advice, or its error with advice and exit code."""
    try:
        found = describe()
        detail, advised = (found, "") if isinstance(found, str) else found
        return CheckResult(name, ok=True, detail=detail, advice=advised)
    except ScalesyncError as error:
        # The default advice is to run `check`, which is what runs now.
        advised = "Check the disk and the server's log." if error.advice == LOOK_CLOSER else error.advice
        return CheckResult(name, ok=False, detail=str(error), advice=advised, exit_code=error.exit_code)


def describe_database(database: "Database") -> str:
    """Describe a database: URL, schema and condition. Raises DatabaseError if its schema is not ours."""
    from scalesync.db import migrate

    notes = [f"{database.url_shown}, schema {migrate.head_revision()}", database.examine()]
    migrate.check_schema(database)
    if database.is_sqlite and readable_by_others(Path(database.url_shown)):
        notes.append("others may read it or write to it: chmod 600 it")
    return "; ".join(filter(None, notes))


def describe_storage(database: "Database", now: datetime) -> tuple[str, str]:
    """Return the room that a database takes in words, and advice for less of it, or for faster queries."""
    from scalesync.db import prune, table_sizes

    with database.read() as conn:
        detail, help_with = table_sizes.describe_storage(conn)
    if prune.Pruner(database, [*PrunableKind], now - OLD).exceeds(MANY_OLD_ROWS):
        help_with.append(advice.PRUNE)
    return detail, " ".join(help_with)


def compare_clocks(
    open_api: "Callable[[], AbstractContextManager[ScaleApi]]", api_url: str, clock: Clock
) -> str:
    """Describe the difference of this machine's clock and the API's. Raises IncompleteError if large."""
    with open_api() as api:
        served_at = api.projects().served_at
    skew = (clock.now() - served_at).total_seconds()
    # Nothing that is read depends on this machine's clock; times that a person sees do.
    if abs(skew) > MAX_SKEW:
        msg = f"This machine's clock differs from the API's by {skew:+.0f} s."
        raise IncompleteError(msg, advice="Nothing read depends on it, but set the clock right.")
    return f"{api_url} answers; its clock and ours differ by {skew:+.0f} s"


def describe_owner(conn: "Connection", mine: "account.Account") -> str:
    """Describe the mirror's owner. Raises DatabaseError if it is not `mine`."""
    from scalesync.db.mirror import account

    held = account.read_account(conn)
    if held is None:
        return "the mirror belongs to no account yet; the first sync settles whose it is"
    account.claim_for_account(conn, mine)
    return f"the mirror belongs to this {held.mode} account"


@dataclass(frozen=True, slots=True)
class Status:
    """The contents of a mirror and how current they are."""

    database: str
    account: "account.Account | None"
    counts: "dict[str, ObjectCounts]"
    """By stream; empty if they were not asked for."""
    watermarks: dict[str, datetime]
    open_windows: int
    runs: "list[Run]"
    queue: "QueueStats"
    gate: "PauseState"
    files_wanted: int
    """Files named in responses and not fetched yet: their annotations are not in the tables."""
    files_unread: int
    """Files that were fetched and could not be parsed: their annotations are incomplete."""
    responses_unread: int
    """Tasks with a response of which a part has a form that is not known, and is not in `annotations`."""
    replaced_responses: int
    """Responses of tasks that others replaced, and that are kept."""
    replaced_response_bytes: int
    """Bytes of their JSON."""
    verified: "VerificationRecord | None"
    """The last verification."""
    proven: "VerificationRecord | None"
    """The last verification that compared everything and found no difference."""
    incomplete_run: "Run | None"
    """The newest run that ended incomplete and left what no later one has read."""
    failed_verification: "VerificationRecord | None"
    """The last verification with differences or doubts that nothing has removed since."""
    now: datetime
    sizes: "DatabaseSizes | None" = None
    """What the tables take on the disk; None if that was not asked for."""

    def behind(self, stream: str) -> float | None:
        """Return the seconds since the stream was known complete, by this machine's clock; None: never."""
        at = self.watermarks.get(stream)
        return None if at is None else max(0.0, (self.now - at).total_seconds())

    def ahead(self) -> list[str]:
        """Return the streams whose watermark is ahead of this machine's clock by more than CLOCKS_DIFFER."""
        return [stream for stream, at in self.watermarks.items() if at - self.now > CLOCKS_DIFFER]

    def sync_gaps(self) -> Iterator[str]:
        """Yield a sentence for each reason for which objects may be missing or old."""
        unknown = [stream for stream in STREAMS if stream not in self.watermarks]
        if len(unknown) == len(STREAMS):
            yield NEVER_SYNCED
        elif unknown:
            yield f"Never synced completely: {', '.join(unknown)}."
        if self.open_windows:
            left = number_of(self.open_windows, "part")
            yield f"A sync is not done, {left} of it to be read: run `scalesync sync` to go on."
        run, doubt = self.incomplete_run, self.failed_verification
        if run is not None:
            why = run.error or "no reason was kept"
            if self.runs and self.runs[0].id == run.id:
                yield f"The last sync (run {run.id}) ended incomplete: {why}"
            else:
                since = "no later one read as much, which `scalesync sync --full` does"
                yield f"Run {run.id} ended incomplete, and {since}: {why}"
        if doubt is not None and doubt.drift:
            found = number_of(doubt.drift, "object")
            at = format_instant(doubt.as_of)
            repair = "`scalesync verify --repair` reads them again"
            yield f"The last verification, as of {at}, found that {found} differed; {repair}."
        if doubt is not None and doubt.unproven:
            yield f"The last verification could not compare everything: {doubt.unproven}"

    def file_gaps(self) -> Iterator[str]:
        """Yield a sentence for each reason for which annotations in result files are not here."""
        if self.files_wanted:
            files = number_of(self.files_wanted, "result file")
            yield f"{files} not fetched: annotations are left out. `scalesync fetch-results` brings them."
        if self.files_unread:
            files = number_of(self.files_unread, "result file")
            yield f"{files} could not be read: annotations are left out."

    def response_gaps(self) -> Iterator[str]:
        """Yield a sentence if responses have parts of which no annotation could be made."""
        if self.responses_unread:
            tasks = number_of(self.responses_unread, "task")
            yield f"Of {tasks} a part of the response has no known form: it may be in no annotation."


def number_of(number: int, what: str) -> str:
    """Return a number with the noun that it counts, such as `2 tasks`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def read_status(
    conn: "Connection", database: str, now: datetime, *, recent: int, count: bool = True
) -> Status:
    """Read the status of the mirror, with the last `recent` runs; `now` is this machine's time.

    Without `count` its `counts` are empty: of a large mirror they take longer than all the rest.
    """
    from scalesync.db.mirror import account, query
    from scalesync.db.queue import pause, stats
    from scalesync.db.sync import known_gaps, runs, verifications, window_ledger
    from scalesync.models.sync import WindowState

    run = runs.open_run(conn)
    return Status(
        database,
        account.read_account(conn),
        query.counts(conn) if count else {},
        runs.read_watermarks(conn),
        0 if run is None else window_ledger.count(conn, run.id, WindowState.OPEN),
        runs.recent(conn, recent),
        stats.queue_stats(conn),
        pause.pause_state(conn),
        query.files_wanted(conn),
        query.files_unread(conn),
        query.responses_unread(conn),
        *query.replaced_responses_size(conn),
        verifications.last(conn),
        verifications.last_proof(conn),
        known_gaps.incomplete_run(conn),
        known_gaps.failed_verification(conn),
        now,
    )
