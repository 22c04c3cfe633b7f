"""`scalesync verify` as a whole: what is held against the API, the repair of what differs, and the record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scalesync.db.mirror import account, upsert
from scalesync.db.mirror.documents import MIRRORED, TASKS
from scalesync.db.sync import comparison, verifications
from scalesync.db.sync import windows as ledger
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import IncompleteError, InterruptedRunError
from scalesync.models.sync import Run, VerificationState, Verified, Window
from scalesync.sync.events import Watcher as ReadingWatcher
from scalesync.sync.planner import EVERY_STREAM, Request
from scalesync.sync.runner import Session, Summary
from scalesync.sync.streams import STREAMS
from scalesync.sync.verify.models import Drift, Inquiry, Verification, Watcher, in_order
from scalesync.sync.verify.repair_windows import windows_to_read
from scalesync.sync.verify.verifier import LISTED, Verifier
from scalesync.sync.window_progress import look_up

FEW = 20
"""Tasks that are behind up to which they are read where they are, and not in a list of changes."""

ROUNDS = 3
"""Repairs that are tried as long as each changes something: one may uncover what had cancelled out."""


@dataclass(frozen=True)
class Watchers:
    """Who is told what a verification does."""

    proving: Watcher
    reading: ReadingWatcher
    """Of a repair."""


@dataclass(frozen=True)
class Proof:
    """What a verification came to, with repairs in between if they were asked for and needed."""

    first: Verification
    last: Verification
    """The first one where nothing was repaired."""


@dataclass
class Prover:
    """Verifies, repairs and remembers, for the account of a session."""

    session: Session
    watch: Watcher
    listed: int = LISTED
    """Tasks up to which all of them are read instead of counted."""

    def prove(self, request: Request, *, deep: bool = False, repair: bool = False) -> Proof:
        """Hold what `request` names against the API; with `repair`, read what differs again, and verify anew.

        Raises IncompleteError where the mirror was never complete, and ScalesyncError for what stops it.
        """
        session = self.session
        with session.ledger.database.write() as conn:
            watermarks = read_watermarks(conn)
            inquiry = replace(inquire(request, watermarks, deep=deep), watermarks=watermarks)
            account.stamp(conn, session.account)
        for name in request.projects:
            session.require_project(name)
        first = last = self._verify(inquiry)
        for attempt in range(ROUNDS):
            # What is behind is read once: on an account that lives there is always more.
            if not repair or not (_wrong(last) or (last.behind and attempt == 0)):
                break
            summary = self._repair(last)
            before, last = last, self._verify(replace(inquiry, as_of=_began(summary, last)))
            if _wrong(last) == _wrong(before):
                break
        return Proof(first, last)

    def prove_runs(self, runs: Sequence[Run]) -> Verification:
        """Hold what these runs have just read against the API."""
        with self.session.ledger.database.read() as conn:
            read = [window for run in runs for window in ledger.planned(conn, run.id)]
        as_of = min((run.started_at for run in runs), default=None)
        return self._verify(Inquiry(tuple(dict.fromkeys(read)), as_of=as_of))

    def _verify(self, inquiry: Inquiry) -> Verification:
        session = self.session
        api, database = session.ledger.api, session.ledger.database
        verifier = Verifier(api, database, session.clock, self.watch, session.workers, self.listed)
        found = verifier.verify(inquiry)
        with database.write() as conn:
            verifications.remember(conn, _as_remembered(found))
        return found

    def _repair(self, found: Verification) -> Summary | None:
        """Read the ranges again in which something differs, as a run of their own. Moves no watermark."""
        database = self.session.ledger.database
        drift = in_order([*found.drift, *found.undated])
        behind, changes = _of_changes(found)
        ranged = [one for one in (*drift, *behind) if not _is_within(one, found.undivided)]
        windows = windows_to_read(database, in_order(ranged), by_project=found.by_project)
        windows += (*changes, *(replace(window, undivided=True) for window in found.undivided))
        with database.write() as conn:
            for stream, kind in MIRRORED.items():
                comparison.distrust(conn, kind, [one.key for one in drift if one.stream == stream])
        self._read_alone([one for one in drift if one.created_at is None], found.as_of)
        summary = self.session.sync(Request(windows=windows)) if windows else None
        if self.session.clock.stopping.is_set():
            msg = "Stopped; what was read again by then is saved."
            raise InterruptedRunError(msg, advice="Run `scalesync verify --repair` again.")
        return summary

    def _read_alone(self, drift: Iterable[Drift], at: datetime) -> None:
        """Read objects again that no range holds, for nobody knows when they were created."""
        session = self.session
        for one in drift:
            kind = MIRRORED[one.stream]
            looked_up = look_up(session.ledger.api, STREAMS[one.stream], [one.key])
            with session.ledger.database.write() as conn:
                upsert.write_documents(conn, kind, looked_up.found)
                upsert.mark_missing(conn, kind, looked_up.gone, at)


def _wrong(found: Verification) -> tuple[object, ...]:
    """Return what a repair is for; false if that is nothing."""
    return (*found.drift, *found.undated, *found.undivided)


def _is_within(one: Drift, windows: Iterable[Window]) -> bool:
    return any(window.stream == one.stream and window.project in {None, one.project} for window in windows)


def _of_changes(found: Verification) -> tuple[list[Drift], list[Window]]:
    """Return what is behind and read by its time of creation, and the lists of changes that hold the rest."""
    tasks = TASKS.table.name
    changes = [window for window in found.windows if window.updated_from is not None]
    if found.by_project or sum(one.stream == tasks for one in found.behind) <= FEW:
        return found.behind, []
    return [one for one in found.behind if one.stream != tasks], changes


def _began(summary: Summary | None, found: Verification) -> datetime:
    """Return the API's clock when a repair began: what changed since then has no say in what it achieved."""
    return max((run.started_at for run in summary.runs), default=found.as_of) if summary else found.as_of


def inquire(request: Request, watermarks: Mapping[str, datetime], *, deep: bool) -> Inquiry:
    """Return the windows that hold what is asked for, of an account of which that much was read.

    What changed since the last sync is a window of its own, so that it is compared one by one. Raises
    IncompleteError for a stream that was never complete, unless a part of it is named.
    """
    windows: list[Window] = []
    for stream in request.streams:
        known = watermarks.get(stream)
        if known is None and not request.partial:
            msg = f"The {stream} were never complete here, so there is nothing to prove."
            raise IncompleteError(msg, advice="Run `scalesync sync` first.")
        for project in (None,) if stream == "projects" else request.projects or (None,):
            if stream == "tasks" and known is not None:
                windows.append(Window(stream, project, updated_from=known - request.lookback))
            dates = (None, None) if stream == "projects" else (request.since, request.last)
            windows.append(Window(stream, project, *dates))
    return Inquiry(tuple(windows), deep)


def _as_remembered(found: Verification) -> Verified:
    state = VerificationState.UNPROVEN if found.unproven else VerificationState.PROVEN
    whole = {window.stream for window in found.windows if window == Window(window.stream)}
    return Verified(
        found.as_of,
        VerificationState.DRIFT if found.drift else state,
        verifications.scope_of(found.windows),
        whole == set(EVERY_STREAM) and not found.by_project,
        found.deep,
        len(found.drift),
        " ".join(found.unproven) or None,
        found.requests,
        len(found.behind),
    )
