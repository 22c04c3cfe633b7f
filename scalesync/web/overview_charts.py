"""The charts of an overview: tasks per day, hours per week, reviews, labels, batches and statuses."""

from collections.abc import Sequence
from datetime import timedelta

from scalesync.models.overview import DayCounts, Overview
from scalesync.status import number_of
from scalesync.web.charts import (
    BAR_STEP,
    COLORS,
    HEIGHT,
    Chart,
    Spec,
    axis,
    day_of,
    named,
    spec_of,
    time_axis,
)

DAYS, WEEKS, BARS = 400, 104, 20
"""The most days, weeks and bars of one chart."""


def overview_charts(overview: Overview) -> list[Chart]:
    """Return the charts in the order in which a page shows them; those of nothing have no spec."""
    return [
        _by_status(overview),
        _per_day(overview),
        _per_week(overview),
        _reviews(overview),
        label_chart(overview),
        _batches(overview),
    ]


def _by_status(overview: Overview) -> Chart:
    columns = ("status", "tasks")
    rows = [(named(status), number) for status, number in overview.by_status.items()]
    note = "" if overview.since is None else "Tasks created since then."
    drawing = _bars("tasks", "tasks", "status")
    return _chart("by-status", ("Tasks by status", note), columns, rows, drawing)


def _per_day(overview: Overview) -> Chart:
    columns = ("day", "created", "completed")
    shown = _without_gaps(overview.days)
    note = _dateless(overview)
    if older := len([day for day in overview.days if day.day < shown[0].day]):
        note = f"The last {DAYS} days, without {number_of(older, 'earlier day')} with tasks. {note}".strip()
    rows = [(day.day, day.created, day.completed) for day in shown]
    drawing = {
        **_line("day", "day (UTC)", "tasks per day", "what", "tasks"),
        "transform": [{"fold": ["created", "completed"], "as": ["what", "tasks"]}],
    }
    return _chart("per-day", ("Tasks created and completed per day", note), columns, rows, drawing)


def _without_gaps(days: Sequence[DayCounts]) -> list[DayCounts]:
    """Return the last DAYS days, those on which nothing happened included: no line is drawn above them."""
    if not days:
        return []
    known = {day.day: day for day in days}
    last, first = day_of(days[-1].day), day_of(days[0].day)
    number = min((last - first).days + 1, DAYS)
    names = [(last - timedelta(days=back)).isoformat() for back in range(number - 1, -1, -1)]
    return [known.get(name, DayCounts(name, 0, 0)) for name in names]


def _dateless(overview: Overview) -> str:
    """Return a sentence on tasks that are in no day, which only the numbers of all tasks can show."""
    if overview.since is not None:
        return "Whole days since then."
    dateless = overview.tasks - sum(day.created for day in overview.days)
    if dateless <= 0:
        return ""
    return f"{dateless:,} {'task has' if dateless == 1 else 'tasks have'} no time of creation."


def _per_week(overview: Overview) -> Chart:
    columns = ("week", "completed", "p50_hours", "p90_hours")
    # By the calendar: one task completed in a wrong year would press all others together.
    first = day_of(overview.weeks[-1].week) - timedelta(weeks=WEEKS - 1) if overview.weeks else None
    rows = [
        (each.week, each.completed, each.p50_hours, each.p90_hours)
        for each in overview.weeks
        if first is not None and day_of(each.week) >= first
    ]
    note = (
        "From creation to completion, by the Monday of the week of completion: half of the tasks took "
        "no longer than p50, nine in ten no longer than p90."
    )
    if older := len(overview.weeks) - len(rows):
        note = f"The last {WEEKS} weeks, without {number_of(older, 'earlier week')} with tasks. {note}"
    drawing = {
        **_line("week", "week of completion (UTC)", "hours", "which", "hours"),
        "transform": [{"fold": ["p50_hours", "p90_hours"], "as": ["which", "hours"]}],
    }
    return _chart("per-week", ("Hours to complete", note), columns, rows, drawing)


