"""Methods of a ScaleClient for what is neither mirrored nor queued: teams, Studio, templates."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from scalesync.api.request import query_of
from scalesync.client.objects import (
    ApiObject,
    Fields,
    ProjectTemplate,
)
from scalesync.client.task_filters import several, value_of
from scalesync.client.writes import ONLY_READS, WRITING, WriteMode
from scalesync.errors import ConfigurationError, ScaleNoAnswer
from scalesync.mirror import Mirror


class Teammate(ApiObject):
    """A member of the team."""

    key = "email"

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.email, self.role, self.company = json["email"], json.get("role"), json.get("company")
        self.first_name, self.last_name = json.get("firstName"), json.get("lastName")
        self.is_studio_labeler, self.expiry = json.get("isStudioLabeler"), json.get("expiry")

    def update_teammate_role(self, new_role: Any) -> "list[Teammate]":
        """Give the member another role."""
        changed: list[Teammate] = self._client.update_teammates_role([self.email], new_role)
        return changed


class StudioLabelerAssignment(ApiObject):
    """The projects that an annotator is assigned to."""

    def __init__(self, assigned_projects: Any, email: str, client: Any) -> None:
        """Wrap the API's list of projects."""
        super().__init__(assigned_projects, client)
        self.email, self.assigned_projects = email, assigned_projects

    def __hash__(self) -> int:
        """Return the hash of the e-mail address."""
        return hash(self.email)

    def __str__(self) -> str:
        """Show the e-mail address."""
        return f"StudioLabelerAssignment(email={self.email})"


class StudioWorker(ApiObject):
    """An annotator in a group."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.id, self.email = json["id"], json.get("email")


class StudioProjectGroup(ApiObject):
    """A group of annotators of a project."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.id, self.name = json["id"], json.get("name")
        self.numWorkers, self.isSingleton = json.get("numWorkers"), json.get("isSingleton")
        workers = [StudioWorker(worker, client) for worker in json.get("workers") or []]
        # The list is in a tuple, because that is how scripts for the official client find it.
        self.workers: Any = (workers,) if workers else []


class StudioBatch(ApiObject):
    """A batch in Studio, with its priority and progress."""

    def __init__(self, json: Fields, client: Any) -> None:
        """Wrap the JSON object."""
        super().__init__(json, client)
        self.id, self.name, self.groups = json["id"], json.get("name"), json.get("groups")
        self.project_id, self.project_name = json.get("projectId"), json.get("projectName")
        self.batch_type, self.studio_priority = json.get("batchType"), json.get("studioPriority")
        self.total, self.completed = json.get("total"), json.get("completed")


