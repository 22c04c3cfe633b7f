"""List one command of each kind, the account it finds, and how often its effect is there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scalesync.models.commands import Command, CommandKind, CommandState, NewCommand
from scalesync.queue import file_commands, new_commands
from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.batches import create_batch
from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.projects import create_project
from scalesync.sandbox.task_writes import complete_task, create_task

TASK_TYPE = "imageannotation"
TASK: dict[str, Any] = {"attachment": "https://example.com/1.jpg", "project": "p", "batch": "b"}
PARAMS = {"instruction": "Second.", "geometries": {"box": {"objects_to_annotate": ["car"]}}}
QUALITY = {**TASK, "batch": None, "unique_id": "new", "expected_response": {"annotations": []}}
PATCH = {"instruction": "Third."}


@dataclass(frozen=True)
class Case:
    """One command, alone in its queue, in a world that is ready for it."""

    name: str
    order: Callable[[SandboxAccount], NewCommand]
    """Returns the command."""
    happened: Callable[[Backend], int]
    """Returns how often what it asks for was done; -1 if something else was done too."""
    appends: bool = False
    """Whether the API would do it a second time as well."""
    unseen: bool = False
    """Whether the API cannot be asked for it: after a request without an answer it may end held."""

    def __str__(self) -> str:
        """Return its name, for the ids of tests."""
        return self.name

    def ended_well(self, command: Command, world: Backend) -> bool:
        """Return whether it is delivered with its effect there once, or held where nobody can see that."""
        count = self.happened(world)
        if self.unseen and command.left_to_a_person:
            return count in (0, 1)
        return command.state is CommandState.DELIVERED and count == 1


def seed(world: Backend) -> None:
    """Make a project with one version, a batch in staging, and a pending and a completed task in it."""
    account = world.live
    with world.locked():
        first = {"instruction": "First.", "extra": {"kept": True}}
        create_project(account, {"name": "p", "type": TASK_TYPE, "rapid": True, "params": first})
        create_batch(account, {"name": "b", "project": "p"})
        create_task(account, TASK_TYPE, {**TASK, "unique_id": "here", "tags": ["old"]})
        done = create_task(account, TASK_TYPE, {**TASK, "unique_id": "done"})
        complete_task(account, done.task_id)


def _counted(kind: str, name: str, effect: str) -> Callable[[Backend], int]:
    return lambda world: world.applied.count(kind, name, effect)


def _changed(effect: str, status: str = "pending", **fields: object) -> Callable[[Backend], int]:
    """Return a function that counts a change of the task in a status; -1 if it does not show these fields."""

    def happened(world: Backend) -> int:
        [record] = [each for each in world.live.tasks if each.status == status]
        count, doc = world.applied.count("task", record.task_id, effect), record.doc()
        return -1 if count and any(doc.get(name) != value for name, value in fields.items()) else count

    return happened


def _cleared(world: Backend) -> int:
    """Return how often the task was canceled; -1 if its unique_id is still taken after that."""
    count = world.applied.count("unique_id", "here", "canceled")
    return -1 if count and "here" in world.live.tasks.by_unique_id else count


def _versions(wanted: Doc) -> Callable[[Backend], int]:
    def happened(world: Backend) -> int:
        if "p" not in world.live.projects:
            return 0
        history = world.live.projects["p"]["param_history"][1:]
        contents = [{name: version[name] for name in version.keys() - _STAMPS} for version in history]
        return len(contents) if all(content == wanted for content in contents) else -1

    return happened


_STAMPS = {"version", "created_at"}


def _here(account: SandboxAccount) -> str:
    return account.tasks.by_unique_id["here"]


CASES = [
    Case(
        "create_task",
        lambda _: new_commands.create_task(TASK_TYPE, {**TASK, "unique_id": "new", "metadata": {"n": 1}}),
        _counted("unique_id", "new", "created"),
    ),
    Case(
        "cancel_task",
        lambda account: new_commands.cancel_task(task_id=_here(account)),
        _counted("unique_id", "here", "canceled"),
    ),
    Case(
        "cancel_and_clear",
        lambda _: new_commands.cancel_task(unique_id="here", clear_unique_id=True),
        _cleared,
    ),
    Case(
        "audit_task",
        lambda _: new_commands.audit_task(unique_id="done", accepted=False, comments="Too wide."),
        _changed("audited", "completed", customer_review_status="rejected"),
        appends=True,
    ),
    Case(
        "set_task_tags",
        lambda account: new_commands.change_tags(
            CommandKind.SET_TASK_TAGS, ["new", "b"], task_id=_here(account)
        ),
        _changed("tagged", tags=["new", "b"]),
        appends=True,
    ),
    Case(
        "add_task_tags",
        lambda _: new_commands.change_tags(CommandKind.ADD_TASK_TAGS, ["new"], unique_id="here"),
        _changed("tagged", tags=["old", "new"]),
        appends=True,
    ),
    Case(
        "delete_task_tags",
        lambda account: new_commands.change_tags(
            CommandKind.DELETE_TASK_TAGS, ["old"], task_id=_here(account)
        ),
        _changed("tagged", tags=[]),
        appends=True,
    ),
    Case(
        "set_task_metadata",
        lambda _: new_commands.set_task_metadata({"n": 2}, unique_id="here"),
        _changed("described", metadata={"n": 2}),
        appends=True,
    ),
    Case(
        "update_task_unique_id",
        lambda account: new_commands.update_task_unique_id("new", task_id=_here(account)),
        _changed("renamed", unique_id="new"),
        appends=True,
    ),
    Case(
        "clear_task_unique_id",
        lambda _: new_commands.clear_task_unique_id(unique_id="here"),
        _changed("renamed", unique_id=None),
        appends=True,
    ),
    Case(
        "set_batch_metadata",
        lambda _: new_commands.set_batch_metadata("b", {"n": 2}),
        _counted("batch", "b", "described"),
        appends=True,
    ),
    Case(
        "create_batch", lambda _: new_commands.create_batch("new", "p"), _counted("batch", "new", "created")
    ),
    Case("finalize_batch", lambda _: new_commands.finalize_batch("b"), _counted("batch", "b", "finalized")),
    Case(
        "create_project",
        lambda _: new_commands.create_project("new", TASK_TYPE, PARAMS),
        _counted("project", "new", "created"),
    ),
    Case(
        "update_project", lambda _: new_commands.update_project("p", PARAMS), _versions(PARAMS), appends=True
    ),
    Case(
        "patch_project",
        lambda _: new_commands.update_project("p", PATCH, patch=True),
        _versions({"instruction": "Third.", "extra": {"kept": True}}),
        appends=True,
    ),
    Case(
        "import_file",
        lambda _: file_commands.import_file("https://example.com/1.jpg", reference_id="new"),
        _counted("file", "new", "created"),
        unseen=True,
    ),
    Case(
        "upload_file",
        lambda _: file_commands.upload_file(__file__, reference_id="new", metadata={"n": 1}),
        _counted("file", "new", "created"),
        unseen=True,
    ),
    *(
        Case(
            kind,
            lambda _, kind=kind: new_commands.create_quality_task(kind, TASK_TYPE, QUALITY),  # type: ignore[misc]
            _counted("quality_task", "new", "created"),
            appends=True,
            unseen=True,
        )
        for kind in (CommandKind.CREATE_EVALUATION_TASK, CommandKind.CREATE_TRAINING_TASK)
    ),
    Case(
        "send_callback",
        lambda _: new_commands.send_callback(unique_id="done"),
        _changed("called_back", "completed", callback_succeeded=True),
        appends=True,
        unseen=True,
    ),
]
BY_NAME = {case.name: case for case in CASES}
