"""`scalesync verify` as a whole: what is held against the API, the repair of what differs, and the record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scalesync.db.mirror import account, upsert
from scalesync.db.mirror.documents import MAPPINGS, TASKS
from scalesync.db.sync import comparison, verifications, window_ledger
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import IncompleteError, InterruptedRunError
from scalesync.models.sync import Run, VerificationRecord, VerificationState, Window
from scalesync.sync.planner import EVERY_STREAM, SyncRequest
from scalesync.sync.runner import SyncRunner, SyncSummary
from scalesync.sync.streams import STREAMS
from scalesync.sync.verify.models import Drift, Verification, VerifyScope, VerifyWatcher, in_key_order
from scalesync.sync.verify.repair_windows import windows_to_read
from scalesync.sync.verify.verifier import LIST_THRESHOLD, Verifier
from scalesync.sync.window_progress import look_up

FEW_OBJECTS = 20
"""Tasks that are behind up to which they are read where they are, and not in a list of changes."""

ROUNDS = 3
"""Repairs that are tried as long as each changes something: one may uncover what had cancelled out."""


@dataclass
class VerifyRunner:
    """Verifies, repairs and remembers, for the account of a session."""

    session: SyncRunner
    watch: VerifyWatcher
    listed: int = LIST_THRESHOLD
    """Tasks up to which all of them are read instead of counted."""

    def verify(self, request: SyncRequest, *, deep: bool = False, repair: bool = False) -> Verification:
        """Hold what `request` names against the API; with `repair`, read what differs again, and verify anew.

        Raises IncompleteError where the mirror was never complete, and ScalesyncError for what stops it.
        """
        session = self.session
        with session.store.database.write() as conn:
            watermarks = read_watermarks(conn)
            inquiry = replace(plan_scope(request, watermarks, deep=deep), watermarks=watermarks)
            account.claim_for_account(conn, session.account)
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
        last.before_repair = None if last is first else first
        return last

    def verify_runs(self, runs: Sequence[Run]) -> Verification:
        """Hold what these runs have just read against the API."""
        with self.session.store.database.read() as conn:
            read = [window for run in runs for window in window_ledger.planned(conn, run.id)]
        as_of = min((run.started_at for run in runs), default=None)
        return self._verify(VerifyScope(tuple(dict.fromkeys(read)), as_of=as_of))

    def _verify(self, scope: VerifyScope) -> Verification:
        session = self.session
        api, database = session.store.api, session.store.database
        verifier = Verifier(api, database, session.clock, self.watch, session.workers, self.listed)
        found = verifier.verify(scope)
        with database.write() as conn:
            verifications.remember(conn, _as_remembered(found))
        return found

    def _repair(self, found: Verification) -> SyncSummary | None:
        """Read the ranges again in which something differs, as a run of their own. Moves no watermark."""
        database = self.session.store.database
        drift = in_key_order([*found.drift, *found.undated])
        behind, changes = _of_changes(found)
        ranged = [one for one in (*drift, *behind) if not _is_within(one, found.undivided)]
        to_read = windows_to_read(database, in_key_order(ranged), by_project=found.by_project)
        to_read += (*changes, *(replace(window, undivided=True) for window in found.undivided))
        with database.write() as conn:
            for stream, kind in MAPPINGS.items():
                comparison.force_rewrite(conn, kind, [one.key for one in drift if one.stream == stream])
        self._read_alone([one for one in drift if one.created_at is None], found.as_of)
        summary = self.session.sync(SyncRequest(windows=to_read)) if to_read else None
        if self.session.clock.stopping.is_set():
            msg = "Stopped; what was read again by then is saved."
            raise InterruptedRunError(msg, advice="Run `scalesync verify --repair` again.")
        return summary

    def _read_alone(self, drift: Iterable[Drift], at: datetime) -> None:
        """Read objects again that no range holds, for nobody knows when they were created."""
        session = self.session
        for one in drift:
            kind = MAPPINGS[one.stream]
            looked_up = look_up(session.store.api, STREAMS[one.stream], [one.key])
            with session.store.database.write() as conn:
                upsert.write_documents(conn, kind, looked_up.found)
                upsert.mark_missing(conn, kind, looked_up.gone, at)


def _wrong(found: Verification) -> tuple[object, ...]:
    """Return what a repair is for; false if that is nothing."""
    return (*found.drift, *found.undated, *found.undivided)


def _is_within(one: Drift, where: Iterable[Window]) -> bool:
    return any(window.stream == one.stream and window.project in {None, one.project} for window in where)


def _of_changes(found: Verification) -> tuple[list[Drift], list[Window]]:
    """Return what is behind and read by its time of creation, and the lists of changes that hold the rest."""
    tasks = TASKS.table.name
    changes = [window for window in found.windows if window.updated_from is not None]
    if found.by_project or sum(one.stream == tasks for one in found.behind) <= FEW_OBJECTS:
        return found.behind, []
    return [one for one in found.behind if one.stream != tasks], changes


def _began(summary: SyncSummary | None, found: Verification) -> datetime:
    """Return the API's clock when a repair began: what changed since then has no say in what it achieved."""
    return max((run.started_at for run in summary.runs), default=found.as_of) if summary else found.as_of


def plan_scope(request: SyncRequest, watermarks: Mapping[str, datetime], *, deep: bool) -> VerifyScope:
    """Return the windows that hold what is asked for, of an account of which that much was read.

    What changed since the last sync is a window of its own, so that it is compared one by one. Raises
    IncompleteError for a stream that was never complete, unless a part of it is named.
    """
    planned: list[Window] = []
    for stream in request.streams:
        known = watermarks.get(stream)
        if known is None and not request.partial:
            msg = f"The {stream} were never complete here, so there is nothing to prove."
            raise IncompleteError(msg, advice="Run `scalesync sync` first.")
        for project in (None,) if stream == "projects" else request.projects or (None,):
            if stream == "tasks" and known is not None:
                planned.append(Window(stream, project, updated_from=known - request.lookback))
            dates = (None, None) if stream == "projects" else (request.since, request.last)
            planned.append(Window(stream, project, *dates))
    return VerifyScope(tuple(planned), deep)


def _as_remembered(found: Verification) -> VerificationRecord:
    state = VerificationState.UNPROVEN if found.unproven else VerificationState.PROVEN
    whole = {window.stream for window in found.windows if window == Window(window.stream)}
    return VerificationRecord(
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
