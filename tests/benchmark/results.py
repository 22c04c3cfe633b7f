"""What was measured, by stage, peer, database, corpus and size of the account."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from statistics import median

from tests.benchmark.account import CORPORA, GENERATED

SHOWN = (
    "sync", "latency", "no-change", "scale", "queue", "dispatch", "verify", "resume", "reading", "pages",
    "hosts", "large", "publish",
)  # fmt: skip
"""Stages with a table, in the order of the tables."""
ENGINES = ("sqlite", "postgres")

OURS = "scalesync"
OURS_WIDE = "scalesync --workers 16"
OFFICIAL = "official client + sqlite-utils"
TUNED = "official client + sqlite-utils, tuned (WAL, synchronous=NORMAL)"
ORM = "official client + SQLAlchemy ORM"
DLT = "dlt rest_api"
FLOOR = "floor: the driver alone, rows in memory"
LOOP = "official client, a plain loop"
PUBLISHED = "scalesync publish, everything, {}"
PUBLISHED_AGAIN = "scalesync publish, what changed in 0.1 % of the tasks, {}"
KILLED = "scalesync, killed when half of the tasks are written"
RESUMED = "scalesync, run again to read the rest"

DROP_IN = "scalesync's client, {}"
OFFICIAL_READER = "official client, {}"
"""Readers of all tasks, by the method that they call."""
SHARED_SYNC = "scalesync sync --workers 4, hosts: {}"
SHARED_DISPATCH = "scalesync dispatch --workers 8, hosts: {}"
"""Work that several hosts share, by their number."""
METHODS = ("get_tasks", "tasks, page by page")


@dataclass
class Measurement:
    """What one process took in one round."""

    seconds: float = 0.0
    """Of the wall clock, from exec to exit, without what it reported as no part of its work."""
    cpu: float = 0.0
    """Seconds, of all threads of the process and of its children."""
    peak: int = 0
    """The sum of the peaks of memory of the process and its descendants, in bytes."""
    tasks: int = 0
    """Tasks that it wrote; 0: the number is the result's."""
    annotations: int = 0
    """Annotation rows in its database in the end; 0 if it writes none."""
    requests: int = 0
    claims: int = 0
    """How often the window that was claimed most was claimed, where several hosts share a sync."""
    disk: int = 0
    """Bytes of the database afterwards; 0: not looked at."""


@dataclass
class Result:
    """What one peer took in all rounds of a stage."""

    stage: str
    name: str
    engine: str
    tasks: int
    corpus: str = "plain"
    rounds: list[Measurement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median."""
        return self._median(lambda one: one.seconds)

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
        """Seconds, the median."""
        return self._median(lambda one: one.cpu)

    @property
    def peak(self) -> int:
        """Bytes, the most of any round."""
        return max(one.peak for one in self.rounds)

    @property
    def requests(self) -> int:
        """The most of any round."""
        return max(one.requests for one in self.rounds)

    @property
    def disk(self) -> int:
        """Bytes of the database, the most of any round; 0 if nobody looked."""
        return max(one.disk for one in self.rounds)

    @property
    def rate(self) -> float:
        """Tasks a second, the median."""
        return self._median(lambda one: (one.tasks or self.tasks) / one.seconds)

    @property
    def annotations(self) -> int:
        """Rows of annotations, the same in all rounds; 0 if the peer writes none."""
        return max(one.annotations for one in self.rounds)

    def _median(self, figure: Callable[[Measurement], float]) -> float:
        return median(map(figure, self.rounds))


@dataclass(frozen=True)
class CorpusFigures:
    """What a corpus is, and how fast its server is."""

    upper_bound: float
    """Tasks a second that the server gives at most."""
    bytes_per_task: float


@dataclass
class Results:
    """The results of all stages."""

    all: list[Result] = field(default_factory=list)
    corpora: dict[str, CorpusFigures] = field(default_factory=dict)

    def of(self, stage: str, name: str, engine: str, tasks: int, corpus: str = "plain") -> Result:
        """Return the result of a peer, which is empty at first."""
        for one in self.all:
            key = (one.stage, one.name, one.engine, one.tasks, one.corpus)
            if key == (stage, name, engine, tasks, corpus):
                return one
        self.all.append(Result(stage, name, engine, tasks, corpus))
        return self.all[-1]

    def find(self, stage: str, name: str, engine: str, corpus: str = "plain") -> Result | None:
        """Return the result of a peer, or None if nothing was measured."""
        for one in self.all:
            if (one.stage, one.name, one.engine, one.corpus) == (stage, name, engine, corpus):
                return one if one.rounds else None
        return None

    def groups(self) -> Iterator[list[Result]]:
        """Yield the results of each table: one stage, corpus and database; small accounts first."""
        for place in product(SHOWN, (*CORPORA, GENERATED), ENGINES):
            found = [one for one in self.all if (one.stage, one.corpus, one.engine) == place]
            found = [one for one in found if one.rounds or one.failures]
            if found:
                yield sorted(found, key=lambda one: one.tasks) if found[0].stage == "scale" else found


def title(group: list[Result]) -> str:
    """Return the title of a table."""
    return f"{group[0].stage}, {group[0].engine}, {group[0].corpus}"
