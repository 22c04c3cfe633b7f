"""From objects that differ to what has to be read again."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

from scalesync.db.database import Database
from scalesync.db.mirror.documents import MAPPINGS, PROJECTS, TASKS
from scalesync.db.sync import comparison
from scalesync.models.sync import Window
from scalesync.sync.verify.models import Drift

ROWS_PER_WINDOW = 50
"""Objects that differ, and objects here between them, that are read as one range."""


def windows_to_read(database: Database, drift: Sequence[Drift], *, by_project: bool) -> tuple[Window, ...]:
    """Return windows that hold these objects and little else; one of no known creation is in none.

    With `by_project` each names its project, for an API that lists tasks no other way.
    """
    found: list[Window] = []
    for stream, those in groupby(drift, key=lambda one: one.stream):
        if stream == PROJECTS.table.name:
            found.append(Window(stream))
        else:
            named = by_project and stream == TASKS.table.name
            found += _ranges(database, stream, list(those), by_project=named)
    return tuple(found)


def _ranges(database: Database, stream: str, drift: Sequence[Drift], *, by_project: bool) -> Iterator[Window]:
    places: dict[str | None, list[datetime]] = {}
    for one in drift:
        if one.created_at is not None:
            places.setdefault(one.project if by_project else None, []).append(one.created_at)
    for project, instants in places.items():
        yield from _together(database, Window(stream, project), sorted(instants))


def _together(database: Database, within: Window, instants: Iterable[datetime]) -> Iterator[Window]:
    """Yield ranges, oldest first, each of neighbours."""
    begin = end = None
    size = 0
    for at in instants:
        if begin is not None and end is not None:
            wider = Window(within.stream, within.project, begin, at)
            if size < ROWS_PER_WINDOW and _held(database, wider, at) <= ROWS_PER_WINDOW:
                end, size = at, size + 1
                continue
            yield Window(within.stream, within.project, begin, end)
        begin, end, size = at, at, 1
    if begin is not None:
        yield Window(within.stream, within.project, begin, end)


def _held(database: Database, window: Window, until: datetime) -> int:
    with database.read() as conn:
        return comparison.count(conn, MAPPINGS[window.stream], window, until)
