"""What is published for other engines: partitions, what a publication comes to, and its events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple, Self

from scalesync.timestamps import format_instant

PARTITIONED = ("tasks", "annotations", "annotation_links", "task_audits", "task_changes")
"""Tables about tasks, published by the project of the task and the month of its creation."""
WHOLE = ("batches", "projects")
"""Tables that are published as a whole when anything in them changed."""


class PublishFormat(StrEnum):
    """The form of published tables."""

    DELTA = "delta"
    PARQUET = "parquet"
    """Parquet files, with a manifest that lists those that count."""


class Partition(NamedTuple):
    """The tasks of one project that were created in one month."""

    project: str
    """Empty for tasks without a project, and for those of a project whose name is empty."""
    month: str
    """Year and month in UTC, as 2026-11; empty if the time of creation is not known."""

    @classmethod
    def of(cls, project: str | None, created_at: datetime | str | None) -> Self:
        """Return the partition of a task; a time given as text is in the API's form."""
        at = format_instant(created_at) if isinstance(created_at, datetime) else created_at
        return cls(project or "", (at or "")[:7])


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """What one publication did to one table."""

    version: int | None
    """Of the Delta table; None for Parquet."""
    partitions: int
    """Partitions written anew, also those that have no rows any more; 1 for a table without partitions."""
    rows: int
    bytes: int
    """Rows and bytes of the files that were written."""
    change_id: int
    """The last change that the table includes."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The result of publishing: what was written, and how complete the mirror was."""

    target: str
    format: PublishFormat
    as_of: datetime | None
    """Up to when everything was in the mirror, by the API's clock; None if that is not known."""
    gaps: tuple[str, ...]
    """A sentence for each reason for which something may be missing or old; empty: complete."""
    tables: Mapping[str, PublishedTable]
    """By name."""
    deleted_files: Mapping[str, int]
    """By table, if old files were to be deleted."""
    advice: str = ""
    """What to do about the gaps; empty: there are none."""


@dataclass(frozen=True, slots=True)
class PublishProgress:
    """Partitions of a table that were written, and how many there are to write."""

    name: ClassVar[str] = "publish_progress"
    table: str
    done: int
    total: int
    rows: int
    """Rows written so far, of this table."""


@dataclass(frozen=True, slots=True)
class PublishConflict:
    """Somebody else changed a table at the same time: everything is compared again."""

    name: ClassVar[str] = "publish_conflict"
    table: str


@dataclass(frozen=True, slots=True)
class PublishFault:
    """A table at the target is not as the last publication left it: it is written whole."""

    name: ClassVar[str] = "publish_fault"
    table: str
    reason: str
    """The end of a sentence that begins with the table."""


@dataclass(frozen=True, slots=True)
class PublishWaiting:
    """Another process is publishing at the same target: this one waits for its turn."""

    name: ClassVar[str] = "publish_waiting"
    target: str
    seconds: int
    """For how long it has waited."""


PublishEvent = PublishProgress | PublishConflict | PublishFault | PublishWaiting
