"""What was measured."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from statistics import median

from tests.benchmark.peers.protocol import Measurement

SHOWN = ("sync", "latency", "no-change", "scale", "queue", "dispatch", "verify")
"""What there are tables of, in this order."""
ENGINES = ("sqlite", "postgres")

OURS = "scalesync"
OURS_WIDE = "scalesync --workers 16"
OFFICIAL = "official client + sqlite-utils"
TUNED = "official client + sqlite-utils, tuned (WAL, synchronous=NORMAL)"
ORM = "official client + SQLAlchemy ORM"
DLT = "dlt rest_api"
FLOOR = "floor: the driver alone, rows in memory"
LOOP = "official client, a plain loop"


@dataclass
class Result:
    """What one peer came to in all rounds of a stage."""

    stage: str
    name: str
    engine: str
    tasks: int
    rounds: list[Measurement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median."""
        return median(one.seconds for one in self.rounds)

    @property
    def fastest(self) -> float:
        """Seconds."""
        return min(one.seconds for one in self.rounds)

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(one.seconds for one in self.rounds)

    @property
    def cpu(self) -> float:
        """The least CPU seconds of any round."""
        return min(one.cpu for one in self.rounds)

    @property
    def peak(self) -> int:
        """Bytes, the most of any round."""
        return max(one.peak for one in self.rounds)

    @property
    def requests(self) -> int:
        """The most of any round."""
        return max(one.requests for one in self.rounds)

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.seconds


@dataclass
class Results:
    """All of it."""

    all: list[Result] = field(default_factory=list)
    upper_bound: float = 0.0
    """Tasks a second that the server gives at most."""
    bytes_per_task: float = 0.0
    boxes_per_task: float = 0.0

    def of(self, stage: str, name: str, engine: str, tasks: int) -> Result:
        """Return what a peer came to, which may be nothing yet."""
        for one in self.all:
            if (one.stage, one.name, one.engine, one.tasks) == (stage, name, engine, tasks):
                return one
        self.all.append(Result(stage, name, engine, tasks))
        return self.all[-1]

    def find(self, stage: str, name: str, engine: str, tasks: int | None = None) -> Result | None:
        """Return what was measured, None where nothing was."""
        for one in self.all:
            if (one.stage, one.name, one.engine) == (stage, name, engine) and tasks in {None, one.tasks}:
                return one if one.rounds else None
        return None

    def groups(self) -> Iterator[list[Result]]:
        """Yield what belongs in one table: the results of one stage and engine, small accounts first."""
        for stage, engine in product(SHOWN, ENGINES):
            found = [one for one in self.all if (one.stage, one.engine) == (stage, engine)]
            found = [one for one in found if one.rounds or one.failures]
            if found:
                yield sorted(found, key=lambda one: one.tasks) if stage == "scale" else found
