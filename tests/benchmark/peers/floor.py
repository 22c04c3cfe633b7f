"""The floor: the rows of a finished mirror, written from memory into an empty one by the driver alone.

The time that it takes to read these rows is subtracted: a sync gets its rows from the API, not from a mirror.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.benchmark.peers.protocol import Job, Report, print_counts, read_job

TASKS_PER_TRANSACTION = 1_000

OF_A_TASK = ("annotations", "annotation_links", "task_files", "task_changes")
OTHERS = ("projects", "project_versions", "batches", "result_files")

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of one table, as the driver reads and writes them."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[Row]

    @property
    def names(self) -> str:
        """Its columns, for SQL."""
        return ", ".join(f'"{name}"' for name in self.columns)


def transactions(tables: dict[str, Rows]) -> list[list[Rows]]:
    """Return the rows of each transaction: first those of no task, then TASKS_PER_TRANSACTION tasks each."""
    tasks = tables["tasks"]
    of_task = [_by_task(tables[name]) for name in OF_A_TASK]
    found = [[tables[name] for name in OTHERS]]
    for start in range(0, len(tasks.rows), TASKS_PER_TRANSACTION):
        some = tasks.rows[start : start + TASKS_PER_TRANSACTION]
        chunk = [Rows("tasks", tasks.columns, some)]
        for name, rows in zip(OF_A_TASK, of_task, strict=True):
            theirs = [row for task in some for row in rows[task[0]]]
            chunk.append(Rows(name, tables[name].columns, theirs))
        found.append(chunk)
    return [[rows for rows in chunk if rows.rows] for chunk in found]


def _by_task(rows: Rows) -> dict[str, list[Row]]:
    place = rows.columns.index("task_id")
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows.rows:
        found[row[place]].append(row)
    return found


def tables() -> Iterator[str]:
    """Yield the tables that are copied."""
    yield from ("tasks", *OF_A_TASK, *OTHERS)


class Floor(Protocol):
    """A mirror's database, read and written with the driver alone."""

    def __init__(self, url: str) -> None: ...

    def read(self, table: str) -> Rows:
        """Return the rows of a table."""

    def write(self, chunk: Sequence[Rows]) -> None:
        """Write rows in one transaction."""

    def close(self) -> None:
        """Close the connection."""


def _connect_to(job: Job) -> type[Floor]:
    if job.file:
        from tests.benchmark.peers.floor_sqlite import SqliteFloor

        return SqliteFloor
    from tests.benchmark.peers.floor_postgres import PostgresFloor

    return PostgresFloor


def main() -> None:
    """Copy all rows of the source."""
    job, report = read_job(), Report()
    connect = _connect_to(job)
    with report.aside():
        source = connect(job.source)
        chunks = transactions({name: source.read(name) for name in tables()})
        source.close()
    target = connect(job.database)
    for chunk in chunks:
        target.write(chunk)
    target.close()
    with report.aside():
        del chunks[:], chunk  # freeing the source's rows is as little of the work as reading them
    print_counts(report, job)


if __name__ == "__main__":
    main()
