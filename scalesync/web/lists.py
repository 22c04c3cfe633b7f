"""The page `/tasks`: a list or a grid of tasks, with the filters of `task list` in its address."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scalesync.errors import ConfigurationError
from scalesync.mirror.browsing import ObjectPage
from scalesync.web.addresses import (
    TASK_FILTERS,
    address,
    filters_in,
    page_size,
    place_text,
    segment,
    selection_from,
    start_of,
)
from scalesync.web.annotation_items import Item, items_of
from scalesync.web.pages import PageRequest, Table, WebPage
from scalesync.web.pictures import links_of, media_of
from scalesync.web.shapes import value_in
from scalesync.web.sheets import Sheet, thumbnail

COLUMNS = (
    "task_id", "project", "batch", "type", "status", "customer_review_status", "created_at", "completed_at",
    "unique_id",
)  # fmt: skip
_CHOICES = {
    "status": ("pending", "completed", "canceled", "error"),
    "customer_review_status": ("accepted", "fixed", "commented", "rejected", "pending"),
}
"""The values of a filter that the API documents."""
_SHAPES = 100
"""Annotations of a task in the grid."""
_ROWS = {"list": 50, "grid": 24}
"""Tasks on a page, by its view."""

Filters = dict[str, str | list[str]]


def tasks(request: PageRequest) -> WebPage:
    """Return one page of tasks, newest first."""
    filters = filters_in(request, TASK_FILTERS)
    view = request.one("view", "list")
    if view not in _ROWS:
        raise ConfigurationError(f"There is no view {view!r}.", advice="Use list or grid.")
    selection = selection_from(filters, request.mirror.now())
    limit = page_size(request, _ROWS[view])
    start, newer = start_of(request)
    found = request.mirror.object_page("tasks", selection, limit, start, newer=newer)
    shown = {"view": view if view != "list" else "", "limit": request.one("limit")}
    values: dict[str, object] = {
        "title": "Tasks",
        "filters": filters,
        "filter_names": TASK_FILTERS,
        "choices": _CHOICES,
        "columns": COLUMNS,
        "cards": _cards(request, found.rows, filters) if view == "grid" else [],
        "rows": [{**row, "address": task_address(row["task_id"], filters)} for row in found.rows],
        "view": view,
        "shown": shown,
        **turning("/tasks", filters, shown, found),
    }
    document = {"tasks": found.rows, **turning(f"/tasks.{request.form}", filters, shown, found)}
    return WebPage("tasks.html", values, document, Table.of(COLUMNS, found.rows), headers=next_page(document))


class Card(NamedTuple):
    """A task in the grid."""

    row: Mapping[str, Any]
    address: str
    sheet: Sheet
    annotations: int
    """How many annotations it has."""
    more: bool
    """Whether it may have more."""

    @property
    def items(self) -> list[Item]:
        """What is drawn."""
        return [item for frame in self.sheet.frames for item in frame.items]


def _cards(request: PageRequest, rows: Sequence[Mapping[str, Any]], filters: Filters) -> list[Card]:
    """Return the tasks of a page with their pictures and their first shapes."""
    briefs = request.mirror.task_briefs([row["task_id"] for row in rows], _SHAPES)
    tasks = {
        task_id: brief.columns | {name: value_in(brief.columns[name]) for name in ("params", "metadata")}
        for task_id, brief in briefs.items()
    }
    links = [link for task in tasks.values() for link in links_of(task)[:1]]
    kept = request.mirror.kept_attachments(links) if links else {}
    found = []
    for row in rows:
        brief = briefs.get(row["task_id"])
        if brief is not None:
            task, items = tasks[row["task_id"]], items_of(brief.annotations)
            sheet = thumbnail(task, media_of(task, kept), items)
            where = task_address(row["task_id"], filters)
            found.append(Card(row, where, sheet, len(items), len(items) == _SHAPES))
    return found


def task_address(task_id: str, filters: Filters) -> str:
    """Return the address of a task's page, which keeps the filters of the list for next and previous."""
    return address(f"/task/{segment(task_id)}", filters)


def turning(path: str, filters: Filters, shown: dict[str, str], found: ObjectPage) -> dict[str, Any]:
    """Return the addresses of the pages before and behind this one, None where there is none."""
    newer = found.newer and address(path, filters, **shown, newer=place_text(found.newer))
    older = found.older and address(path, filters, **shown, older=place_text(found.older))
    return {"newer": newer, "older": older, "stopped": found.stopped}


def next_page(document: dict[str, Any]) -> dict[str, str]:
    """Return the header by which a program finds the next page."""
    return {} if document["older"] is None else {"link": f'<{document["older"]}>; rel="next"'}
