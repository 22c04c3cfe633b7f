"""What the soak itself submits: every name is known, so that what became of it can be counted."""

import json
import threading
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from scalesync import Mirror
from tests.soak.processes import Processes
from tests.soak.writers import OURS

TYPE = "textcollection"
PROJECTS = tuple(f"{OURS}project {number}" for number in range(3))
LATER = 6
"""Rounds after which one task of a batch is canceled."""


@dataclass
class Submitter:
    """Queues a batch of tasks again and again, with all that goes with it."""

    processes: Processes
    mirror: Mirror
    directory: Path
    size: int
    """Tasks of a batch."""
    every: float
    """Seconds from one batch to the next."""
    batches: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    """Their unique_ids."""
    canceled: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    """Those that were canceled before they were sent: they are to be nowhere."""
    versions: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in PROJECTS})
    """The instructions that each project was given, in their order."""
    again: int = 0
    """How often a submission was killed and done once more."""
    error: Exception | None = None

    def prepare(self) -> None:
        """Queue the projects."""
        for name in PROJECTS:
            self.mirror.create_project(name, TYPE, {"instruction": "first"}, studio=True)

    def start(self) -> threading.Thread:
        """Begin, on a thread of its own, and go on until the processes stop."""
        thread = threading.Thread(target=self._work, name="submitter")
        thread.start()
        return thread

    def _work(self) -> None:
        try:
            for number in count():
                if self.processes.stopping.is_set():
                    return
                self._round(number)
                self.processes.stopping.wait(self.every)
        except Exception as error:  # noqa: BLE001 - the verdict names it
            self.error = error

    def _round(self, number: int) -> None:
        batch, project = f"{OURS}batch {number}", PROJECTS[number % len(PROJECTS)]
        ids = [f"{OURS}{number}-{place}" for place in range(self.size)]
        with self.mirror.transaction() as tx:
            tx.create_batch(batch, project)
        self.batches.append(batch)
        self.tasks += ids
        self._submit(batch, project, ids)
        instruction = f"version {number}"
        with self.mirror.transaction() as tx:
            tx.finalize_batch(batch)
            tx.update_project(project, {"instruction": instruction})
        self.versions[project].append(instruction)
        if number >= LATER:
            self._cancel(f"{OURS}{number - LATER}-0")

    def _submit(self, batch: str, project: str, ids: list[str]) -> None:
        """Submit a file of tasks; if that is killed, submit the very same file again."""
        path = self.directory / "tasks.jsonl"
        lines = [json.dumps({"unique_id": one, "place": place}) for place, one in enumerate(ids)]
        path.write_text("\n".join(lines))
        where = ("--project", project, "--batch", batch, "--from", str(path))
        while self.processes.run("task create", ("task", "create", TYPE, *where), frozenset({0})).code != 0:
            self.again += 1

    def _cancel(self, unique_id: str) -> None:
        enqueued = self.mirror.cancel_task(unique_id=unique_id)
        (self.canceled if enqueued.withdrew is None else self.withdrawn).append(unique_id)
