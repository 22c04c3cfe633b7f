"""Compute in plain Python what an overview of a mirror must be."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from scalesync.models.overview import (
    BatchShare,
    DayCounts,
    LabelUse,
    Overview,
    ProjectReviews,
    WeekTimes,
)
from tests.support.view_oracle import Doc, Exported, duration, share, when, word

REVIEWS = ("accepted", "fixed", "commented", "rejected")


def expected(known: Exported, project: str | None, since: datetime | None, now: datetime) -> Overview:
    """Return the overview of what is known."""
    mine = [doc for doc in known.tasks if project is None or word(doc, "project") == project]
    recent = [doc for doc in mine if _since(when(doc, "created_at"), since)]
    reviews, labels, batches = _reviews(recent), _labels(known, recent), _batches(known, project, since)
    return Overview(
        project=project,
        since=since,
        computed_at=now,
        objects={},
        by_status=dict(Counter(word(doc, "status") for doc in recent)),
        days=_days(mine, since),
        weeks=_weeks(mine, since),
        reviews=reviews,
        labels=labels,
        batches=batches,
        projects_total=len(reviews),
        labels_total=len(labels),
        batches_total=len(batches),
    )


def _since(at: datetime | None, since: datetime | None) -> bool:
    return since is None or (at is not None and at >= since)


def _completed_at(doc: Doc) -> datetime | None:
    return when(doc, "completed_at") if word(doc, "status") == "completed" else None


def _days(docs: list[Doc], since: datetime | None) -> list[DayCounts]:
    created = Counter(at.date() for doc in docs if (at := when(doc, "created_at")))
    completed = Counter(at.date() for doc in docs if (at := _completed_at(doc)))
    midnight = None if since is None else since.replace(hour=0, minute=0, second=0, microsecond=0)
    first = (
        None if since is None or midnight is None else (midnight + timedelta(days=since > midnight)).date()
    )
    return [
        DayCounts(day.isoformat(), created[day], completed[day])
        for day in sorted(created | completed)
        if first is None or day >= first
    ]


def _weeks(docs: list[Doc], since: datetime | None) -> list[WeekTimes]:
    hours: dict[str, list[float]] = defaultdict(list)
    for doc in docs:
        at, seconds = _completed_at(doc), duration(doc)
        if at is not None and seconds is not None and _since(at, since):
            monday = at.date() - timedelta(days=at.weekday())
            hours[monday.isoformat()].append(seconds / 3600)
    return [
        WeekTimes(week, len(of_week), round(_quantile(of_week, 0.5), 3), round(_quantile(of_week, 0.9), 3))
        for week, of_week in sorted(hours.items())
    ]


def _quantile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _reviews(docs: list[Doc]) -> list[ProjectReviews]:
    by_project: dict[str | None, list[Doc]] = defaultdict(list)
    for doc in docs:
        by_project[word(doc, "project")].append(doc)
    rows = []
    for project, mine in by_project.items():
        counts = Counter(word(doc, "customer_review_status") for doc in mine)
        done = sum(word(doc, "status") == "completed" for doc in mine)
        rows.append(ProjectReviews(project, done, *(counts[review] for review in REVIEWS)))
    return sorted(rows, key=lambda row: (-row.completed, _text(row.project)))


def _labels(known: Exported, docs: list[Doc]) -> list[LabelUse]:
    project_of = {doc["task_id"]: word(doc, "project") for doc in docs}
    drawn: dict[Any, list[str]] = defaultdict(list)
    for task_id, label, geometry in known.drawn:
        if task_id in project_of:
            drawn[label, geometry].append(task_id)
    rows = [
        LabelUse(label, geometry, len(ids), len(set(ids)), len({project_of[each] for each in ids} - {None}))
        for (label, geometry), ids in drawn.items()
    ]
    return sorted(rows, key=lambda row: (-row.annotations, _text(row.label), _text(row.geometry)))


def _batches(known: Exported, project: str | None, since: datetime | None) -> list[BatchShare]:
    tasks: dict[str, list[Doc]] = defaultdict(list)
    for doc in known.tasks:
        if (name := word(doc, "batch")) is not None:
            tasks[name].append(doc)
    own = {doc["name"]: doc for doc in known.batches}
    rows = []
    for name in own.keys() | tasks.keys():
        named = {word(doc, "project") for doc in tasks[name]} - {None}
        of_batch = word(own.get(name, {}), "project") or (named.pop() if len(named) == 1 else None)
        counts = Counter(word(doc, "status") for doc in tasks[name])
        total, done, away = len(tasks[name]), counts["completed"], counts["canceled"]
        listed = since is None or (name in own and _since(when(own[name], "created_at"), since))
        if listed and (project is None or of_batch == project):
            rows.append(BatchShare(name, of_batch, total, done, away, share(done, total - away)))
    return sorted(rows, key=lambda row: (row.completed + row.canceled - row.tasks, _text(row.batch)))


def _text(name: str | None) -> tuple[bool, bytes]:
    """Return what texts are ordered by: their bytes, and nothing last."""
    return name is None, (name or "").encode()
