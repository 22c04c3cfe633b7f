"""What a peer is asked for, and what it tells."""

import json
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Order:
    """The job of a peer: copy a number of tasks from an API into a database."""

    api: str
    key: str
    database: str
    """An SQLAlchemy URL."""
    tasks: int
    workers: int = 8
    tuned: bool = False
    """Whether to set what the library leaves as it is by default, and what would be faster otherwise."""
    source: str = ""
    """The URL of a mirror that is finished, for whoever does not ask the API."""
    directory: str = ""
    """Where to keep what else has to be kept."""
    payloads: str = ""
    """A file of tasks to be created, a line each."""

    @property
    def engine(self) -> str:
        """The kind of database."""
        return "sqlite" if self.file else "postgres"

    @property
    def file(self) -> str:
        """The file of an SQLite database; "" where it is none."""
        head, _, path = self.database.partition(":///")
        return path if head == "sqlite" else ""


@dataclass
class Measurement:
    """What a peer tells."""

    seconds: float = 0.0
    """Of the wall clock, around the work and after the imports."""
    cpu: float = 0.0
    """Seconds, of all threads of the process and of what it started."""
    peak: int = 0
    """Bytes of memory that the process held at most, imports included, and those that it started."""
    tasks: int = 0
    """How many it holds in the end."""
    requests: int = 0
    """0 where it does not know."""


def order() -> Order:
    """Return what this process was asked for."""
    return Order(**json.loads(sys.argv[1]))


@contextmanager
def measured() -> Iterator[Measurement]:
    """Measure the block; afterwards, what is lent knows."""
    told, family = Measurement(), _Family()
    began, spent = time.perf_counter(), _spent()
    with family.watched():
        yield told
    told.seconds, told.cpu = time.perf_counter() - began, _spent() - spent
    told.peak = peak() + sum(family.peaks.values())


def _spent() -> float:
    """Return the seconds of CPU of this process and of the processes that it started and that ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


@dataclass
class _Family:
    """The processes that this one starts, and what each held at most, as seen every now and then."""

    peaks: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at them while the block lasts."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.1):
            for children in Path("/proc/self/task").glob("*/children"):
                with suppress(OSError):
                    for child in map(int, children.read_text().split()):
                        self.peaks[child] = max(self.peaks.get(child, 0), peak(child))


def held(asked: Order, table: str = "tasks") -> int:
    """Return how many rows a table of the peer's database has."""
    counting = f"SELECT count(*) FROM {table}"
    if asked.file:
        import sqlite3

        with closing(sqlite3.connect(asked.file)) as connection:
            return int(connection.execute(counting).fetchone()[0])
    import psycopg

    with psycopg.connect(asked.database) as postgres:
        (count,) = postgres.execute(counting.encode()).fetchone() or (0,)
    return int(count)


def tell(told: Measurement, asked: Order) -> None:
    """Print what came of it. Raises ValueError if it is not all there."""
    if told.tasks != asked.tasks:
        raise ValueError(f"{told.tasks} tasks are there in the end, not {asked.tasks}")
    sys.stdout.write(json.dumps(asdict(told)) + "\n")


def peak(process: int | None = None) -> int:
    """Return the bytes that this process, or another one that lives, held at most; 0 where nobody knows."""
    try:
        status = Path(f"/proc/{process or 'self'}/status").read_text()
    except OSError:
        size = 0 if process else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size if sys.platform == "darwin" else size * 1024
    # Not getrusage: there a child begins with what its parent held.
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) * 1024 if lines else 0
