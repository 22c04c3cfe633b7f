"""COCO as pycocotools loads it, and the array that FiftyOne's importer of Scale's labels reads."""

import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.mask import area

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.upsert import write_rows
from scalesync.errors import ConfigurationError
from scalesync.export.counts import ExportCounts
from scalesync.export.exporter import Export, Format
from scalesync.models.changes import SeenBy
from scalesync.models.selection import Selection
from tests.support.databases import opened
from tests.support.export_account import NOON, ODD, box, filled, image, polygon, task, ways_out, written


def exported(database: Database, as_what: Format, **wanted: Any) -> tuple[Any, ExportCounts]:
    """Return a dataset of the wanted tasks, and what it came to."""
    export = Export("tasks", as_what, Selection(**wanted))
    lines = ways_out(database).lines(export, tally := ExportCounts())
    return json.loads(b"\n".join(lines)), tally


def test_boxes_and_polygons_come_as_coco(database: Database) -> None:
    """Images with their sizes as known, categories by name, and shapes with their outlines and areas."""
    found, tally = exported(filled(database), Format.COCO)

    assert found["categories"] == [
        {"id": 1, "name": "bus"}, {"id": 2, "name": "car"}, {"id": 3, "name": "unlabeled"}
    ]  # fmt: skip
    assert [tuple(each.values()) for each in found["images"]] == [
        (1, "https://example.com/a.jpg", 640, 480, "a"),
        (2, "https://example.com/b.jpg", 40, 45, "b"),
        (3, "https://example.com/c.jpg", 0, 0, "c"),
        (4, "https://example.com/e.jpg", 101, 50, "e"),
    ]
    car, bus, unlabeled, triangle = found["annotations"]
    assert car == {
        "id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 10, 5],
        "segmentation": [[1, 2, 11, 2, 11, 7, 1, 7]], "area": 50, "iscrowd": 0,
        "attributes": {"n": [1, 2.5]}, "uuid": "box 1",
    }  # fmt: skip
    assert (bus["bbox"], bus["segmentation"]) == ([2, 0, 7, 7], [[5, 0, 9, 3, 6, 7, 2, 4]])
    assert (bus["area"], bus["image_id"], unlabeled["category_id"]) == (25, 2, 3)
    assert (triangle["area"], triangle["bbox"], triangle["attributes"]) == (6, [0, 0, 4, 3], {})
    assert (tally.written, tally.left_out) == (4, 1)


def test_pycocotools_loads_it(database: Database, tmp_path: Path) -> None:
    """Its indexes find every shape, and a mask can be made of each."""
    path = tmp_path / "coco.json"
    lines = ways_out(filled(database)).lines(Export("annotations", Format.COCO), ExportCounts())
    path.write_bytes(b"\n".join(lines))
    coco = COCO(path)
    (cars,) = coco.getCatIds(catNms=["car"])
    assert (coco.getImgIds(catIds=[cars]), len(coco.getAnnIds())) == ([1, 4], 4)
    (car,) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    outline = coco.annToRLE(car)
    assert (area(outline), outline["size"]) == (50, [480, 640])


def test_coco_has_the_chosen_images_only(database: Database) -> None:
    """And their categories; a limit is of images. Nothing chosen is an empty dataset."""
    filled(database)
    found, _ = exported(database, Format.COCO, project=ODD)
    assert ([each["task_id"] for each in found["images"]], len(found["annotations"])) == (["b"], 2)
    assert [each["name"] for each in found["categories"]] == ["bus", "unlabeled"]
    found, _ = exported(database, Format.COCO, limit=1)
    assert (len(found["images"]), len(found["annotations"]), len(found["categories"])) == (1, 1, 1)
    found, _ = exported(database, Format.COCO, status="none")
    assert (found["images"], found["annotations"], found["categories"]) == ([], [], [])


def test_what_is_not_drawn_on_an_image_is_no_coco(database: Database) -> None:
    """Shapes with a frame, other geometries, other types of tasks, and answers that are missing."""
    given = [
        task(
            "line",
            params=image("l"),
            response={"annotations": [polygon("x", (0, 0), (1, 1)) | {"type": "line"}]},
        ),
        task("word", type="categorization", params=image("w"), response={"category": "x"}),
        task("none", status="canceled"),
        task("odd", params=[1], metadata="x", response={"annotations": [box("y", 0, 0) | {"left": "?"}]}),
    ]
    written(database, TASKS, given)
    found, tally = exported(database, Format.COCO)
    assert [each["file_name"] for each in found["images"]] == ["https://example.com/l.jpg", "odd"]
    assert (found["annotations"], tally.left_out) == ([], 3)


