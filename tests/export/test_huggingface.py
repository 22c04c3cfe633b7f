"""Picture folders for Hugging Face, as `datasets` itself loads them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from datasets import ClassLabel, DatasetDict, List, Value

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS
from scalesync.export.exporter import Format
from scalesync.export.splits import Splits
from tests.export.test_yolo import ODD_LABELS, ROTATED
from tests.support.drawn_pictures import draw, extent
from tests.support.export_account import box, polygon, written
from tests.support.picture_account import COLORS, directory_of, fill, keep, picture_task, ten_pictures


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Show no progress bars."""
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def loaded(target: Path, tmp_path: Path) -> DatasetDict:
    """Return a folder as `datasets` loads it."""
    return datasets.load_dataset("imagefolder", data_dir=str(target), cache_dir=str(tmp_path / "cache"))


def metadata(target: Path, split: str = "train") -> list[dict[str, Any]]:
    """Return the lines of a split."""
    return [json.loads(line) for line in (target / split / "metadata.jsonl").read_text().splitlines()]


def test_boxes_are_where_the_pixels_are(database: Database, tmp_path: Path) -> None:
    """Ten pictures with rectangles, loaded by `datasets`, and compared pixel by pixel."""
    drawn = {each.task_id: each for each in ten_pictures()}
    fill(database, tmp_path, [*drawn.values()])
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE)
    rows = loaded(tmp_path / "hf", tmp_path)["train"]
    assert len(rows) == 10
    for row in rows:
        each, objects = drawn[row["task_id"]], row["objects"]
        assert row["image"].size == (row["width"], row["height"]) == (each.width, each.height)
        assert len(objects["bbox"]) == len(each.rectangles)
        for (left, top, wide, high), label in zip(objects["bbox"], objects["categories"], strict=True):
            place = extent(tmp_path / f"{each.task_id}.png", COLORS[label])
            assert (left, top, left + wide, top + high) == place
            inside = row["image"].convert("RGB").crop(place)
            assert inside.getcolors() == [(wide * high, COLORS[label])]
        assert objects["area"] == [r.width * r.height for r in each.rectangles]
        assert [len(outlines[0]) for outlines in objects["segmentation"]] == [8] * len(each.rectangles)
    assert (counts.written, counts.left_out) == (sum(len(e.rectangles) for e in drawn.values()), 0)
    assert not counts.unfinished


def test_columns_have_their_types(database: Database, tmp_path: Path) -> None:
    """Load each split: it may begin with whole numbers, fractions or a picture without objects."""
    ids = [f"{n:024x}" for n in range(99)]
    shapes = {
        "train": [[], [box("a", 1, 1)], [box("a", 1.5, 1.25)]],
        "val": [[], [ROTATED]],
        "test": [[], [box("b", 1, 1)]],
    }
    for split, given in shapes.items():
        of_split = (task_id for task_id in ids if Splits().of(task_id) == split)
        for some, task_id in zip(given, of_split, strict=False):
            written(database, TASKS, [picture_task(task_id, *some)])
            draw(tmp_path / f"{task_id}.png", 100, 90)
            keep(database, task_id, (100, 90), tmp_path / f"{task_id}.png")
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE, split="8,1,1")
    found = loaded(tmp_path / "hf", tmp_path)
    # Types are taken from the first ten megabytes.
    for split in shapes:
        with_objects = [bool(row["objects"]["bbox"]) for row in metadata(tmp_path / "hf", split)]
        assert with_objects == [True] * (len(with_objects) - 1) + [False]
    assert {name: len(rows) for name, rows in found.items()} == {"train": 3, "validation": 2, "test": 2}
    for rows in found.values():
        assert rows.features["objects"] == {
            "bbox": List(List(Value("float64"))),
            "categories": List(Value("int64")),
            "area": List(Value("float64")),
            "segmentation": List(List(List(Value("float64")))),
        }
        assert [rows.features[name] for name in ("task_id", "width")] == [Value("string"), Value("int64")]
    assert not counts.unfinished


def test_a_split_without_any_annotation_is_said(database: Database, tmp_path: Path) -> None:
    """`datasets` cannot load it beside others, and the export is incomplete; alone it loads."""
    for n in range(40):
        task_id = f"{n:024x}"
        shapes = [box("a", 1, 1)] if Splits().of(task_id) == "train" else []
        written(database, TASKS, [picture_task(task_id, *shapes)])
        draw(tmp_path / f"{task_id}.png", 20, 20)
        keep(database, task_id, (20, 20), tmp_path / f"{task_id}.png")
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE, split="8,1,1")
    what = "split without an annotation, which `datasets` cannot load beside others"
    assert counts.unfinished == {f"{what}: val": 1, f"{what}: test": 1}
    with pytest.raises(ValueError, match="different features"):
        loaded(tmp_path / "hf", tmp_path)
    counts = directory_of(database, tmp_path / "one", Format.HUGGINGFACE)
    assert (len(loaded(tmp_path / "one", tmp_path)["train"]), counts.unfinished) == (40, {})


