"""Store the tasks of one account as JSON text, with indexes for the fields that filters compare."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scalesync.sandbox.json_codec import Doc, decode, encode
from scalesync.sandbox.timestamps import parse_millis

Key = tuple[int, str]
"""Milliseconds and a task_id; lists of tasks are in the reverse order of their keys."""


class TaskRecord(NamedTuple):
    """One version of a task: its JSON text, and the fields that filters compare."""

    raw: bytes
    task_id: str
    created: int
    updated: int | None
    completed: int | None
    status: str
    type: str
    project: str | None
    batch: str | None
    unique_id: str | None
    review: str | None
    tags: frozenset[str]

    @property
    def key(self) -> Key:
        """The task's place in a list, by created_at."""
        return self.created, self.task_id

    def doc(self) -> Doc:
        """Return the task as a new object, which the caller may change."""
        doc: Doc = decode(self.raw)
        return doc


def record_of(doc: Doc) -> TaskRecord:
    """Return the record of a task's document."""
    updated, completed = doc.get("updated_at"), doc.get("completed_at")
    return TaskRecord(
        raw=encode(doc),
        task_id=doc["task_id"],
        created=parse_millis(doc["created_at"]),
        updated=parse_millis(updated) if updated else None,
        completed=parse_millis(completed) if completed else None,
        status=doc["status"],
        type=doc["type"],
        project=doc.get("project"),
        batch=doc.get("batch"),
        unique_id=doc.get("unique_id"),
        review=doc.get("customer_review_status"),
        tags=frozenset(doc.get("tags") or ()),
    )


class TaskStore:
    """All tasks of an account, with sorted indexes, so that a page or a narrow filter reads few of them."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change, so that what was computed before it is known to be stale."""
        self.created: list[Key] = []
        self.updated: list[Key] = []
        self.by_project: dict[str, list[Key]] = {}
        self.by_batch: dict[str, list[Key]] = {}
        self.by_unique_id: dict[str, str] = {}
        self.pending: dict[str, None] = {}
        self._by_id: dict[str, TaskRecord] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[TaskRecord]:
        """Yield every task, newest first."""
        return (self._by_id[task_id] for _, task_id in reversed(self.created))

    def get(self, task_id: str) -> TaskRecord | None:
        """Return the task of that id, None for an unknown one."""
        return self._by_id.get(task_id)

    def __getitem__(self, task_id: str) -> TaskRecord:
        return self._by_id[task_id]

    def put(self, record: TaskRecord) -> None:
        """Add a task, or replace it by a new version."""
        # The old version first: a cleared unique_id or an older updated_at must not stay in an index.
        if record.task_id in self._by_id:
            self.remove(record.task_id)
        for index, key in self._entries_of(record):
            insort(index, key)
        self._add_to_lookups(record)
        self.version += 1

    def load(self, records: Iterable[TaskRecord]) -> None:
        """Add many new tasks, and sort each index only once."""
        for record in records:
            for index, key in self._entries_of(record):
                index.append(key)
            self._add_to_lookups(record)
        for index in (self.created, self.updated, *self.by_project.values(), *self.by_batch.values()):
            index.sort()
        self.version += 1

    def remove(self, task_id: str) -> None:
        """Delete a task without a trace; raises KeyError for an unknown one."""
        record = self._by_id.pop(task_id)
        for index, key in self._entries_of(record):
            del index[bisect_left(index, key)]
        if record.unique_id is not None:
            self.by_unique_id.pop(record.unique_id, None)
        self.pending.pop(task_id, None)
        self.version += 1

    def of_batch(self, name: str) -> Iterator[TaskRecord]:
        """Yield the tasks of a batch, oldest first."""
        return (self._by_id[task_id] for _, task_id in self.by_batch.get(name, ()))

    def _entries_of(self, record: TaskRecord) -> Iterator[tuple[list[Key], Key]]:
        """Yield each sorted index that a task is in, with its key there."""
        yield self.created, record.key
        # A task of 2019 has no updated_at, and so is missing from this index.
        if record.updated is not None:
            yield self.updated, (record.updated, record.task_id)
        if record.project is not None:
            yield self.by_project.setdefault(record.project, []), record.key
        if record.batch is not None:
            yield self.by_batch.setdefault(record.batch, []), record.key

    def _add_to_lookups(self, record: TaskRecord) -> None:
        self._by_id[record.task_id] = record
        if record.unique_id is not None:
            self.by_unique_id[record.unique_id] = record.task_id
        if record.status == "pending":
            self.pending[record.task_id] = None
