"""Compute in plain Python what the views must return."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median, quantiles
from typing import Any

from scalesync.models.commands import Command

Doc = Mapping[str, Any]
Answer = dict[str, object]


@dataclass(frozen=True)
class Exported:
    """Everything that views speak of; objects that are missing at the API are not in it."""

    tasks: list[Doc]
    batches: list[Doc]
    drawn: list[tuple[str, str | None, str | None]]
    """Of each annotation its task, its label and its geometry."""
    complete_until: datetime | None
    """Up to when tasks are known complete."""
    commands: list[Command]
    rows: Mapping[str, list[Mapping[str, Any]]]
    """The rows of other tables that views read, by table."""


def word(doc: Doc, name: str) -> str | None:
    """Return a field that is a text, as a column would have it."""
    value = doc.get(name)
    return value if isinstance(value, str) else None


def when(doc: Doc, name: str) -> datetime | None:
    """Return a field that is a time, in UTC and down to the millisecond."""
    try:
        instant = datetime.fromisoformat(word(doc, name) or "").astimezone(UTC)
    except ValueError:
        return None
    return instant - timedelta(microseconds=instant.microsecond % 1000)


def seconds(since: datetime | None, until: datetime | None) -> float | None:
    """Return how long it took."""
    return None if since is None or until is None else (until - since) / timedelta(milliseconds=1) / 1000


def duration(doc: Doc) -> float | None:
    """Return the seconds that a completed task took."""
    completed = word(doc, "status") == "completed"
    return seconds(when(doc, "created_at"), when(doc, "completed_at")) if completed else None


def share(part: int, whole: int) -> float | None:
    """Return a part of 1."""
    return part / whole if whole else None


def task_facts(exported: Exported) -> Iterator[Answer]:
    """One by one."""
    labels: dict[str, list[str | None]] = defaultdict(list)
    for task_id, label, _ in exported.drawn:
        labels[task_id].append(label)
    for doc in exported.tasks:
        age = seconds(when(doc, "created_at"), exported.complete_until)
        mine = labels[doc["task_id"]]
        yield {
            **{name: word(doc, name) for name in ("task_id", "project", "batch", "type", "status")},
            "customer_review_status": word(doc, "customer_review_status"),
            "created_at": when(doc, "created_at"),
            "completed_at": when(doc, "completed_at"),
            "seconds_to_complete": duration(doc),
            "pending_seconds": max(0.0, age) if age is not None and doc.get("status") == "pending" else None,
            "annotations": len(mine),
            "labels": len(set(mine) - {None}),
        }


def batch_progress(exported: Exported) -> Iterator[Answer]:
    """Batch by batch, those of the API and those of tasks."""
    own = {doc["name"]: doc for doc in exported.batches}
    inside: dict[str, list[Doc]] = {name: [] for name in own}
    for doc in exported.tasks:
        if (name := word(doc, "batch")) is not None:
            inside.setdefault(name, []).append(doc)
    for name, docs in inside.items():
        yield {"batch": name} | _progress(own.get(name, {}), docs)


def _progress(batch: Doc, docs: list[Doc]) -> Answer:
    statuses = Counter(word(doc, "status") for doc in docs)
    projects = {word(doc, "project") for doc in docs} - {None}
    done = [doc for doc in docs if word(doc, "status") == "completed"]
    ends = [end for doc in done if (end := when(doc, "completed_at"))]
    hours = [took / 3600 for doc in done if (took := duration(doc)) is not None]
    return {
        "project": word(batch, "project") or (projects.pop() if len(projects) == 1 else None),
        "status": word(batch, "status"),
        "tasks": len(docs),
        **{f"tasks_{status}": statuses[status] for status in ("pending", "completed", "error", "canceled")},
        "share_done": share(len(done), len(docs) - statuses["canceled"]),
        "first_completed_at": min(ends, default=None),
        "last_completed_at": max(ends, default=None),
        "median_hours": median(hours) if hours else None,
        "p90_hours": quantiles(hours, n=10, method="inclusive")[-1] if len(hours) > 1 else (*hours, None)[0],
    }


def label_counts(exported: Exported) -> Iterator[Answer]:
    """By sets of task ids."""
    projects = {doc["task_id"]: word(doc, "project") for doc in exported.tasks}
    found: dict[tuple[str | None, str | None, str | None], list[str]] = defaultdict(list)
    for task_id, label, geometry in exported.drawn:
        if task_id in projects:
            found[projects[task_id], label, geometry].append(task_id)
    for key, ids in found.items():
        named = dict(zip(("project", "label", "geometry"), key, strict=True))
        yield {**named, "annotations": len(ids), "tasks": len(set(ids))}


def daily_throughput(exported: Exported) -> Iterator[Answer]:
    """Event by event."""
    days: dict[tuple[str | None, date], Counter[str]] = defaultdict(Counter)
    for doc in exported.tasks:
        dated = {"created": when(doc, "created_at")}
        if doc.get("status") == "completed":
            dated["completed"] = when(doc, "completed_at")
        if doc.get("status") == "canceled":
            dated["canceled"] = when(doc, "updated_at")
        for event, at in dated.items():
            if at is not None:
                days[word(doc, "project"), at.date()][event] += 1
    for (project, day), counts in days.items():
        events = {name: counts[name] for name in ("created", "completed", "canceled")}
        yield {"project": project, "day": day, **events}


def review_quality(exported: Exported) -> Iterator[Answer]:
    """Place by place."""
    words = ("accepted", "fixed", "commented", "rejected")
    for project, batch in {(word(doc, "project"), word(doc, "batch")) for doc in exported.tasks}:
        here = [
            doc for doc in exported.tasks if (word(doc, "project"), word(doc, "batch")) == (project, batch)
        ]
        reviews = Counter(word(doc, "customer_review_status") for doc in here)
        reviewed = sum(reviews[name] for name in words)
        yield {
            "project": project,
            "batch": batch,
            "completed": sum(doc.get("status") == "completed" for doc in here),
            "reviewed": reviewed,
            **{name: reviews[name] for name in words},
            **{f"{name}_rate": share(reviews[name], reviewed) for name in ("accepted", "fixed", "rejected")},
            "audited": sum(bool(audits_of(doc)) for doc in here),
            "audits": sum(len(audits_of(doc)) for doc in here),
            "rejected_once": sum(
                any(audit.get("audit_result") == "rejected" for audit in audits_of(doc)) for doc in here
            ),
        }


def audits_of(doc: Doc) -> list[Doc]:
    """Return a task's audits; what is no object is one without any field."""
    given = doc.get("audits")
    elements = given if isinstance(given, list) else [given]
    return [each if isinstance(each, dict) else {} for each in elements if each is not None]


def submissions(exported: Exported) -> Iterator[Answer]:
    """Command by command."""
    for command in exported.commands:
        if command.kind == "create_task":
            payload = json.loads(command.payload)
            body = payload["body"]
            named = json.loads(command.result or "{}").get("task_id")
            task = _became(exported.tasks, command, named, body["unique_id"])
            yield {
                "command_id": command.id,
                "state": command.state,
                "outcome": command.outcome,
                "queued_at": command.created_at,
                "sent_at": command.sent_at,
                "settled_at": command.finished_at,
                **{name: getattr(command, name) for name in ("sends", "error_code", "error")},
                **{name: body.get(name) for name in ("unique_id", "project", "batch")},
                "type": payload["type"],
                "task_id": named or task.get("task_id"),
                "task_status": word(task, "status"),
                "task_completed_at": when(task, "completed_at"),
            }


def _became(tasks: Iterable[Doc], command: Command, named: str | None, unique_id: str) -> Doc:
    if named is not None:
        return next((doc for doc in tasks if doc["task_id"] == named), {})
    if command.state in ("dead", "discarded"):
        return {}
    alike = [doc for doc in tasks if doc.get("unique_id") == unique_id]
    return max(alike, key=lambda doc: str(doc["task_id"]), default={})
