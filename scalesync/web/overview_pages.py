"""The pages `/` and `/labels`: how current the mirror is, charts of its tasks, and how labels are used."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from scalesync.models.overview import ROWS, Overview
from scalesync.models.selection import check_name
from scalesync.timestamps import format_instant, instant_of
from scalesync.web.addresses import filters_in
from scalesync.web.charts import SCRIPTS, Chart
from scalesync.web.freshness import freshness
from scalesync.web.overview_cache import CountedOverview, cache_of
from scalesync.web.overview_charts import label_chart, overview_charts
from scalesync.web.pages import PageRequest, Table, WebPage

FILTERS = ("project", "since")
LABEL_COLUMNS = ("label", "geometry", "annotations", "tasks", "projects")
_DAY_COLUMNS = ("day", "created", "completed")
_RELOAD = {"refresh": "3"}
"""Sent while there is nothing to show yet."""


def home(request: PageRequest) -> WebPage:
    """Return the overview of the mirror: the status as it is now, and the tasks as they were last counted."""
    counted, filters = _counted(request)
    known = counted.overview
    # What takes long to count is of the overview; all else is as it is now.
    now = freshness(request.mirror.status(recent=1, count=False), known.objects if known else {})
    charts = overview_charts(known) if known else []
    values = _values("Overview", counted, filters, charts) | {"freshness": now, "gaps": []}
    document = {"freshness": now, **_document(counted)}
    days = [asdict(day) for day in known.days] if known else []
    return WebPage("overview.html", values, document, Table.of(_DAY_COLUMNS, days), headers=_headers(counted))


def labels(request: PageRequest) -> WebPage:
    """Return how much each label of each geometry is used."""
    counted, filters = _counted(request)
    known = counted.overview
    rows = [asdict(label) for label in known.labels] if known else []
    charts = [label_chart(known)] if known else []
    values = _values("Labels", counted, filters, charts)
    status = request.mirror.status(recent=1, count=False)
    values |= {
        "gaps": [*status.sync_gaps(), *status.file_gaps(), *status.response_gaps()],
        "columns": LABEL_COLUMNS,
        "rows": rows,
        "cut": labels_cut(known) if known else "",
    }
    document = {"labels": rows, "labels_total": known and known.labels_total, **_counted_at(counted)}
    return WebPage("labels.html", values, document, Table.of(LABEL_COLUMNS, rows), headers=_headers(counted))


def labels_cut(overview: Overview) -> str:
    """Return a sentence on the labels that the list leaves out, empty if there are none."""
    if overview.labels_total <= len(overview.labels):
        return ""
    return (
        f"The {ROWS:,} most used of {overview.labels_total:,}; "
        "`scalesync export label_counts` gives all, by project."
    )


def scope_sentence(overview: Overview) -> str:
    """Return what the numbers of an overview are of."""
    whose = "all tasks" if overview.project is None else f"the tasks of project {overview.project}"
    if overview.since is None:
        return f"Of {whose} in the mirror."
    since = format_instant(overview.since)
    return f"Of {whose} and batches created since {since}; days and weeks from then on."


def _counted(request: PageRequest) -> tuple[CountedOverview, dict[str, Any]]:
    """Return the overview that an address asks for, and its filters. Raises ConfigurationError."""
    filters = filters_in(request, FILTERS)
    project, since = filters.get("project"), filters.get("since")
    # Checked here, for a thread would report it to nobody.
    if project is not None:
        check_name("project", project)
    if since is not None:
        instant_of(since, request.mirror.now())
    return cache_of(request.mirror).get(request.mirror, _text(project), _text(since)), filters


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _values(
    title: str, counted: CountedOverview, filters: dict[str, Any], charts: Sequence[Chart]
) -> dict[str, Any]:
    known = counted.overview
    return {
        "title": title,
        "filters": filters,
        "filter_names": FILTERS,
        "charts": charts,
        "scripts": SCRIPTS,
        "scope": scope_sentence(known) if known else "",
        **_counted_at(counted),
    }


def _counted_at(counted: CountedOverview) -> dict[str, Any]:
    known = counted.overview
    return {"counted_at": known and format_instant(known.computed_at), "being_counted": counted.being_counted}


def _document(counted: CountedOverview) -> dict[str, Any]:
    """Return the overview as plain values; a status that is none is null in a list, not a key."""
    known = counted.overview
    if known is None:
        return {"overview": None, **_counted_at(counted)}
    by_status = [{"status": status, "tasks": number} for status, number in known.by_status.items()]
    since, computed_at = known.since and format_instant(known.since), format_instant(known.computed_at)
    shown = asdict(known) | {"by_status": by_status, "since": since, "computed_at": computed_at}
    # By stream in `freshness`, and by status above.
    del shown["objects"]
    return {"overview": shown, **_counted_at(counted)}


def _headers(counted: CountedOverview) -> dict[str, str]:
    return _RELOAD if counted.overview is None else {}
