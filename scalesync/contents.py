"""What a mirror holds, from Python: documents, rows, history and counts. Nothing here asks the API."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Unpack

from scalesync.app import App
from scalesync.errors import ConfigurationError
from scalesync.export.counts import ExportCounts
from scalesync.export.exporter import Export, Format
from scalesync.json_sanitizing import read_json
from scalesync.keywords import BatchFilters, ProjectFilters, TaskFilters, When, check_name, selection
from scalesync.models.changes import Change
from scalesync.settings import Settings
from scalesync.status import Status
from scalesync.timestamps import check_order, instant_of

Document = dict[str, Any]
"""An object as the API sent it."""


class Contents:
    """Reads what is in a mirror, by the filters that the command line has. All of it works offline."""

    _settings: Settings

    def status(self) -> Status:
        """Return what is here, how far behind it is, and how full the queue is."""
        return self._app.status()

    def tasks(self, **filters: Unpack[TaskFilters]) -> Iterator[Document]:
        """Yield tasks in flat memory; one transaction lasts until the iterator is exhausted or closed."""
        return self._documents("tasks", filters)

    def queued_tasks(self, **filters: Unpack[TaskFilters]) -> Iterator[Document]:
        """Yield tasks that are queued and not at Scale yet, each with its `command_id` and `state`."""
        return _decoded(self._app.queue.tasks(selection(filters, self._now())))

    def task(self, task_id: str) -> Document | None:
        """Return the task with this id, or None if the mirror does not have it."""
        return self._document("tasks", task_id)

    def batches(self, **filters: Unpack[BatchFilters]) -> Iterator[Document]:
        """Yield batches, like `tasks`."""
        return self._documents("batches", filters)

    def batch(self, name: str) -> Document | None:
        """Return the batch with this name, or None if the mirror does not have it."""
        return self._document("batches", name)

    def changes(
        self, *, since_id: int | None = None, since: When | None = None, until: When | None = None
    ) -> Iterator[Change]:
        """Yield what changed in the mirrored tasks, oldest first: after a number, from a time, before a time.

        Whoever remembers the `id` of the last one can go on from there: nothing appears before it later.
        """
        now = self._now()
        first = None if since is None else instant_of(since, now)
        end = None if until is None else instant_of(until, now)
        check_order(first, end)
        return self._app.changes(after_id=since_id, since=first, until=end)

    def sql(self, statement: str, *, timeout: float = 60.0) -> Iterator[dict[str, Any]]:
        """Yield the rows of one statement that only reads, in flat memory, as dicts by column.

        The database refuses what would change anything, and is at work for `timeout` seconds at most. Raises
        ConfigurationError for a statement that is wrong, or names two columns alike. JSON may be text.
        """
        with self._app.ways_out.answer(statement, seconds=timeout) as answer:
            names = [column.name for column in answer.columns]
            if len(set(names)) < len(names):
                msg = f"Two columns of the answer have the same name: {', '.join(names)}."
                raise ConfigurationError(msg, advice="Rename one with AS.")
            for row in answer.rows:
                yield dict(zip(names, row, strict=True))

    def export(
        self,
        table: str,
        file: IO[bytes],
        *,
        format: str = "jsonl",  # noqa: A002 - as the option
        **filters: Unpack[TaskFilters],
    ) -> ExportCounts:
        """Write a table, a view or a dataset to a binary file, and return how much was written and left out.

        `format` and the filters are those of `scalesync export`. Raises ConfigurationError for a table or a
        format that does not exist, and for a filter that cannot be applied.
        """
        plan, tally, ways = self._export(table, format, filters), ExportCounts(), self._app.ways_out
        if plan.format is Format.PARQUET:
            ways.parquet(plan, file, tally)
        else:
            file.writelines(line + b"\n" for line in ways.lines(plan, tally))
        return tally

    def export_partitions(
        self, table: str, directory: str | os.PathLike[str], **filters: Unpack[TaskFilters]
    ) -> ExportCounts:
        """Write a table or a view as Parquet files by project and month below a directory that is empty."""
        tally, room = ExportCounts(), Path(directory)
        if not room.is_dir() or any(room.iterdir()):
            msg = f"{room} is not an empty directory."
            raise ConfigurationError(msg, advice="Make one, or name another.")
        self._app.ways_out.partitions(self._export(table, "parquet", filters), room, tally)
        return tally

    def projects(self, **filters: Unpack[ProjectFilters]) -> Iterator[Document]:
        """Yield projects, like `tasks`, with the history of their parameters."""
        return self._documents("projects", filters)

    def project(self, name: str) -> Document | None:
        """Return the project with this name, or None if the mirror does not have it."""
        return self._document("projects", name)

    @property
    def _app(self) -> App:
        """A new one each time: a run that was stopped stays so."""
        return App(self._settings)

    def _now(self) -> datetime:
        """Return what a span such as `7d` goes back from: this machine's clock."""
        return self._app.clock.now()

    def _export(self, table: str, format: str, filters: Mapping[str, Any]) -> Export:  # noqa: A002 - as above
        if format not in set(Format):
            msg = f"There is no format {format!r}."
            raise ConfigurationError(msg, advice=f"Use {', '.join(Format)}.")
        return Export(table, Format(format), selection(filters, self._now()))

    def _documents(self, stream: str, filters: Mapping[str, Any]) -> Iterator[Document]:
        return _decoded(self._app.documents(stream, selection(filters, self._now())))

    def _document(self, stream: str, key: str) -> Document | None:
        check_name("name", key)
        found = self._app.document(stream, key)
        return None if found is None else read_json(found)


def _decoded(documents: Iterator[bytes]) -> Iterator[Document]:
    for document in documents:
        yield read_json(document)
