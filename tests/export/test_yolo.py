"""YOLO datasets as Ultralytics reads them: to the pixel, and with every annotation written or counted."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.export.exporter import Format
from scalesync.models.selection import Selection
from tests.support.databases import opened
from tests.support.drawn_pictures import draw, extent
from tests.support.export_account import Doc, box, polygon, task, written
from tests.support.picture_account import (
    COLORS,
    directory_of,
    fill,
    keep,
    label_lines,
    picture_task,
    ten_pictures,
    url_of,
)
from tests.support.yolo_reader import load_yolo

ROTATED = {
    **box("bus", 0, 0),
    "rotation": 0.5,
    "vertices": polygon("", (50, 0), (90, 30), (60, 70), (20, 40))["vertices"],
}
ODD_LABELS = [
    "a: b", "- x", "#1", "'", '"', "\\", "", " ", "null", "yes", "1", "{a}", "a\nb", "\t", "\x85\u2028\u2029",
    "\x7f\x9b", "\ufeff", "日本😀", "%", "@", "!!python/object:os.system",
]  # fmt: skip


def one_task(database: Database, target: Path, *shapes: Doc, **options: Any) -> tuple[list[list[float]], Any]:
    """Write a dataset of one picture of 100 x 50 pixels; return its lines, in pixels, and the counts."""
    written(database, TASKS, [picture_task("task1", *shapes)])
    keep(database, "task1", (100, 50))
    counts = directory_of(database, target, Format.YOLO, pictures="none", **options)
    (lines,) = label_lines(target).values()
    return [
        [line[0], *(round(share * (50 if n % 2 else 100), 6) for n, share in enumerate(line[1:]))]
        for line in lines
    ], counts


def test_boxes_are_where_the_pixels_are(database: Database, tmp_path: Path) -> None:
    """Ten pictures with rectangles, written, read back as Ultralytics does, and compared pixel by pixel."""
    drawn = [*ten_pictures()]
    fill(database, tmp_path, drawn)
    counts = directory_of(database, tmp_path / "yolo", Format.YOLO)
    data = load_yolo(tmp_path / "yolo" / "data.yaml")
    assert data.names == {0: "color 0", 1: "color 1", 2: "color 2"}
    assert len(data.pictures) == 10
    for picture, each in zip(data.pictures, drawn, strict=True):
        assert (picture.path.stem, picture.removed) == (each.task_id, 0)
        assert len(picture.boxes) == len(each.rectangles)
        for label, (x, y, wide, high) in zip(picture.classes, picture.boxes, strict=True):
            sides = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            found = [side * size for side, size in zip(sides, (each.width, each.height) * 2, strict=True)]
            expected = extent(picture.path, COLORS[label])
            assert [round(number) for number in found] == [*expected]
            assert all(abs(a - b) < 1e-3 for a, b in zip(found, expected, strict=True))
    assert (counts.written, counts.left_out) == (sum(len(each.rectangles) for each in drawn), 0)
    assert not counts.unfinished


@pytest.mark.parametrize("kind", ["segment", "obb"])
def test_a_box_has_four_corners(kind: str, database: Database, tmp_path: Path) -> None:
    """Of outlines and of rectangles alike."""
    lines, counts = one_task(database, tmp_path / "y", box("a", 10, 20), yolo_kind=kind)
    assert lines == [[0, 10, 20, 20, 20, 20, 25, 10, 25]]
    assert not counts.altered
    (picture,) = load_as_if_there(tmp_path / "y")
    assert len(picture.segments) == 1


def load_as_if_there(target: Path) -> list[Any]:
    """Load a dataset with a picture for each label file, as a person would put them there."""
    for path in target.glob("labels/*/*.txt"):
        draw(target / "images" / path.parent.name / f"{path.stem}.png", 20, 20)
    return load_yolo(target / "data.yaml").pictures


@pytest.mark.parametrize(
    ("kind", "expected", "altered"),
    [
        ("detect", [55, 35, 70, 70], "outlines written as the upright box around them"),
        ("segment", [50, 0, 90, 30, 60, 70, 20, 40], None),
        ("obb", [50, 0, 90, 30, 60, 70, 20, 40], None),
    ],
)
def test_a_rotated_box_keeps_its_corners(
    kind: str, expected: list[float], altered: str | None, database: Database, tmp_path: Path
) -> None:
    """Where the kind of labels has corners; else the box around it is written, and counted."""
    written(database, TASKS, [picture_task("task1", ROTATED)])
    keep(database, "task1", (100, 80))
    counts = directory_of(database, tmp_path / "y", Format.YOLO, pictures="none", yolo_kind=kind)
    ((line,),) = label_lines(tmp_path / "y").values()
    assert [round(share * (80 if n % 2 else 100), 6) for n, share in enumerate(line[1:])] == expected
    assert counts.altered == ({altered: 1} if altered else {})


def test_a_rotated_box_without_its_corners_is_counted(database: Database, tmp_path: Path) -> None:
    """It is written as an upright one, for want of anything better."""
    _, counts = one_task(database, tmp_path / "y", {**box("a", 1, 1), "rotation": 1}, yolo_kind="obb")
    what = "rotated boxes that do not say where their corners are, written as upright ones"
    assert (counts.written, counts.altered) == (1, {what: 1})


def test_a_polygon_is_an_outline_or_what_is_around_it(database: Database, tmp_path: Path) -> None:
    """Its corners, the upright box, or the smallest rectangle; the last two are counted."""
    shape = polygon("a", (10, 10), (30, 10), (20, 20))
    lines, counts = one_task(database, tmp_path / "s", shape, yolo_kind="segment")
    assert (lines, counts.altered) == ([[0, 10, 10, 30, 10, 20, 20]], {})
    counts = directory_of(database, tmp_path / "d", Format.YOLO, pictures="none")
    assert counts.altered == {"outlines written as the upright box around them": 1}
    counts = directory_of(database, tmp_path / "o", Format.YOLO, pictures="none", yolo_kind="obb")
    assert counts.altered == {"outlines written as the smallest rectangle around them": 1}
    ((line,),) = label_lines(tmp_path / "o").values()
    corners = [(line[n] * 100, line[n + 1] * 50) for n in range(1, 9, 2)]
    sides = [math.dist(corners[n], corners[n - 1]) for n in range(4)]
    assert math.isclose(sides[0] * sides[1], 200, rel_tol=1e-6)


def test_what_reaches_beyond_is_clipped_and_counted(database: Database, tmp_path: Path) -> None:
    """To the picture's edge; what lies outside altogether is left out."""
    shapes = (
        box("a", -5, -5, width=15, height=15),
        box("a", 95, 10, width=10, height=5),
        box("a", 100, 10),
        box("a", -50, -50),
        polygon("a", (-10, 20), (10, 10), (10, 30)),
    )
    lines, counts = one_task(database, tmp_path / "y", *shapes)
    assert lines == [[0, 5, 5, 10, 10], [0, 97.5, 12.5, 5, 5], [0, 5, 20, 10, 20]]
    assert counts.altered == {
        "boxes clipped to their picture": 2,
        "polygons clipped to their picture": 1,
        "outlines written as the upright box around them": 1,
    }
    assert (counts.written, counts.reasons) == (3, {"boxes outside their picture": 2})
    for kind in ("segment", "obb"):
        directory_of(database, tmp_path / kind, Format.YOLO, pictures="none", yolo_kind=kind)
        assert len(load_as_if_there(tmp_path / kind)[0].segments) == 3


