"""Scale's official client, in a loop that creates one task after the other."""

import json
from pathlib import Path

from tests.benchmark.peers.official_client import official_client
from tests.benchmark.peers.protocol import Report, print_report, read_job


def main() -> None:
    """Create the tasks of a file, a line each."""
    job = read_job()
    client = official_client(job)
    from scaleapi.tasks import TaskType

    bodies = [json.loads(line) for line in Path(job.payloads).read_text().splitlines()]
    created = [client.create_task(TaskType.ImageAnnotation, **body) for body in bodies]
    print_report(Report(tasks=len({task.id for task in created})), job)


if __name__ == "__main__":
    main()
