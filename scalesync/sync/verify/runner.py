"""`scalesync verify` from start to end: scope, verification, repair, second verification, record.

Open it for what a repair reads, and for which windows a request comes to.
"""

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
"""Tasks that are behind, up to which a repair reads their ranges instead of a list of changes."""

ROUNDS = 3
"""Repairs, at most: one may uncover differences that had cancelled out."""


@dataclass
class VerifyRunner:
    """Verification with repair and record, for the account and the mirror of a `SyncRunner`."""

    syncer: SyncRunner
    watch: VerifyWatcher
    list_threshold: int = LIST_THRESHOLD
    """Tasks up to which a window is listed instead of counted."""

    def verify(self, request: SyncRequest, *, deep: bool = False, repair: bool = False) -> Verification:
        """Compare what `request` names with the API; with `repair`, read differences again and verify anew.

        Raises IncompleteError if the mirror was never complete, ScalesyncError if something stops it.
        """
        syncer = self.syncer
        with syncer.store.database.write() as conn:
            watermarks = read_watermarks(conn)
            scope = replace(plan_scope(request, watermarks, deep=deep), watermarks=watermarks)
            account.claim_for_account(conn, syncer.account)
        for name in request.projects:
            syncer.require_project(name)
        first = last = self._verify(scope)
        for attempt in range(ROUNDS):
            # What is behind is read once only: in an active account there is always more.
            if not repair or not (_to_repair(last) or (last.behind and attempt == 0)):
                break
            summary = self._repair(last)
            before, last = last, self._verify(replace(scope, as_of=_repair_start(summary, last)))
            if _to_repair(last) == _to_repair(before):
                break
        last.before_repair = None if last is first else first
        return last

    def verify_runs(self, runs: Sequence[Run]) -> Verification:
        """Compare what these runs have just read with the API."""
        with self.syncer.store.database.read() as conn:
            planned = [window for run in runs for window in window_ledger.planned(conn, run.id)]
        as_of = min((run.started_at for run in runs), default=None)
        return self._verify(VerifyScope(tuple(dict.fromkeys(planned)), as_of=as_of))

    def _verify(self, scope: VerifyScope) -> Verification:
        syncer = self.syncer
        api, database = syncer.store.api, syncer.store.database
        verifier = Verifier(api, database, syncer.clock, self.watch, syncer.workers, self.list_threshold)
        result = verifier.verify(scope)
        with database.write() as conn:
            verifications.remember(conn, _record_of(result))
        return result

    def _repair(self, result: Verification) -> SyncSummary | None:
        """Read the ranges with differences again, as a run that moves no watermark."""
        # 1. Choose windows: ranges around the objects, lists of changes, undivided wholes.
        database = self.syncer.store.database
        drift = in_key_order([*result.drift, *result.undated])
        behind, changes = _behind_by_window(result)
        ranged = [each for each in (*drift, *behind) if not _is_within(each, result.undivided)]
        to_read = windows_to_read(database, in_key_order(ranged), by_project=result.by_project)
        to_read += (*changes, *(replace(window, undivided=True) for window in result.undivided))
        # 2. Mark the differing rows: otherwise a copy with the same stamps would not replace them.
        with database.write() as conn:
            for stream, kind in MAPPINGS.items():
                comparison.force_rewrite(conn, kind, [each.key for each in drift if each.stream == stream])
        # 3. Read: objects without a time of creation one by one, the windows by an ordinary sync.
        self._look_up([each for each in drift if each.created_at is None], result.as_of)
        summary = self.syncer.sync(SyncRequest(windows=to_read)) if to_read else None
        if self.syncer.clock.stopping.is_set():
            msg = "Stopped; what was read again by then is saved."
            raise InterruptedRunError(msg, advice="Run `scalesync verify --repair` again.")
        return summary

    def _look_up(self, drift: Iterable[Drift], at: datetime) -> None:
        """Read objects one by one, write them, and mark those that are gone as missing since `at`."""
        syncer = self.syncer
        for each in drift:
            kind = MAPPINGS[each.stream]
            looked_up = look_up(syncer.store.api, STREAMS[each.stream], [each.key])
            with syncer.store.database.write() as conn:
                upsert.write_documents(conn, kind, looked_up.found)
                upsert.mark_missing(conn, kind, looked_up.gone, at)


def _to_repair(result: Verification) -> tuple[object, ...]:
    """Return everything that a repair may change, empty if there is nothing."""
    return (*result.drift, *result.undated, *result.undivided)


def _is_within(drift: Drift, ranges: Iterable[Window]) -> bool:
    return any(window.stream == drift.stream and window.project in {None, drift.project} for window in ranges)


def _behind_by_window(result: Verification) -> tuple[list[Drift], list[Window]]:
    """Return behind objects to read by time of creation, and lists of changes that have the others."""
    tasks = TASKS.table.name
    changes = [window for window in result.windows if window.updated_from is not None]
    if result.by_project or sum(each.stream == tasks for each in result.behind) <= FEW_OBJECTS:
        return result.behind, []
    return [each for each in result.behind if each.stream != tasks], changes


def _repair_start(summary: SyncSummary | None, result: Verification) -> datetime:
    """Return the API's clock when a repair began: later changes do not count against it."""
    return max((run.started_at for run in summary.runs), default=result.as_of) if summary else result.as_of


def plan_scope(request: SyncRequest, watermarks: Mapping[str, datetime], *, deep: bool) -> VerifyScope:
    """Return the scope of a verification of what `request` names.

    What changed since the last sync is a window of its own, so that it is compared one by one. Raises
    IncompleteError for a stream that was never complete, unless only a part of it is named.
    """
    planned: list[Window] = []
    for stream in request.streams:
        watermark = watermarks.get(stream)
        if watermark is None and not request.partial:
            msg = f"The {stream} were never complete here, so there is nothing to prove."
            raise IncompleteError(msg, advice="Run `scalesync sync` first.")
        for project in (None,) if stream == "projects" else request.projects or (None,):
            if stream == "tasks" and watermark is not None:
                planned.append(Window(stream, project, updated_from=watermark - request.lookback))
            dates = (None, None) if stream == "projects" else (request.since, request.last)
            planned.append(Window(stream, project, *dates))
    return VerifyScope(tuple(planned), deep)


def _record_of(result: Verification) -> VerificationRecord:
    state = VerificationState.UNPROVEN if result.unproven else VerificationState.PROVEN
    whole = {window.stream for window in result.windows if window == Window(window.stream)}
    return VerificationRecord(
        result.as_of,
        VerificationState.DRIFT if result.drift else state,
        verifications.scope_of(result.windows),
        whole == set(EVERY_STREAM) and not result.by_project,
        result.deep,
        len(result.drift),
        " ".join(result.unproven) or None,
        result.requests,
        len(result.behind),
    )
