"""Verifies batches and projects: few objects, so they are listed wherever that is cheap.

Open it also for the batches' own task counts, which reveal differences of tasks that cancel out elsewhere.
"""

from collections import Counter
from collections.abc import Sequence

from scalesync.db.mirror.batch_counts import COUNTED_STATUSES, miscounted_batches
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, to_row
from scalesync.db.sync import comparison
from scalesync.errors import InconsistentPageError, ScaleResourceNotFound
from scalesync.models.api import BatchFilter, BatchStatus, TaskFilter
from scalesync.models.sync import Window
from scalesync.sync.streams import all_projects
from scalesync.sync.verify.api_listing import list_pages
from scalesync.sync.verify.counts import Segment
from scalesync.sync.verify.differ import Differ
from scalesync.sync.verify.models import Drift, DriftFound, DriftKind, PartVerified

STATUSES = ("staging", "in_progress")
"""Statuses that are counted; with the total they give the third one, completed (official client)."""

ATTEMPTS = 4
"""Requests for the counts of a batch, at most, while tasks change."""

BATCH_LIST_THRESHOLD = 500
"""Batches up to which all of them are listed. More are counted, and listed only if the counts differ."""


def verify_projects(differ: Differ) -> None:
    """Compare all projects and their versions, archived ones included."""
    stream = PROJECTS.table.name
    rows = {row.key: row for row in (to_row(PROJECTS, doc) for doc in all_projects(differ.api).docs)}
    differ.compare_rows(stream, list(rows.values()))
    with differ.database.read() as conn:
        local = comparison.keys_in(conn, PROJECTS, Window(stream), differ.result.as_of)
    differ.recheck(stream, dict.fromkeys(local - rows.keys()))


def verify_batches(differ: Differ, windows: Sequence[Window]) -> None:
    """Compare the batches of these windows: which exist, and their status."""
    for window in windows:
        with differ.database.read() as conn:
            number = comparison.count(conn, BATCHES, window, differ.result.as_of)
        bounded = (window.created_from, window.created_to) != (None, None)
        if differ.result.deep or bounded or number <= BATCH_LIST_THRESHOLD or _counts_differ(differ, window):
            differ.compare([Segment(window)])


def verify_batch_counts(differ: Differ, windows: Sequence[Window], limit: int | None) -> int:
    """Compare the task counts of up to `limit` batches with the API's; return how much drift that found.

    A batch whose counts differ is listed. If its tasks explain the difference, they are the drift, else the
    batch is.
    """
    result = differ.result
    before = len(result.drift)
    with differ.database.read() as conn:
        names = [
            name
            for window in windows
            for name in comparison.batches_to_count(conn, window, result.as_of, limit)
        ][:limit]
        wrong_columns = miscounted_batches(conn)
    # 1. Batches whose count columns disagree with the task rows here: somebody may have edited those.
    for name in wrong_columns:
        if _compare_tasks_of(differ, name) == 0 and not any(_rechecked_of(differ, name)):
            _record(differ, name)
    # 2. Batches whose counts disagree with the API's.
    for name in _differing_batches(differ, names):
        if _compare_tasks_of(differ, name) == 0:
            status = _status_of(differ, name)
            if status is not None and _differs(differ, name, status):
                _record(differ, name)
    result.batches_counted += len(names)
    return len(result.drift) - before


def _differing_batches(differ: Differ, names: Sequence[str]) -> list[str]:
    """Return the batches whose counts differ and still do without the tasks that changed meanwhile."""
    all_tasks = Window(TASKS.table.name)
    differing = list(names)
    # While tasks go on changing, what differs is requested again; each time there are fewer batches.
    for _ in range(ATTEMPTS):
        answers = list(differ.pool.map(lambda name: _status_of(differ, name), differing))
        answered = zip(differing, answers, strict=True)
        counted = [(name, status) for name, status in answered if status is not None]
        done = len(names) - len(differing) + len(counted)
        differ.watch(PartVerified("batches counted", done, len(names)))
        differing = [name for name, status in counted if _differs(differ, name, status)]
        if not differing or not differ.compare_changes(all_tasks):
            break
        differing = [name for name, status in counted if _differs(differ, name, status)]
    return differing


def _counts_differ(differ: Differ, window: Window) -> bool:
    as_of, statuses = differ.result.as_of, (None, *STATUSES)

    def api_total(status: str | None) -> int | None:
        chosen = BatchFilter(end_time=as_of, status=status, project=window.project)
        return differ.api.batches(chosen, limit=1).total

    remote = list(differ.pool.map(api_total, statuses))
    with differ.database.read() as conn:
        local = [comparison.count(conn, BATCHES, window, as_of, status) for status in statuses]
    return remote != local


def _status_of(differ: Differ, name: str) -> BatchStatus | None:
    differ.check_stop()
    try:
        return differ.api.batch_status(name)
    except ScaleResourceNotFound:
        return None


def _differs(differ: Differ, name: str, remote: BatchStatus) -> bool:
    """Return whether a batch's counts differ from the mirror's, rechecked tasks left out of both."""
    with differ.database.read() as conn:
        local = comparison.batch_counts(conn, name)
    remote_rechecked, local_rechecked = _rechecked_of(differ, name)
    return any(
        getattr(remote, status) - remote_rechecked[status] != local.get(status, 0) - local_rechecked[status]
        for status in COUNTED_STATUSES
    )


def _rechecked_of(differ: Differ, batch: str) -> tuple[Counter[str], Counter[str]]:
    """Return the rechecked tasks of a batch by status: as the API has them, and as the mirror does."""
    remote, local = (
        Counter(row["status"] for row in rows.values() if row["batch"] == batch)
        for rows in (differ.rechecked_rows.remote, differ.rechecked_rows.local)
    )
    return remote, local


def _compare_tasks_of(differ: Differ, batch: str) -> int | None:
    """List and compare the tasks of a batch; return how many were rechecked for the first time.

    Returns None, and reports the batch as unproven, if the API's list contradicts itself.
    """
    tasks = TASKS.table.name
    before, seen = len(differ.rechecked_keys), set[str]()
    try:
        for rows in list_pages(differ.api, Window(tasks), TaskFilter(batch=batch)):
            seen.update(row.key for row in rows)
            differ.compare_rows(tasks, rows)
    except InconsistentPageError as error:
        differ.result.unproven.append(f"tasks of batch {batch!r}: {error.message}.")
        return None
    with differ.database.read() as conn:
        local = comparison.keys_of_batch(conn, batch)
    differ.recheck(tasks, dict.fromkeys(local - seen))
    return len(differ.rechecked_keys) - before


def _record(differ: Differ, name: str) -> None:
    drift = Drift(str(BATCHES.table.name), name, DriftKind.COUNTED)
    differ.result.drift.append(drift)
    differ.watch(DriftFound(drift))
