"""The job of a peer, which its process reads, and the report that it prints in the end."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Job:
    """The job of a peer: copy a number of tasks from an API into a database."""

    api: str
    key: str
    database: str
    """An SQLAlchemy URL."""
    tasks: int
    workers: int = 8
    tuned: bool = False
    """Whether to set options of the library or the database that are faster than their defaults."""
    source: str = ""
    """The URL of a finished mirror, for a peer that does not call the API."""
    directory: str = ""
    """An empty directory for other files."""
    irregular: bool = False
    """Whether responses have fields that nobody anticipated."""
    payloads: str = ""
    """A file of tasks to be created, a line each."""

    paged: bool = False
    """Whether a client reads page by page, and not by a generator."""

    @property
    def engine(self) -> str:
        """The kind of database."""
        return "sqlite" if self.file else "postgres"

    @property
    def file(self) -> str:
        """The file of an SQLite database; "" for any other database."""
        head, _, path = self.database.partition(":///")
        return path if head == "sqlite" else ""


@dataclass
class Report:
    """What a peer's process prints when it is done: counts, and time to subtract from its own."""

    tasks: int = 0
    """Tasks in its database in the end."""
    annotations: int = 0
    """Rows of annotations in its database in the end; 0 if it writes none."""
    requests: int = 0
    """0: the server's count is used."""
    seconds_aside: float = 0.0
    cpu_aside: float = 0.0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Exclude the block's time from the measurement, as it is no part of the work."""
        began, used = time.perf_counter(), time.process_time()
        yield
        self.seconds_aside += time.perf_counter() - began
        self.cpu_aside += time.process_time() - used


def read_job() -> Job:
    """Return the job of this process, which is its only argument."""
    return Job(**json.loads(sys.argv[1]))


def print_counts(report: Report, job: Job, *, tasks: str = "tasks", annotations: str = "") -> None:
    """Count the rows of the tables of those names, aside, and print the report.

    Raises ValueError if the number of tasks is not the job's.
    """
    with report.aside():
        report.tasks = _count(job, tasks)
        if annotations:
            report.annotations = _count(job, annotations)
    print_report(report, job)


def print_report(report: Report, job: Job) -> None:
    """Print the report. Raises ValueError if the number of tasks is not the job's."""
    if report.tasks != job.tasks:
        raise ValueError(f"{report.tasks} tasks are there in the end, not {job.tasks}")
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


def _count(job: Job, table: str) -> int:
    statement = f"SELECT count(*) FROM {table}"
    if job.file:
        import sqlite3

        with closing(sqlite3.connect(job.file)) as connection:
            return int(connection.execute(statement).fetchone()[0])
    import psycopg

    with psycopg.connect(job.database) as postgres:
        (count,) = postgres.execute(statement.encode()).fetchone() or (0,)
    return int(count)