@pytest.mark.parametrize("kind", ["detect", "segment", "obb"])
@pytest.mark.parametrize(
    "shape",
    [
        box("a", 1, 1, width=0),
        box("a", 1, 1, width=-5, height=0),
        {**box("a", 1, 1), "left": None},
        {**box("a", 1, 1), "left": "NaN"},
        box("a", 1e300, 1),
        polygon("a", (1, 1), (2, 2)),
        polygon("a", (1, 1), (1, 1), (1, 1)),
        {"type": "point", "label": "a", "x": 1, "y": 1},
        {"type": "line", "label": "a", "vertices": [{"x": 1, "y": 1}, {"x": 5, "y": 5}]},
    ],
)
def test_what_is_no_shape_is_counted(kind: str, shape: Doc, sqlite_url: str, tmp_path: Path) -> None:
    """And the good box beside it is written."""
    with opened(sqlite_url) as database:
        lines, counts = one_task(database, tmp_path / "y", shape, box("b", 5, 5), yolo_kind=kind)
    assert (len(lines), counts.written, counts.left_out) == (1, 1, 1)
    assert "NaN" not in str(lines)


def test_what_repeats_another_is_left_out(database: Database, tmp_path: Path) -> None:
    """Ultralytics drops it too. Of another label it is another, and outlines may share their bounds."""
    near = box("a", 10, 10.000000001)
    triangle = polygon("a", (10, 10), (20, 10), (20, 15))
    shapes = (box("a", 10, 10), box("a", 10, 10), near, box("b", 10, 10), triangle)
    lines, counts = one_task(database, tmp_path / "d", *shapes)
    assert (len(lines), counts.reasons) == (2, {"annotations that repeat another on their picture": 3})
    assert [each.removed for each in load_as_if_there(tmp_path / "d")] == [0]
    counts = directory_of(database, tmp_path / "s", Format.YOLO, pictures="none", yolo_kind="segment")
    assert counts.written + counts.left_out == 5
    reason = "outlines with the bounds of another, of which older versions of Ultralytics keep one"
    assert counts.altered[reason] >= 1


