"""Read the mirror from Python: documents, changes and status. Works offline."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from scalesync.json_sanitizing import read_json
from scalesync.mirror.connections import Connected
from scalesync.models.changes import Change
from scalesync.models.selection import (
    BatchFilters,
    ProjectFilters,
    Selection,
    TaskFilters,
    check_name,
    selection_of,
)
from scalesync.status import Status, read_status
from scalesync.timestamps import When, check_order, instant_of

if TYPE_CHECKING:
    # Slow to import, and only one method needs it.
    from scalesync.annotations.difference import ResponseDiff

Document = dict[str, Any]
"""An object as the API sent it."""

Position = tuple[datetime | None, str]
"""Time of creation and key of an object, behind which a page begins."""

_KEYS_AT_ONCE = 10_000
_OBJECTS_AT_ONCE = 200


class Queries(Connected):
    """Methods of `Mirror` that read the local copy, with the filters of the command line."""

    def status(self, *, recent: int = 5, count: bool = True, sizes: bool = False) -> Status:
        """Return counts (unless `count` is False), watermarks, queue, verifications, `recent` last runs.

        With `sizes` also what each table takes on the disk; on SQLite that reads the whole file.
        """
        connections = self.connections()
        now = connections.clock.now()
        with connections.database() as database, database.read() as conn:
            found = read_status(conn, database.url_shown, now, recent=recent, count=count)
            if not sizes:
                return found
            from scalesync.db.table_sizes import read_sizes

            return replace(found, sizes=read_sizes(conn))

    def tasks(self, **filters: Unpack[TaskFilters]) -> Iterator[Document]:
        """Yield tasks in constant memory, in one transaction until the iterator is exhausted or closed."""
        return self._list("tasks", filters)

    def batches(self, **filters: Unpack[BatchFilters]) -> Iterator[Document]:
        """Yield batches in constant memory, in one transaction."""
        return self._list("batches", filters)

    def projects(self, **filters: Unpack[ProjectFilters]) -> Iterator[Document]:
        """Yield projects with the history of their parameters, in one transaction."""
        return self._list("projects", filters)

    def count(self, stream: str = "tasks", **filters: Unpack[TaskFilters]) -> int:
        """Return the number of mirrored `tasks`, `batches` or `projects`, with the filters of their lists."""
        return self.count_selected(stream, selection_of(filters, self.now()))

    def count_selected(self, stream: str, selection: Selection) -> int:
        """Return the number of selected objects; the selection's limit is ignored."""
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        with self.connections().database() as database, database.read() as conn:
            return query.total(conn, MAPPINGS[stream], selection)

    def page(
        self, stream: str, selection: Selection, limit: int, *, after: Position | None = None, offset: int = 0
    ) -> tuple[list[Document], int]:
        """Return up to `limit` objects, newest first, behind an object or a number of them; and the total."""
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        with self.connections().database() as database, database.read() as conn:
            return query.page(conn, MAPPINGS[stream], selection, limit, after=after, offset=offset)

    def newest_first(self, stream: str, selection: Selection) -> Iterator[Document]:
        """Yield all selected objects as they are when their turn comes, with no transaction open meanwhile.

        Those that are selected only later may be left out, and so are those that are not any more.
        """
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        # Keys take the longest, for they are sorted: many are read at once, and objects a few at once.
        mapping, after = MAPPINGS[stream], None
        while True:
            with self.connections().database() as database, database.read() as conn:
                keys = query.page_keys(conn, mapping, selection, _KEYS_AT_ONCE, after=after)
            for start in range(0, len(keys), _OBJECTS_AT_ONCE):
                some = [key for _, key in keys[start : start + _OBJECTS_AT_ONCE]]
                with self.connections().database() as database, database.read() as conn:
                    objects = query.objects(conn, mapping, selection, some)
                yield from objects
            if len(keys) < _KEYS_AT_ONCE:
                return
            after = keys[-1]

    def tasks_by_status(self, batch: str) -> dict[str | None, int]:
        """Return the numbers of a batch's mirrored tasks by status, without statuses that no task has."""
        from scalesync.db.sync import comparison

        with self.connections().database() as database, database.read() as conn:
            return comparison.batch_counts(conn, batch)

    def as_of(self, stream: str = "tasks") -> datetime | None:
        """Return the time up to which the mirror has every change of a stream; None before one sync."""
        from scalesync.db.sync import runs

        with self.connections().database() as database, database.read() as conn:
            return runs.read_watermarks(conn).get(stream)

    def queued_tasks(self, **filters: Unpack[TaskFilters]) -> Iterator[Document]:
        """Yield queued tasks that are not at Scale yet, each with its `command_id` and `state`."""
        from scalesync.queue.management import Queue

        queue = Queue(self.connections().database)
        return _decoded(queue.tasks(selection_of(filters, self.now())))

    def task(self, task_id: str) -> Document | None:
        """Return the task with this id, or None if the mirror does not have it."""
        return self._one("tasks", task_id)

    def batch(self, name: str) -> Document | None:
        """Return the batch with this name, or None if the mirror does not have it."""
        return self._one("batches", name)

    def project(self, name: str) -> Document | None:
        """Return the project with this name, or None if the mirror does not have it."""
        return self._one("projects", name)

    def documents(self, stream: str, selection: Selection) -> Iterator[bytes]:
        """Yield the JSON text of mirrored projects, batches or tasks, in constant memory."""
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        with self.connections().database() as database, database.read() as conn:
            yield from query.documents(conn, MAPPINGS[stream], selection)

    def document(self, stream: str, key: str) -> bytes | None:
        """Return the JSON text of one mirrored object by its task_id or name, None if there is none."""
        from scalesync.db.mirror import query
        from scalesync.db.mirror.documents import MAPPINGS

        with self.connections().database() as database, database.read() as conn:
            return query.find(conn, MAPPINGS[stream], key)

    def changes(
        self, *, since_id: int | None = None, since: When | None = None, until: When | None = None
    ) -> Iterator[Change]:
        """Yield changes of mirrored tasks, oldest first: `id` above `since_id`, seen in [since, until).

        To continue later pass the last `id` as `since_id`: no smaller id appears any more.
        """
        # Checked here and not in the generator, which would raise only at its first item.
        now = self.now()
        first = None if since is None else instant_of(since, now)
        end = None if until is None else instant_of(until, now)
        check_order(first, end)
        return self._changes(since_id, first, end)

    def _changes(
        self, after_id: int | None, since: datetime | None, until: datetime | None
    ) -> Iterator[Change]:
        from scalesync.db.mirror import changes

        with self.connections().database() as database, database.read() as conn:
            yield from changes.listing(conn, after_id=after_id, since=since, until=until)

    def diff(self, task_id: str, *, before: str | None = None, after: str | None = None) -> "ResponseDiff":
        """Compare two responses of a task, annotation by annotation; by default the last two.

        `before` and `after` are digests from the view `task_responses`, or beginnings of them.
        Raises IncompleteError if the task is not here or its earlier response was not kept, and
        ConfigurationError for a digest of no response.
        """
        from scalesync.db.mirror import replaced_responses

        check_name("task_id", task_id)
        with self.connections().database() as database, database.read() as conn:
            return replaced_responses.diff(conn, task_id, before, after)

    def _list(self, stream: str, filters: Mapping[str, Any]) -> Iterator[Document]:
        return _decoded(self.documents(stream, selection_of(filters, self.now())))

    def _one(self, stream: str, key: str) -> Document | None:
        check_name("name", key)
        found = self.document(stream, key)
        return None if found is None else read_json(found)


def _decoded(documents: Iterator[bytes]) -> Iterator[Document]:
    for document in documents:
        yield read_json(document)
