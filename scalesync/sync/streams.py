"""The streams: table, list request and single request of each kind of Scale object.

Open it to add a stream, or for what one request reads: filters, page size, totals, the API's clock.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from scalesync.api.client import ScaleApi
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, to_row
from scalesync.errors import (
    InconsistentPageError,
    ScaleException,
    ScaleInvalidRequest,
    ScaleNoAnswer,
    ScaleTooManyRequests,
    ScaleUnauthorized,
)
from scalesync.models.api import BatchFilter, Document, Page, TaskFilter
from scalesync.models.sync import Window

PAGE_SIZE = 100
"""Rows of a page: the API's maximum (documented)."""

BOUND_MARGIN = timedelta(milliseconds=1)
"""Added to both ends of every window: whether the API's bounds are inclusive is not documented."""

SOME_STATUSES = ("pending", "completed", "canceled")
"""Statuses to filter tasks by (documented): one unreadable task spoils only one of these lists."""


@dataclass(frozen=True)
class Stream:
    """One kind of Scale object, mirrored to one table."""

    name: str
    mapping: StreamMapping
    page: Callable[[ScaleApi, Window, int], Page]
    """Returns a window's page at its token, of at most the given number of rows."""
    one: Callable[[ScaleApi, str], Document]
    """Returns one object by key. Raises ScaleResourceNotFound."""
    counted: bool = True
    """Whether each page has the total of the list, without which no window closes."""


def task_filter(window: Window) -> TaskFilter:
    """Return task filters that include all of the window, whether bounds are inclusive or not."""
    return TaskFilter(
        start_time=window.created_from and window.created_from - BOUND_MARGIN,
        end_time=window.created_to and window.created_to + BOUND_MARGIN,
        updated_after=window.updated_from and window.updated_from - BOUND_MARGIN,
        project=window.project,
    )


def is_everything(window: Window) -> bool:
    """Return whether the window's next page is the first one of all tasks."""
    return (
        window.stream == TASKS.table.name
        and window.next_token is None
        and task_filter(window) == TaskFilter()
    )


def batch_filter(window: Window) -> BatchFilter:
    """Return batch filters that include all of the window; batches have no filter on changes."""
    return BatchFilter(
        start_time=window.created_from and window.created_from - BOUND_MARGIN,
        end_time=window.created_to and window.created_to + BOUND_MARGIN,
        project=window.project,
    )


def _projects_page(api: ScaleApi, window: Window, limit: int) -> Page:  # noqa: ARG001 - the list takes neither
    return all_projects(api)


def all_projects(api: ScaleApi) -> Page:
    """Return every project once, archived ones included, as one page without a total."""
    # Whether the plain list has archived projects is not documented: of a project in both lists the later
    # copy is taken. Each list has its own total, so that there is none here.
    with ThreadPoolExecutor(1, thread_name_prefix="projects") as pool:
        beside = pool.submit(api.projects, archived=True)
        listed = api.projects()
        archived = beside.result()
    in_both = set(map(_name, archived.docs)) - {None}
    docs = (*(doc for doc in listed.docs if _name(doc) not in in_both), *archived.docs)
    served_at, replaced = min(listed.served_at, archived.served_at), listed.replaced + archived.replaced
    return replace(listed, docs=docs, total=None, served_at=served_at, replaced=replaced)


def _name(doc: msgspec.Raw) -> str | None:
    """Return a project's name, or None."""
    try:
        return msgspec.json.decode(doc, type=_Named).name
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Named(msgspec.Struct):
    name: str | None = None


def _batches_page(api: ScaleApi, window: Window, limit: int) -> Page:
    return api.batches(batch_filter(window), limit=limit, next_token=window.next_token)


def _tasks_page(api: ScaleApi, window: Window, limit: int) -> Page:
    return api.tasks(task_filter(window), limit=limit, next_token=window.next_token)


def count(api: ScaleApi, window: Window) -> int:
    """Return the API's total of a window, from a page of one row.

    Raises InconsistentPageError if a counted stream comes without a total.
    """
    stream = STREAMS[window.stream]
    page = stream.page(api, window, 1)
    if page.total is None and stream.counted:
        raise InconsistentPageError("The API does not say how many there are.")
    return len(page.docs) if page.total is None else page.total


STREAMS = {
    stream.name: stream
    for stream in (
        Stream("projects", PROJECTS, _projects_page, ScaleApi.project, counted=False),
        Stream("batches", BATCHES, _batches_page, ScaleApi.batch),
        Stream("tasks", TASKS, _tasks_page, ScaleApi.task),
    )
}
"""Streams by name, in the order in which a run reads them."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The API's first answer before a plan: its time, its newest tasks, whether it demands a project."""

    now: datetime
    """The API's clock."""
    every_project: tuple[str, ...] | None
    """All project names if it lists tasks only project by project, else None."""
    first_page: Page | None
    """The first page of all tasks; None if tasks are listed by project, or that page fails."""


def probe(api: ScaleApi, *, limit: int = 1) -> Probe:
    """Request the newest tasks, and return them with the API's time and whether it demands a project.

    Raises ScaleNoAnswer if the answer has no date. `first_page` is None if only that list fails.
    """
    try:
        newest = api.tasks(TaskFilter(), limit=limit)
    except ScaleInvalidRequest:
        # Observed: some accounts get 400 unless a project is named.
        listed = all_projects(api)
        names = sorted({to_row(PROJECTS, doc).key for doc in listed.docs})
        if not names:
            raise
        return Probe(_time_of(listed), tuple(names), None)
    except ScaleException as error:
        # Perhaps only the newest tasks cannot be read: the run singles them out.
        if not api_works_otherwise(api, TASKS.table.name, error):
            raise
        return Probe(_time_of(api.projects()), None, None)
    return Probe(_time_of(newest), None, newest)


def api_works_otherwise(api: ScaleApi, stream: str, error: ScaleException) -> bool:
    """Return whether the API answers any request besides the one of `stream` that ended in `error`.

    Requests one row of each list, once, until one succeeds.
    """
    # A refused key and a request to slow down concern all requests.
    if isinstance(error, ScaleUnauthorized | ScaleTooManyRequests):
        return False
    once = api.with_attempts(1)
    requests: list[Callable[[], object]] = [
        partial(once.tasks, TaskFilter(status=status), limit=1) for status in (None, *SOME_STATUSES)
    ]
    if stream != TASKS.table.name:
        requests += [once.projects, partial(once.batches, BatchFilter(), limit=1)]
    for request in requests:
        try:
            request()
        except ScaleInvalidRequest:
            # The API demands a project: that is an answer.
            return True
        except ScaleException:
            continue
        return True
    return False


def _time_of(page: Page) -> datetime:
    """Return the API's clock at a page. Raises ScaleNoAnswer if the answer has no date."""
    # Watermarks compare with the API's own times: the local clock must not decide what is complete.
    if not page.dated:
        msg = "The API's answers have no date, and it is by its clock that a mirror is called complete."
        raise ScaleNoAnswer(msg, advice="Is there a proxy on the way that takes the Date header out?")
    return page.served_at
