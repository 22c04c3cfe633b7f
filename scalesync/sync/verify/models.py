"""Scope, result and events of a verification, and the differences that it finds.

Field names of `Drift` and `Verification` are keys of `scalesync verify --json`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from scalesync.models.sync import Window
from scalesync.sync.planner import EVERY_STREAM
from scalesync.timestamps import format_instant


class DriftKind(StrEnum):
    """How an object differs between API and mirror."""

    MISSING_HERE = "missing_here"
    """The API has it; the mirror lacks it, or marks it as missing."""
    GONE_THERE = "gone_there"
    """The mirror has it; the API answers 404."""
    DIFFERENT = "different"
    """Both have it, and `fields` differ."""
    COUNTED = "counted"
    """A batch whose tasks the API lists as the mirror has them, but counts otherwise."""


@dataclass(frozen=True, slots=True)
class Drift:
    """An object that differs."""

    stream: str
    key: str
    kind: DriftKind
    here: str | None = None
    """Its status in the mirror; None if it has none."""
    there: str | None = None
    """Its status at the API."""
    fields: tuple[str, ...] = ()
    """Names of what differs, if both sides have it."""
    project: str | None = None
    created_at: datetime | None = None


def in_key_order(drift: Iterable[Drift]) -> list[Drift]:
    """Return the differences in the order of stream and key."""
    return sorted(drift, key=lambda each: (EVERY_STREAM.index(each.stream), each.key))


@dataclass(frozen=True, slots=True)
class VerifyScope:
    """What a verification compares."""

    windows: tuple[Window, ...]
    """Streams under filters, as in a run. One with `updated_from` is listed, any other counted first."""
    deep: bool = False
    """Compare whole documents, which lists everything."""
    as_of: datetime | None = None
    """Ignore objects created or changed since then (API clock); None: since the start of the verification."""
    watermarks: Mapping[str, datetime] = field(default_factory=dict)
    """Up to when each stream is known to be complete: a difference dated later is only behind."""


@dataclass
class Verification:
    """Result of one verification."""

    as_of: datetime
    """The API's clock at the start: what was created or changed since is ignored."""
    windows: tuple[Window, ...]
    deep: bool
    drift: list[Drift] = field(default_factory=list)
    """Each object once, in the order of stream and key."""
    behind: list[Drift] = field(default_factory=list)
    """Objects that differ and were created or changed after the watermark: the next sync reads them."""
    undated: list[Drift] = field(default_factory=list)
    """Differing batches that are open here: the API does not date their changes; every sync reads them."""
    undivided: list[Window] = field(default_factory=list)
    """Windows with a difference that only a list without bounds of time shows."""
    unproven: list[str] = field(default_factory=list)
    """What could not be verified, a sentence each."""
    by_project: bool = False
    """Whether the API lists tasks only project by project."""
    left_out: int = 0
    """Objects that differ and changed since `as_of`: ignored."""
    batches_counted: int = 0
    """Batches whose own task counts were requested."""
    requests: int = 0
    seconds: float = 0.0
    before_repair: "Verification | None" = None
    """The first verification, if this is the last one after a repair; else None."""

    @property
    def proven(self) -> bool:
        """Whether nothing differs except what is behind, and everything could be verified."""
        return not (self.drift or self.unproven)


@dataclass(frozen=True, slots=True)
class VerifyStarted:
    """A verification begins; it takes about `requests` requests if nothing differs."""

    name: ClassVar = "begun"
    requests: int


@dataclass(frozen=True, slots=True)
class PartVerified:
    """Progress: `done` of the `expected` parts known so far."""

    name: ClassVar = "part"
    what: str
    done: int
    expected: int


@dataclass(frozen=True, slots=True)
class DriftFound:
    """An object differs."""

    name: ClassVar = "found"
    drift: Drift


VerifyEvent = VerifyStarted | PartVerified | DriftFound

VerifyWatcher = Callable[[VerifyEvent], None]
"""Called with one event at a time, from one thread only."""


def describe_window(window: Window) -> str:
    """Return a window's filters in words, to follow the name of its stream."""
    parts = [f"of {window.project!r}"] if window.project is not None else []
    if window.created_from is not None:
        parts.append(f"created from {format_instant(window.created_from)}")
    if window.created_to is not None:
        parts.append(f"created to {format_instant(window.created_to)}")
    if window.updated_from is not None:
        parts.append(f"changed since {format_instant(window.updated_from)}")
    return " ".join(parts) or "of the whole account"
