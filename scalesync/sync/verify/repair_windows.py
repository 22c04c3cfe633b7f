"""Chooses the windows that a repair reads, from the objects that differ."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from scalesync.db.database import Database
from scalesync.db.mirror.documents import MAPPINGS, PROJECTS, TASKS
from scalesync.db.sync import comparison
from scalesync.models.sync import Window
from scalesync.sync.verify.models import Drift

ROWS_PER_WINDOW = 50
"""Objects of one range, at most, those between two that differ included."""


def windows_to_read(database: Database, drift: Sequence[Drift], *, by_project: bool) -> tuple[Window, ...]:
    """Return windows around these objects, except those without a time of creation.

    With `by_project` task windows name their project, for an API that lists tasks no other way.
    """
    windows: list[Window] = []
    for stream, group in groupby(drift, key=lambda each: each.stream):
        if stream == PROJECTS.table.name:
            windows.append(Window(stream))
        else:
            by_project_here = by_project and stream == TASKS.table.name
            windows += _ranges(database, stream, list(group), by_project=by_project_here)
    return tuple(windows)


def _ranges(database: Database, stream: str, drift: Sequence[Drift], *, by_project: bool) -> Iterator[Window]:
    instants_of: dict[str | None, list[datetime]] = {}
    for each in drift:
        if each.created_at is not None:
            instants_of.setdefault(each.project if by_project else None, []).append(each.created_at)
    for project, instants in instants_of.items():
        yield from _merged(database, Window(stream, project), sorted(instants))


def _merged(database: Database, within: Window, instants: Iterable[datetime]) -> Iterator[Window]:
    """Yield ranges, oldest first, each of neighbouring instants with few objects between them."""
    begin = end = None
    size = 0
    for at in instants:
        if begin is not None and end is not None:
            wider = Window(within.stream, within.project, begin, at)
            # Extend the range while the objects in it, differing or not, stay few.
            if size < ROWS_PER_WINDOW and _local_count(database, wider, at) <= ROWS_PER_WINDOW:
                end, size = at, size + 1
                continue
            yield Window(within.stream, within.project, begin, end)
        begin, end, size = at, at, 1
    if begin is not None:
        yield Window(within.stream, within.project, begin, end)


def _local_count(database: Database, window: Window, until: datetime) -> int:
    with database.read() as conn:
        return comparison.count(conn, MAPPINGS[window.stream], window, until)
