"""What `scalesync check` and `scalesync status` have to tell."""

from dataclasses import dataclass
from datetime import datetime

from scalesync.commands import Depth, Gate
from scalesync.db import exports, runs, stamp


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` looked at."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What is here and how far behind it is."""

    database: str
    account: stamp.Stamp | None
    counts: dict[str, exports.Counts]
    watermarks: dict[str, datetime]
    open_windows: int
    runs: list[runs.Run]
    queue: Depth
    gate: Gate
    files_wanted: int
    """Files that responses name and that were not fetched yet: their annotations are no rows so far."""
    now: datetime

    def behind(self, stream: str) -> float | None:
        """Return how many seconds ago, by our clock, the stream was known complete; None: never."""
        at = self.watermarks.get(stream)
        return None if at is None else max(0.0, (self.now - at).total_seconds())
