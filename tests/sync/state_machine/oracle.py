"""Compute what a verification must find from the API's documents and the mirror's tables."""

from collections.abc import Iterator, Mapping

from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.schema.mirror import batches, tasks
from scalesync.sandbox import SandboxServer
from tests.support.sync_env import STREAMS, mirrored, served

Difference = tuple[str, str, str]
"""Stream, key and kind."""

_TABLES = {"tasks": (tasks, tasks.c.task_id), "batches": (batches, batches.c.name)}
_SEEN = ("status", "project")
"""What of these a verification compares, short of `--deep`."""


def drift(server: SandboxServer, database: Database, *, homeless: bool = True) -> set[Difference]:
    """Return everything that differs; without `homeless` not what the API says of tasks of no project."""
    found = {one for stream in STREAMS for one in _differing(server, database, stream)}
    if homeless:
        return found
    theirs = served(server, "tasks")
    return {one for one in found if one[0] != "tasks" or theirs.get(one[1], {"project": "?"}).get("project")}


def _differing(server: SandboxServer, database: Database, stream: str) -> Iterator[Difference]:
    there, here = served(server, stream), _here(database, stream)
    for key in there.keys() | here.keys():
        if key not in here:
            yield stream, key, "missing_here"
        elif key not in there:
            yield stream, key, "gone_there"
        elif _told(stream, here[key]) != _told(stream, there[key]):
            yield stream, key, "different"


def _told(stream: str, fields: Mapping[str, object]) -> object:
    """Return what a verification compares of an object."""
    return fields if stream == "projects" else [fields.get(name) for name in _SEEN]


def _here(database: Database, stream: str) -> dict[str, dict[str, object]]:
    """Return what the mirror holds and does not take for gone."""
    if stream == "projects":
        return mirrored(database, stream)
    table, key = _TABLES[stream]
    with database.read() as conn:
        query = select(key.label("key"), table.c.status, table.c.project)
        found = conn.execute(query.where(table.c.missing_since.is_(None)))
        return {str(row["key"]): {name: row[name] for name in _SEEN} for row in found.mappings()}
