"""Scale's official client, with sqlite-utils to upsert each page of tasks."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from tests.benchmark.peers.official_client import official_client
from tests.benchmark.peers.protocol import Job, Report, print_counts, read_job

PAGE = 100


def pages(job: Job) -> Iterator[list[dict[str, object]]]:
    """Yield every task of every project, as many at a time as a page has."""
    client = official_client(job)
    for project in client.get_projects():
        tasks = client.get_tasks(project_name=project.name, limit=PAGE)
        while page := [task.as_dict() for task in islice(tasks, PAGE)]:
            yield page


def main() -> None:
    """Copy all tasks into one table."""
    job = read_job()
    import sqlite_utils

    database: Any = sqlite_utils.Database(job.file)
    if job.tuned:
        database.enable_wal()
        database.execute("PRAGMA synchronous = NORMAL")
    for page in pages(job):
        database["tasks"].upsert_all(page, pk="task_id", alter=True)
    print_counts(Report(), job)


if __name__ == "__main__":
    main()
