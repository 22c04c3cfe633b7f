"""Changes of mirrored tasks, as stored in `task_changes`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SeenBy:
    """The time and the run at which a change was seen."""

    at: datetime
    """The API's clock."""
    run_id: int | None = None
    """None: it was seen in the answer to a command, not by a run."""


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
