"""`scalesync export --format yolo|huggingface`: whole or not at all, and said when incomplete."""

import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.drawn_pictures import draw
from tests.support.yolo_reader import load_yolo

FORMATS = ("yolo", "huggingface")
URL = "json_extract(params, '$.attachment')"


def know_pictures(mirror: Scalesync, path: Path | None) -> None:
    """Write the size of every picture, and a file that is kept of each."""
    kept = "NULL" if path is None else f"'{path}'"
    execute(
        mirror.mirror,
        f"INSERT OR IGNORE INTO attachments (url, width, height, path) "
        f"SELECT {URL}, 2000, 2000, {kept} FROM tasks WHERE {URL} IS NOT NULL",
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_dataset_is_written_whole(name: str, mirror: Scalesync) -> None:
    """For its owner only, with what was written and what was left out; together that is all there is."""
    draw(mirror.directory / "one.png", 20, 20)
    know_pictures(mirror, mirror.directory / "one.png")
    done = mirror("export", "tasks", "--format", name, "-o", "made", "--split", "1")
    made = mirror.directory / "made"
    assert (done.code, done.out) == (0, ""), done.err
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert [left.name for left in mirror.directory.glob(".*")] == []
    (total,) = execute(mirror.mirror, "SELECT count(*) FROM annotations")
    lines = done.err.splitlines()
    counts = [int(line.split()[0].replace(",", "")) for line in lines if " left out: " in line]
    written = int(next(line for line in lines if line.endswith(" in made")).split()[0].replace(",", ""))
    assert (written + sum(counts), written > 100) == (*total, True)
    if name == "yolo":
        data = load_yolo(made / "data.yaml")
        assert sum(len(picture.boxes) for picture in data.pictures) == written
        assert f" on {len(data.pictures):,} pictures in made\n" in done.err
        assert {stat.S_IMODE(picture.path.stat().st_mode) for picture in data.pictures} == {0o600}
    else:
        rows = [json.loads(line) for line in (made / "train" / "metadata.jsonl").read_text().splitlines()]
        assert sum(len(row["objects"]["bbox"]) for row in rows) == written
        assert all((made / "train" / row["file_name"]).is_file() for row in rows)


@pytest.mark.parametrize("name", FORMATS)
def test_a_dataset_without_its_pictures_is_incomplete(name: str, mirror: Scalesync) -> None:
    """What there is is written, and the exit code is 1: without sizes, and without files."""
    know_pictures(mirror, None)
    execute(mirror.mirror, "UPDATE attachments SET width = NULL WHERE rowid % 2")
    done = mirror("-q", "export", "tasks", "--format", name, "-o", "made")
    check_refusal(done, 1, "The dataset is incomplete", "pictures of unknown size", "were not fetched")
    assert (mirror.directory / "made" / "pictures_to_fetch.jsonl").read_text()
    whole = mirror("export", "tasks", "--format", name, "-o", "made", "--pictures", "none", "--split", "1")
    check_refusal(whole, 1, "pictures of unknown size")
    assert "fetched" not in whole.err
    execute(mirror.mirror, "UPDATE attachments SET width = 2000")
    again = mirror("export", "tasks", "--format", name, "-o", "made", "--pictures", "none", "--split", "1")
    assert again.code == 0, again.err


def test_an_earlier_dataset_is_replaced_and_nothing_else(mirror: Scalesync) -> None:
    """As a whole; with a file of somebody else in it, it stays as it is."""
    words = ("export", "tasks", "--pictures", "none", "--split", "1", "-o", "made", "--format")
    know_pictures(mirror, None)
    made = mirror.directory / "made"
    assert mirror(*words, "yolo").code == 0
    count = len([*made.rglob("*.txt")])
    (made / "labels" / "train.cache").write_bytes(b"of Ultralytics")
    assert mirror(*words, "yolo", "--limit", "5").code == 0
    assert (len([*made.rglob("*.txt")]), count > 5) == (5, True)
    assert mirror(*words, "huggingface").code == 0
    assert not (made / "data.yaml").exists()
    draw(made / "train" / "mine.png", 20, 20)
    check_refusal(mirror(*words, "yolo"), 2, "made holds something else than an earlier export")
    assert (made / "train" / "mine.png").exists()
    check_refusal(mirror("export", "tasks", "-o", "made"), 2, "Cannot write made: Is a directory")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tasks", "--format", "yolo"), "The format yolo is a directory"),
        (("batches", "--format", "huggingface", "-o", "x"), "not of batches"),
        (("tasks", "--split", "1", "-o", "x"), "--split does not apply to the format jsonl"),
        (("tasks", "--format", "coco", "--pictures", "none"), "--pictures does not apply to the format coco"),
        (
            ("tasks", "--format", "huggingface", "--yolo-kind", "obb", "-o", "x"),
            "--yolo-kind does not apply to the format huggingface",
        ),
        (("tasks", "--format", "yolo", "--split", "a", "-o", "x"), "'a' is no share"),
        (("tasks", "--format", "yolo", "--split", "", "-o", "x"), "'' is no share"),
        (("tasks", "--format", "yolo", "--partition", "-o", "x"), "--partition makes Parquet files only"),
        (("tasks", "--format", "yolo", "-o", "no/where"), "Cannot write no/where"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    words: tuple[str, ...], sentence: str, mirror: Scalesync
) -> None:
    """In a sentence, before anything is written."""
    check_refusal(mirror("export", *words), 2, sentence)
    assert not (mirror.directory / "x").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_export_leaves_what_was_there(number: signal.Signals, mirror: Scalesync) -> None:
    """The earlier dataset whole, and unless it is killed no remains."""
    know_pictures(mirror, None)
    words = ("export", "tasks", "--format", "yolo", "--split", "1", "-o", "made")
    assert mirror(*words, "--pictures", "none").code == 0
    before = sorted((mirror.directory / "made").rglob("*"))
    # A pipe that nobody writes to: the export stops at its first picture.
    os.mkfifo(mirror.directory / "pipe")
    execute(mirror.mirror, f"UPDATE attachments SET path = '{mirror.directory / 'pipe'}'")
    with Scalesync(mirror.directory, mirror.variables).started(*words) as process:
        while not [*mirror.directory.glob(".made.*/made/pictures_to_fetch.jsonl")]:
            time.sleep(0.01)
        process.send_signal(number)
        done = Scalesync.ended(process)
    assert sorted((mirror.directory / "made").rglob("*")) == before
    if number is not signal.SIGKILL:
        assert (done.code, "Traceback" in done.err) == (130, False), done.err
        assert [*mirror.directory.glob(".made.*")] == []


def test_python_writes_the_same(mirror: Scalesync) -> None:
    """Below an empty directory, with an event for each picture; a wrong word is refused."""
    know_pictures(mirror, None)
    here, target = Mirror(mirror.mirror), mirror.directory / "made"
    target.mkdir()
    events: list[object] = []
    counts = here.export_directory(
        target, format="yolo", pictures="none", split="1", geometry="box", on_event=events.append
    )
    assert len([*target.glob("labels/train/*.txt")]) == len(events) > 10
    assert counts.written > 100
    with pytest.raises(ConfigurationError, match="is not an empty directory"):
        here.export_directory(target, format="yolo")
    (target / "new").mkdir()
    for words, sentence in (
        ({"format": "coco"}, "The format coco is no directory"),
        ({"format": "yolo", "yolo_kind": "pose"}, "There is no --yolo-kind 'pose'"),
        ({"format": "yolo", "pictures": "all"}, "There is no --pictures 'all'"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            here.export_directory(target / "new", **words)  # type: ignore[arg-type]
    with (target / "file").open("wb") as file, pytest.raises(ConfigurationError, match="is a directory"):
        here.export("tasks", file, format="yolo")


def test_fetched_pictures_make_a_whole_dataset(mirror: Scalesync) -> None:
    """What `fetch-attachments` keeps of the sandbox is all that is needed: true sizes, and the files."""
    assert (
        mirror("fetch-attachments", "--type", "imageannotation", "--allow-private", "--to", "kept").code == 0
    )
    words = ("export", "tasks", "--type", "imageannotation", "--split", "1", "--format")
    done = mirror(*words, "yolo", "--yolo-kind", "segment", "--pictures", "link", "-o", "yolo")
    data = load_yolo(mirror.directory / "yolo" / "data.yaml")
    images = json.loads(mirror(*words[:4], "--format", "coco").out)
    assert (done.code, len(data.pictures)) == (0, len(images["images"])), done.err
    assert sum(len(picture.segments) for picture in data.pictures) == len(images["annotations"])
    assert {(each["width"], each["height"]) for each in images["images"]} == {(1920, 1080)}
    assert {picture.path.stat().st_nlink for picture in data.pictures} == {2}
    done = mirror(*words, "huggingface", "-o", "hf")
    assert done.code == 0, done.err
    assert len([*(mirror.directory / "hf" / "train").glob("*.png")]) == len(data.pictures)
