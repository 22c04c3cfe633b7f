"""Values of a sync: runs, windows, what was written, what a verification found."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scalesync.timestamps import format_instant


class RunKind(StrEnum):
    """Why a run reads what it reads."""

    FULL = "full"
    """Everything in the account."""
    INCREMENTAL = "incremental"
    """What changed since the watermark, less the lookback, in at least one stream."""
    BACKFILL = "backfill"
    """A part that a person named by dates or projects, or that was found to differ; it moves no watermark."""


class RunState(StrEnum):
    """Where a run stands."""

    OPEN = "open"
    """Windows are left to read; any process may claim them. A crash leaves it so."""
    COMPLETE = "complete"
    """Every window closed; the watermarks moved with the same commit."""
    INCOMPLETE = "incomplete"
    """At least one window failed for good; no watermark moved, the next run plans anew."""


class WindowState(StrEnum):
    """Where a window stands."""

    OPEN = "open"
    """To be read, or being read by the owner of its lease. A crash leaves it so, its token too."""
    CLOSED = "closed"
    """Read to the end, and the distinct rows received match the API's total."""
    SPLIT = "split"
    """Replaced by narrower windows that cover what it had not read."""
    FAILED = "failed"
    """Given up after repeated contradictions; `error` says which. Its run ends incomplete."""


class VerificationState(StrEnum):
    """What came of a verification."""

    PROVEN = "proven"
    """Nothing differs."""
    DRIFT = "drift"
    """Something differs; `drift` says how much."""
    UNPROVEN = "unproven"
    """Nothing is known to differ, but not everything could be compared; `unproven` says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """A unit of reading: one stream under one exact filter."""

    stream: str
    project: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    id: int = 0
    """Its row in the ledger; 0 while it is only planned."""
    run_id: int = 0
    parent_id: int | None = None
    """The window it is a part of, if that one was split."""
    next_token: str | None = None
    """Where to go on; None at the beginning."""
    rows_received: int = 0
    """Distinct objects received so far."""
    rows_within: int = 0
    """Those of them that were created within the bounds: what parts of one window received adds up by it."""
    divided_at: datetime | None = None
    """The API's clock when its first page was read and the rest was left to parts."""
    undivided: bool = False
    """Whether it is read to its end in one go: lists of its parts did not add up to the whole."""
    api_total: int | None = None
    """What its first page said in all."""
    attempts: int = 0
    """How often it was claimed: the fence of its lease."""
    failures: int = 0
    """How often it came out contradictory and was begun again."""

    @property
    def title(self) -> str:
        """What people are shown of it: its stream, its project and its bounds."""
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
    """What became of the rows of one page."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    """Older copies than what is here, and so refused."""
    unread: int = 0
    """Tasks among the new and changed whose response was not understood, wholly or in part."""
    values_replaced: int = 0
    """Values in the new and changed that the database does not give back as they came: of a name that an
    object has twice the earlier one, and on Postgres numbers beyond what it can hold, which become text."""

    def __add__(self, other: "WriteCounts") -> "WriteCounts":
        """Return the sum of both."""
        return WriteCounts(
            self.new + other.new,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.stale + other.stale,
            self.unread + other.unread,
            self.values_replaced + other.values_replaced,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan, by however many processes."""

    id: int
    kind: RunKind
    started_at: datetime
    """The API's clock when it was planned."""
    watermark_at: datetime | None
    """What the watermarks of its streams become once it is complete; None: they stay."""
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


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What a piece of work adds to its run."""

    requests: int = 0
    pages: int = 0
    rows_received: int = 0
    rows_written: int = 0
    texts_replaced: int = 0
    responses_unread: int = 0
    values_replaced: int = 0


@dataclass(frozen=True, slots=True)
class VerificationRecord:
    """One verification, as it is remembered."""

    as_of: datetime
    """The API's clock when it began."""
    state: VerificationState
    scope: str
    """What was held against the API: a JSON list of windows, each with the filters it has."""
    everything: bool
    """Whether that was all there is."""
    deep: bool
    """Whether whole documents were compared."""
    drift: int
    """How many objects differed."""
    unproven: str | None
    requests: int
    behind: int
    """How many objects differed for having changed since the last sync."""