class V2Task(ApiObject):
    """A task of the newer API. Every field is an attribute; times are texts."""

    key = "task_id"

    def __getattr__(self, name: str) -> Any:
        """Return a field; None for one that the API left out."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self._json.get(name)

    def to_dict(self) -> Fields:
        """Return the JSON object."""
        return self.as_dict()


class Online:
    """Methods that call the API at once. Raises ScaleNotSent where it cannot be reached."""

    mirror: Mirror
    writes: WriteMode

    def get_project_template(self, project_name: str) -> ProjectTemplate:
        """Return the template of a project's tasks, which chat and textcollection have."""
        return ProjectTemplate(self._call("GET", "projects/{}/taskTemplates", project_name), self)

    def v2_get_tasks(
        self,
        project_id: str | None = None,
        project_name: str | None = None,
        batch_id: str | None = None,
        batch_name: str | None = None,
        status: Any = None,
        completed_after: datetime | None = None,
        completed_before: datetime | None = None,
        limit: int | None = None,
        expand: Iterable[Any] | None = None,
        opts: Iterable[Any] | None = None,
    ) -> Iterator[V2Task]:
        """Yield tasks of the newer API, page by page, always asked of it."""
        filters: Fields = {
            "project_id": project_id,
            "project_name": project_name,
            "batch_id": batch_id,
            "batch_name": batch_name,
            "status": value_of(status),
            "completed_after": completed_after,
            "completed_before": completed_before,
            "limit": limit,
            "expand": several(expand),
            "opts": several(opts),
        }
        token = None
        while True:
            with self.mirror.connections().api(version="v2") as api:
                page = api.call("GET", "tasks", query=query_of(**filters, next_token=token))
            yield from (V2Task(each, self) for each in page["tasks"])
            before, token = token, page.get("next_token")
            if token is None:
                return
            if token == before:
                raise ScaleNoAnswer("The API gave the same next_token twice, so that its list has no end.")

    # The team -----------------------------------------------------------------------------------------------

    def list_teammates(self) -> list[Teammate]:
        """Return the members of the team."""
        return self._all(Teammate, "GET", "teams")

    def invite_teammates(self, emails: Iterable[str], role: Any) -> list[Teammate]:
        """Invite people to the team."""
        return self._all(Teammate, "POST", "teams/invite", emails=list(emails), team_role=value_of(role))

    def update_teammates_role(self, emails: Iterable[str], role: Any) -> list[Teammate]:
        """Give members of the team another role."""
        return self._all(Teammate, "POST", "teams/set_role", emails=list(emails), team_role=value_of(role))

    # Studio -------------------------------------------------------------------------------------------------

    def list_studio_assignments(self) -> dict[str, StudioLabelerAssignment]:
        """Return the projects of each annotator, by e-mail address."""
        return self._assignments("GET", "studio/assignments")

    def add_studio_assignments(
        self, emails: Iterable[str], projects: Iterable[str]
    ) -> dict[str, StudioLabelerAssignment]:
        """Assign annotators to projects."""
        body = {"emails": list(emails), "projects": list(projects)}
        return self._assignments("POST", "studio/assignments/add", **body)

    def remove_studio_assignments(
        self, emails: Iterable[str], projects: Iterable[str]
    ) -> dict[str, StudioLabelerAssignment]:
        """Take projects away from annotators."""
        body = {"emails": list(emails), "projects": list(projects)}
        return self._assignments("POST", "studio/assignments/remove", **body)

    def list_project_groups(self, project: str) -> list[StudioProjectGroup]:
        """Return the groups of annotators of a project."""
        return self._all(StudioProjectGroup, "GET", "studio/projects/{}/groups", project)

    def create_project_group(
        self, project: str, emails: Iterable[str], project_group: str
    ) -> StudioProjectGroup:
        """Create a group of annotators."""
        body = {"emails": list(emails), "name": project_group}
        return StudioProjectGroup(self._call("POST", "studio/projects/{}/groups", project, **body), self)

    def update_project_group(
        self, project: str, project_group: str, add_emails: Iterable[str], remove_emails: Iterable[str]
    ) -> StudioProjectGroup:
        """Add annotators to a group, and remove others."""
        route = "studio/projects/{}/groups/{}"
        body = {"add_emails": list(add_emails), "remove_emails": list(remove_emails)}
        return StudioProjectGroup(self._call("PUT", route, project, project_group, **body), self)

    def list_studio_batches(self) -> list[StudioBatch]:
        """Return the pending batches in Studio, in the order of their priorities."""
        return self._all(StudioBatch, "GET", "studio/batches")

    def assign_studio_batches(self, batch_name: str, project_groups: Iterable[str]) -> StudioBatch:
        """Assign groups of annotators to a batch."""
        found = self._call("PUT", "studio/batches/{}", batch_name, groups=list(project_groups))
        return StudioBatch(found, self)

    def set_studio_batches_priorities(self, batch_names: Iterable[str]) -> list[StudioBatch]:
        """Set the priorities of all pending batches: the first one comes first."""
        names = [{"name": name} for name in batch_names]
        return self._all(StudioBatch, "POST", "studio/batches/set_priorities", batches=names)

    def reset_studio_batches_priorities(self) -> list[StudioBatch]:
        """Order the pending batches by their creation again."""
        return self._all(StudioBatch, "POST", "studio/batches/reset_priorities")

    # One call -----------------------------------------------------------------------------------------------

    def _call(self, method: str, route: str, *names: str, **body: Any) -> Any:
        if method != "GET" and self.writes == "refuse":
            raise ConfigurationError(ONLY_READS, advice=WRITING)
        with self.mirror.connections().api() as api:
            return api.call(method, route, *names, payload=body or None)

    def _all(self, kind: Any, method: str, route: str, *names: str, **body: Any) -> list[Any]:
        return [kind(each, self) for each in self._call(method, route, *names, **body)]

    def _assignments(self, method: str, route: str, **body: Any) -> dict[str, StudioLabelerAssignment]:
        found = self._call(method, route, **body)
        return {email: StudioLabelerAssignment(projects, email, self) for email, projects in found.items()}
