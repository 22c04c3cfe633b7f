"""The reading methods of a ScaleClient: answered by the mirror, or by the API if the mirror is too old."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from scalesync.client import task_filters
from scalesync.client.objects import Batch, Batchlist, Fields, Project, Task, Tasklist
from scalesync.client.task_filters import PAGE_SIZE, check_names, position_of, token_of, value_of
from scalesync.errors import ConfigurationError, ScaleInvalidRequest, ScaleResourceNotFound
from scalesync.json_sanitizing import read_json
from scalesync.mirror import Mirror
from scalesync.models.api import TASK_STATUSES, BatchFilter, TaskFilter


class Reads:
    """Lists and single objects. Raises ScaleResourceNotFound for what neither mirror nor API has."""

    mirror: Mirror
    max_age: timedelta | None
    _was_synced = False

    @property
    def as_of(self) -> datetime | None:
        """The time up to which the mirror has every change of a task; None before the first complete sync."""
        return self.mirror.as_of("tasks")

    # Tasks --------------------------------------------------------------------------------------------------

    def get_task(self, task_id: str) -> Task:
        """Return a task."""
        return Task(self._one("tasks", task_id), self)

    def fetch_task(self, task_id: str) -> Task:
        """Return a task: the name of `get_task` in older clients."""
        return self.get_task(task_id)

    def tasks(self, **filters: Any) -> Tasklist:
        """Return a page of tasks, newest first, up to 100; pass `next_token` on for the next page.

        Raises ScaleInvalidRequest for an unknown argument or value.
        """
        check_names(filters, task_filters.TASK_FILTERS, "tasks")
        chosen = task_filters.task_filter(filters, self.mirror.now())
        limit, token = task_filters.page_size(filters.get("limit")), filters.get("next_token")
        if self._is_too_old():
            return self._tasks_of_api(chosen, limit, token)
        after, wanted = position_of(token), task_filters.selected_tasks(chosen)
        if wanted is None:
            return Tasklist([], 0, limit, 0, has_more=False)
        docs, total = self.mirror.page("tasks", wanted, limit + 1, after=after)
        next_token = token_of(docs[limit - 1]) if len(docs) > limit else None
        tasks = self._as_tasks(docs[:limit], limited=bool(chosen.limited_response))
        return Tasklist(tasks, total, limit, 0, has_more=next_token is not None, next_token=next_token)

    def get_tasks(
        self,
        project_name: str | None = None,
        batch_name: str | None = None,
        task_type: Any = None,
        status: Any = None,
        review_status: Any = None,
        unique_id: str | Sequence[str] | None = None,
        completed_after: Any = None,
        completed_before: Any = None,
        updated_after: Any = None,
        updated_before: Any = None,
        created_after: Any = None,
        created_before: Any = None,
        tags: str | Sequence[str] | None = None,
        include_attachment_url: bool = True,
        limited_response: bool | None = None,
        limit: int | None = None,
    ) -> Iterator[Task]:
        """Yield all tasks of a project or batch, newest first. Raises ValueError without either."""
        filters = task_filters.filters_of(locals())
        if self._is_too_old():
            return self._all_of_api(filters, limit)
        return self._all_of_mirror(task_filters.task_filter(filters, self.mirror.now()))

    def get_tasks_count(
        self,
        project_name: str | None = None,
        batch_name: str | None = None,
        task_type: Any = None,
        status: Any = None,
        review_status: Any = None,
        unique_id: str | Sequence[str] | None = None,
        completed_after: Any = None,
        completed_before: Any = None,
        updated_after: Any = None,
        updated_before: Any = None,
        created_after: Any = None,
        created_before: Any = None,
        tags: str | Sequence[str] | None = None,
        include_attachment_url: bool = True,
    ) -> int:
        """Return the number of tasks of a project or batch. Raises ValueError without either."""
        chosen = task_filters.task_filter(task_filters.filters_of(locals()), self.mirror.now())
        if self._is_too_old():
            return self._tasks_of_api(chosen, 1, None).total
        wanted = task_filters.selected_tasks(chosen)
        return 0 if wanted is None else self.mirror.count_selected("tasks", wanted)

    def refreshed(self, task: Task) -> Task:
        """Return a task as it is now; one that is queued gets its id once it is delivered."""
        if task.id is not None or task.command_id is None:
            return self.get_task(str(task.id))
        result = self.mirror.queue.result(task.command_id)
        return task if result is None else self.get_task(result["task_id"])

    # Batches ------------------------------------------------------------------------------------------------

    def get_batch(self, batch_name: str) -> Batch:
        """Return a batch."""
        return Batch(self._one("batches", batch_name), self)

    def batches(self, **filters: Any) -> Batchlist:
        """Return a page of batches, newest first, up to 100; add `limit` to `offset` for the next page."""
        check_names(filters, task_filters.BATCH_FILTERS, "batches")
        chosen = task_filters.batch_filter(filters, self.mirror.now())
        limit, offset = task_filters.page_size(filters.get("limit")), int(filters.get("offset") or 0)
        if offset < 0:
            raise ScaleInvalidRequest("offset is a number from 0.")
        if self._is_too_old():
            return self._batches_of_api(chosen, limit, offset)
        wanted = task_filters.selected_batches(chosen)
        if wanted is None:
            return Batchlist([], 0, limit, offset, has_more=False)
        found, total = self.mirror.page("batches", wanted, limit + 1, offset=offset)
        docs = [Batch(doc, self) for doc in found[:limit]]
        return Batchlist(docs, total, limit, offset, has_more=len(found) > limit)

    def list_batches(self, **filters: Any) -> Batchlist:
        """Return a page of batches: the name of `batches` in older clients."""
        filters.pop("next_token", None)
        return self.batches(**filters)

    def get_batches(
        self,
        project_name: str | None = None,
        batch_status: Any = None,
        created_after: Any = None,
        created_before: Any = None,
        exclude_archived: bool = False,
    ) -> Iterator[Batch]:
        """Yield all batches, newest first."""
        filters = {
            "project": project_name,
            "status": value_of(batch_status),
            "start_time": created_after,
            "end_time": created_before,
            "exclude_archived": exclude_archived,
        }
        offset, more = 0, True
        while more:
            page = self.batches(**filters, offset=offset)
            yield from page
            offset, more = offset + page.limit, page.has_more

    def batch_status(self, batch_name: str) -> Fields:
        """Return a batch's status with the numbers of its tasks by status; numbers of 0 are left out."""
        if self._is_too_old():
            counted = self.mirror.batch_status(batch_name)
            numbers = {state: getattr(counted, state) for state in TASK_STATUSES}
            return {
                "status": counted.status,
                **{state: number for state, number in numbers.items() if number},
            }
        batch = self._one("batches", batch_name)
        counts = self.mirror.tasks_by_status(batch_name)
        return {"status": batch.get("status"), **{str(status): number for status, number in counts.items()}}

    # Projects -----------------------------------------------------------------------------------------------

    def get_project(self, project_name: str) -> Project:
        """Return a project."""
        return Project(self._one("projects", project_name), self)

    def projects(self) -> list[Project]:
        """Return all projects."""
        if self._is_too_old():
            with self.mirror.connections().api() as api:
                found = [read_json(bytes(raw)) for raw in api.projects().docs]
        else:
            found = list(self.mirror.projects())
        return [Project(json, self) for json in found]

    def get_projects(self) -> list[Project]:
        """Return all projects."""
        return self.projects()

    # Mirror or API ------------------------------------------------------------------------------------------

    def _is_too_old(self, *, for_list: bool = True) -> bool:
        """Return whether the mirror is older than `max_age`, so that the API is asked.

        Raises ConfigurationError for a list if the mirror was never synced, and the API is never to be asked.
        """
        if self.max_age is None:
            self._was_synced = self._was_synced or (for_list and self.as_of is not None)
            if for_list and not self._was_synced:
                msg = "The mirror was never synced completely, so that its lists lack what others have made."
                advice = "Run `scalesync sync`, or set max_age or SCALESYNC_MAX_AGE to have the API asked."
                raise ConfigurationError(msg, advice=advice)
            return False
        as_of = self.as_of
        return as_of is None or self.mirror.now() - as_of > self.max_age

    def _one(self, stream: str, key: str) -> Fields:
        """Return an object; ask the API if the mirror is too old, or lacks it and `max_age` is set."""
        found = None if self._is_too_old(for_list=False) else self.mirror.document(stream, key)
        if found is not None:
            return _object(found)
        if self.max_age is None:
            as_of = self.as_of
            when = "and was never synced" if as_of is None else f"as of {as_of:%Y-%m-%dT%H:%M:%SZ}"
            raise ScaleResourceNotFound(f"The mirror has no {key!r} in its {stream}, {when}.")
        with self.mirror.connections().api() as api:
            read = {"tasks": api.task, "batches": api.batch, "projects": api.project}[stream]
            return _object(bytes(read(key).raw))

    def _as_tasks(self, docs: Sequence[Fields], *, limited: bool) -> list[Task]:
        fields = task_filters.LIMITED_FIELDS
        if limited:
            docs = [{name: doc[name] for name in fields if name in doc} for doc in docs]
        return [Task(doc, self) for doc in docs]

    def _all_of_mirror(self, chosen: TaskFilter) -> Iterator[Task]:
        wanted = task_filters.selected_tasks(chosen)
        if wanted is not None:
            for doc in self.mirror.newest_first("tasks", wanted):
                yield from self._as_tasks([doc], limited=bool(chosen.limited_response))

    def _all_of_api(self, filters: Mapping[str, Any], limit: int | None) -> Iterator[Task]:
        chosen, token = task_filters.task_filter(filters, self.mirror.now()), None
        while True:
            page = self._tasks_of_api(chosen, limit or PAGE_SIZE, token)
            yield from page
            token = page.next_token
            if token is None:
                return

    def _tasks_of_api(self, chosen: TaskFilter, limit: int, token: str | None) -> Tasklist:
        with self.mirror.connections().api() as api:
            page = api.tasks(chosen, limit=limit, next_token=token)
        tasks = [Task(read_json(bytes(raw)), self) for raw in page.docs]
        return Tasklist(tasks, page.total or 0, limit, 0, page.has_more, page.next_token)

    def _batches_of_api(self, chosen: BatchFilter, limit: int, offset: int) -> Batchlist:
        with self.mirror.connections().api() as api:
            page = api.batches(chosen, limit=limit, next_token=f"offset:{offset}")
        docs = [Batch(read_json(bytes(raw)), self) for raw in page.docs]
        return Batchlist(docs, page.total or 0, limit, offset, page.has_more)


def _object(text: bytes) -> Fields:
    """Return the JSON object of a document."""
    fields: Fields = read_json(text)
    return fields
