"""The objects that a ScaleClient returns, with the names of the official client.

Each holds the JSON object of the API: `as_dict()` is all of it, `["name"]` a field, and of a task every
field is an attribute too.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from scalesync.models.api import TASK_STATUSES

Fields = dict[str, Any]
_T = TypeVar("_T")


class ApiObject:
    """An object of the API, and the client that read it."""

    key = "id"
    """The field that identifies it."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        # Also under the name of older clients, whose users find it in `__dict__`.
        self._json = self.param_dict = json
        self._client = client

    def as_dict(self) -> Fields:
        """Return the JSON object."""
        return self._json

    def __getitem__(self, name: str) -> Any:
        """Return a field of the JSON object, as from the dict that older clients returned."""
        return self._json[name]

    def __contains__(self, name: object) -> bool:
        """Return whether the JSON object has a field."""
        return name in self._json

    def __iter__(self) -> Iterator[str]:
        """Return the names of the JSON object's fields."""
        return iter(self._json)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the JSON object, or `default`."""
        return self._json.get(name, default)

    def keys(self) -> Iterable[str]:
        """Return the names of the JSON object's fields."""
        return self._json.keys()

    def __eq__(self, other: object) -> bool:
        """Return whether the other is of the same kind and has the same JSON object."""
        return type(other) is type(self) and other.as_dict() == self._json

    def __hash__(self) -> int:
        """Return the hash of its key."""
        return hash(self._json.get(self.key))

    def __repr__(self) -> str:
        """Show the JSON object."""
        return f"{type(self).__name__}({self._json})"

    def __str__(self) -> str:
        """Show its key."""
        return f"{type(self).__name__}({self.key}={self._json.get(self.key)})"


class Task(ApiObject):
    """A task. Every field of the JSON object is an attribute, and so is every parameter of the task."""

    key = "task_id"

    def __init__(self, json: Fields, client: Any, command_id: int | None = None) -> None:
        """Wrap the JSON object; `command_id` is the command that creates the task, if it is not sent yet."""
        super().__init__(json, client)
        self.command_id = command_id

    @property
    def id(self) -> str | None:
        """The task_id; None if the task is queued and has none yet, see `refresh`."""
        return self._json.get("task_id")

    def __getattr__(self, name: str) -> Any:
        """Return a field of the JSON object, or one of its `params`."""
        # Called only for what is no attribute of the class. While unpickling there is no `_json` yet.
        fields = self.__dict__.get("_json", {})
        for place in (fields, fields.get("params")):
            if isinstance(place, dict) and name in place:
                return place[name]
        raise AttributeError(f"A task has no field {name!r}.")

    def __str__(self) -> str:
        """Show its id."""
        return f"Task(id={self.id})"

    def refresh(self) -> None:
        """Read the task again; one that was queued gets its id once it is delivered."""
        self._json = self.param_dict = self._client.refreshed(self).as_dict()

    def cancel(self, clear_unique_id: bool = False) -> None:
        """Cancel the task."""
        self._client.cancel_task(self._name(), clear_unique_id)

    def audit(self, accepted: bool, comments: str | None = None) -> None:
        """Accept or reject the completed task."""
        self._client.audit_task(self._name(), accepted, comments)

    def update_unique_id(self, unique_id: str) -> None:
        """Give the task another unique_id."""
        self._client.update_task_unique_id(self._name(), unique_id)

    def clear_unique_id(self) -> None:
        """Take the task's unique_id away."""
        self._client.clear_task_unique_id(self._name())

    def set_metadata(self, metadata: Fields) -> None:
        """Replace the task's metadata."""
        self._client.set_task_metadata(self._name(), metadata)

    def set_tags(self, tags: list[str]) -> None:
        """Replace the task's tags."""
        self._client.set_task_tags(self._name(), tags)

    def add_tags(self, tags: list[str]) -> None:
        """Add tags to those of the task."""
        self._client.add_task_tags(self._name(), tags)

    def delete_tags(self, tags: list[str]) -> None:
        """Remove tags from the task."""
        self._client.delete_task_tags(self._name(), tags)

    def _name(self) -> "str | Task":
        """Return the id, or the task itself if it is only queued."""
        return self.id or self


