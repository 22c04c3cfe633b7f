"""One change of a mirrored task, and when and by whom it was seen."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SeenBy:
    """When and by whom a change was seen."""

    at: datetime
    """The API's clock."""
    run_id: int | None = None
    """None: not by a run, but in the answer to a command."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row of `task_changes`."""

    id: int
    """Later changes have larger ids, and no smaller one appears any more."""
    task_id: str
    run_id: int | None
    seen_at: datetime
    field: str
    before: str | None
    after: str | None