def test_the_readme_names_the_categories(database: Database, tmp_path: Path) -> None:
    """In its features and in a program that gives numbers their names; whatever the names are."""
    shapes = [box(label, n, 1, width=1) for n, label in enumerate([*ODD_LABELS, None])]
    written(database, TASKS, [picture_task("task1", *shapes)])
    draw(tmp_path / "task1.png", 60, 60)
    keep(database, "task1", (60, 60), tmp_path / "task1.png")
    directory_of(database, tmp_path / "hf", Format.HUGGINGFACE)
    names = sorted([*ODD_LABELS, "unlabeled"])
    card = (tmp_path / "hf" / "README.md").read_text()
    features = datasets.Features._from_yaml_list(  # noqa: SLF001 - how `datasets` reads them
        yaml.safe_load(card.split("---\n")[1])["dataset_info"]["features"]
    )
    assert features["objects"]["categories"] == List(ClassLabel(names=names))
    assert features == datasets.Features(
        {"image": datasets.Image(), **loaded(tmp_path / "hf", tmp_path)["train"].features}
        | {"objects": features["objects"]}
    )
    # The directory's own name is enough: its README does not stand in the way.
    alone = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "other cache"))
    assert alone["train"].column_names == ["image", "task_id", "width", "height", "objects"]
    (program,) = re.findall("```python\n(.*?)```", card, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(program.replace('data_dir="."', f"data_dir={str(tmp_path / 'hf')!r}"), scope)
    labels = scope["data"]["train"].features["objects"]["categories"].feature
    assert labels.names == names
    assert [labels.int2str(n) for n in scope["data"]["train"][0]["objects"]["categories"]] == [
        *ODD_LABELS, "unlabeled"
    ]  # fmt: skip


def test_pictures_that_are_not_here_are_left_out(database: Database, tmp_path: Path) -> None:
    """`datasets` would stop at them: they are counted with their annotations, and listed."""
    draw(tmp_path / "task1.png", 20, 20)
    given = [picture_task(f"task{n}", box("a", 1, 1)) for n in (1, 2, 3)]
    written(database, TASKS, given)
    keep(database, "task1", (20, 20), tmp_path / "task1.png")
    keep(database, "task2", (20, 20))
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE)
    assert [row["task_id"] for row in loaded(tmp_path / "hf", tmp_path)["train"]] == ["task1"]
    assert (counts.written, counts.left_out) == (1, 2)
    assert counts.unfinished == {"pictures of unknown size": 1, "pictures that were not fetched": 1}
    assert "task2.png" in (tmp_path / "hf" / "pictures_to_fetch.jsonl").read_text()


def test_pictures_can_be_put_there_by_hand(database: Database, tmp_path: Path) -> None:
    """Without pictures the metadata is whole, and the list says which go where."""
    written(database, TASKS, [picture_task("task1", box("a", 1, 1))])
    keep(database, "task1", (20, 20))
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE, pictures="none")
    (missing,) = map(json.loads, (tmp_path / "hf" / "pictures_to_fetch.jsonl").read_text().splitlines())
    draw(tmp_path / "hf" / missing["file"], 20, 20)
    assert (len(loaded(tmp_path / "hf", tmp_path)["train"]), counts.written, counts.unfinished) == (1, 1, {})


def test_shapes_are_clipped_to_their_picture(database: Database, tmp_path: Path) -> None:
    """Boxes and outlines, with the area that is left; what lies outside is counted."""
    shapes = (box("a", -5, 1), polygon("b", (90, 10), (110, 10), (110, 20), (90, 20)), box("a", 200, 1))
    written(database, TASKS, [picture_task("task1", *shapes)])
    keep(database, "task1", (100, 50))
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE, pictures="none")
    (row,) = metadata(tmp_path / "hf")
    assert row["objects"]["bbox"] == [[0, 1, 5, 5], [90, 10, 10, 10]]
    assert row["objects"]["area"] == [25, 100]
    assert counts.altered == {"boxes clipped to their picture": 1, "polygons clipped to their picture": 1}
    assert counts.reasons == {"boxes outside their picture": 1}


def test_nothing_chosen_is_a_readme(database: Database, tmp_path: Path) -> None:
    """Without names."""
    counts = directory_of(database, tmp_path / "hf", Format.HUGGINGFACE)
    assert (counts.written, counts.altered, counts.unfinished) == (0, {}, {})
    assert yaml.safe_load((tmp_path / "hf" / "README.md").read_text().split("---\n")[1])
