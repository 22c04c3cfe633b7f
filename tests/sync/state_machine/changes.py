"""Change an account and its clock at random; a number chooses what a change concerns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.batches import create_batch, finalize_batch
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.projects import create_project, set_params
from scalesync.sandbox.task_writes import (
    audit_task,
    cancel_task,
    change_tags,
    complete_task,
    create_task,
    fix_task,
    recall_task,
    set_metadata,
    set_unique_id,
)

STEPS = (0.001, 0.4, 1, 61, 1000, 3600, 90_000)
"""Seconds by which the API's clock may move on at once."""

NAMES = ("one", "two", "three")
"""Of new batches and projects: few, so that one that was deleted comes back."""


@dataclass
class Time:
    """The API's clock: it moves when it is told to."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.at

    def step(self, seconds: float) -> None:
        """Move on."""
        self.at += timedelta(seconds=seconds)


@dataclass
class Scene:
    """One account, and what of it an incremental sync cannot see."""

    account: SandboxAccount
    time: Time
    unseen: set[tuple[str, str]] = field(default_factory=set)
    """(stream, key) of what was deleted, came back, or was edited without a trace."""
    removed: list[Doc] = field(default_factory=list)
    """Tasks that were deleted and are not back."""

    def apply(self, name: str, number: int) -> None:
        """Make a change, if it can be made. The account must be locked."""
        try:
            CHANGES[name](self, number)
        except HttpError:
            return

    def task(self, number: int, *statuses: str) -> str | None:
        """Return one of the 20 youngest tasks, or one of the rest; of these statuses, if any are named."""
        created = self.account.tasks.created
        ids = [task_id for _, task_id in (created[-20:] if number % 4 else created)]
        wanted = [one for one in ids if not statuses or self.account.tasks[one].status in statuses]
        return one_of(wanted, number // 4)

    def edited(self, task_id: str) -> None:
        """Note an edit of what is not content, which some APIs do not date."""
        if self.account.switches.updated_at_moves_on == "content":
            self.unseen.add(("tasks", task_id))


BURST = 120
"""Tasks that share an instant: more than a page."""
LEFT = 30
"""How many of them are left in the end: with those of the next instant they fit on a page. Windows are
widened, so that a window of one instant may be given those of the next too, and given up for that."""


def burst(scene: Scene) -> list[str]:
    """Create so many tasks in one millisecond and return their ids."""
    body = {"attachment": "https://pictures.example/burst.jpg", "geometries": {"box": {}}}
    project = one_of([*scene.account.projects], 0)
    made = [create_task(scene.account, "imageannotation", body | {"project": project}) for _ in range(BURST)]
    scene.time.step(0.001)
    return [task.task_id for task in made]


def one_of(names: Sequence[str], number: int) -> str | None:
    """Return one of the names, None of none."""
    return names[number % len(names)] if names else None


def _create(scene: Scene, number: int) -> None:
    body: dict[str, object] = {"attachment": f"https://pictures.example/{number}.jpg"}
    batch, project = one_of([*scene.account.batches], number), one_of([*scene.account.projects], number)
    if number % 3 == 0 and batch is not None:
        body["batch"] = batch
    elif number % 3 == 1 and project is not None:
        body["project"] = project
    if number % 2:
        body["unique_id"] = f"unique {number}"
    create_task(scene.account, "imageannotation", body | {"geometries": {"box": {}}})
    scene.time.step(0.001 * (number % 2))


def _on_task(
    act: Callable[[SandboxAccount, str, int], object], *statuses: str, content: bool
) -> Callable[[Scene, int], None]:
    def change(scene: Scene, number: int) -> None:
        task_id = scene.task(number, *statuses)
        if task_id is not None:
            act(scene.account, task_id, number)
            if not content:
                scene.edited(task_id)

    return change


def _cancel(account: SandboxAccount, task_id: str, number: int) -> None:
    cancel_task(account, task_id, clear_unique_id=bool(number % 2))


def _tags(account: SandboxAccount, task_id: str, number: int) -> None:
    change_tags(account, task_id, ("POST", "PUT", "DELETE")[number % 3], [f"tag {number % 2}"])


def _remove_task(scene: Scene, number: int) -> None:
    task_id = scene.task(number)
    if task_id is not None:
        scene.removed.append(scene.account.task(task_id).doc())
        scene.account.remove("tasks", task_id)
        scene.unseen.add(("tasks", task_id))


def _return_task(scene: Scene, number: int) -> None:
    """Bring a deleted task back as it was, so that no filter on times shows it."""
    if scene.removed:
        doc = scene.removed.pop(number % len(scene.removed))
        unique_id = doc.get("unique_id")
        if unique_id in scene.account.tasks.by_unique_id:
            del doc["unique_id"]
        scene.account.save_task(doc)
        scene.unseen.add(("tasks", doc["task_id"]))


def _recall_in_completed_batch(scene: Scene, number: int) -> None:
    account = scene.account
    done = [
        task.task_id
        for name, batch in account.batches.items()
        if batch["status"] == "completed"
        for task in account.tasks.of_batch(name)
        if task.status == "completed"
    ]
    task_id = one_of(done, number)
    if task_id is not None:
        recall_task(account, task_id)


def _remove_batch(scene: Scene, number: int) -> None:
    name = one_of([*scene.account.batches], number)
    if name is not None:
        scene.account.remove("batches", name)
        scene.unseen.add(("batches", name))


def _new_batch(scene: Scene, number: int) -> None:
    project = one_of([*scene.account.projects], number)
    if project is not None:
        create_batch(scene.account, {"name": f"batch {NAMES[number % 3]}", "project": project})


def _finalize(scene: Scene, number: int) -> None:
    staging = [name for name, batch in scene.account.batches.items() if batch["status"] == "staging"]
    name = one_of(staging, number)
    if name is not None:
        finalize_batch(scene.account, name)


def _new_project(scene: Scene, number: int) -> None:
    name = f"project {NAMES[number % 3]}"
    create_project(
        scene.account,
        {"name": name, "type": "imageannotation", "rapid": number % 2, "params": {"instruction": "a"}},
    )


def _version(scene: Scene, number: int) -> None:
    name = one_of([*scene.account.projects], number)
    if name is not None:
        set_params(scene.account, name, {"patch": bool(number % 2), "instruction": f"Version {number}."})


def _remove_project(scene: Scene, number: int) -> None:
    """Remove a project that nothing is in: the API is not asked for what is in one that it does not list."""
    account = scene.account
    used = {task.project for task in account.tasks} | {batch["project"] for batch in account.batches.values()}
    name = one_of([name for name in account.projects if name not in used], number)
    if name is not None:
        account.remove("projects", name)


def _step(scene: Scene, number: int) -> None:
    scene.time.step(STEPS[number % len(STEPS)])


CHANGES: dict[str, Callable[[Scene, int], None]] = {
    "create": _create,
    "complete": _on_task(lambda account, one, _: complete_task(account, one), "pending", content=True),
    "recall": _on_task(lambda account, one, _: recall_task(account, one), "completed", content=True),
    "recall in completed batch": _recall_in_completed_batch,
    "fix": _on_task(lambda account, one, _: fix_task(account, one), "completed", content=True),
    "audit": _on_task(
        lambda account, one, number: audit_task(account, one, bool(number % 2), ""), "completed", content=True
    ),
    "cancel": _on_task(_cancel, "pending", content=True),
    "metadata": _on_task(
        lambda account, one, number: set_metadata(account, one, {"n": number}), content=False
    ),
    "tags": _on_task(_tags, content=False),
    "unique_id": _on_task(
        lambda account, one, number: set_unique_id(account, one, f"other {number}" if number % 3 else None),
        content=False,
    ),
    "remove task": _remove_task,
    "return task": _return_task,
    "new batch": _new_batch,
    "finalize batch": _finalize,
    "remove batch": _remove_batch,
    "new project": _new_project,
    "new version": _version,
    "remove project": _remove_project,
    "clock": _step,
}
"""By name; each takes the scene and a number that says what it concerns."""
