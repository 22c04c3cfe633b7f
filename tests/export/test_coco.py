"""What COCO cannot hold is left out and counted by reason: the file and the count add up to the mirror."""

import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from sqlalchemy import func, select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.db.schema.annotations_and_changes import annotations
from scalesync.export.counts import ExportCounts
from scalesync.export.exporter import Export, Format
from tests.export.test_datasets import exported
from tests.support.export_account import Doc, box, image, polygon, task, ways_out, written
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync

CLOSED = polygon("a", (1, 1), (1, 1), (1, 1))
ON_A_LINE = polygon("a", (0.1, 0.1), (0.2, 0.2), (0.3, 0.3))
CROSSED = polygon("a", (0, 0), (2, 2), (2, 0), (0, 2))


def drawn(*shapes: Doc, **params: object) -> Doc:
    """Return a completed task with these shapes."""
    return task("a", params=image("a", **params), response={"annotations": list(shapes)})


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (box("a", 1, 1, width=0), "boxes without an area"),
        (box("a", 1, 1, height=0), "boxes without an area"),
        (CLOSED, "polygons without an area"),
        (ON_A_LINE, "polygons without an area"),
        (CROSSED, "polygons without an area"),
        (polygon("a", (1, 1), (2, 2)), "polygons without corners that a picture can have"),
        ({**box("a", 1, 1), "left": None}, "boxes without corners that a picture can have"),
        (box("a", 1e300, 1), "boxes without corners that a picture can have"),
        (polygon("a", (1, 1), (2, 2)) | {"type": "line"}, "annotations that are no box or polygon, but line"),
    ],
)
def test_what_has_no_area_is_left_out_and_counted(shape: Doc, reason: str, database: Database) -> None:
    """Detectors refuse it, all of the file with it; the good box beside it stays."""
    written(database, TASKS, [drawn(box("a", 5, 5), shape)])
    found, tally = exported(database, Format.COCO)
    assert [each["bbox"] for each in found["annotations"]] == [[5, 5, 10, 5]]
    assert (tally.written, tally.left_out, tally.reasons) == (1, 1, {reason: 1})


def test_small_shapes_far_from_the_corner_have_their_area(database: Database) -> None:
    """Whatever is left of it is not lost to rounding."""
    written(database, TASKS, [drawn(polygon("a", (1e6, 1e6), (1e6 + 0.5, 1e6), (1e6, 1e6 + 0.5)))])
    found, _ = exported(database, Format.COCO)
    assert [each["area"] for each in found["annotations"]] == [0.125]


def test_a_rotated_box_without_its_corners_is_counted(database: Database) -> None:
    """It is written as an upright one; with corners, or not rotated, it is what it is."""
    corners = polygon("", (5, 0), (9, 3), (6, 7), (2, 4))["vertices"]
    shapes = [{**box("a", n, 1), "rotation": rotation} for n, rotation in enumerate((0.5, 0, 0.5))]
    written(database, TASKS, [drawn(*shapes[:2], {**shapes[2], "vertices": corners}, width=99, height=99)])
    found, tally = exported(database, Format.COCO)
    assert [each["bbox"] for each in found["annotations"]] == [[0, 1, 10, 5], [1, 1, 10, 5], [2, 0, 7, 7]]
    what = "rotated boxes that do not say where their corners are, written as upright ones"
    assert tally.altered == {what: 1}


def test_a_task_in_error_is_no_image(database: Database) -> None:
    """Nobody has looked at it: it is not one without objects. Its shapes, if it has any, are counted."""
    fault = {"error": "cannot fetch"}
    given = [
        task("failed", status="error", response=fault),
        task("half", status="error", response={"annotations": [box("a", 1, 1)]}),
        task("canceled", status="canceled", response={"annotations": [box("a", 1, 1)]}),
        task("strange", status=None, response={"annotations": [box("a", 1, 1)]}),
    ]
    written(database, TASKS, given)
    for limit in (None, 5):
        found, tally = exported(database, Format.COCO, limit=limit)
        assert [each["task_id"] for each in found["images"]] == ["canceled", "strange"]
        assert tally.altered["tasks in error are no images"] == 2
    _, tally = exported(database, Format.COCO)
    assert tally.reasons == {"annotations of tasks in error": 1}


def test_a_response_of_unknown_form_is_no_empty_image(database: Database) -> None:
    """Its shapes are somewhere in it: in each dataset the task would be a picture with nothing on it."""
    strange = {"boxes": [box("a", 1, 1)]}
    given = [task("strange", response=strange), task("empty", response={"annotations": []})]
    written(database, TASKS, given)
    for limit in (None, 5):
        found, tally = exported(database, Format.COCO, limit=limit)
        assert [each["task_id"] for each in found["images"]] == ["empty"]
        assert tally.altered["tasks are no images: the form of their response is not known"] == 1


def test_images_of_unknown_size_are_counted(database: Database) -> None:
    """Those with shapes reach as far as these; those without are 0 x 0. A box beyond its image is said."""
    given = [
        drawn(box("a", 1, 1), box("a", 95, 1), box("a", -1, 1), width=100, height=50),
        task("reach", response={"annotations": [box("a", 1, 1)]}),
        task("empty", response={"annotations": []}),
    ]
    written(database, TASKS, given)
    _, tally = exported(database, Format.COCO)
    assert tally.altered == {
        "images of unknown size: how far their shapes reach is written": 1,
        "images of unknown size, written as 0": 1,
        "boxes reach beyond their image": 2,
    }


def loaded(database: Database, path: Path, **wanted: Any) -> tuple[COCO, ExportCounts]:
    """Return a dataset as pycocotools loads it."""
    found, tally = exported(database, Format.COCO, **wanted)
    path.write_text(json.dumps(found))
    return COCO(path), tally


def test_a_file_and_its_count_add_up_to_the_mirror(
    database: Database, start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    """Of a whole account and of some images: every annotation is either written or left out."""
    assert sync(start_sandbox(tasks=300), database).complete
    coco, tally = loaded(database, tmp_path / "coco.json")
    with database.read() as conn:
        here = conn.execute(select(func.count()).select_from(annotations)).scalar_one()

    assert (len(coco.anns) == tally.written > 50, tally.written + tally.left_out) == (True, here)
    assert tally.left_out == tally.reasons.total()
    for annotation in coco.anns.values():
        assert annotation["area"] > 0 < min(annotation["bbox"][2:])
        assert annotation["image_id"] in coco.imgs
        assert annotation["category_id"] in coco.cats
    limited, part = loaded(database, tmp_path / "part.json", limit=20)
    assert (len(limited.imgs), part.written) == (20, len(limited.anns))
    ids = [each["task_id"] for each in limited.imgs.values()]
    with database.read() as conn:
        counted = select(func.count()).select_from(annotations).where(annotations.c.task_id.in_(ids))
        assert conn.execute(counted).scalar_one() == part.written + part.left_out


def test_an_empty_mirror_leaves_nothing_out(database: Database) -> None:
    """Its file has no images, and there is nothing to count."""
    lines = ways_out(database).lines(Export("tasks", Format.COCO), tally := ExportCounts())
    assert b'"images":[' in b"".join(lines)
    assert (tally, tally.reasons, tally.altered) == (ExportCounts(), {}, {})
