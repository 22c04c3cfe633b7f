"""The objects of one account in one mode: live and test data never meet (documented)."""

import random
from collections.abc import Callable, Sequence
from typing import Literal

from scalesync.sandbox.documents import Doc, decode, encode
from scalesync.sandbox.errors import TASK_NOT_FOUND, RefusalError, missing
from scalesync.sandbox.pagination import TaskLister
from scalesync.sandbox.persistence import Journal
from scalesync.sandbox.side_effects import Effects
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import TaskRecord, TaskStore, record_of
from scalesync.sandbox.timestamps import format_millis

Mode = Literal["live", "test"]

KINDS = ("batches", "projects", "files", "teammates", "assignments", "groups", "priorities", "quality_tasks")
"""Everything but tasks, each kept by name."""


class Account:
    """All state of one mode, every write of which goes through `save_task`, `save` or `remove`.

    Not thread-safe: `World.locked` is.
    """

    def __init__(self, mode: Mode, switches: Switches, *, now: Callable[[], int], seed: int) -> None:
        self.mode = mode
        self.switches = switches
        self.now = now
        self.rng = random.Random(f"{seed}:{mode}")  # noqa: S311 - repeatable data, not secrets
        self.tasks = TaskStore()
        self.read_rng = random.Random(f"{seed}:{mode}:reads")  # noqa: S311 - as above
        self.lister = TaskLister(self.tasks, switches, self.read_rng)
        self.effects = Effects()
        self.journal = Journal()
        self._kept: dict[str, dict[str, Doc]] = {kind: {} for kind in KINDS}

    @property
    def batches(self) -> dict[str, Doc]:
        """Every batch by name. To be read only."""
        return self._kept["batches"]

    @property
    def projects(self) -> dict[str, Doc]:
        """Every project by name. To be read only."""
        return self._kept["projects"]

    def kept(self, kind: str) -> dict[str, Doc]:
        """Return the objects of one of `KINDS` by name. To be read only."""
        return self._kept[kind]

    @property
    def completes_at_once(self) -> bool:
        """Whether a create's answer is already completed: in test mode, unless a switch says otherwise."""
        choice = self.switches.completes_at_once
        return choice == "always" or (choice == "test" and self.mode == "test")

    def stamp(self) -> str:
        """Return the present instant as the API writes it."""
        return format_millis(self.now())

    def new_id(self, created: int) -> str:
        """Return an unused id of 24 hex digits that begins with its second, as recorded ones do."""
        while True:
            new = f"{created // 1000:08x}{self.rng.getrandbits(64):016x}"
            if self.tasks.get(new) is None:
                return new

    def task(self, task_id: str) -> TaskRecord:
        """Return a task. Raises RefusalError 404."""
        record = self.tasks.get(task_id)
        if record is None:
            raise RefusalError(404, TASK_NOT_FOUND)
        return record

    def batch(self, name: str) -> Doc:
        """Return a batch. Raises RefusalError 404."""
        if name not in self.batches:
            raise missing("Batch", name)
        return self.batches[name]

    def project(self, name: str) -> Doc:
        """Return a project. Raises RefusalError 404."""
        if name not in self.projects:
            raise missing("Project", name)
        return self.projects[name]

    def save_task(self, doc: Doc) -> TaskRecord:
        """Keep this version of a task."""
        record = record_of(doc)
        self.tasks.put(record)
        self.journal.put("tasks", record.task_id, record.raw)
        return record

    def save(self, kind: str, name: str, doc: Doc) -> Doc:
        """Keep this version of any other object, and return it."""
        self._kept[kind][name] = doc
        self.journal.put(kind, name, encode(doc))
        return doc

    def remove(self, kind: str, name: str) -> None:
        """Make an object vanish, as if it had never been. Raises KeyError."""
        if kind == "tasks":
            self.tasks.remove(name)
        else:
            del self._kept[kind][name]
        self.journal.delete(kind, name)

    def load(self, kind: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Take in what an earlier process saved, without saving it again."""
        if kind == "tasks":
            self.tasks.load(record_of(decode(raw)) for _, raw in rows)
        else:
            self._kept[kind].update((name, decode(raw)) for name, raw in rows)

    def save_all(self) -> None:
        """Save every object, as after seeding."""
        for record in self.tasks:
            self.journal.put("tasks", record.task_id, record.raw)
        for kind, objects in self._kept.items():
            for name, doc in objects.items():
                self.journal.put(kind, name, encode(doc))

    def batches_newest_first(self) -> list[Doc]:
        """Return every batch as `GET /batches` orders them: by created_at, then name."""
        return sorted(
            self.batches.values(), key=lambda batch: (batch["created_at"], batch["name"]), reverse=True
        )

    def documents(self, kind: str) -> list[bytes]:
        """Return every task, batch or project as a plain read gives it, in the order of its list."""
        if kind == "tasks":
            return [record.raw for record in self.tasks]
        listed = self.batches_newest_first() if kind == "batches" else list(self._kept[kind].values())
        return [encode(doc) for doc in listed]