def test_names_are_sorted_and_read_back(database: Database, tmp_path: Path) -> None:
    """Of any characters, each once; what has no label is unlabeled."""
    shapes = [box(label, n, 1, width=1) for n, label in enumerate([*ODD_LABELS, None, "unlabeled"])]
    _, counts = one_task(database, tmp_path / "y", *shapes)
    data = yaml.safe_load((tmp_path / "y" / "data.yaml").read_text())
    assert [*data["names"].values()] == sorted([*ODD_LABELS, "unlabeled"])
    assert (counts.written, counts.left_out) == (len(shapes), 0)
    assert data["path"] == str(tmp_path / "y")


def test_an_empty_picture_has_an_empty_label_file(database: Database, tmp_path: Path) -> None:
    """A task that was not answered, or is in error, has none."""
    given = [
        picture_task("empty1"),
        {**picture_task("pending1"), "status": "pending", "response": None},
        {**picture_task("error1"), "status": "error", "response": {"error": "x"}},
    ]
    written(database, TASKS, [{k: v for k, v in each.items() if v is not None} for each in given])
    for each in given:
        keep(database, str(each["task_id"]), (100, 50))
    counts = directory_of(database, tmp_path / "y", Format.YOLO, pictures="none")
    assert label_lines(tmp_path / "y") == {"empty1": []}
    assert counts.altered == {"tasks in error are no images": 1}


def test_pictures_of_unknown_size_are_left_out(database: Database, tmp_path: Path) -> None:
    """With their annotations, counted, and the export is incomplete."""
    given = [picture_task("known1", box("a", 1, 1)), picture_task("unknown1", box("b", 1, 1))]
    written(database, TASKS, given)
    keep(database, "known1", (100, 50))
    counts = directory_of(database, tmp_path / "y", Format.YOLO, pictures="none")
    assert [*label_lines(tmp_path / "y")] == ["known1"]
    assert (counts.written, counts.reasons) == (1, {"annotations on pictures of unknown size": 1})
    assert counts.unfinished == {"pictures of unknown size": 1}
    assert yaml.safe_load((tmp_path / "y" / "data.yaml").read_text())["names"] == {0: "a", 1: "b"}


def test_pictures_that_were_not_fetched_are_listed(database: Database, tmp_path: Path) -> None:
    """With the names that they have to get; their labels are written. A signature is not."""
    draw(tmp_path / "task1.png", 20, 20)
    signed = task("task2", params={"attachment": f"{url_of('task2')}?X-Amz-Signature=secret"}, response={})
    other = {"attachment": "https://example.com/task3.JPG", "width": 9, "height": 9}
    written(database, TASKS, [picture_task("task1"), signed, task("task3", params=other, response={})])
    keep(database, "task1", (20, 20), tmp_path / "task1.png")
    keep(database, "task2", (20, 20), tmp_path / "gone.png")
    counts = directory_of(database, tmp_path / "y", Format.YOLO)
    lines = (tmp_path / "y" / "pictures_to_fetch.jsonl").read_text().splitlines()
    listed = [json.loads(line) for line in lines]
    assert listed == [
        {"file": "images/train/task2.png", "task_id": "task2", "attachment": url_of("task2")},
        {"file": "images/train/task3.jpg", "task_id": "task3", "attachment": "https://example.com/task3.JPG"},
    ]
    assert counts.unfinished == {"pictures that were not fetched": 2}
    assert counts.altered == {"pictures too small for Ultralytics, which passes over them": 1}
    assert sorted(label_lines(tmp_path / "y")) == ["task1", "task2", "task3"]
    counts = directory_of(database, tmp_path / "n", Format.YOLO, pictures="none")
    assert not counts.unfinished
    assert len((tmp_path / "n" / "pictures_to_fetch.jsonl").read_text().splitlines()) == 3


