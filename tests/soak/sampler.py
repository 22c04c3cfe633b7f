"""What the processes of a soak weigh, and how many connections they hold."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.soak.processes import Life, Processes

EVERY = 0.25
"""Seconds between two looks at memory."""
SLACK = 20 * 1024
"""KiB that a peak may differ by chance, besides a fifth."""


@dataclass
class Sampler:
    """Looks at everything that is alive, several times a second."""

    processes: Processes
    database_url: str
    sandbox: int
    """Its process id."""
    connections: list[tuple[float, int]] = field(default_factory=list)
    sandbox_peak: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Sampler":
        self._thread = threading.Thread(target=self._look, name="sampler")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        if self._thread is not None:
            self._thread.join()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            self.connections.append((self.processes.now, connections(connection)))

    def _look(self) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            while not self.stopping.wait(EVERY):
                for life in self.processes.living():
                    life.peak = max(life.peak, peak_of(life.process.pid))
                self.sandbox_peak = max(self.sandbox_peak, peak_of(self.sandbox))
                self.connections.append((self.processes.now, connections(connection)))


def connections(connection: "psycopg.Connection[tuple[int]]") -> int:
    """Return how many connections there are besides the one that asks."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchone()
    return 0 if row is None else row[0]


def peak_of(process: int) -> int:
    """Return the most memory that a process held so far, in KiB; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = status.partition("VmHWM:")[2].split()
    return int(found[0]) if found else 0


def peaks(lives: list[Life], seconds: float) -> dict[str, tuple[int, int]]:
    """Return, by role, the peak of what ran in the first third of so many seconds, and in the last."""
    found: dict[str, tuple[int, int]] = {}
    for life in lives:
        first, last = found.get(life.name, (0, 0))
        if life.began < seconds / 3:
            first = max(first, life.peak)
        if life.ended > seconds * 2 / 3 and life.began < seconds:
            last = max(last, life.peak)
        found[life.name] = (first, last)
    return found


def is_flat(first: int, last: int) -> bool:
    """Return whether the last third needed no more memory than the first, give or take."""
    return last <= first * 1.2 + SLACK
