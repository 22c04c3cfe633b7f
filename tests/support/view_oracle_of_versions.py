"""Compute in plain Python what the views of reviews, responses, weeks, images and duplicates must return."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from statistics import fmean, median, quantiles
from typing import Any

from tests.support import view_oracle
from tests.support.finding_oracle import findings
from tests.support.view_oracle import Answer, Doc, Exported, audits_of, duration, share, when, word

_RESULTS = ("accepted", "fixed", "commented", "rejected")


def reviewers(exported: Exported) -> Iterator[Answer]:
    """Audit by audit."""
    found: dict[tuple[str | None, str | None, str | None], list[tuple[str, Doc]]] = defaultdict(list)
    for doc in exported.tasks:
        for audit in audits_of(doc):
            key = word(doc, "project"), word(audit, "audited_by"), word(audit, "audit_source")
            found[key].append((doc["task_id"], audit))
    for key, audits in found.items():
        results = Counter(word(audit, "audit_result") for _, audit in audits)
        lasted = [float(each) for _, audit in audits if (each := audit.get("audit_time_secs")) is not None]
        times = [at for _, audit in audits if (at := when(audit, "audited_at"))]
        yield {
            **dict(zip(("project", "audited_by", "source"), key, strict=True)),
            "audits": len(audits),
            "tasks": len({task_id for task_id, _ in audits}),
            **{name: results[name] for name in _RESULTS},
            **{
                f"{name}_rate": share(results[name], len(audits))
                for name in ("accepted", "fixed", "rejected")
            },
            "mean_seconds": fmean(lasted) if lasted else None,
            "first_at": min(times, default=None),
            "last_at": max(times, default=None),
        }


def task_responses(exported: Exported) -> Iterator[Answer]:
    """Those of now, and those that were kept."""
    ids = {doc["task_id"] for doc in exported.tasks}
    current: dict[str, str] = {}
    replaced = {(row["task_id"], row["response_digest"]): row for row in exported.rows["replaced_responses"]}
    for row in exported.rows["tasks"]:
        if row["task_id"] in ids and row["response"] is not None:
            key = row["task_id"], row["response_digest"]
            current[row["task_id"]] = row["response_digest"]
            first = replaced[key]["first_seen_at"] if key in replaced else _first_seen(exported, row)
            yield _response(row, first, None)
    for (task_id, digest), row in replaced.items():
        if task_id in ids and current.get(task_id) != digest:
            yield _response(row, row["first_seen_at"], row["replaced_at"])


def _response(row: Doc, first_seen_at: datetime, replaced_at: datetime | None) -> Answer:
    return {
        **{name: row[name] for name in ("task_id", "response_digest")},
        "first_seen_at": first_seen_at,
        "replaced_at": replaced_at,
        "response": row["response"],
    }


def _first_seen(exported: Exported, row: Doc) -> datetime:
    steps = [each for each in exported.rows["task_changes"] if each["task_id"] == row["task_id"]]
    came = [
        each["seen_at"]
        for each in steps
        if each["field"] == "response" and each["after"] == row["response_digest"]
    ]
    first: datetime = min(came or [each["seen_at"] for each in steps] or [row["synced_at"]])
    return first


def annotation_changes(exported: Exported) -> Iterator[Answer]:
    """As they were recorded, with what the task says of itself."""
    docs = {doc["task_id"]: doc for doc in exported.tasks}
    for row in exported.rows["annotation_differences"]:
        if (doc := docs.get(row["task_id"])) is not None:
            placed = {"task_id": row["task_id"], "project": word(doc, "project"), "batch": word(doc, "batch")}
            names = ("kind", "uuid", "geometry", "frame", "label_before", "label_after", "iou")
            more = ("before_ordinal", "after_ordinal", "before_digest", "after_digest", "seen_at")
            yield placed | {name: row[name] for name in (*names, *more)}


def weekly_labels(exported: Exported) -> Iterator[Answer]:
    """Annotation by annotation."""
    docs = {doc["task_id"]: doc for doc in exported.tasks}
    found: dict[tuple[str | None, str | None, date | None], list[str]] = defaultdict(list)
    for task_id, label, _ in exported.drawn:
        if task_id in docs:
            at = when(docs[task_id], "completed_at")
            week = at and at.date() - timedelta(days=at.weekday())
            found[word(docs[task_id], "project"), label, week].append(task_id)
    for key, ids in found.items():
        named = dict(zip(("project", "label", "week"), key, strict=True))
        yield {**named, "annotations": len(ids), "tasks": len(set(ids))}


def image_annotations(exported: Exported) -> Iterator[Answer]:
    """Image by image."""
    labels: dict[str, list[str | None]] = defaultdict(list)
    for task_id, label, _ in exported.drawn:
        labels[task_id].append(label)
    images: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for doc in exported.tasks:
        if (attachment := _attachment(doc)) is not None:
            images[word(doc, "project"), attachment].append(doc["task_id"])
    for (project, attachment), ids in images.items():
        drawn = [label for task_id in ids for label in labels[task_id]]
        yield {
            "project": project,
            "attachment": attachment,
            "tasks": len(ids),
            "annotations": len(drawn),
            "labels": len(set(drawn) - {None}),
        }


def _attachment(doc: Doc) -> str | None:
    params: Any = doc.get("params")
    return word(params, "attachment") if isinstance(params, dict) else None


def monthly_completion(exported: Exported) -> Iterator[Answer]:
    """Month by month."""
    months: dict[tuple[str | None, date], list[float]] = defaultdict(list)
    for doc in exported.tasks:
        at, took = when(doc, "completed_at"), duration(doc)
        if at is not None and took is not None:
            months[word(doc, "project"), at.date().replace(day=1)].append(took / 3600)
    for (project, month), hours in months.items():
        most = quantiles(hours, n=10, method="inclusive")[-1] if len(hours) > 1 else hours[0]
        completed = {"project": project, "month": month, "completed": len(hours)}
        yield completed | {"p50_hours": median(hours), "p90_hours": most}


def duplicate_tasks(exported: Exported) -> Iterator[Answer]:
    """Text by text."""
    found: dict[tuple[str | None, ...], list[Doc]] = defaultdict(list)
    for doc in exported.tasks:
        if (unique_id := word(doc, "unique_id")) is not None:
            found["unique_id", unique_id, None, None].append(doc)
        if (attachment := _attachment(doc)) is not None:
            found["attachment", attachment, word(doc, "project"), word(doc, "type")].append(doc)
    for key, docs in found.items():
        if len(docs) > 1:
            created = [at for doc in docs if (at := when(doc, "created_at"))]
            yield {
                **dict(zip(("kind", "value", "project", "type"), key, strict=True)),
                "tasks": len(docs),
                "first_task_id": min(doc["task_id"] for doc in docs),
                "last_task_id": max(doc["task_id"] for doc in docs),
                "first_created_at": min(created, default=None),
                "last_created_at": max(created, default=None),
            }


def annotation_findings(exported: Exported) -> Iterator[Answer]:
    """Annotation by annotation."""
    for found in findings(exported.rows):
        yield dict(zip(("rule", "task_id", "ordinal", "detail"), found, strict=True))


ANSWERS: dict[str, Callable[[Exported], Iterator[Answer]]] = {
    answer.__name__: answer
    for answer in (
        view_oracle.task_facts,
        view_oracle.batch_progress,
        view_oracle.label_counts,
        view_oracle.daily_throughput,
        view_oracle.review_quality,
        view_oracle.submissions,
        reviewers,
        task_responses,
        annotation_changes,
        weekly_labels,
        image_annotations,
        monthly_completion,
        duplicate_tasks,
        annotation_findings,
    )
}
"""By the name of the view."""
