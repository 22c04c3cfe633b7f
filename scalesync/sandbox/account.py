"""Keep the objects of one account in one mode: live and test data are apart (documented)."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from scalesync.sandbox.errors import TASK_NOT_FOUND, HttpError, not_found
from scalesync.sandbox.json_codec import Doc, decode, encode
from scalesync.sandbox.pagination import TaskLister
from scalesync.sandbox.persistence import DELETE, PUT
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import TaskRecord, TaskStore, record_of
from scalesync.sandbox.timestamps import format_millis

Mode = Literal["live", "test"]

KINDS = ("batches", "projects", "files", "teammates", "assignments", "groups", "priorities", "quality_tasks")
"""Everything but tasks, each kept by name."""


class AppliedWrites:
    """Counts the writes that were applied to each object, whether or not the client got an answer.

    Writes are `created`, `finalized`, `canceled` and `versioned`. Kinds are `task` (by task_id),
    `unique_id` (the same writes by the unique_id that the task was created with), `batch` and `project`
    (by name), `file` (by reference_id, or by id without one) and `quality_task` (by unique_id, or by id).
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.on_count: Callable[[str, str, str, int], None] | None = None
        """Called with kind, name, write and its new count, so that a state file has the count too."""

    def add(self, kind: str, name: str, write: str) -> None:
        """Count one more `write` of the object."""
        self._counts[kind, name, write] += 1
        if self.on_count is not None:
            self.on_count(kind, name, write, self._counts[kind, name, write])

    def restore(self, kind: str, name: str, write: str, count: int) -> None:
        """Set a count to what an earlier process saved."""
        self._counts[kind, name, write] = count

    def count(self, kind: str, name: str, write: str) -> int:
        """Return how often the write was applied to the object; 0 if never."""
        return self._counts[kind, name, write]

    def __iter__(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield (kind, name, write, count)."""
        return ((*key, count) for key, count in self._counts.items())

    def as_dict(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts as kind -> name -> write -> count."""
        tree: dict[str, dict[str, dict[str, int]]] = {}
        for kind, name, write, count in self:
            tree.setdefault(kind, {}).setdefault(name, {})[write] = count
        return tree


class SandboxAccount:
    """Holds all objects of one mode and saves each change that `save_task`, `save` and `remove` make.

    Not thread-safe: call it under `Backend.locked`.
    """

    def __init__(self, mode: Mode, switches: Switches, *, now: Callable[[], int], seed: int) -> None:
        self.mode = mode
        self.switches = switches
        self.now = now
        self.rng = random.Random(f"{seed}:{mode}")  # noqa: S311 - repeatable data, not secrets
        self.tasks = TaskStore()
        # Reads draw from a generator of their own: how often a client reads must not change what is created.
        self.read_rng = random.Random(f"{seed}:{mode}:reads")  # noqa: S311 - as above
        self.lister = TaskLister(self.tasks, switches, self.read_rng)
        self.applied = AppliedWrites()
        self.write: Callable[[str, tuple[object, ...]], object] = lambda _statement, _row: None
        """Executes a statement of persistence.py with its parameters; does nothing without a state file."""
        self.objects: dict[str, dict[str, Doc]] = {kind: {} for kind in KINDS}
        """The objects of each of `KINDS` by name. Change them with `save` and `remove` only."""
        self.batches, self.projects = self.objects["batches"], self.objects["projects"]

    @property
    def completes_at_once(self) -> bool:
        """Whether a new task is completed at once: in test mode, unless a switch says otherwise."""
        choice = self.switches.completes_at_once
        return choice == "always" or (choice == "test" and self.mode == "test")

    def stamp(self) -> str:
        """Return the current time as the API writes it."""
        return format_millis(self.now())

    def new_id(self, created: int) -> str:
        """Return an unused id: 24 hex digits, the first eight of which are its second (recorded)."""
        while True:
            new = f"{created // 1000:08x}{self.rng.getrandbits(64):016x}"
            if self.tasks.get(new) is None:
                return new

    def task(self, task_id: str) -> TaskRecord:
        """Return the task of that id; raises HttpError 404 for an unknown one."""
        record = self.tasks.get(task_id)
        if record is None:
            raise HttpError(404, TASK_NOT_FOUND)
        return record

    def batch(self, name: str) -> Doc:
        """Return the batch of that name; raises HttpError 404 for an unknown one."""
        if name not in self.batches:
            raise not_found("Batch", name)
        return self.batches[name]

    def project(self, name: str) -> Doc:
        """Return the project of that name; raises HttpError 404 for an unknown one."""
        if name not in self.projects:
            raise not_found("Project", name)
        return self.projects[name]

    def save_task(self, doc: Doc) -> TaskRecord:
        """Store a new task or a new version of one, and return its record."""
        # Records are immutable: whoever holds the old version never sees half of a change.
        record = record_of(doc)
        self.tasks.put(record)
        self.write(PUT, (self.mode, "tasks", record.task_id, record.raw))
        return record

    def add_tasks(self, records: Sequence[TaskRecord]) -> None:
        """Store many new tasks."""
        self.tasks.load(records)
        for record in records:
            self.write(PUT, (self.mode, "tasks", record.task_id, record.raw))

    def save(self, kind: str, name: str, doc: Doc) -> Doc:
        """Store a new version of an object that is not a task, and return it."""
        self.objects[kind][name] = doc
        self.write(PUT, (self.mode, kind, name, encode(doc)))
        return doc

    def remove(self, kind: str, name: str) -> None:
        """Delete an object without a trace; raises KeyError for an unknown one."""
        if kind == "tasks":
            self.tasks.remove(name)
        else:
            del self.objects[kind][name]
        self.write(DELETE, (self.mode, kind, name))

    def load(self, kind: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Load the objects that an earlier process saved, without saving them again."""
        if kind == "tasks":
            self.tasks.load(record_of(decode(raw)) for _, raw in rows)
        else:
            self.objects[kind].update((name, decode(raw)) for name, raw in rows)

    def batches_newest_first(self) -> list[Doc]:
        """Return every batch in the order of `GET /batches`: by created_at, then name, latest first."""
        return sorted(
            self.batches.values(), key=lambda batch: (batch["created_at"], batch["name"]), reverse=True
        )

    def documents(self, kind: str) -> list[bytes]:
        """Return every task, batch or project as JSON text, in the order of its list."""
        if kind == "tasks":
            return [record.raw for record in self.tasks]
        listed = self.batches_newest_first() if kind == "batches" else list(self.objects[kind].values())
        return [encode(doc) for doc in listed]
