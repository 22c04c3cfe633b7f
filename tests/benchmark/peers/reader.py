"""The drop-in client: read every task out of a finished mirror, and look at its fields."""

from collections.abc import Iterator
from typing import Any

from scalesync.client import ScaleClient
from tests.benchmark.peers.protocol import Report, print_report, read_job

PAGE = 100


def every_task(client: Any, *, paged: bool) -> Iterator[Any]:
    """Yield all tasks: by `get_tasks` of each project, or page by page as `tasks` gives them."""
    if not paged:
        for project in client.get_projects():
            yield from client.get_tasks(project_name=project.name)
        return
    token = None
    while True:
        page = client.tasks(limit=PAGE, **({"next_token": token} if token else {}))
        yield from page
        token = page.next_token
        if token is None:
            return


def boxes(client: Any, *, paged: bool) -> tuple[int, int]:
    """Return the number of tasks and of their annotations; a few fields of each are looked at."""
    tasks = annotations = 0
    for task in every_task(client, paged=paged):
        if (
            task.status == "completed"
            and task.project
            and task.created_at
            and task.unique_id
            and task.metadata
        ):
            tasks += 1
            annotations += len(task.response["annotations"])
    return tasks, annotations


def main() -> None:
    """Read all of them."""
    job, report = read_job(), Report()
    client = ScaleClient(job.key, api_instance_url=job.api, database=job.database, writes="refuse")
    report.tasks, report.annotations = boxes(client, paged=job.paged)
    print_report(report, job)


if __name__ == "__main__":
    main()
