"""The tasks of one account, kept as JSON text beside the few fields that filters look at."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scalesync.sandbox.documents import Doc, decode, encode
from scalesync.sandbox.timestamps import parse_millis

Key = tuple[int, str]
"""An instant in milliseconds and a task_id: the order in which tasks are listed, reversed."""


class TaskRecord(NamedTuple):
    """One version of a task: its text, and what filters compare."""

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
        """Where the task stands in a list."""
        return self.created, self.task_id

    def doc(self) -> Doc:
        """Return the task as a fresh object, free to be changed."""
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
    """All tasks of an account, with sorted indexes so that a page or a narrow count touches few of them."""

    def __init__(self) -> None:
        self.version = 0
        """Moves with every change, so that an answer computed before it can be told stale."""
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
        """Return the task of that id, or None."""
        return self._by_id.get(task_id)

    def __getitem__(self, task_id: str) -> TaskRecord:
        return self._by_id[task_id]

    def put(self, record: TaskRecord) -> None:
        """Add a task or replace the version that is here; `created_at`, project and batch never change."""
        old = self._by_id.get(record.task_id)
        if old is None:
            for index in self._indexes_of(record):
                insort(index, record.key)
        else:
            self._forget_changing(old)
        self._note_changing(record)
        if record.updated is not None:
            insort(self.updated, (record.updated, record.task_id))
        self.version += 1

    def load(self, records: Iterable[TaskRecord]) -> None:
        """Add many new tasks at once."""
        for record in records:
            key = record.key
            for index in self._indexes_of(record):
                index.append(key)
            self._note_changing(record)
            if record.updated is not None:
                self.updated.append((record.updated, record.task_id))
        for index in (self.created, self.updated, *self.by_project.values(), *self.by_batch.values()):
            index.sort()
        self.version += 1

    def remove(self, task_id: str) -> None:
        """Make a task vanish, as if it had never been. Raises KeyError for an unknown one."""
        record = self._by_id[task_id]
        for index in self._indexes_of(record):
            _drop(index, record.key)
        self._forget_changing(record)
        del self._by_id[task_id]
        self.version += 1

    def of_batch(self, name: str) -> Iterator[TaskRecord]:
        """Yield the tasks of a batch, oldest first."""
        return (self._by_id[task_id] for _, task_id in self.by_batch.get(name, ()))

    def _indexes_of(self, record: TaskRecord) -> Iterator[list[Key]]:
        yield self.created
        if record.project is not None:
            yield self.by_project.setdefault(record.project, [])
        if record.batch is not None:
            yield self.by_batch.setdefault(record.batch, [])

    def _note_changing(self, record: TaskRecord) -> None:
        self._by_id[record.task_id] = record
        if record.unique_id is not None:
            self.by_unique_id[record.unique_id] = record.task_id
        if record.status == "pending":
            self.pending[record.task_id] = None

    def _forget_changing(self, record: TaskRecord) -> None:
        if record.updated is not None:
            _drop(self.updated, (record.updated, record.task_id))
        if record.unique_id is not None:
            self.by_unique_id.pop(record.unique_id, None)
        self.pending.pop(record.task_id, None)


def _drop(index: list[Key], key: Key) -> None:
    del index[bisect_left(index, key)]
