"""The page of one task: picture with shapes, annotations, text, recordings, reviews, versions and history."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from scalesync.json_sanitizing import format_json, read_json
from scalesync.mirror.browsing import Neighbour, TaskDetails
from scalesync.models.findings import Finding
from scalesync.web.addresses import TASK_FILTERS, address, filters_in, place_text, segment, selection_from
from scalesync.web.annotation_items import Item, items_of, nested, tone_of
from scalesync.web.pages import NoSuchPageError, PageRequest, Table, WebPage, as_text
from scalesync.web.pictures import links_of, media_of
from scalesync.web.sheets import sheets_of
from scalesync.web.text_spans import segments_of

MOST_SHOWN = 5_000
"""Annotations on one page."""
_SHORT = (
    "project", "batch", "type", "status", "customer_review_status", "created_at", "updated_at",
    "completed_at", "unique_id", "priority", "is_test", "missing_since", "instruction",
)  # fmt: skip
_LONG_DOCUMENT = 200_000
"""Characters of the document that the page shows."""
ANNOTATION_COLUMNS = (
    "task_id", "ordinal", "uuid", "label", "geometry", "frame", "left", "top", "width", "height", "rotation",
    "vertices", "text_start", "text_end", "text", "attributes", "extra",
)  # fmt: skip


class LabelCount(NamedTuple):
    """A label of the task, whose annotations can be hidden."""

    number: int
    label: str
    tone: int
    annotations: int


def task(request: PageRequest) -> WebPage:
    """Return the page of the task that the address names. Raises NoSuchPageError if it is not here."""
    filters = filters_in(request, TASK_FILTERS)
    first = request.number("from", 0, 2**53)
    selection = selection_from(filters, request.mirror.now())
    found = request.mirror.task_details(request.name, selection, first, MOST_SHOWN)
    if found is None:
        raise NoSuchPageError("The mirror has no task with this id.")
    document = read_json(found.document)
    links = links_of(document)
    kept = request.mirror.kept_attachments(links) if links else {}
    items = items_of(found.annotations)
    labels = _labels(items)
    findings = request.mirror.task_findings(request.name)
    values = {
        "title": f"Task {request.name}",
        "task_id": request.name,
        "facts": [(name, as_text(_fact(found, document, name))) for name in _SHORT],
        "metadata": [(name, as_text(document.get(name))) for name in ("tags", "metadata")],
        "items": items,
        "labels": labels,
        "label_numbers": {each.label: each.number for each in labels},
        "files_waiting": found.files_waiting,
        "unread": found.unread,
        **_portion(request, filters, found),
        **sheets_of(document, media_of(document, kept), items, request).values(),
        "text": segments_of(document, found.annotations),
        "beside": _beside(found, items),
        "differences": found.differences,
        "findings": findings,
        "document_text": _document_text(found.document),
        **_neighbours(request, filters, found),
    }
    table = Table.of(ANNOTATION_COLUMNS, found.annotations)
    return WebPage("task.html", values, _as_json(found, findings), table)


def _fact(found: TaskDetails, document: Mapping[str, Any], name: str) -> object:
    """Return a field of the task: what only the mirror knows comes from its row."""
    return found.row.get(name) if name == "missing_since" else document.get(name)


def _labels(items: Sequence[Item]) -> list[LabelCount]:
    counted = Counter(item.label for item in items)
    return [
        LabelCount(number, label, tone_of(label), count)
        for number, (label, count) in enumerate(sorted(counted.items()))
    ]


def _portion(request: PageRequest, filters: Mapping[str, Any], found: TaskDetails) -> dict[str, object]:
    """Return which of the annotations are shown, and where the others are."""
    first, behind = found.first, found.first + len(found.annotations)
    more = found.total > behind and bool(found.annotations)
    return {
        "total": found.total,
        "first": first,
        "behind": behind,
        "before_address": address(request.path, filters) if first else None,
        "more_address": address(request.path, filters, **{"from": behind}) if more else None,
    }


def _neighbours(request: PageRequest, filters: Mapping[str, Any], found: TaskDetails) -> dict[str, Any]:
    def at(found: Neighbour, name: str) -> str | None:
        if found.task_id is not None:
            return address(f"/task/{segment(found.task_id)}", filters)
        # Not nearby: the list searches on, and says where it stops.
        return found.behind and address("/tasks", filters, **{name: place_text(found.behind)})

    return {
        "newer": at(found.newer, "newer"),
        "older": at(found.older, "older"),
        "versions_address": f"/versions/{segment(request.name)}",
        "list_address": address("/tasks", filters),
        "self_path": request.path,
        "filters": filters,
    }


def _beside(found: TaskDetails, items: Sequence[Item]) -> dict[str, Any]:
    """Return links, audits, attempts, changes and responses, with the numbers of the linked annotations."""
    numbers: dict[str, int] = {}
    for row in found.annotations:
        if row["uuid"]:
            numbers.setdefault(row["uuid"], row["ordinal"])
    shown = {item.ordinal for item in items}
    links = [
        {
            **link,
            "source_ordinal": numbers.get(link["source"]) if numbers.get(link["source"]) in shown else None,
            "target_ordinal": numbers.get(link["target"]) if numbers.get(link["target"]) in shown else None,
        }
        for link in found.beside["links"]
    ]
    return {**found.beside, "links": links}


def _document_text(document: bytes) -> tuple[str, bool]:
    """Return the document as indented JSON, and whether that is all of it."""
    text = format_json(document, indent=2).decode(errors="replace")
    return text[:_LONG_DOCUMENT], len(text) <= _LONG_DOCUMENT


def _as_json(found: TaskDetails, findings: Sequence[Finding] | None) -> dict[str, object]:
    beside = {name: [nested(row) for row in rows] for name, rows in found.beside.items()}
    return {
        "task": msgspec.Raw(found.document),
        "annotations": [nested(row) for row in found.annotations],
        "annotations_total": found.total,
        "annotations_complete": not (found.files_waiting or found.unread),
        **beside,
        "differences": found.differences,
        "findings": None if findings is None else [finding._asdict() for finding in findings],
        "newer": found.newer.task_id,
        "older": found.older.task_id,
    }