def test_what_no_picture_holds_is_no_coco(database: Database) -> None:
    """A box that ends beyond every number, and a size that is none, leave the rest as it is."""
    far = {**box("far", 0, 0), "left": 1e308, "width": 1e308}
    size = {"width": 10**30, "height": 2}
    written(database, TASKS, [task("a", metadata=size, response={"annotations": [far, box("y", 1, 2)]})])
    found, tally = exported(database, Format.COCO)
    assert [(each["width"], each["height"]) for each in found["images"]] == [(11, 7)]
    assert (len(found["annotations"]), tally.left_out) == (1, 1)


@pytest.mark.parametrize("response", ['{"annotations":[1e999]}', "[" * 900 + "]" * 900], ids=["huge", "deep"])
def test_what_cannot_be_decoded_stops_no_export(response: str, database: Database) -> None:
    """FiftyOne's array leaves it out and counts it; as JSON lines it is one line, whole."""
    text = '{"task_id":"a","type":"imageannotation","status":"completed",\n"response":' + response + "}"
    with database.write() as conn:
        write_rows(conn, TASKS, [to_row(TASKS, text.encode())], SeenBy(NOON))
    assert exported(database, Format.FIFTYONE)[1] == ExportCounts(written=0, left_out=1)
    lines = list(ways_out(database).lines(Export("tasks"), ExportCounts()))
    assert [b"\n" in line for line in lines] == [False] * len(lines)


def test_fiftyone_gets_completed_tasks_as_they_came(database: Database) -> None:
    """Nothing else is in the array, and a limit is of its elements."""
    filled(database)
    found, tally = exported(database, Format.FIFTYONE)
    assert [each["task_id"] for each in found] == ["a", "b", "c", "e"]
    assert found[0]["response"]["annotations"][0]["attributes"] == {"n": [1, 2.5]}
    assert {"task_id", "type", "params", "response"} <= found[0].keys()
    assert (tally.written, tally.left_out) == (4, 0)
    assert len(exported(database, Format.FIFTYONE, limit=2)[0]) == 2
    assert exported(database, Format.FIFTYONE, status="pending")[0] == []


@pytest.mark.parametrize(
    ("kind", "response", "is_read"),
    [
        (
            "imageannotation",
            {"annotations": [{"type": "ellipse"}], "global_attributes": {"sun": "yes"}},
            True,
        ),
        ("segmentannotation", {"annotations": {"combined": {"indexedImage": "https://x/y.png"}}}, True),
        ("videoplaybackannotation", {"annotations": {"url": "u"}, "events": {"url": "u"}}, True),
        ("annotation", {"annotations": [{"label": "car", "left": 1}]}, False),
        ("imageannotation", {"annotations": [{"type": "box", "left": 1, "top": 1, "width": 1}]}, False),
        ("imageannotation", {"annotations": [{"type": "polygon", "vertices": [{"x": 1}]}]}, False),
        ("imageannotation", {"annotations": [{"type": "point", "x": 1, "y": 1, "attributes": None}]}, True),
        ("imageannotation", {"annotations": "no"}, False),
        ("imageannotation", {"annotations": [None], "global_attributes": {}}, False),
        ("imageannotation", {"annotations": [], "global_attributes": []}, False),
        ("segmentannotation", {"annotations": {"combined": None}}, False),
        ("videoannotation", {"annotations": {"url": "u"}, "events": None}, False),
        ("lidarannotation", {"annotations": {"url": "u"}}, False),
        ("categorization", {"category": "x"}, False),
        ("imageannotation", "text", False),
    ],
)
def test_what_would_stop_the_importer_is_left_out_and_counted(
    kind: str, response: object, is_read: bool, sqlite_url: str
) -> None:
    """One element that it cannot read would end the import of all."""
    with opened(sqlite_url) as database:
        written(database, TASKS, [task("a", type=kind, response=response)])
        found, tally = exported(database, Format.FIFTYONE)
    assert (len(found), tally.written, tally.left_out) == (is_read, is_read, not is_read)


def test_videos_have_what_the_importer_looks_for_in_a_task(sqlite_url: str) -> None:
    """It takes the frames from `task.params`; the document is otherwise as the API sent it."""
    params = {"attachment_type": "video", "frame_rate": 2}
    given = task("a", type="videoannotation", params=params, response={"annotations": {"url": "u"}})
    with opened(sqlite_url) as database:
        written(database, TASKS, [given])
        (found,), _ = exported(database, Format.FIFTYONE)
    assert found == given | {"task": {"params": params}}


def test_datasets_are_made_of_tasks() -> None:
    """Of anything else they are refused, with what can be had instead."""
    for as_what in (Format.COCO, Format.FIFTYONE):
        with pytest.raises(ConfigurationError, match=f"{as_what}.*batches"):
            Export("batches", as_what)
