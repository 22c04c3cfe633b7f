"""Look up mirrored objects for the queue: whether a name is taken, and which tasks can be canceled."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Select, select

from scalesync.db.mirror.documents import MAPPINGS, to_document
from scalesync.db.schema.mirror import batches, projects, tasks
from scalesync.db.statements import chunks, in_list
from scalesync.models.commands import Creation

_NAMES: dict[str, tuple[Column[str], Column[str]]] = {
    "tasks": (tasks.c.unique_id, tasks.c.task_id),
    "batches": (batches.c.name, batches.c.name),
    "projects": (projects.c.name, projects.c.name),
}
"""By stream: the column with the name that a create gives its object, and the key column."""
_PRESENT: dict[str, Select[*tuple[Any, ...]]] = {
    stream: select(key.label("key"), name.label("name")).where(
        in_list(name, "names"), name.table.c.missing_since.is_(None)
    )
    for stream, (name, key) in _NAMES.items()
}
"""By stream: the query for the key and name of present objects with one of the `names`."""
_DECIDED = {
    "tasks": (
        "batch", "extra", "instruction", "metadata", "params", "priority", "project", "tags", "type",
    ),
    "batches": ("callback", "extra", "metadata", "project"),
    "projects": ("extra", "type"),
}  # fmt: skip
"""By stream: the columns whose values a create determines."""
_OBJECTS = {
    stream: query.add_columns(*(_NAMES[stream][0].table.c[column] for column in _DECIDED[stream]))
    for stream, query in _PRESENT.items()
}
"""By stream: the query for present objects by `names`, with the columns that a create determines."""
_STREAMS = {"task": "tasks", "batch": "batches", "project": "projects"}
"""Streams by the word before the colon of a resource."""


@dataclass(frozen=True, slots=True)
class MirroredObject:
    """A mirrored object that has the name of an object to be created."""

    key: str
    document: dict[str, Any]
    """Its fields that a create determines, in the form of the API."""


def objects(conn: Connection, wanted: Iterable[Creation]) -> dict[tuple[str, str], list[MirroredObject]]:
    """Return mirrored objects by (stream, name), without those missing at the API."""
    found: dict[tuple[str, str], list[MirroredObject]] = {}
    by_stream: dict[str, list[str]] = {}
    for creation in wanted:
        by_stream.setdefault(creation.stream, []).append(creation.name)
    for stream, names in by_stream.items():
        kind = MAPPINGS[stream]
        # Columns that the query does not read (such as a large response) count as empty in the document.
        unread = dict.fromkeys(field.name for field in kind.mapped_fields)
        for row in _named(conn, _OBJECTS[stream], names):
            document = json.loads(to_document(kind, {**unread, **row}))
            found.setdefault((stream, row["name"]), []).append(MirroredObject(row["key"], document))
    return found


def held(conn: Connection, resources: Iterable[str]) -> set[str]:
    """Return the `resources` whose object is in the mirror and not missing at the API."""
    names: dict[str, list[str]] = {}
    for resource in resources:
        word, _, name = resource.partition(":")
        if word in _STREAMS:
            names.setdefault(word, []).append(name)
    return {
        f"{word}:{row['name']}"
        for word, wanted in names.items()
        for row in _named(conn, _PRESENT[_STREAMS[word]], wanted)
    }


def unique_ids(conn: Connection, task_ids: Iterable[str]) -> dict[str, str | None]:
    """Return the unique_ids of mirrored tasks by task_id; None for a task without one."""
    columns = tasks.c
    found: dict[str, str | None] = {}
    for chunk in chunks(task_ids):
        query = select(columns.task_id, columns.unique_id).where(columns.task_id.in_(chunk))
        found.update((task_id, unique_id) for task_id, unique_id in conn.execute(query))
    return found


def pending_tasks(conn: Connection, batch: str) -> list[tuple[str, str | None]]:
    """Return (task_id, unique_id) of a batch's pending tasks that are not missing, ordered by task_id."""
    columns = tasks.c
    pending = select(columns.task_id, columns.unique_id).where(
        columns.batch == batch, columns.status == "pending", columns.missing_since.is_(None)
    )
    return [(task_id, unique_id) for task_id, unique_id in conn.execute(pending.order_by(columns.task_id))]


def _named(conn: Connection, query: Select[*tuple[Any, ...]], names: Sequence[str]) -> Iterator[RowMapping]:
    for chunk in chunks(names):
        yield from conn.execute(query, {"names": chunk}).mappings()
