"""Change the account as other people do meanwhile; whatever the soak itself submits is left alone."""

import random
from collections.abc import Callable

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.batches import create_batch
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.filters import Params
from scalesync.sandbox.projects import set_params
from scalesync.sandbox.task_writes import (
    audit_task,
    cancel_task,
    change_tags,
    create_task,
    fix_task,
    recall_task,
    set_metadata,
    set_unique_id,
)

OURS = "soak "
"""Begins the name of everything that the soak submits."""

_NEW = {
    "attachment": "https://pictures.sandbox.example/1.jpg",
    "geometries": {"box": {"objects_to_annotate": ["car"]}},
}


class Writers:
    """Makes a few changes before each page of tasks."""

    def __init__(self, world: Backend, changes: int, seed: int) -> None:
        self._account = world.live
        self._world = world
        self._changes = changes
        self._rng = random.Random(f"{seed}:people")
        self._numbers = 0
        self.made = 0
        """How many changes landed."""
        self.removed: dict[str, list[str]] = {"tasks": [], "batches": [], "projects": []}
        """What they deleted, by kind."""

    def come(self, kind: str, _params: Params) -> None:
        """Make changes if tasks are about to be listed."""
        if kind != "tasks":
            return
        with self._world.locked():
            for _ in range(self._changes):
                self.made += self._attempt(self._rng.choice(_WHAT))

    def _attempt(self, change: "Change") -> bool:
        try:
            return change(self, self._account)
        except HttpError:
            return False

    def edit(self, account: SandboxAccount) -> bool:
        """Edit a task in one of the ways that there are."""
        task_id, rng = self._somebodys(account), self._rng
        match rng.randrange(6):
            case 0:
                set_metadata(account, task_id, {"people": rng.getrandbits(32)})
            case 1:
                change_tags(account, task_id, rng.choice(("POST", "PUT", "DELETE")), ["seen"])
            case 2:
                set_unique_id(account, task_id, self._name("task") if rng.random() < 0.7 else None)
            case 3:
                cancel_task(account, task_id, clear_unique_id=rng.random() < 0.3)
            case 4:
                audit_task(account, task_id, rng.random() < 0.7, "by people")
            case _:
                return self._do_again(account, task_id)
        return True

    def _do_again(self, account: SandboxAccount, task_id: str) -> bool:
        if account.task(task_id).status != "completed":
            return False
        return bool(self._rng.choice((recall_task, fix_task))(account, task_id))

    def create(self, account: SandboxAccount) -> bool:
        """Create a task, in a project or in none."""
        body = {**_NEW, "unique_id": self._name("task"), "project": self._project(account)}
        return bool(create_task(account, "imageannotation", body))

    def begin_batch(self, account: SandboxAccount) -> bool:
        """Create a batch with a task in it."""
        batch = create_batch(account, {"name": self._name("batch"), "project": self._project(account)})
        return bool(create_task(account, "imageannotation", {**_NEW, "batch": batch["name"]}))

    def new_version(self, account: SandboxAccount) -> bool:
        """Give a project other parameters."""
        number = self._rng.getrandbits(32)
        return bool(set_params(account, self._project(account), {"patch": True, "people": number}))

    def remove(self, account: SandboxAccount) -> bool:
        """Delete a task or a batch."""
        kind = self._rng.choice(("tasks", "tasks", "batches"))
        batches = [name for name in account.batches if not name.startswith(OURS)]
        name = self._somebodys(account) if kind == "tasks" else self._rng.choice(batches)
        account.remove(kind, name)
        self.removed[kind].append(name)
        return True

    def _somebodys(self, account: SandboxAccount) -> str:
        """Return a task that is not of the soak itself."""
        while True:
            task_id = self._rng.choice(account.tasks.created)[1]
            if not (account.tasks[task_id].unique_id or "").startswith(OURS):
                return task_id

    def _project(self, account: SandboxAccount) -> str:
        return self._rng.choice([name for name in account.projects if not name.startswith(OURS)])

    def _name(self, kind: str) -> str:
        self._numbers += 1
        return f"people's {kind} {self._numbers}"


Change = Callable[[Writers, SandboxAccount], bool]
_WHAT: tuple[Change, ...] = (
    *[Writers.edit] * 24,
    *[Writers.create] * 12,
    *[Writers.begin_batch] * 3,
    Writers.new_version,
    Writers.remove,
)
"""The changes, the commoner ones more than once."""
