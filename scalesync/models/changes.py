"""Changes of mirrored tasks and of their annotations, as stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class SeenBy:
    """The time and the run at which a change was seen."""

    at: datetime
    """The API's clock."""
    run_id: int | None = None
    """None: it was seen in the answer to a command, not by a run."""
    keeps_responses: bool = True
    """Whether responses that are replaced are kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row of `task_changes`."""

    id: int
    """Increases with every change; no smaller id appears later, so it can serve as a cursor."""
    task_id: str
    run_id: int | None
    seen_at: datetime
    field: str
    before: str | None
    after: str | None


class DifferenceKind(StrEnum):
    """What happened to an annotation; one may be relabelled, moved and changed, each for itself."""

    ADDED = "added"
    REMOVED = "removed"
    RELABELLED = "relabelled"
    MOVED = "moved"
    """Also resized, turned or drawn anew."""
    CHANGED = "changed"
    """Its text, its attributes, or anything else."""
    NOT_COMPARED = "not_compared"
    """One of the responses has its annotations in files, or was not understood completely."""
