"""`scalesync export`: files and directories, whole or not at all."""

import csv
import io
import json
import stat
import subprocess
from pathlib import Path

import duckdb

from tests.support.cli_process import COMMAND, Scalesync, check_refusal, execute

FORMATS = ("jsonl", "csv", "parquet", "coco", "fiftyone")


def rows_in(path: Path) -> int:
    """Return how many rows DuckDB finds in Parquet."""
    with duckdb.connect() as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()
    return int(found[0])


def test_every_format_is_written_whole(mirror: Scalesync) -> None:
    """With what was written on stderr, and for its owner only."""
    for name in FORMATS:
        path = mirror.directory / name
        path.write_text("the old one")
        done = mirror("export", "tasks", "--format", name, "-o", name)
        assert (done.code, done.out) == (0, "")
        assert f" in {name}\n" in done.err
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [left.name for left in mirror.directory.glob(".*")] == []
    counts = [
        len((mirror.directory / "jsonl").read_text().splitlines()),
        len(list(csv.DictReader(io.StringIO((mirror.directory / "csv").read_text(), newline="")))),
        rows_in(mirror.directory / "parquet"),
    ]
    assert counts == [1_000] * 3
    assert len(json.loads((mirror.directory / "coco").read_text())["annotations"]) > 100
    assert len(json.loads((mirror.directory / "fiftyone").read_text())) > 100


def test_what_is_piped_is_what_a_file_would_hold(mirror: Scalesync) -> None:
    """Byte for byte, and of Parquet too."""
    words = ("export", "annotations", "--format", "parquet")
    mirror(*words, "-o", "file")
    piped = subprocess.run(
        [*COMMAND, *words], cwd=mirror.directory, env=mirror.environment(), capture_output=True, check=True
    )
    assert piped.stdout == (mirror.directory / "file").read_bytes()


def test_quiet_says_nothing_but_what_is_left_out(mirror: Scalesync) -> None:
    """The count of what a format cannot hold is always said: it may be what was asked for."""
    assert mirror("-q", "export", "batches", "-o", "batches").err == ""
    assert mirror("-q", "export", "tasks", "--format", "fiftyone", "-o", "f.json").err.endswith(
        "left out, which fiftyone cannot hold.\n"
    )


def test_what_a_dataset_leaves_out_is_said_by_reason(mirror: Scalesync) -> None:
    """A line each on stderr, and they add up to the last one; for COCO with the file to all annotations."""
    for name in ("coco", "fiftyone"):
        *lines, last = mirror(
            "-q", "export", "tasks", "--format", name, "-o", f"{name}.json"
        ).err.splitlines()
        numbers = [int(line.split()[0].replace(",", "")) for line in lines if " left out: " in line]
        total = int(last.split()[0].replace(",", ""))
        assert (last.endswith(f"left out, which {name} cannot hold."), sum(numbers)) == (True, total)
        assert len(numbers) > 1
        if name == "coco":
            written = len(json.loads((mirror.directory / "coco.json").read_text())["annotations"])
            assert execute(mirror.mirror, "SELECT count(*) FROM annotations") == [(written + total,)]


def ids(found: list[dict[str, object]]) -> set[object]:
    """Return the tasks that rows, documents or images are about."""
    return {each["task_id"] for each in found}


def test_filters_choose_what_is_exported(mirror: Scalesync) -> None:
    """The same tasks in each form; what cannot be applied is refused with its name."""
    words = ["--status", "completed", "--type", "imageannotation"]
    listed = mirror("task", "list", "--json", *words).lines
    facts = mirror("export", "task_facts", *words).lines
    drawn = mirror("export", "annotations", *words).lines
    images = json.loads(mirror("export", "tasks", "--format", "coco", *words).out)["images"]

    assert ids(listed) == ids(facts)
    assert ids(images) == {task["task_id"] for task in listed if "response" in task}
    assert ids(drawn) <= ids(images)
    assert len(ids(drawn)) > 10
    check_refusal(mirror("export", "label_counts", *words), 2, "--status does not apply to label_counts")


def test_a_partitioned_dataset_is_replaced_as_a_whole(mirror: Scalesync) -> None:
    """The second has what the second was asked for, and nothing of the first is left over."""
    words = ("export", "tasks", "--format", "parquet", "--partition", "-o", "lake")
    lake = mirror.directory / "lake"
    first = mirror(*words)
    everything = rows_in(lake / "**" / "*.parquet")
    second = mirror(*words, "--limit", "3")

    assert (first.code, first.err, everything) == (0, "1,000 tasks in lake\n", 1_000)
    assert (second.code, rows_in(lake / "**" / "*.parquet")) == (0, 3)
    assert stat.S_IMODE(lake.stat().st_mode) == 0o700
    assert [left.name for left in mirror.directory.glob(".*")] == []


