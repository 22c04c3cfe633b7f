"""Runs, windows, counts and verifications, as a sync stores them."""

from dataclasses import astuple, dataclass
from datetime import datetime
from enum import StrEnum
from operator import add

from scalesync.timestamps import format_instant


class RunKind(StrEnum):
    """The kind of a run, which decides what it reads."""

    FULL = "full"
    """Everything in the account."""
    INCREMENTAL = "incremental"
    """Changes since the watermark minus the lookback, in at least one stream."""
    BACKFILL = "backfill"
    """A part, selected by dates or projects or because it differed; it moves no watermark."""


class RunState(StrEnum):
    """The state of a run."""

    OPEN = "open"
    """Windows are left to read, which any process may claim; also after a crash."""
    COMPLETE = "complete"
    """Every window is closed; the watermarks moved in the same commit."""
    INCOMPLETE = "incomplete"
    """At least one window failed; no watermark moved, the next run makes a new plan."""


class WindowState(StrEnum):
    """The state of a window."""

    OPEN = "open"
    """To be read, or being read by the owner of its lease; after a crash it continues at its token."""
    CLOSED = "closed"
    """Read to the end, and the distinct rows received match the API's total."""
    SPLIT = "split"
    """Replaced by narrower windows that cover its unread part."""
    FAILED = "failed"
    """Given up after repeated contradictions; `error` says which. Its run ends incomplete."""


class VerificationState(StrEnum):
    """The result of a verification."""

    PROVEN = "proven"
    """Nothing differs."""
    DRIFT = "drift"
    """Something differs; `drift` says how much."""
    UNPROVEN = "unproven"
    """Nothing is known to differ, but not everything could be compared; `unproven` says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """A unit of reading: one stream with one exact filter."""

    stream: str
    project: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    id: int = 0
    """Its row in `sync_windows`; 0 while it is only planned."""
    run_id: int = 0
    parent_id: int | None = None
    """The window that was split into this one and others."""
    next_token: str | None = None
    """Token of the next page; None at the beginning."""
    rows_received: int = 0
    """Distinct objects received so far."""
    rows_within: int = 0
    """Those created within the bounds; the parts of a split window add up by this number."""
    divided_at: datetime | None = None
    """The API's time of its first page, if it was split after that page."""
    undivided: bool = False
    """Whether it must not be split: its parts did not add up to the whole."""
    api_total: int | None = None
    """The total that its first page announced."""
    attempts: int = 0
    """Number of claims: the fencing token of its lease."""
    failures: int = 0
    """Number of contradictions after which it was read again from the beginning."""

    @property
    def title(self) -> str:
        """Its stream, project and bounds, in words for people."""
        words = [self.stream]
        if self.project is not None:
            words.append(f"of project {self.project!r}")
        if self.created_from is not None:
            words.append(f"created from {format_instant(self.created_from)}")
        if self.created_to is not None:
            words.append(("to " if self.created_from else "created up to ") + format_instant(self.created_to))
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """Counts of the rows of one page by what was written."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    """Rows older than the stored ones, which were not written."""
    unread: int = 0
    """New or changed tasks whose response could not be parsed, or only in part."""
    values_replaced: int = 0
    """Values that the database does not store as they came: the first of two equal names in an object, and
    on Postgres numbers out of range, which become text."""

    def __add__(self, other: "WriteCounts") -> "WriteCounts":
        """Return the sum, field by field."""
        return WriteCounts(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan, by one or more processes."""

    id: int
    kind: RunKind
    started_at: datetime
    """The API's clock when it was planned."""
    watermark_at: datetime | None
    """The watermark of its streams once it is complete; None: watermarks are not moved."""
    state: RunState
    finished_at: datetime | None
    requests: int
    pages: int
    rows_received: int
    rows_written: int
    texts_replaced: int
    error: str | None
    responses_unread: int
    values_replaced: int
    opened_at: datetime | None = None
    """The database's clock before the first request for it; None for runs of older versions."""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Counts that are added to a run with each commit."""

    requests: int = 0
    pages: int = 0
    rows_received: int = 0
    rows_written: int = 0
    texts_replaced: int = 0
    responses_unread: int = 0
    values_replaced: int = 0


@dataclass(frozen=True, slots=True)
class VerificationRecord:
    """One row of the stored verifications."""

    as_of: datetime
    """The API's clock when it began."""
    state: VerificationState
    scope: str
    """JSON list of the windows that were compared, each with its filters."""
    everything: bool
    """Whether the whole account was compared."""
    deep: bool
    """Whether whole documents were compared."""
    drift: int
    """Number of differing objects."""
    unproven: str | None
    """Why not everything could be compared; None: it could."""
    requests: int
    behind: int
    """Number of objects that differ because they changed after the last sync."""
