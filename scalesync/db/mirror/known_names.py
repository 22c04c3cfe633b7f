"""Find names (of projects, batches, types, statuses) that are unknown here, and suggest a similar one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from sqlalchemy import ColumnElement, Connection, select

from scalesync.db.schema.mirror import batches, projects, tasks
from scalesync.db.schema.queue import commands
from scalesync.models.api import REVIEWS, TASK_STATUSES
from scalesync.models.commands import CommandKind, CommandState

# Names compared at most: each takes some microseconds.
_MANY = 20_000
# Similarity (difflib's ratio) from which on a name is suggested.
_NEAR = 0.6
_C = commands.c

_COLUMNS: dict[str, tuple[ColumnElement[str | None], ...]] = {
    "project": (projects.c.name, batches.c.project, tasks.c.project),
    "batch": (batches.c.name, tasks.c.batch),
    "type": (projects.c.type, tasks.c.type),
    "status": (tasks.c.status,),
    "batch status": (batches.c.status,),
    "review": (tasks.c.customer_review_status,),
}
"""By kind of name: the columns that have it, the most reliable first."""
_DOCUMENTED: dict[str, tuple[str, ...]] = {
    "type": (
        "annotation", "audiotranscription", "categorization", "chat", "chatlite", "comparison",
        "cuboidannotation", "datacollection", "documentmodel", "documenttranscription", "imageannotation",
        "laneannotation", "lidarannotation", "lidarlinking", "lidarsegmentation", "lidartopdown",
        "lineannotation", "multichat", "multistage", "namedentityrecognition", "pointannotation",
        "polygonannotation", "segmentannotation", "sensorfusion", "textcollection", "transcription",
        "videoannotation", "videoboxannotation", "videocuboidannotation", "videoplaybackannotation",
    ),
    "status": TASK_STATUSES,
    "batch status": ("staging", "in_progress", "completed"),
    "review": REVIEWS,
}  # fmt: skip
"""Names known without any mirror (documented). Types are an open set."""
_MAKERS = {"project": CommandKind.CREATE_PROJECT, "batch": CommandKind.CREATE_BATCH}


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name that nothing here has."""

    what: str
    """project, batch, type, status, batch status or review."""
    name: str
    nearest: str | None
    """The most similar known name; None if none is similar."""


def unknown(conn: Connection, names: Iterable[tuple[str, str]], *, listed: bool) -> Iterator[UnknownName]:
    """Yield those of the names, given as (kind, name), that neither the mirror nor the queue has.

    A batch that only queued commands name counts as known if `listed`. A type counts as unknown only if it is
    similar to a known one, since new types appear; a project or batch only if any is known at all.
    """
    for what, name in names:
        if _is_known(conn, what, name, listed=listed):
            continue
        candidates = list(_candidates(conn, what))
        near = _nearest(name, candidates)
        if near is not None or (candidates and what != "type"):
            yield UnknownName(what, name, near)


def _is_known(conn: Connection, what: str, name: str, *, listed: bool) -> bool:
    if name in _DOCUMENTED.get(what, ()):
        return True
    there = [column == name for column in _COLUMNS[what]]
    if what in _MAKERS:
        made = (_C.kind == _MAKERS[what]) & (_C.state != CommandState.DISCARDED)
        there.append((_C.resource == f"{what}:{name}") & made)
    if listed and what == "batch":
        there.append(_C.scope == f"batch:{name}")
    return any(conn.execute(select(1).where(condition).limit(1)).first() for condition in there)


def _candidates(conn: Connection, what: str) -> Iterator[str]:
    """Yield the known names of a kind, from the most reliable column that has any."""
    yield from _DOCUMENTED.get(what, ())
    if what in _MAKERS:
        made = select(_C.resource).where(_C.kind == _MAKERS[what], _C.state != CommandState.DISCARDED)
        yield from (resource.partition(":")[2] for resource in conn.scalars(made.limit(_MANY)))
    for column in _COLUMNS[what]:
        names = conn.scalars(select(column).where(column.is_not(None)).distinct().limit(_MANY)).all()
        yield from (name for name in names if name)
        if names:
            return


def _nearest(name: str, candidates: Iterable[str]) -> str | None:
    spelled = {candidate.casefold(): candidate for candidate in candidates}
    found = get_close_matches(name.casefold(), spelled, n=1, cutoff=_NEAR)
    return spelled[found[0]] if found else None
