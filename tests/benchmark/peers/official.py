"""Scale's official client, each page of whose tasks sqlite-utils upserts."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from tests.benchmark.peers.official_client import official_client
from tests.benchmark.peers.protocol import Order, held, measured, order, tell

PAGE = 100


def pages(asked: Order) -> Iterator[list[dict[str, object]]]:
    """Yield every task of every project, a page's worth at a time."""
    client = official_client(asked)
    for project in client.get_projects():
        tasks = client.get_tasks(project_name=project.name, limit=PAGE)
        while page := [task.as_dict() for task in islice(tasks, PAGE)]:
            yield page


def main() -> None:
    """Copy all tasks into one table."""
    asked = order()
    import sqlite_utils

    database: Any = sqlite_utils.Database(asked.file)
    if asked.tuned:
        database.enable_wal()
        database.execute("PRAGMA synchronous = NORMAL")
    with measured() as told:
        for page in pages(asked):
            database["tasks"].upsert_all(page, pk="task_id", alter=True)
    told.tasks = held(asked)
    tell(told, asked)


if __name__ == "__main__":
    main()
