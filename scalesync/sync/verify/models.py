"""What `scalesync verify` asks, finds and says: differences between the API and the mirror."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from scalesync.models.sync import Window
from scalesync.sync.planner import EVERY_STREAM


class DriftKind(StrEnum):
    """How an object differs between API and mirror."""

    MISSING_HERE = "missing_here"
    """The API has it; the mirror has not, or takes it for gone."""
    GONE_THERE = "gone_there"
    """The mirror has it; the API answers 404."""
    DIFFERENT = "different"
    """Both have it, and `fields` are not the same."""
    COUNTED = "counted"
    """A batch whose tasks the API counts otherwise than the mirror, though it lists the same ones."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that differs."""

    stream: str
    key: str
    kind: DriftKind
    here: str | None = None
    """The status that the mirror gives it; None where it has none."""
    there: str | None = None
    """The status that the API gives it."""
    fields: tuple[str, ...] = ()
    """What differs, where both have it."""
    project: str | None = None
    created_at: datetime | None = None


def in_key_order(drift: Iterable[Drift]) -> list[Drift]:
    """Return what differs in the order of stream and key."""
    return sorted(drift, key=lambda one: (EVERY_STREAM.index(one.stream), one.key))


@dataclass(frozen=True, slots=True)
class VerifyScope:
    """What is to be proven."""

    windows: tuple[Window, ...]
    """Streams under filters, as a run reads them. One with `updated_from` is read and compared, any other
    counted first."""
    deep: bool = False
    """Compare whole documents, which means to read everything."""
    as_of: datetime | None = None
    """What was made or changed since then, by the API's clock, is left out; None: since the beginning."""
    watermarks: Mapping[str, datetime] = field(default_factory=dict)
    """Up to when each stream is known to be complete: what was made or changed since then is only behind."""


@dataclass
class Verification:
    """What came of one inquiry."""

    as_of: datetime
    """The API's clock at the start: what was made or changed since is left out."""
    windows: tuple[Window, ...]
    deep: bool
    drift: list[Drift] = field(default_factory=list)
    """Each object once, in the order of stream and key."""
    behind: list[Drift] = field(default_factory=list)
    """Objects that differ because they were made or changed after the watermark: the next sync reads them."""
    undated: list[Drift] = field(default_factory=list)
    """Batches open here that differ: the API does not say when a batch changed, and every sync reads them."""
    undivided: list[Window] = field(default_factory=list)
    """Windows in which something differs that lists by time of creation do not show: one list of all does."""
    unproven: list[str] = field(default_factory=list)
    """What could be neither proven nor disproven, a sentence each."""
    by_project: bool = False
    """Whether the API lists tasks only project by project."""
    left_out: int = 0
    """Objects that differ and changed since `as_of`."""
    batches_counted: int = 0
    """Batches whose own counts of tasks were asked for."""
    requests: int = 0
    seconds: float = 0.0
    before_repair: "Verification | None" = None
    """The first verification, where what it found was repaired and this is the last one; else None."""

    @property
    def proven(self) -> bool:
        """Whether nothing differs but what is behind, and nothing is left unproven."""
        return not (self.drift or self.unproven)


@dataclass(frozen=True, slots=True)
class VerifyStarted:
    """A verification begins, and is expected to take about so many requests if nothing differs."""

    name: ClassVar = "begun"
    requests: int


@dataclass(frozen=True, slots=True)
class PartVerified:
    """Something was done: `done` of the `expected` parts known so far."""

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
"""Takes note of one event after the other; called from one thread."""
