"""The page `/versions/ID`: two responses of a task side by side, and what differs between them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.errors import ConfigurationError
from scalesync.mirror.browsing import StoredRow, TaskVersions
from scalesync.web.addresses import segment
from scalesync.web.annotation_items import Item, items_of, nested
from scalesync.web.pages import NoSuchPageError, PageRequest, Table, WebPage
from scalesync.web.pictures import links_of, media_of
from scalesync.web.shapes import value_in
from scalesync.web.sheets import Sheet, thumbnail

_LONGEST = 5_000_000
"""Characters of a response that is drawn."""
_MOST = 5_000
"""Annotations of a response that are drawn."""
COLUMNS = (
    "kind", "before_ordinal", "after_ordinal", "label_before", "label_after", "geometry", "frame", "uuid",
    "iou",
)  # fmt: skip


class Side(NamedTuple):
    """One of the two responses."""

    name: str
    digest: str
    seen_at: object
    items: Mapping[int, Item]
    """By the number of the annotation."""
    sheet: Sheet
    changed: frozenset[int]
    """The numbers of those that differ."""
    reason: str
    """Why not all of it is drawn, empty if it is."""


def versions(request: PageRequest) -> WebPage:
    """Return two responses of a task side by side: those in the address, by default the last two."""
    for name, _ in request.query:
        if name not in ("before", "after"):
            raise ConfigurationError(f"There is no filter {name!r} here.", advice="Use before and after.")
    found = request.mirror.task_versions(request.name, request.one("before"), request.one("after"))
    if found is None:
        raise NoSuchPageError("The mirror has no task with this id.")
    if found.before is None or found.after is None:
        raise NoSuchPageError("The mirror has no two such responses of this task.")
    sides = [_side(request, found, name) for name in ("before", "after")]
    values = {
        "title": f"Versions of task {request.name}",
        "task_address": f"/task/{segment(request.name)}",
        "self_path": request.path,
        "versions": found.versions,
        "sides": sides,
        "differences": found.differences,
        "columns": COLUMNS,
    }
    document = {
        "before": nested(found.before),
        "after": nested(found.after),
        "differences": found.differences,
        "versions": found.versions,
    }
    return WebPage("versions.html", values, document, Table.of(COLUMNS, found.differences))


def _side(request: PageRequest, found: TaskVersions, name: str) -> Side:
    """Return what is shown of the response before or after."""
    stored: StoredRow = (found.before if name == "before" else found.after) or {}
    kind, text = found.columns["type"], str(stored["response"])
    rows, reason = _rows(request.name, kind, text)
    task = {**found.columns, "params": value_in(found.columns["params"])}
    links = links_of(task)[:1]
    media = media_of(task, request.mirror.kept_attachments(links) if links else {})
    items = items_of(rows)
    numbers = (row[f"{name}_ordinal"] for row in found.differences)
    changed = frozenset(number for number in numbers if number is not None)
    by_number = {item.ordinal: item for item in items}
    sheet = thumbnail(task, media, items)
    return Side(name, stored["response_digest"], stored["first_seen_at"], by_number, sheet, changed, reason)


def _rows(task_id: str, kind: str | None, text: str) -> tuple[Sequence[dict[str, Any]], str]:
    """Return the annotations of a response as rows, and why these are not all."""
    if len(text) > _LONGEST:
        return [], "The response is too long to be drawn."
    if result_urls(kind, text):
        return [], "Its annotations are in files, which are not kept for each response."
    found = flatten(kind, text).annotations
    rows = [{"task_id": task_id, "ordinal": n, **row._asdict()} for n, row in enumerate(found[:_MOST])]
    return rows, f"Only {_MOST:,} of its {len(found):,} annotations are drawn." if len(found) > _MOST else ""