class Batch(ApiObject):
    """A batch; its `tasks_` counts are None until `get_status`."""

    key = "name"

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.name: str = json["name"]
        self.status: str | None = json.get("status")
        self.project: str | None = json.get("project")
        self.created_at: str | None = json.get("created_at")
        self.metadata: Fields = json.get("metadata") or {}
        self.callback: str | None = json.get("callback")
        self.tasks_pending: int | None = None
        self.tasks_completed: int | None = None
        self.tasks_error: int | None = None
        self.tasks_canceled: int | None = None

    def finalize(self) -> "Batch":
        """Finalize the batch, and return it."""
        finalized: Batch = self._client.finalize_batch(self.name)
        self.status = finalized.status
        return finalized

    def get_status(self) -> Fields:
        """Return the status with the counts of tasks, and set `status` and the `tasks_` counts."""
        found: Fields = self._client.batch_status(self.name)
        self.status = found["status"]
        for state in TASK_STATUSES:
            setattr(self, f"tasks_{state}", found.get(state, 0))
        return found

    # Names of older clients, where a batch has its counts from the beginning.

    @property
    def pending(self) -> int:
        """`tasks_pending`, read if it was not yet."""
        return self._counted("pending")

    @property
    def completed(self) -> int:
        """`tasks_completed`, read if it was not yet."""
        return self._counted("completed")

    @property
    def error(self) -> int:
        """`tasks_error`, read if it was not yet."""
        return self._counted("error")

    @property
    def canceled(self) -> int:
        """`tasks_canceled`, read if it was not yet."""
        return self._counted("canceled")

    def _counted(self, state: str) -> int:
        if self.tasks_pending is None:
            self.get_status()
        return int(getattr(self, f"tasks_{state}"))


class Project(ApiObject):
    """A project, with the latest of its params. Older clients returned its JSON object: it reads as one."""

    key = "name"

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.name: str = json["name"]
        self.type: str | None = json.get("type")
        history = json.get("param_history") or []
        self.params: Fields | None = history[-1] if history else None
        self.version: int | None = (self.params or {}).get("version")
        self.instruction: str | None = (self.params or {}).get("instruction")

    def get_template(self) -> "ProjectTemplate":
        """Return the template of its tasks, which chat and textcollection have."""
        template: ProjectTemplate = self._client.get_project_template(self.name)
        return template


class Paginator(list[_T], Generic[_T]):
    """One page of a list: the objects themselves, and where the next page begins."""

    def __init__(
        self,
        docs: list[_T],
        total: int,
        limit: int,
        offset: int,
        has_more: bool,
        next_token: str | None = None,
    ) -> None:
        """Make a page of objects."""
        super().__init__(docs)
        self.docs, self.total, self.limit, self.offset = docs, total, limit, offset
        self.has_more, self.next_token = has_more, next_token


class Tasklist(Paginator[Task]):
    """A page of tasks; pass `next_token` on to get the next one."""


class Batchlist(Paginator[Batch]):
    """A page of batches; add `limit` to `offset` to get the next one."""


class ProjectTemplate(ApiObject):
    """The template of a project's tasks."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.id, self.version = json["id"], json.get("version")
        self.created_at, self.updated_at = json.get("created_at"), json.get("updated_at")
        self.template_variables = json.get("template_variables")
        self.response_schema = json.get("response_schema")
        self.auto_onboard_enabled: bool = json.get("auto_onboard_enabled", False)

    def get_template_variables(self) -> Any:
        """Return the template's variables."""
        return self.template_variables

    def get_response_schema(self) -> Any:
        """Return the schema of responses, None if there is none."""
        return self.response_schema

    def is_auto_onboardable(self) -> bool:
        """Return whether annotators are let in without a check."""
        return self.auto_onboard_enabled


class File(ApiObject):
    """A file at Scale; `attachment_url` is what a task refers to."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.id, self.attachment_url = json.get("id"), json.get("attachment_url")


class QualityTask(ApiObject):
    """A task with a known answer, by which annotators are checked or trained."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.id = json["id"]
        self.initial_response = json.get("initial_response")
        self.expected_response = json.get("expected_response")


class EvaluationTask(QualityTask):
    """A task by which annotators are checked."""


class TrainingTask(QualityTask):
    """A task by which annotators are trained."""
