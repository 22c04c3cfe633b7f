"""Scale's official client, which creates one task after the other."""

import json
from pathlib import Path

from tests.benchmark.peers.official_client import official_client
from tests.benchmark.peers.protocol import measured, order, tell


def main() -> None:
    """Create what stands in a file, a line each."""
    asked = order()
    client = official_client(asked)
    from scaleapi.tasks import TaskType

    bodies = [json.loads(line) for line in Path(asked.payloads).read_text().splitlines()]
    with measured() as told:
        created = [client.create_task(TaskType.ImageAnnotation, **body) for body in bodies]
    told.tasks = len({task.id for task in created})
    tell(told, asked)


if __name__ == "__main__":
    main()
