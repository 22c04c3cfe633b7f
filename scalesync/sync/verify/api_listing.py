"""Lists from the API outside of the ledger: read to the end, and trusted if they agree with themselves."""

from collections.abc import Iterator
from dataclasses import replace

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.errors import InconsistentPageError, ScaleInvalidRequest
from scalesync.models.api import TaskFilter
from scalesync.models.sync import Window
from scalesync.parsing.row_parser import Row
from scalesync.sync.page_checks import is_within
from scalesync.sync.streams import PAGE_SIZE, STREAMS, task_filter
from scalesync.sync.window_progress import ParsedPage, WindowProgress

ATTEMPTS = 3
"""How often a list that contradicts itself is read before that is held against the API."""

ANY = TaskFilter()


def list_pages(api: ScaleApi, window: Window, more: TaskFilter = ANY) -> Iterator[tuple[Row, ...]]:
    """Yield the pages of a window, read a little wider, as a run does, and cut to it; a row may come twice.

    Of tasks, only those of the status and batch in `more`, and with a few fields of each if that asks for
    `limited_response`. A list that contradicts itself is begun again. Raises InconsistentPageError if it goes
    on to.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            yield from _pages(api, window, more)
        except (InconsistentPageError, ScaleInvalidRequest):
            # 400 for a token that is not good any longer is no different.
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _pages(api: ScaleApi, window: Window, more: TaskFilter) -> Iterator[tuple[Row, ...]]:
    stream = STREAMS[window.stream]
    progress = WindowProgress(stream, window)
    chosen = replace(
        task_filter(window), status=more.status, batch=more.batch, limited_response=more.limited_response
    )
    while True:
        token = progress.window.next_token
        if window.stream == TASKS.table.name:
            page = api.tasks(chosen, limit=PAGE_SIZE, next_token=token)
        else:
            page = stream.page(api, progress.window, PAGE_SIZE)
        rows = tuple(to_row(stream.mapping, doc) for doc in page.docs)
        progress.accept(ParsedPage(page, rows))
        yield tuple(row for row in rows if row.created_at is None or is_within(window, row))
        if progress.window.next_token is None:
            return
        progress.pages += 1
