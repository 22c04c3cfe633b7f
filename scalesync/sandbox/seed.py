"""Seed an account that looks like a real one, the same for the same seed and clock."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.task_bodies import finish, old_task
from scalesync.sandbox.tasks import TaskRecord, record_of
from scalesync.sandbox.templates import TEMPLATES, fill
from scalesync.sandbox.timestamps import format_millis

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR

_TASKS_PER_BATCH = 80

_BIG_TIE = 60
"""How many tasks share one millisecond, in an account of 500 tasks or more."""


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """A project to seed, the types of its tasks, and its share of all tasks in percent."""

    name: str
    types: Sequence[str]
    share: int
    flags: Sequence[str] = ()
    versions: int = 2


PLANS = tuple(ProjectPlan(**plan) for plan in TEMPLATES["projects"])


def seed_account(account: SandboxAccount, *, tasks: int, seed: int) -> None:
    """Fill an empty account with exactly `tasks` tasks of the year that ended an hour ago.

    About a fifth are pending, a few canceled or in error; batches are in every state and agree with
    their tasks; some tasks share their millisecond, and a few of 2019 have no updated_at, project or batch.
    """
    _AccountBuilder(account, random.Random(f"{seed}:seed")).fill(tasks)  # noqa: S311 - repeatable data, not secrets


class _AccountBuilder:
    """Seeds the projects, batches and tasks of one account."""

    def __init__(self, account: SandboxAccount, rng: random.Random) -> None:
        self._account = account
        self._rng = rng
        self._end = account.now() - HOUR
        self._start = self._end - YEAR
        self._batches: dict[str, list[Doc]] = {}

    def fill(self, tasks: int) -> None:
        for plan in PLANS:
            self._make_project(plan)
        for plan in PLANS:
            self._make_batches(
                plan, max(3, tasks * plan.share // 100 // _TASKS_PER_BATCH) if plan.share else 0
            )
        shares = list(accumulate(plan.share for plan in PLANS))
        records: list[TaskRecord] = []
        for number, created in enumerate(self._creation_times(tasks)):
            # A fixed place instead of a chance, so that an account of 8 tasks has an old one too.
            if number % 200 == 7:
                records.append(record_of(old_task(number, self._rng)))
                continue
            plan = self._rng.choices(PLANS, cum_weights=shares)[0]
            records.append(record_of(self._task(plan, number, created)))
        self._account.add_tasks(records)
        # Last, as the status of a batch follows from the tasks that were drawn for it.
        self._save_batches()

    def _make_project(self, plan: ProjectPlan) -> None:
        history = [
            {
                "version": version,
                "created_at": format_millis(self._start + version * YEAR // (plan.versions + 1)),
                "instruction": fill("task/instruction", self._rng, {"type": plan.types[0]}),
                **fill(f"params/{plan.types[0]}", self._rng),
            }
            for version in range(plan.versions)
        ]
        project: Doc = {
            "id": self._id(self._start),
            "type": plan.types[0],
            "name": plan.name,
            "param_history": history,
            "created_at": format_millis(self._start),
        }
        project |= dict.fromkeys(plan.flags, True)
        self._account.save("projects", plan.name, project)

    def _make_batches(self, plan: ProjectPlan, count: int) -> None:
        """Make batches that follow each other through the year, each older than its tasks."""
        self._batches[plan.name] = []
        for number in range(count):
            begin = self._start + number * YEAR // count
            batch: Doc = {
                "id": self._id(begin),
                "project": plan.name,
                "name": f"{plan.name} / {number + 1}" if number % 3 else f"{plan.name}-{number + 1:03d}",
                "callback": "mail@example.com" if number % 2 else "",
                "status": self._batch_status(plan, number),
                "created_at": format_millis(begin),
                "metadata": {"wave": number} if number % 4 else {},
            }
            if number % 7 == 6:
                batch["calibration_batch"] = True
            if number % 11 == 10:
                batch["archived"] = True
            self._batches[plan.name].append(batch)

    def _batch_status(self, plan: ProjectPlan, number: int) -> str:
        """Return the status of a project's nth batch, so that the first three have every status."""
        if {"rapid", "studio"} & set(plan.flags) and number % 3 == 1:
            return "staging"
        return ("completed", "in_progress")[number % 2]

    def _save_batches(self) -> None:
        """Save the batches, completed where no task is pending."""
        for batch in chain.from_iterable(self._batches.values()):
            statuses = {task.status for task in self._account.tasks.of_batch(batch["name"])}
            if batch["status"] == "in_progress" and "completed" in statuses and "pending" not in statuses:
                batch["status"] = "completed"
            if batch["status"] == "completed":
                batch["completed_at"] = format_millis(self._end)
            self._account.save("batches", batch["name"], batch)

    def _creation_times(self, tasks: int) -> list[int]:
        """Return when the tasks were created, oldest first; a fifth share their millisecond with others."""
        times: list[int] = []
        while len(times) < tasks:
            tie = self._rng.randint(2, 12) if self._rng.random() < 0.035 else 1
            times += [self._start + int(self._rng.random() * YEAR)] * tie
        if tasks >= 500:
            # More than any page limit below 60, so that a page must end inside of it.
            times[:_BIG_TIE] = [self._start + YEAR * 2 // 3] * _BIG_TIE
        return sorted(times[:tasks])

    def _id(self, created: int) -> str:
        return f"{created // 1000:08x}{self._rng.getrandbits(64):016x}"

    def _task(self, plan: ProjectPlan, number: int, created: int) -> Doc:
        rng = self._rng
        task_type, created_at = rng.choice(plan.types), format_millis(created)
        batch = self._batch_at(plan, created_at)
        doc: Doc = {
            "task_id": self._id(created),
            "created_at": created_at,
            "updated_at": created_at,
            "type": task_type,
            "status": self._status(batch),
            "instruction": fill("task/instruction", rng, {"type": task_type}),
            "params": fill(f"params/{task_type}", rng),
            "is_test": self._account.mode == "test",
            "urgency": "standard",
            "metadata": fill("task/metadata", rng, {"number": number}),
            "project": plan.name,
            "projectId": self._account.projects[plan.name]["id"],
            "project_param_version": rng.randrange(plan.versions),
            "processed_attachments": [],
        }
        if batch is not None:
            doc["batch"] = batch["name"]
        doc |= fill("task/optional", rng, {"number": number})
        finish(doc, rng, created=created, end=self._end)
        return doc

    def _batch_at(self, plan: ProjectPlan, created_at: str) -> Doc | None:
        """Return the batch to which tasks were added at that time; None for some tasks."""
        if self._rng.random() < 0.15:
            return None
        batches = self._batches[plan.name]
        return batches[bisect_right(batches, created_at, key=lambda batch: batch["created_at"]) - 1]

    def _status(self, batch: Doc | None) -> str:
        """Return a status: pending for about a fifth of all tasks, never in a completed batch."""
        # 39 % of the tasks of open batches are pending: a fifth of all, as half of the batches are completed.
        drawn = self._rng.random()
        if drawn < 0.03:
            return "canceled" if drawn < 0.02 else "error"
        if batch is None:
            return "pending" if drawn < 0.2 else "completed"
        return "completed" if batch["status"] == "completed" or drawn > 0.42 else "pending"
