"""What a mirror takes on the disk, and what of its own records may be pruned."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

OLD = timedelta(days=90)
"""Age from which on records are pruned, unless another is given."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """The room that one table takes."""

    table: str
    rows: int | None
    """On Postgres estimated by its statistics; None: there are none yet."""
    bytes: int | None
    """Of its rows, without its indexes; None: this SQLite does not know it by table."""
    index_bytes: int | None


@dataclass(frozen=True, slots=True)
class DatabaseSizes:
    """The room that a mirror takes."""

    tables: list[TableSize]
    """Largest first."""
    bytes: int
    """Of the whole SQLite file, or the whole Postgres database, with what else is in there."""
    free_bytes: int | None
    """Of the SQLite file, to be used again; None on Postgres, which does not count them."""
    rows_estimated: bool
    """Whether `rows` are estimates."""


class PrunableKind(StrEnum):
    """A kind of records that may be pruned."""

    RUNS = "runs"
    """Runs that ended, with their windows."""
    ATTEMPTS = "attempts"
    """The steps of commands that were delivered or discarded; the commands stay."""
    RESPONSES = "responses"
    """Responses of tasks that others replaced."""
    VERIFICATIONS = "verifications"


@dataclass(frozen=True, slots=True)
class PrunedTable:
    """How many rows of a table may be pruned, or were."""

    kind: PrunableKind
    table: str
    rows: int
    bytes: int | None
    """Of what they hold; None: not known."""


@dataclass(frozen=True, slots=True)
class PruneProgress:
    """An event: rows of one table were deleted and committed."""

    table: str
    rows: int
    """Deleted so far."""
    total: int
    """To be deleted, as counted in the beginning."""
    name = "pruned"


@dataclass(frozen=True, slots=True)
class VacuumStarted:
    """An event: the SQLite file is written anew, without what is free in it."""

    name = "vacuum"


@dataclass(frozen=True, slots=True)
class PruneSummary:
    """What was pruned, or would be."""

    before: datetime
    """What is older than this, by this machine's clock when it began."""
    deleted: bool
    """Whether rows were deleted; False: they were only counted."""
    tables: list[PrunedTable]
    stopped: bool = False
    """Whether it was stopped before its end; what was deleted until then is gone."""
    bytes_returned: int | None = None
    """By which the SQLite file became smaller; None: it was not vacuumed."""
