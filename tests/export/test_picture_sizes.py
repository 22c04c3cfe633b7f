"""The size of a task's picture: as it was read from the picture, else as the task says."""

import json
from typing import Any

import pytest

from scalesync.db.database import Database
from scalesync.db.export.drawn_shapes import ImageShapes
from scalesync.db.export.pictures import Picture
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import attachments
from scalesync.export.exporter import Format
from scalesync.models.selection import EVERYTHING, Selection
from tests.export.test_datasets import exported
from tests.support.export_account import box, task, written

URL = "https://example.com/a.jpg"


def kept(database: Database, **rows: dict[str, Any]) -> None:
    """Write rows of attachments, by the last part of their URL."""
    with database.write() as conn:
        for name, row in rows.items():
            conn.execute(attachments.insert(), {"url": f"https://example.com/{name}.jpg", **row})


def pictures(database: Database) -> list[Picture]:
    """Return the pictures of all images, in order of their tasks."""
    with database.read() as conn:
        return [image.picture for image in ImageShapes(conn, EVERYTHING).images()]


def test_the_true_size_comes_first(database: Database) -> None:
    """Then that in the params, then that in the metadata; a signature does not hide what is known."""
    declared = {"width": 3, "height": 2.5}
    given = [
        task("1", params={"attachment": f"{URL}?X-Amz-Signature=1", **declared}, response={}),
        task("2", params={"attachment": "https://example.com/b.jpg", **declared}, response={}),
        task("3", params={"attachment": 7}, metadata=declared, response={}),
        task("4", params={"attachment": "https://example.com/c.jpg"}, response={}),
        task("5", response={}),
        task("6", params={"attachments": [{"type": "image", "content": URL}]}, response={}),
        task("7", params={"attachments": [URL, "https://example.com/c.jpg"]}, response={}),
    ]
    written(database, TASKS, given)
    kept(database, a={"width": 640, "height": 480, "path": "/x/a.jpg"}, c={"error": "gone", "path": "/x/c"})
    assert pictures(database) == [
        (f"{URL}?X-Amz-Signature=1", (640, 480), "/x/a.jpg"),
        ("https://example.com/b.jpg", (3, 3), None),
        (None, (3, 3), None),
        ("https://example.com/c.jpg", None, "/x/c"),
        (None, None, None),
        (URL, (640, 480), "/x/a.jpg"),
        (None, None, None),
    ]


@pytest.mark.parametrize("size", [(0, 4), (-1, 4), (None, 4), (2**40, 4), ("8", "4"), (True, None)])
def test_what_is_no_size_is_passed_over(size: tuple[object, object], database: Database) -> None:
    """The next place is asked."""
    params = {"attachment": URL, "width": size[0], "height": size[1]}
    written(database, TASKS, [task("1", params=params, metadata={"width": 7, "height": 5}, response={})])
    assert [picture.size for picture in pictures(database)] == [(7, 5)]


def test_more_pictures_than_one_statement_asks_for(database: Database) -> None:
    """Each gets its own, and one that several tasks share is known to all of them."""
    written(
        database,
        TASKS,
        [
            task(f"{n:06}", params={"attachment": f"https://example.com/{n // 2}.jpg"}, response={})
            for n in range(1200)
        ],
    )
    kept(database, **{str(n): {"width": n + 1, "height": 9} for n in range(600)})
    found = pictures(database)
    assert [picture.size for picture in found] == [(n // 2 + 1, 9) for n in range(1200)]
    with database.read() as conn:
        assert ImageShapes(conn, EVERYTHING).image_count() == 1200
        assert ImageShapes(conn, Selection(limit=7)).image_count() == 7


def test_coco_has_the_true_size(database: Database) -> None:
    """So that a box beyond the picture is counted, and nothing is guessed."""
    shapes = {"annotations": [box("a", 95, 1)]}
    written(database, TASKS, [task("1", params={"attachment": URL}, response=shapes)])
    kept(database, a={"width": 100, "height": 50})
    found, tally = exported(database, Format.COCO)
    assert [(each["width"], each["height"]) for each in found["images"]] == [(100, 50)]
    assert tally.altered == {"boxes reach beyond their image": 1}
    assert json.dumps(found).count("example.com") == 1
