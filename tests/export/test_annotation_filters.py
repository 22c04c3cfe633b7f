"""`geometry` and `label` choose annotations in every format, and are refused where there are none."""

import pytest

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.errors import ConfigurationError
from scalesync.export.counts import ExportCounts
from scalesync.export.exporter import Export, Format
from scalesync.models.selection import Selection
from tests.export.test_datasets import exported
from tests.support.databases import opened
from tests.support.export_account import box, filled, polygon, task, ways_out, written

ODD_LABEL = 'a: "b"\n\u2028東'


@pytest.mark.parametrize("as_what", [Format.JSONL, Format.CSV])
def test_rows_have_the_chosen_annotations_only(as_what: Format, database: Database) -> None:
    """In lines and in tables alike."""
    wanted = Selection(geometry=("box",), label=("car", "bus"))
    lines = ways_out(filled(database)).lines(Export("annotations", as_what, wanted), ExportCounts())
    assert len(list(lines)) == 2 + (as_what is Format.CSV)


def test_coco_keeps_images_without_a_chosen_shape(database: Database) -> None:
    """Categories are those of the chosen shapes; annotations that were not chosen are not left out."""
    point = {"type": "point", "label": "car", "x": 1, "y": 1}
    filled(database)
    written(database, TASKS, [task("z", response={"annotations": [point, box("bus", 1, 1)]})])
    found, tally = exported(database, Format.COCO, label="bus")
    assert [each["name"] for each in found["categories"]] == ["bus"]
    assert [each["task_id"] for each in found["images"]] == ["a", "b", "c", "e", "z"]
    assert [each["image_id"] for each in found["annotations"]] == [2, 5]
    assert (tally.written, tally.left_out) == (2, 0)
    found, tally = exported(database, Format.COCO, geometry=("polygon", "point"), label="car")
    assert ([each["bbox"] for each in found["annotations"]], tally.left_out) == ([[0, 0, 4, 3]], 2)


def test_odd_labels_are_chosen_exactly(database: Database) -> None:
    """Of any characters, and in their case."""
    given = [box(ODD_LABEL, 1, 1), box("CAR", 2, 2), box("", 3, 3), box(None, 4, 4)]
    written(database, TASKS, [task("a", response={"annotations": given})])
    for label, left in ((ODD_LABEL, [1]), ("CAR", [2]), ("car", []), ("null", [])):
        found, _ = exported(database, Format.COCO, label=label)
        assert [each["bbox"][0] for each in found["annotations"]] == left


def test_fiftyone_gets_the_chosen_annotations_only(sqlite_url: str) -> None:
    """Nothing is counted as left out but tasks whose annotations are elsewhere."""
    shapes = [box("car", 1, 1), polygon("car", (0, 0), (1, 0), (1, 1)), box("bus", 2, 2), None]
    mask = {"annotations": {"combined": {"indexedImage": "https://x/y.png"}}}
    given = [
        task("a", response={"annotations": shapes}),
        task("m", type="segmentannotation", response=mask),
        task("v", type="videoannotation", response={"annotations": {"url": "u"}}),
    ]
    with opened(sqlite_url) as database:
        written(database, TASKS, given)
        found, tally = exported(database, Format.FIFTYONE, geometry="box", label="car")
    assert [each["response"]["annotations"] for each in found] == [shapes[:1]]
    reason = "tasks whose annotations are in files or masks, which are not filtered"
    assert (tally.left_out, tally.reasons) == (2, {reason: 2})


@pytest.mark.parametrize("name", ["tasks", "batches", "projects"])
@pytest.mark.parametrize("as_what", [Format.JSONL, Format.CSV, Format.PARQUET])
def test_objects_are_not_chosen_by_their_annotations(name: str, as_what: Format) -> None:
    """A task has many labels: what would be meant is not clear, and it is refused."""
    with pytest.raises(ConfigurationError, match=f"--label does not apply to {name}"):
        Export(name, as_what, Selection(label=("car",)))
