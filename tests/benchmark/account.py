"""Serve lists of an account's objects from memory: each list is sorted once, and pages are slices of it."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

from scalesync.sandbox.json_codec import Doc, encode
from scalesync.sandbox.timestamps import Span, format_millis, span_of
from tests.benchmark.documents import Task, make_batches, make_projects, make_tasks, make_uneven_tasks
from tests.benchmark.mixed_documents import make_mixed_tasks

Query = Mapping[str, str]

CORPORA: Mapping[str, Callable[[int, int], list[Task]]] = {
    "plain": make_tasks,
    "mixed": make_mixed_tasks,
    "uneven": make_uneven_tasks,
}
"""Functions that make the tasks of a corpus from a count and a seed."""

GENERATED = "generated"
"""The corpus of `GeneratedAccount`, which is kept nowhere and only in the stage `large`."""

_KEY = attrgetter("key")
_LAST_ID = "\x7f"
_ENVELOPE = ("callback_url", "instruction", "metadata", "unique_id", "tags", "project", "batch", "priority")
"""Fields of a create's body that are the task's own; the others are its params."""


class DuplicateError(Exception):
    """Another task has that unique_id."""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """The filters of a list of tasks; None accepts all values."""

    created: Span
    updated: Span
    project: str | None
    batch: str | None
    status: str | None

    @classmethod
    def by(cls, query: Query) -> "TaskFilter":
        """Return the filters of a query, with both ends of a span inclusive."""
        return cls(
            span_of(query.get("start_time", ""), query.get("end_time", ""), "inclusive"),
            span_of(query.get("updated_after", ""), query.get("updated_before", ""), "inclusive"),
            query.get("project"),
            query.get("batch"),
            query.get("status"),
        )

    def accepts(self, task: Task) -> bool:
        """Return whether a task fits all filters but those by time."""
        return (
            self.project in {None, task.project}
            and self.batch in {None, task.batch}
            and self.status in {None, task.status}
        )


class Account:
    """Tasks, batches and projects, as a server lists them. Tasks can be added, and nothing else."""

    def __init__(self, tasks: int, seed: int, corpus: str = "plain") -> None:
        self.by_project = corpus == "uneven"
        """Whether tasks are listed of one project at a time only."""
        self.batches = make_batches(tasks, seed)
        self.projects = make_projects()
        self.tasks = CORPORA[corpus](tasks, seed)
        self._by_id = {task.task_id: task for task in self.tasks}
        self._by_unique_id = {task.unique_id: task for task in self.tasks}
        self._lists: dict[tuple[str | None, str | None, str | None], list[Task]] = {}
        self._updated: dict[TaskFilter, list[Task]] = {}
        for name in (None, *(project["name"] for project in self.projects)):
            self._list(TaskFilter(Span(), Span(), name, None, None))

    @property
    def bytes_per_task(self) -> float:
        """The average of all tasks."""
        return sum(len(task.raw) for task in self.tasks) / max(1, len(self.tasks))

    def page(self, query: Query) -> bytes:
        """Return a page of tasks, newest first, as JSON text."""
        limit = int(query.get("limit") or 100)
        if unique_id := query.get("unique_id"):
            found: Sequence[Task] = [task for task in [self._by_unique_id.get(unique_id)] if task]
            low, high = 0, len(found)
        else:
            found, low, high = self._find(TaskFilter.by(query))
        total, token = high - low, query.get("next_token")
        if token:
            at, _, task_id = token.partition("-")
            high = bisect_left(found, (int(at), task_id), low, high, key=_KEY)
        start = max(low, high - limit)
        docs = b",".join([task.raw for task in reversed(found[start:high])])
        tail: Doc = {"total": total, "offset": 0, "limit": limit, "has_more": start > low}
        if start > low:
            tail["next_token"] = f"{found[start].created}-{found[start].task_id}"
        return b'{"docs":[%b],%b' % (docs, encode(tail)[1:])

    def _find(self, wanted: TaskFilter) -> tuple[Sequence[Task], int, int]:
        """Return a sorted list, and the slice of it that fits."""
        tasks = self._list(wanted)
        low = bisect_left(tasks, (wanted.created.first, ""), key=_KEY)
        high = max(low, bisect_right(tasks, (wanted.created.last, _LAST_ID), key=_KEY))
        if not wanted.updated.bounded:
            return tasks, low, high
        if wanted not in self._updated:
            some = islice(tasks, low, high)
            self._updated[wanted] = [task for task in some if task.updated in wanted.updated]
        return self._updated[wanted], 0, len(self._updated[wanted])

    def _list(self, wanted: TaskFilter) -> list[Task]:
        place = (wanted.project, wanted.batch, wanted.status)
        if place not in self._lists:
            self._lists[place] = [task for task in self.tasks if wanted.accepts(task)]
        return self._lists[place]

    def task(self, task_id: str) -> bytes | None:
        """Return a task as JSON text, or None if there is none."""
        found = self._by_id.get(task_id)
        return None if found is None else found.raw

    def create(self, kind: str, body: Mapping[str, Any], now: int) -> bytes:
        """Add a pending task and return it. Raises DuplicateError for a unique_id that is taken."""
        unique_id = body.get("unique_id")
        if unique_id is not None and unique_id in self._by_unique_id:
            raise DuplicateError
        task_id = f"{now // 1000:08x}{len(self.tasks):016x}"
        at = format_millis(now)
        doc: Doc = {
            "task_id": task_id,
            "created_at": at,
            "updated_at": at,
            "type": kind,
            "status": "pending",
            "params": {name: value for name, value in body.items() if name not in _ENVELOPE},
            "is_test": False,
            **{name: body[name] for name in _ENVELOPE if name in body},
        }
        where = body.get("project"), body.get("batch")
        self._add(Task(encode(doc), task_id, now, now, *where, "pending", unique_id))
        return self._by_id[task_id].raw

    def _add(self, task: Task) -> None:
        self.tasks.append(task)
        self._by_id[task.task_id] = task
        if task.unique_id is not None:
            self._by_unique_id[task.unique_id] = task
        self._lists.clear()
        self._updated.clear()

    def page_of_batches(self, query: Query) -> Doc:
        """Return a page of batches by offset, newest first."""
        limit, offset = int(query.get("limit") or 100), int(query.get("offset") or 0)
        created = span_of(query.get("start_time", ""), query.get("end_time", ""), "inclusive")
        first, last = format_millis(max(created.first, 0)), format_millis(min(created.last, 1 << 42))
        found = [
            batch
            for batch in self.batches
            if query.get("project") in {None, batch["project"]}
            and query.get("status") in {None, batch["status"]}
            and first <= batch["created_at"] <= last
        ]
        more = offset + limit < len(found)
        return {
            "docs": found[offset : offset + limit],
            "totalDocs": len(found),
            "limit": limit,
            "offset": offset,
            "has_more": more,
            "totalPages": -(-len(found) // limit),
            "hasNextPage": more,
            "nextPage": (offset + limit) // limit + 1 if more else None,
        }

    def batch(self, name: str) -> Doc | None:
        """Return a batch, or None if there is none."""
        return next((batch for batch in self.batches if batch["name"] == name), None)

    def batch_status(self, name: str) -> Doc | None:
        """Return a batch's status and the counts of its tasks, or None if there is no such batch."""
        batch = self.batch(name)
        counts = Counter(task.status for task in self._list(TaskFilter(Span(), Span(), None, name, None)))
        return None if batch is None else {"status": batch["status"], **counts}

    def project(self, name: str) -> Doc | None:
        """Return a project, or None if there is none."""
        return next((project for project in self.projects if project["name"] == name), None)
