"""An account of pictures whose files are at hand, and the datasets that are made of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import attachments
from scalesync.export.counts import ExportCounts
from scalesync.export.exporter import DirectoryOptions, Export, Format
from scalesync.export.picture_dataset import PictureDone
from scalesync.models.selection import EVERYTHING, Selection
from tests.support.drawn_pictures import Rectangle, draw
from tests.support.export_account import Doc, box, task, ways_out, written

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
EVERYTHING_IN_TRAIN = "train=1"


class Drawn(NamedTuple):
    """A picture with rectangles, and the task that asked for boxes on it."""

    task_id: str
    width: int
    height: int
    rectangles: list[Rectangle]


def url_of(task_id: str) -> str:
    """Return the address of a task's picture."""
    return f"https://example.com/{task_id}.png"


def picture_task(task_id: str, *shapes: Doc) -> Doc:
    """Return a completed task about a picture with these shapes."""
    return task(task_id, params={"attachment": url_of(task_id)}, response={"annotations": list(shapes)})


def ten_pictures() -> Iterator[Drawn]:
    """Yield ten pictures of different sizes with one to three rectangles, apart from each other."""
    for number in range(10):
        width, height = 61 + 7 * number, 97 - 5 * number
        rectangles = [
            Rectangle(1 + number + 20 * n, 3 * n, 11 + n, 5 + number, COLORS[n])
            for n in range(1 + number % 3)
        ]
        yield Drawn(f"task{number:020}", width, height, rectangles)


def fill(database: Database, files: Path, drawn: list[Drawn]) -> None:
    """Write tasks with a box on each rectangle, labeled by its color, and keep their pictures."""
    given = []
    for each in drawn:
        boxes = [box(f"color {COLORS.index(r.color)}", *r[:2], width=r.width, height=r.height)
                 for r in each.rectangles]  # fmt: skip
        given.append(picture_task(each.task_id, *boxes))
        draw(files / f"{each.task_id}.png", each.width, each.height, *each.rectangles)
        keep(database, each.task_id, (each.width, each.height), files / f"{each.task_id}.png")
    written(database, TASKS, given)


def keep(database: Database, task_id: str, size: tuple[int, int] | None, path: Path | None = None) -> None:
    """Write what is known of a task's picture."""
    width, height = size or (None, None)
    row = {"url": url_of(task_id), "width": width, "height": height, "path": path and str(path)}
    with database.write() as conn:
        conn.execute(attachments.insert(), row)


def directory_of(
    database: Database, target: Path, format_name: Format, *, wanted: Selection = EVERYTHING, **options: str
) -> ExportCounts:
    """Write a dataset below a new directory and return its counts."""
    target.mkdir()
    words = {"split": EVERYTHING_IN_TRAIN, "pictures": "copy", "yolo_kind": "detect", **options}
    chosen = DirectoryOptions.of(
        split=words["split"], pictures=words["pictures"], yolo_kind=words["yolo_kind"]
    )
    events: list[PictureDone] = []
    counts = ExportCounts()
    ways_out(database).directory(Export("tasks", format_name, wanted), target, counts, chosen, events.append)
    assert [event.done for event in events] == list(range(1, len(events) + 1))
    assert {event.total for event in events} <= {len(events)}
    return counts


def label_lines(target: Path) -> dict[str, list[list[Any]]]:
    """Return the lines of the label files of a YOLO dataset, by name, as numbers."""
    return {
        path.stem: [[float(number) for number in line.split()] for line in path.read_text().splitlines()]
        for path in sorted(target.glob("labels/*/*.txt"))
    }