def test_forms_that_ultralytics_does_not_read_are_left_out(database: Database, tmp_path: Path) -> None:
    """It would pass over them: they are counted, with their annotations."""
    given = task("task1", params={"attachment": "https://x/a.GIF", "width": 99, "height": 99},
                 response={"annotations": [box("a", 1, 1)]})  # fmt: skip
    written(database, TASKS, [given])
    counts = directory_of(database, tmp_path / "y", Format.YOLO, pictures="none")
    what = "pictures of a form that is not read (gif)"
    assert (counts.altered, counts.reasons) == ({what: 1}, {f"annotations on {what}": 1})
    assert label_lines(tmp_path / "y") == {}


def test_splits_divide_pictures_and_stay(database: Database, tmp_path: Path) -> None:
    """Each picture is in one; more tasks move none; a split that got none is said."""
    ids = [f"{n:024x}" for n in range(60)]
    written(database, TASKS, [picture_task(each, box("a", 1, 1)) for each in ids])
    for each in ids:
        keep(database, each, (100, 50))
    found = []
    for number, wanted in enumerate((Selection(limit=30), Selection())):
        target = tmp_path / str(number)
        directory_of(database, target, Format.YOLO, wanted=wanted, split="8,1,1", pictures="none")
        found.append({path.stem: path.parent.name for path in target.glob("labels/*/*.txt")})
    assert (len(found[0]), len(found[1]), set(found[1].values())) == (30, 60, {"train", "val", "test"})
    assert found[0].items() <= found[1].items()
    counts = directory_of(database, tmp_path / "t", Format.YOLO, split="test=1,val=1e-9", pictures="none")
    data = yaml.safe_load((tmp_path / "t" / "data.yaml").read_text())
    assert (data["train"], data["val"], data["test"]) == ("images/train", "images/val", "images/test")
    assert counts.altered == {"split without a picture: val": 1}


def test_nothing_chosen_is_an_empty_dataset(database: Database, tmp_path: Path) -> None:
    """With no names, and the folders that Ultralytics looks for."""
    counts = directory_of(database, tmp_path / "y", Format.YOLO, split="8,1,1")
    assert load_yolo(tmp_path / "y" / "data.yaml").names == {}
    assert (counts.written, counts.left_out, counts.altered) == (0, 0, {})


def test_labels_and_geometries_choose_what_is_drawn(database: Database, tmp_path: Path) -> None:
    """Names are those of what was chosen, and a picture without any has nothing on it."""
    fill(database, tmp_path, [*ten_pictures()])
    wanted = Selection(label="color 1", geometry=("box",))
    directory_of(database, tmp_path / "y", Format.YOLO, wanted=wanted)
    data = load_yolo(tmp_path / "y" / "data.yaml")
    assert (data.names, len(data.pictures)) == ({0: "color 1"}, 10)
    assert sum(len(picture.boxes) for picture in data.pictures) == 6


def test_shapes_on_frames_of_videos_are_counted(database: Database, tmp_path: Path) -> None:
    """A video is no picture: what is drawn on its frames is left out."""
    frames = {"annotations": {"0": [box("a", 1, 1)]}}
    given = task("task1", type="documenttranscription", params={"attachment": url_of("task1")},
                 response={"annotations": [{"page": 0, "label": "a", "text": "t", "location": {
                     "type": "box", "left": 1, "top": 1, "width": 1, "height": 1}}]})  # fmt: skip
    written(database, TASKS, [given, task("task2", type="videoannotation", response=frames)])
    counts = directory_of(database, tmp_path / "y", Format.YOLO)
    assert counts.written == 0
    assert "annotations on frames of videos or pages of documents" in counts.reasons
