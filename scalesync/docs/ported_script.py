"""Order boxes around the cars of a list of pictures, wait for them, review them, and write them to a file.

A script for Scale's official client, version 2.18.4; client.md says which line to change for scalesync.
"""

import argparse
import csv
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaleapi import ScaleClient
from scaleapi.batches import Batch, BatchStatus
from scaleapi.exceptions import ScaleDuplicateResource, ScaleInvalidRequest, ScaleResourceNotFound
from scaleapi.tasks import Task, TaskReviewStatus, TaskStatus, TaskType

PROJECT = "Parking lots"
BATCH = "parking week 48"
TRIAL = "parking trial"
TAXONOMY: dict[str, Any] = {
    "instruction": "Draw a box around each car, and say whether it is parked.",
    "geometries": {"box": {"objects_to_annotate": ["car", "van"], "min_height": 10, "min_width": 10}},
    "annotation_attributes": {"parked": {"type": "category", "choices": ["yes", "no"]}},
}
COLUMNS = ("unique_id", "camera", "label", "left", "top", "width", "height")


def pictures(count: int) -> Iterator[dict[str, Any]]:
    """Yield the tasks to order: one picture comes twice, and one without its address."""
    for number in [*range(count), 0]:
        yield {
            "unique_id": f"parking/{number:03d}",
            "attachment": f"https://pictures.example.com/parking/{number:03d}.jpg",
            "metadata": {"camera": number % 3, "number": number},
            "tags": ["parking", f"camera {number % 3}"],
        }
    yield {"unique_id": "parking/none", "metadata": {"camera": 9}}


def make_project(client: ScaleClient) -> None:
    """Make the project, unless it is there."""
    try:
        project = client.create_project(PROJECT, TaskType.ImageAnnotation, params=TAXONOMY, rapid=True)
    except ScaleDuplicateResource:
        project = client.get_project(PROJECT)
    print(f"project {project.name}, {project.type}, version {project.version}: {project.instruction}")


def make_batch(client: ScaleClient, name: str) -> Batch:
    """Make a batch, unless it is there, and return it."""
    try:
        return client.create_batch(PROJECT, name, metadata={"ordered_by": "nightly script"})
    except ScaleDuplicateResource:
        return client.get_batch(name)


def order(client: ScaleClient, batch: str, count: int) -> None:
    """Create the tasks, and print how many were new, known and refused."""
    outcomes: Counter[str] = Counter()
    for picture in pictures(count):
        try:
            task = client.create_task(TaskType.ImageAnnotation, project=PROJECT, batch=batch, **picture)
        except ScaleDuplicateResource:
            outcomes["known"] += 1
        except ScaleInvalidRequest as error:
            outcomes["refused"] += 1
            print(f"refused with {error.code}: {picture['unique_id']}")
        else:
            outcomes[task.status] += 1
    print(f"ordered: {dict(outcomes)}")


def wait_for(batch: Batch, seconds: float) -> None:
    """Wait until no task of the batch is pending, at most until the time is over, and print its counts."""
    until = time.monotonic() + seconds
    while batch.get_status().get("pending") and time.monotonic() < until:
        time.sleep(0.2)
    done = f"{batch.tasks_completed} completed, {batch.tasks_pending} pending, {batch.tasks_error} failed"
    print(f"batch {batch.name} is {batch.status}: {done}")


def count_by_status(client: ScaleClient) -> None:
    """Print the number of the project's tasks in each status, read page by page."""
    statuses: Counter[str] = Counter()
    token, sizes = None, []
    while True:
        page = client.tasks(project=PROJECT, limit=10, **({"next_token": token} if token else {}))
        statuses.update(task.status for task in page)
        sizes.append(len(page))
        token = page.next_token
        if not page.has_more:
            break
    print(f"{sum(sizes)} of {page.total} tasks in pages of {sizes}: {sorted(statuses.items())}")


def review(client: ScaleClient) -> None:
    """Accept what has a box, and reject the rest."""
    waiting = {"project_name": PROJECT, "batch_name": BATCH, "status": TaskStatus.Completed}
    for task in client.get_tasks(**waiting):
        boxes = task.response["annotations"]
        client.audit_task(task.id, accepted=bool(boxes), comments=None if boxes else "Nothing is marked.")
        task.add_tags(["reviewed"])
    accepted = client.get_tasks_count(**waiting, review_status=TaskReviewStatus.Accepted)
    print(f"{accepted} of {client.get_tasks_count(**waiting)} accepted")


def write_boxes(client: ScaleClient, file: Path) -> None:
    """Write every box of the batch as a line, in the order of the pictures."""
    tasks: list[Task] = list(client.get_tasks(project_name=PROJECT, batch_name=BATCH, tags=["reviewed"]))
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for task in sorted(tasks, key=lambda each: str(each.unique_id)):
            for box in task.response["annotations"]:
                camera = task.metadata["camera"]
                writer.writerow({**box, "unique_id": task.unique_id, "camera": camera})


def cancel_trial(client: ScaleClient) -> None:
    """Order a few more, think better of it, and cancel them so that their unique_ids are free again."""
    batch = make_batch(client, TRIAL)
    body = {"attachment": "https://pictures.example.com/trial.jpg", "project": PROJECT, "batch": TRIAL}
    tasks = [client.create_task(TaskType.ImageAnnotation, unique_id=f"trial/{n}", **body) for n in range(3)]
    tasks[0].set_metadata({"why": "trial"})
    client.cancel_task(tasks[0].id, clear_unique_id=True)
    tasks[1].cancel(clear_unique_id=True)
    for task in tasks:
        task.refresh()
    print(f"trial: {[task.status for task in tasks]}, {sorted(client.batch_status(batch.name).items())}")
    try:
        client.get_task("000000000000000000000000")
    except ScaleResourceNotFound as error:
        print(f"no such task: {error.code}")


def main() -> None:
    """Do it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=25, help="how many to order")
    parser.add_argument("--wait", type=float, default=3600.0, help="seconds to wait for the annotators")
    parser.add_argument("--csv", type=Path, default=Path("boxes.csv"), help="the file for the boxes")
    given = parser.parse_args()
    client = ScaleClient(os.environ["SCALE_API_KEY"], "nightly", os.environ.get("SCALE_API_URL"))
    make_project(client)
    batch = make_batch(client, BATCH)
    order(client, batch.name, given.pictures)
    if batch.status == BatchStatus.Staging.value:
        batch.finalize()
    wait_for(batch, given.wait)
    count_by_status(client)
    review(client)
    write_boxes(client, given.csv)
    cancel_trial(client)
    print(f"batches: {sorted((each.name, each.status) for each in client.get_batches(project_name=PROJECT))}")


if __name__ == "__main__":
    main()
