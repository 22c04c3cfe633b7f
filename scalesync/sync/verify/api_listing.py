"""Lists objects from the API without recording a run; retries if the pages contradict each other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.errors import InconsistentPageError, ScaleInvalidRequest
from scalesync.models.api import TaskFilter
from scalesync.models.sync import Window
from scalesync.parsing.row_parser import Row
from scalesync.sync.page_checks import is_within
from scalesync.sync.parsed_page import ParsedPage
from scalesync.sync.streams import PAGE_SIZE, STREAMS, task_filter
from scalesync.sync.window_progress import WindowProgress

ATTEMPTS = 3
"""Readings of a list that contradicts itself, before its error is raised."""

NO_FILTER = TaskFilter()


def list_pages(api: ScaleApi, window: Window, more: TaskFilter = NO_FILTER) -> Iterator[tuple[Row, ...]]:
    """Yield the pages of a window as `list_dated_pages` does, without their times."""
    return (rows for _, rows in list_dated_pages(api, window, more))


def list_dated_pages(
    api: ScaleApi, window: Window, more: TaskFilter = NO_FILTER
) -> Iterator[tuple[datetime, tuple[Row, ...]]]:
    """Yield the pages of a window, each with the API's time; a row may come more than once.

    For tasks, `more` may name a status, a batch and `limited_response`. A list that contradicts itself is
    read again from the start; raises InconsistentPageError if it still does.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            yield from _pages(api, window, more)
        except (InconsistentPageError, ScaleInvalidRequest):
            # 400 may mean that the token has expired: a new reading gets new ones.
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _pages(api: ScaleApi, window: Window, more: TaskFilter) -> Iterator[tuple[datetime, tuple[Row, ...]]]:
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
        # The request was wider than the window by a margin: cut what is outside.
        inside = (row for row in rows if row.created_at is None or is_within(window, row.created_at))
        yield page.served_at, tuple(inside)
        if progress.window.next_token is None:
            return
        progress.pages += 1