def test_a_long_project_name_is_shortened_and_said(mirror: Scalesync) -> None:
    """Of a partitioned dataset its directory only: every row is there, with the whole name."""
    name = "Улица ночью: разметка пешеходов и автомобилей"
    execute(
        mirror.mirror,
        f"UPDATE tasks SET project = '{name}' WHERE task_id IN (SELECT max(task_id) FROM tasks)",
    )
    done = mirror("export", "tasks", "--format", "parquet", "--partition", "-o", "lake")

    assert (done.code, done.err) == (
        0, "1,000 tasks in lake\n1 shortened: names of projects, which the column project_name has whole\n"
    )  # fmt: skip
    with duckdb.connect() as connection:
        read = f"read_parquet('{mirror.directory}/lake/**/*.parquet', hive_partitioning = true)"
        counted = connection.execute(
            f"SELECT count(*), count(*) FILTER (project_name = '{name}') FROM {read}"
        )
        assert counted.fetchall() == [(1_000, 1)]


def test_a_directory_that_holds_anything_else_is_left_alone(mirror: Scalesync) -> None:
    """Nor is a file replaced by a directory, or the other way round."""
    words = ("export", "tasks", "--format", "parquet", "--partition", "-o")
    mirror(*words, "lake")
    (mirror.directory / "lake" / "notes.txt").write_text("mine")
    (mirror.directory / "file").write_text("mine")

    check_refusal(mirror(*words, "lake"), 2, "lake holds something else")
    check_refusal(mirror(*words, "file"), 2, "file holds something else")
    check_refusal(mirror("export", "tasks", "-o", "lake"), 2, "Cannot write lake: Is a directory")
    check_refusal(mirror(*words, "no/where"), 2, "Cannot write no/where: No such file")
    assert (mirror.directory / "lake" / "notes.txt").read_text() == "mine"
    assert (mirror.directory / "file").read_text() == "mine"


def test_a_failure_in_the_middle_leaves_what_was_there(mirror: Scalesync) -> None:
    """A time that is none stops each format, in a sentence; the old file stays, and no remains lie about."""
    mirror("export", "tasks", "--format", "parquet", "--partition", "-o", "lake", "--limit", "5")
    execute(
        mirror.mirror,
        "UPDATE tasks SET created_at = 'never' WHERE task_id = (SELECT max(task_id) FROM tasks)",
    )
    for name in ("csv", "parquet"):
        (mirror.directory / name).write_text("the old one")
        check_refusal(
            mirror("export", "tasks", "--format", name, "-o", name), 5, "a time that is none: 'never'"
        )
        assert (mirror.directory / name).read_text() == "the old one"
    check_refusal(mirror("export", "tasks", "--format", "parquet", "--partition", "-o", "lake"), 5, "'never'")
    assert rows_in(mirror.directory / "lake" / "**" / "*.parquet") == 5
    assert [left.name for left in mirror.directory.glob(".*")] == []


def test_a_full_disk_is_named(mirror: Scalesync) -> None:
    """In every format, by the sentence of the system."""
    for name in FORMATS:
        done = mirror("export", "tasks", "--format", name, "-o", "/dev/full")
        check_refusal(done, 2, "Cannot write /dev/full: No space left on device")


def test_a_full_disk_behind_stdout_is_named_for_parquet(mirror: Scalesync) -> None:
    """Printed data that could not be written never ends with 0."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "export", "runs", "--format", "parquet"], cwd=mirror.directory,
            env=mirror.environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, "No space left on device" in done.stderr) == (2, True), done.stderr


def test_no_export_takes_the_place_of_a_database(mirror: Scalesync) -> None:
    """Not of the mirror and its queue, under any of its names, of what is beside it, nor of another one."""
    queued = mirror("task", "create", "imageannotation", "attachment=https://example.com/1.jpg")
    (mirror.directory / "same.db").hardlink_to(mirror.mirror)
    (mirror.directory / "link.db").symlink_to(mirror.mirror)
    beside = [f"scalesync.db{end}" for end in ("-wal", "-shm", "-journal")]
    for name in ("scalesync.db", "same.db", "link.db", *beside):
        refused = mirror("export", "tasks", "-o", name)
        check_refusal(refused, 2, f"{name} is an SQLite database, or belongs to one", "Name another file")

    assert queued.code == 0
    assert mirror("queue", "list").out.count("create_task") == 1
    assert mirror("export", "tasks", "-o", "no-database-wal").code == 0


def test_what_is_not_known_to_be_complete_is_said(scalesync: Scalesync, mirror: Scalesync) -> None:
    """On stderr: a mirror that was never synced, files that are not here; nothing of our own rows."""
    empty = scalesync.having(SCALESYNC_DB="empty.db")
    assert empty("init").code == 0
    for words in (("tasks",), ("annotations",), ("tasks", "--format", "coco"), ("annotation_findings",)):
        done = empty("export", *words)
        assert (done.code, "never synced completely" in done.err) == (0, True)
    assert empty("export", "commands").err == ""
    assert empty("-q", "export", "tasks").err == ""
    of_annotations = mirror("export", "annotations").err
    assert "result files not fetched" in of_annotations
    assert "has no known form" in of_annotations
    coco = mirror("export", "tasks", "--format", "coco").err
    assert ("not fetched" in coco, "has no known form" in coco) == (False, True)
    assert mirror("export", "tasks").err == ""
