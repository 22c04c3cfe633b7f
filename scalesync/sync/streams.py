"""The streams: each kind of Scale object that is mirrored, declared once."""

from collections.abc import Callable
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
"""Rows of a page: the most that the API gives (documented)."""

BOUND_MARGIN = timedelta(milliseconds=1)
"""Added to both ends of every window, because it is not known whether the API's bounds are inclusive."""


SOME_STATUSES = ("pending", "completed", "canceled")
"""Statuses by which every API lists tasks (documented): of these lists one task can spoil one."""


@dataclass(frozen=True)
class Stream:
    """One kind of Scale object mirrored to one table."""

    name: str
    mapping: StreamMapping
    page: Callable[[ScaleApi, Window, int], Page]
    """Reads the page of a window that its token asks for, of at most so many rows."""
    one: Callable[[ScaleApi, str], Document]
    """Reads one object; raises ScaleResourceNotFound if there is none."""
    counted: bool = True
    """Whether the API tells in each page how many there are in all, without which nothing is complete."""


def task_filter(window: Window) -> TaskFilter:
    """Return the filters that read at least what the window means, under either reading of bounds."""
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
    """Return the same for batches, which have no filter on change."""
    return BatchFilter(
        start_time=window.created_from and window.created_from - BOUND_MARGIN,
        end_time=window.created_to and window.created_to + BOUND_MARGIN,
        project=window.project,
    )


def _projects_page(api: ScaleApi, window: Window, limit: int) -> Page:  # noqa: ARG001 - the list takes neither
    return all_projects(api)


def all_projects(api: ScaleApi) -> Page:
    """Return every project once: the list as it comes and the archived ones, which it may or may not hold.

    Of a project that both hold it is the later copy. `total` is None, for each list has its own.
    """
    listed, archived = api.projects(), api.projects(archived=True)
    again = set(map(_name, archived.docs)) - {None}
    docs = (*(doc for doc in listed.docs if _name(doc) not in again), *archived.docs)
    return replace(listed, docs=docs, total=None, replaced=listed.replaced + archived.replaced)


def _name(doc: msgspec.Raw) -> str | None:
    """Return a project's name, None where it has none."""
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
    """Return how many rows the API counts in a window, read at the price of one row.

    Raises InconsistentPageError if it does not say, where it promises to.
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
"""By name, in the order in which a run reads them."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the API says before anything is planned."""

    now: datetime
    """By its clock."""
    every_project: tuple[str, ...] | None
    """All project names if it lists tasks only project by project, else None."""
    first_page: Page | None
    """The first page of all its tasks, as long as was asked for; None where it lists them by project."""


def probe(api: ScaleApi, *, limit: int = 1) -> Probe:
    """Ask for the account's newest tasks, for what else the answer tells.

    Raises ScaleNoAnswer for answers without a date. Where that list fails and others come, `newest` is None.
    """
    try:
        newest = api.tasks(TaskFilter(), limit=limit)
    except ScaleInvalidRequest:
        listed = all_projects(api)
        names = sorted({to_row(PROJECTS, doc).key for doc in listed.docs})
        if not names:
            raise
        return Probe(_time_of(listed), tuple(names), None)
    except ScaleException as error:
        # The newest tasks may be all that cannot be read: the run finds out which.
        if not api_works_otherwise(api, TASKS.table.name, error):
            raise
        return Probe(_time_of(api.projects()), None, None)
    return Probe(_time_of(newest), None, newest)


def api_works_otherwise(api: ScaleApi, stream: str, error: ScaleException) -> bool:
    """Return whether the API answers other requests than the one of a stream that ended in `error`.

    A refused key and a request to slow down are about all requests. Where no list of tasks comes at all, the
    API is taken to be down. Each list is asked for once, one row of it, until one comes.
    """
    if isinstance(error, ScaleUnauthorized | ScaleTooManyRequests):
        return False
    once = api.with_attempts(1)
    asks: list[Callable[[], object]] = [
        partial(once.tasks, TaskFilter(status=status), limit=1) for status in (None, *SOME_STATUSES)
    ]
    if stream != TASKS.table.name:
        asks += [once.projects, partial(once.batches, BatchFilter(), limit=1)]
    for ask in asks:
        try:
            ask()
        except ScaleInvalidRequest:
            # It demands a project: that is an answer.
            return True
        except ScaleException:
            continue
        return True
    return False


def _time_of(page: Page) -> datetime:
    """Return the API's clock at a page, for ours decides nothing. Raises ScaleNoAnswer without one."""
    if not page.dated:
        msg = "The API's answers have no date, and it is by its clock that a mirror is called complete."
        raise ScaleNoAnswer(msg, advice="Is there a proxy on the way that takes the Date header out?")
    return page.served_at