def _reviews(overview: Overview) -> Chart:
    columns = ("project", "accepted", "fixed", "commented", "rejected")
    reviewed = [
        each for each in overview.reviews if each.accepted or each.fixed or each.commented or each.rejected
    ]
    rows = [
        (named(each.project), each.accepted, each.fixed, each.commented, each.rejected)
        for each in reviewed[:BARS]
    ]
    listed = overview.projects_total == len(overview.reviews)
    note = _first("projects with reviews", len(rows), len(reviewed), known=listed)
    drawing = {
        **_bars("tasks", "tasks with this review", "project", color="review", order=columns[1:]),
        "transform": [{"fold": list(columns[1:]), "as": ["review", "tasks"]}],
    }
    return _chart("reviews", ("Reviews per project", note), columns, rows, drawing)


def label_chart(overview: Overview) -> Chart:
    """Return the most used labels, divided by geometry."""
    columns = ("label", "geometry", "annotations")
    rows = [(named(each.label), named(each.geometry), each.annotations) for each in overview.labels[:BARS]]
    note = _first("labels", len(rows), overview.labels_total)
    drawing = _bars("annotations", "annotations", "label", color="geometry")
    return _chart("labels", ("Most used labels by geometry", note), columns, rows, drawing)


def _batches(overview: Overview) -> Chart:
    columns = ("batch", "percent_done", "completed", "to_do")
    rows = [
        (
            each.batch,
            None if each.share_done is None else round(100 * each.share_done, 1),
            each.completed,
            each.tasks - each.canceled,
        )
        for each in overview.batches[:BARS]
    ]
    done = sum(each.share_done == 1 for each in overview.batches)
    cut = _first("batches, those with the most tasks left", len(rows), overview.batches_total)
    all_listed = overview.batches_total == len(overview.batches)
    note = f"{done:,} of {overview.batches_total:,} batches are done. {cut}" if all_listed else cut
    drawing = _bars("percent_done", "% of its tasks completed, but for canceled ones", "batch")
    drawing["encoding"]["x"]["scale"] = {"domain": [0, 100]}
    return _chart("batches", ("Batches by share done", note.strip()), columns, rows, drawing)


def _first(what: str, shown: int, total: int, *, known: bool = True) -> str:
    if known and shown == total:
        return ""
    return f"The first {shown:,} of {total:,} {what}." if known else f"The first {shown:,} {what}."


def _line(time: str, time_title: str, value_title: str, series: str, value: str) -> Spec:
    """Return lines over time, one for each name in `series`, with a point at each value."""
    return {
        "mark": {"type": "line", "point": {"size": 18}},
        "height": HEIGHT,
        "encoding": {
            "x": time_axis(time, time_title),
            "y": axis(value, "quantitative", value_title),
            "color": {"field": series, "type": "nominal", "title": None},
            # Also told apart without colours.
            "strokeDash": {"field": series, "type": "nominal", "title": None},
        },
    }


def _bars(value: str, title: str, name: str, color: str | None = None, order: Sequence[str] = ()) -> Spec:
    """Return horizontal bars in the order of the rows, divided by `color` if that is given."""
    encoding: Spec = {
        "y": axis(name, "nominal", name, sort=None),
        "x": axis(value, "quantitative", title),
    }
    if color is not None:
        channel: Spec = {"field": color, "type": "nominal", "title": color}
        if order:
            channel["scale"] = {"domain": list(order), "range": [COLORS[2], COLORS[0], COLORS[4], COLORS[5]]}
        encoding["color"] = channel
    return {"mark": {"type": "bar"}, "height": {"step": BAR_STEP}, "encoding": encoding}


def _chart(
    name: str, texts: tuple[str, str], columns: Sequence[str], rows: Sequence[Sequence[object]], drawing: Spec
) -> Chart:
    """Return the chart of these rows; `texts` are its title and its note."""
    title, note = texts
    spec = spec_of(title, f"{title}. {note}".strip(), columns, rows, drawing) if rows else None
    return Chart(name, title, note, columns, rows, spec)
