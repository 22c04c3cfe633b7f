"""The nouns that cross the doors: frozen values without a clock, a network or a disk."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from scalesync.errors import ConfigurationError

DEFAULT_API_URL = "https://api.scale.com/v1"
"""The API's address (documented)."""


def format_instant(instant: datetime) -> str:
    """Return `instant` the way the API writes times: UTC, milliseconds, `Z` (2023-10-11T18:36:21.350Z)."""
    if instant.tzinfo is UTC:
        return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # Not strftime: it writes the year 1 as "1", which nothing reads again.
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """Return the instant that an ISO 8601 date or time names; without an offset it means UTC.

    Raises ValueError for anything else.
    """
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def check_order(since: datetime | None, until: datetime | None) -> None:
    """Raise ConfigurationError where no instant is at `since` or later and before `until`."""
    if since is None or until is None or since < until:
        return
    first, end = format_instant(since), format_instant(until)
    msg = f"--since {first} lies after --until {end}."
    if since == until:
        msg = f"Nothing lies between --since {first} and --until {end}, which is not included."
    raise ConfigurationError(msg, advice="Exchange the two, or leave one out.")


def whole_milliseconds(instant: datetime) -> datetime:
    """Return the instant cut to the API's resolution."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list request."""

    docs: tuple[msgspec.Raw, ...]
    """The documents, each still the JSON text that the API sent."""
    total: int | None
    """How many objects match the request's filters in all; None where the endpoint does not say."""
    next_token: str | None
    """What asks for the page after this one; None on the last page. Opaque."""
    has_more: bool
    """What the API says of a further page, to be held against `next_token`."""
    served_at: datetime
    """The API's clock when it answered."""
    replaced: int = 0
    """How many characters no database can hold (U+0000, lone surrogates) became U+FFFD."""
    dated: bool = True
    """Whether `served_at` is what the API said; else it is our own clock, which may be wrong."""


@dataclass(frozen=True, slots=True)
class Document:
    """One answer about a single object."""

    raw: msgspec.Raw
    served_at: datetime
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """The filters of `GET /tasks`, named as the API names them. None or empty: not sent."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    completed_after: datetime | None = None
    completed_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    status: str | None = None
    type: str | None = None
    project: str | None = None
    batch: str | None = None
    customer_review_status: tuple[str, ...] = ()
    unique_id: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    include_attachment_url: bool | None = None
    limited_response: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """The filters of `GET /batches`, named as the API names them. None: not sent."""

    start_time: datetime | None = None
    end_time: datetime | None = None
    status: str | None = None
    project: str | None = None
    exclude_archived: bool | None = None


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
class Written:
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

    def __add__(self, other: "Written") -> "Written":
        """Return the sum of both."""
        return Written(
            self.new + other.new,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.stale + other.stale,
            self.unread + other.unread,
            self.values_replaced + other.values_replaced,
        )


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A batch's own counts of its tasks; counts that the API left out are 0."""

    status: str
    pending: int
    completed: int
    error: int
    canceled: int
    served_at: datetime


class ColumnKind(StrEnum):
    """What the values of a column are, on either database."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    """Aware datetimes."""
    DAY = "day"
    """A day in UTC, as text: 2023-10-11."""
    JSON = "json"
    """JSON, as text."""
    BYTES = "bytes"
    UNDECLARED = "undeclared"
    """Of the answer to a person's own SQL: each value is whatever the driver made of it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of rows that leave the mirror."""

    name: str
    kind: ColumnKind
