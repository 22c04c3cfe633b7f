"""Proving batches and projects: there are few, so they are listed wherever that is cheap."""

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
"""Together with the total these say how many are completed, which is all else that a batch can be
(official client)."""

ATTEMPTS = 4
"""How often batches are asked for their counts while tasks change."""

BATCH_LIST_THRESHOLD = 500
"""Batches up to which all of them are listed. More are counted, and listed only if that differs."""


def verify_projects(differ: Differ) -> None:
    """Compare all projects and their versions, which come in two lists (see `all_projects`)."""
    stream = PROJECTS.table.name
    rows = {row.key: row for row in (to_row(PROJECTS, doc) for doc in all_projects(differ.api).docs)}
    differ.compare_rows(stream, list(rows.values()))
    with differ.database.read() as conn:
        here = comparison.keys_in(conn, PROJECTS, Window(stream), differ.found.as_of)
    differ.recheck(stream, dict.fromkeys(here - rows.keys()))


def verify_batches(differ: Differ, windows: Sequence[Window]) -> None:
    """Compare the batches of these windows: which there are, and their status."""
    for window in windows:
        with differ.database.read() as conn:
            number = comparison.count(conn, BATCHES, window, differ.found.as_of)
        bounded = (window.created_from, window.created_to) != (None, None)
        if differ.found.deep or bounded or number <= BATCH_LIST_THRESHOLD or _counts_differ(differ, window):
            differ.compare([Segment(window)])


def verify_batch_counts(differ: Differ, windows: Sequence[Window], limit: int | None) -> None:
    """Ask at most so many batches how many tasks of each status they have, and find out why it differs."""
    found, room = differ.found, limit
    with differ.database.read() as conn:
        names = [
            name
            for window in windows
            for name in comparison.batches_to_count(conn, window, found.as_of, room)
        ][:room]
        wrong_columns = miscounted_batches(conn)
    for name in wrong_columns:
        # Its tasks may have been changed behind our back, and so leave a trace here.
        if not (_explained(differ, name) or any(_judged(differ, name))):
            _note(differ, name)
    for name in _miscounting(differ, names):
        if not _explained(differ, name):
            again = _status_of(differ, name)
            if again is not None and _differs(differ, name, again):
                _note(differ, name)
    found.batches_counted += len(names)


def _miscounting(differ: Differ, names: Sequence[str]) -> list[str]:
    """Return the batches that count their tasks otherwise than they are here, with no change to explain it.

    Where tasks go on changing, those are asked again; each time there are fewer.
    """
    everything = Window(TASKS.table.name)
    doubtful = list(names)
    for _ in range(ATTEMPTS):
        answers = list(differ.pool.map(lambda name: _status_of(differ, name), doubtful))
        asked = zip(doubtful, answers, strict=True)
        counted = [(name, status) for name, status in asked if status is not None]
        differ.watch(PartVerified("batches counted", len(names) - len(doubtful) + len(counted), len(names)))
        doubtful = [name for name, status in counted if _differs(differ, name, status)]
        if not doubtful or not differ.compare_changes(everything):
            break
        doubtful = [name for name, status in counted if _differs(differ, name, status)]
    return doubtful


def _counts_differ(differ: Differ, window: Window) -> bool:
    def total(status: str | None) -> int | None:
        chosen = BatchFilter(end_time=differ.found.as_of, status=status, project=window.project)
        return differ.api.batches(chosen, limit=1).total

    there = list(differ.pool.map(total, (None, *STATUSES)))
    with differ.database.read() as conn:
        here = [
            comparison.count(conn, BATCHES, window, differ.found.as_of, status)
            for status in (None, *STATUSES)
        ]
    return there != here


def _status_of(differ: Differ, name: str) -> BatchStatus | None:
    differ.go_on()
    try:
        return differ.api.batch_status(name)
    except ScaleResourceNotFound:
        return None


def _differs(differ: Differ, name: str, there: BatchStatus) -> bool:
    """Whether a batch counts its tasks otherwise than they are here, those left out that were judged."""
    with differ.database.read() as conn:
        here = comparison.batch_counts(conn, name)
    judged_there, judged_here = _judged(differ, name)
    return any(
        getattr(there, status) - judged_there[status] != here.get(status, 0) - judged_here[status]
        for status in COUNTED_STATUSES
    )


def _judged(differ: Differ, batch: str) -> tuple[Counter[str], Counter[str]]:
    """Return how many tasks of a batch were judged, by status: as the API has them, and as they are here."""
    there, here = (
        Counter(one["status"] for one in side.values() if one["batch"] == batch)
        for side in (differ.judged.there, differ.judged.here)
    )
    return there, here


def _explained(differ: Differ, name: str) -> bool:
    """Whether the batch has tasks that differ, or changed meanwhile, and were not known yet."""
    window = Window(TASKS.table.name)
    looked_at, seen = len(differ.rechecked), set[str]()
    try:
        for rows in list_pages(differ.api, window, TaskFilter(batch=name)):
            seen.update(row.key for row in rows)
            differ.compare_rows(window.stream, rows)
    except InconsistentPageError as error:
        differ.found.unproven.append(f"tasks of batch {name!r}: {error.message}.")
        return True
    with differ.database.read() as conn:
        here = comparison.keys_of_batch(conn, name)
    differ.recheck(window.stream, dict.fromkeys(here - seen))
    return len(differ.rechecked) > looked_at


def _note(differ: Differ, name: str) -> None:
    drift = Drift(str(BATCHES.table.name), name, DriftKind.COUNTED)
    differ.found.drift.append(drift)
    differ.watch(DriftFound(drift))
