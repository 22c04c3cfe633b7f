"""Reads completed batches again in which a task changed: such a batch may have reopened.

No filter of the API shows that, and no ordinary sync reads completed batches again.
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from scalesync.db.mirror import batch_counts, upsert
from scalesync.db.mirror.documents import BATCHES, TASKS
from scalesync.db.sync import runs
from scalesync.errors import InconsistentPageError, ScaleException
from scalesync.models.changes import SeenBy
from scalesync.models.sync import Run, Window
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import PAGE_SIZE, STREAMS
from scalesync.sync.verify.api_listing import list_dated_pages
from scalesync.sync.window_progress import look_up


def recheck_completed_batches(store: SyncStore, run: Run, workers: int) -> list[str]:
    """Read the completed batches that had a task change, and write them; return the failures as texts.

    They are looked up one by one, unless the list of all batches of their time takes fewer requests.
    """
    failed: list[str] = []
    with store.database.read() as conn:
        complete_before = TASKS.table.name in runs.read_watermarks(conn)
        names = batch_counts.completed_with_changes(conn, run.started_at if complete_before else None)
        window, pages = batch_counts.window_around(conn, names, PAGE_SIZE)
    listed = _list(store, window, names) if window is not None and pages < len(names) else set()
    batches = STREAMS[BATCHES.table.name]
    with ThreadPoolExecutor(workers, thread_name_prefix="batch") as pool:
        left = [name for name in names if name not in listed]
        for looked_up in pool.map(lambda name: look_up(store.api, batches, [name]), left):
            failed += (f"batches: {each}" for each in looked_up.failed)
            with store.database.write() as conn:
                upsert.write_documents(conn, BATCHES, looked_up.found)
    return failed


def _list(store: SyncStore, window: Window, names: Collection[str]) -> set[str]:
    """Write those of the batches that the list of a window shows, and return their names.

    A list that fails shows what came before; an error that is more than that comes again with a look-up.
    """
    wanted, shown = frozenset(names), set[str]()
    try:
        for served_at, rows in list_dated_pages(store.api, window):
            found = [row for row in rows if row.key in wanted]
            with store.database.write() as conn:
                upsert.write_rows(conn, BATCHES, found, SeenBy(served_at))
            shown.update(row.key for row in found)
    except (ScaleException, InconsistentPageError):
        pass
    return shown
