"""`scalesync publish`: what it prints, when it ends with 1, and what it refuses."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from scalesync.models.publishing import PARTITIONED, WHOLE
from tests.support.cli_process import Scalesync, check_refusal, execute

SHORT = "--allow-short-retention"
WITHOUT_DELTALAKE = "import sys; sys.modules['deltalake'] = None; from scalesync.__main__ import main; main()"


def complete(mirror: Scalesync) -> Scalesync:
    """Return the mirror without what is known to be missing in it."""
    execute(
        mirror.mirror, "UPDATE result_files SET fetched_at = '2026-01-01T00:00:00.000Z', read_at = fetched_at"
    )
    execute(mirror.mirror, "UPDATE result_files SET read_at = '2026-01-01T00:00:00.000Z'")
    execute(mirror.mirror, "DELETE FROM unread_responses")
    return mirror


def test_a_complete_mirror_is_published_with_0(mirror: Scalesync) -> None:
    """JSON has what was done to each table, and as of when; the second time that is nothing."""
    run = complete(mirror)
    done = run("publish", "lake", "--json", "--view", "label_counts")
    assert (done.code, done.err) == (0, "")
    said: Any = done.json
    [[watermark]] = execute(run.mirror, "SELECT min(at) FROM watermarks")
    assert (said["as_of"], said["complete"], said["gaps"]) == (watermark, True, [])
    assert list(said["tables"]) == [*PARTITIONED, *WHOLE, "label_counts"]
    [[change]] = execute(run.mirror, "SELECT max(change_number) FROM partition_changes")
    for name, table in said["tables"].items():
        assert (table["version"], table["change_id"]) == (0, change)
        rows = DeltaTable(run.directory / "lake" / name).to_pyarrow_table().num_rows
        assert rows == table["rows"] == execute(run.mirror, f"SELECT count(*) FROM {name}")[0][0]
    again: Any = run("publish", "lake", "--json").json
    assert {(each["rows"], each["partitions"], each["version"]) for each in again["tables"].values()} == {
        (0, 0, 0)
    }


def test_an_incomplete_mirror_is_published_with_1(mirror: Scalesync) -> None:
    """And says why: it was never synced, or files are missing."""
    check_refusal(mirror("publish", "lake"), 1, "result file", "fetch-results")
    assert DeltaTable(mirror.directory / "lake" / "tasks").to_pyarrow_table().num_rows > 500
    execute(mirror.mirror, "DELETE FROM watermarks")
    done = mirror("publish", "files", "--format", "parquet", "--json")
    check_refusal(done, 1, "never synced")
    assert (done.json["complete"], done.json["as_of"]) == (False, None)


def test_advice_is_what_helps(mirror: Scalesync) -> None:
    """A sync only for what a sync brings; for responses of no known form there is nothing to run."""
    run = complete(mirror)
    insert = "INSERT INTO unread_responses SELECT task_id FROM tasks LIMIT 1"
    execute(run.mirror, insert)
    done = run("publish", "lake", "--json")
    check_refusal(done, 1, "unread_responses")
    assert "sync`" not in done.err
    assert "fetch-results" not in done.err
    execute(run.mirror, "DELETE FROM unread_responses")
    execute(run.mirror, "UPDATE result_files SET fetched_at = NULL, read_at = NULL")
    done = run("publish", "lake")
    check_refusal(done, 1, "fetch-results`, then publish again")
    assert "sync`" not in done.err
    execute(run.mirror, "DELETE FROM watermarks")
    check_refusal(run("publish", "lake"), 1, "sync`, then publish again", "fetch-results`, then publish")


def test_a_full_stdout_changes_no_exit_code(mirror: Scalesync) -> None:
    """The tables are published: the code is that of the work."""
    run = complete(mirror)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scalesync", "publish", "lake"],
            cwd=run.directory, env=run.environment(), stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_what_cannot_be_published_is_refused(mirror: Scalesync) -> None:
    """Each in one sentence, with 2, and nothing is written."""
    (mirror.directory / "file").write_text("x")
    for target, word in (
        ("file", "not a directory"),
        ("scalesync.db", "not a directory"),
        ("file/below", "Cannot publish"),
        ("", "not a directory"),
        ("100%25", "% in its name"),
        ("s3://user:secret@bucket/path", "password"),
        ("s3://bucket/path?token=secret", "parameters"),
        ("https://example.com/x", "https://"),
        ("s3:///path", "bucket"),
        ("s3://[", "address"),
        ("~nobody-of-this-name/x", "neither a directory"),
        ("two\nlines", "line break"),
        ("s3://bucket/two\nlines", "line break"),
        ("a\x1b[1m", "control character"),
        ("x" * 300, "File name too long"),
        ("/".join(["d" * 200] * 30), "File name too long"),
        (os.fsdecode(b"b\xffd"), "neither a directory"),
    ):
        done = mirror("publish", target)
        check_refusal(done, 2, word)
        assert "secret" not in done.out + done.err
    check_refusal(mirror("publish", "lake", "--view", "nothing"), 2, "nothing")
    check_refusal(mirror("publish", "lake", "--view", "tasks"), 2, "tasks")
    check_refusal(mirror("publish", "lake", "--vacuum", "6d"), 2, "--allow-short-retention")
    check_refusal(mirror("publish", "lake", "--allow-short-retention"), 2, "--vacuum")
    assert {path.name for path in mirror.directory.iterdir()} <= {
        "file", "scalesync.db", "scalesync.db-wal", "scalesync.db-shm",
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_parquet_files_are_for_directories_and_s3(mirror: Scalesync, scheme: str) -> None:
    """Elsewhere they are refused at once, with or without credentials: Delta tables are for there."""
    for run in (mirror, mirror.having(AZURE_STORAGE_ACCOUNT_NAME="x")):
        check_refusal(run("publish", f"{scheme}://bucket/x", "--format", "parquet"), 2, "Delta")


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_a_target_that_is_a_table_itself_is_refused(mirror: Scalesync, form: str) -> None:
    """Whoever made it; other files may lie beside the tables."""
    import pyarrow as pa

    write_deltalake(mirror.directory / "a", pa.table({"mine": [1]}))
    (mirror.directory / "b").mkdir()
    (mirror.directory / "b" / "_manifest.json").write_text("{}")
    for target in ("a", "b"):
        there = set((mirror.directory / target).rglob("*"))
        check_refusal(mirror("publish", target, "--format", form), 2, "is a table itself")
        assert set((mirror.directory / target).rglob("*")) == there
    (mirror.directory / "c").mkdir()
    (mirror.directory / "c" / "notes.txt").write_text("mine")
    assert complete(mirror)("publish", "c", "--format", form).code == 0
    check_refusal(mirror("publish", "c/tasks", "--format", form), 2, "is a table itself")
    for below in ("a/new", "b/new/lake", "c/tasks/parts"):
        there = set(mirror.directory.rglob("*"))
        check_refusal(mirror("publish", below, "--format", form), 2, "lies within a table")
        assert not [path for path in set(mirror.directory.rglob("*")) - there if path.is_file()]


def test_a_broken_log_is_one_sentence(mirror: Scalesync) -> None:
    """Without what deltalake writes below it; the other form leaves nothing in its directory."""
    assert complete(mirror)("publish", "lake").code == 0
    log = mirror.directory / "lake" / "tasks" / "_delta_log"
    there = set((mirror.directory / "lake").rglob("*"))
    check_refusal(
        mirror("publish", "lake", "--format", "parquet"), 2, "does not belong to a table of this form"
    )
    assert set((mirror.directory / "lake").rglob("*")) == there
    (log / f"{0:020}.json").write_text("{nothing")
    done = mirror("publish", "lake")
    check_refusal(done, 2, "cannot be read", "Remove that table")
    assert "unknown" not in done.err
    assert "./nptl" not in done.err


def test_somebody_elses_delta_table_is_refused(mirror: Scalesync) -> None:
    """And stays as it is."""
    import pyarrow as pa

    path = mirror.directory / "lake" / "annotations"
    write_deltalake(path, pa.table({"mine": [1]}))
    check_refusal(mirror("publish", "lake"), 2, "annotations", "not published by this mirror")
    assert DeltaTable(path).to_pyarrow_table().to_pylist() == [{"mine": 1}]


def test_a_directory_that_may_not_be_written_is_refused(mirror: Scalesync) -> None:
    """Such as one with a file where a table's directory has to be: root may write everywhere."""
    (mirror.directory / "lake").mkdir()
    (mirror.directory / "lake" / "tasks").write_text("x")
    check_refusal(mirror("publish", "lake"), 2, "Cannot publish at")


def test_without_the_packages_it_says_what_to_install(mirror: Scalesync) -> None:
    """Before anything is written."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DELTALAKE, "publish", "lake"],
        cwd=mirror.directory, env=mirror.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "pip install '.[lake]'" in done.stderr, "Traceback" in done.stderr) == (
        2,
        True,
        False,
    )
    assert not (mirror.directory / "lake").exists()


def test_an_interrupted_publication_ends_with_130(mirror: Scalesync) -> None:
    """And the next one goes on."""
    run = complete(mirror)
    command = Scalesync(run.directory, run.variables)
    with command.started("publish", "lake") as process:
        while not (run.directory / "lake" / "tasks").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        done = command.ended(process)
    # pyarrow may raise the signal once more while the process ends: shells show that as 130 too.
    assert done.code in (130, -signal.SIGINT, 0)
    assert "Traceback" not in done.err
    assert run("publish", "lake").code == 0


def test_compacting_and_vacuuming_are_options(mirror: Scalesync) -> None:
    """Of both forms."""
    run = complete(mirror)
    for form in ("delta", "parquet"):
        options = (
            "publish",
            form,
            "--format",
            form,
            "--compact",
            "--vacuum",
            "0s",
            "--allow-short-retention",
        )
        assert run(*options).code == 0
        execute(run.mirror, "UPDATE tasks SET instruction = 'another'")
        execute(run.mirror, "DELETE FROM publications")
        done = run(*options)
        assert (done.code, "deleted that no longer counted" in done.err) == (0, True)


def test_the_mirror_publishes_from_python(mirror: Scalesync, tmp_path: Path) -> None:
    """As the command does."""
    with pytest.raises(ConfigurationError, match="no format"):
        Mirror(mirror.mirror).publish(tmp_path / "x", format="iceberg")
    with pytest.raises(ConfigurationError, match="no view"):
        Mirror(mirror.mirror).publish(tmp_path / "x", views=["tasks"])
    done = Mirror(mirror.mirror).publish(tmp_path / "x")
    assert done.tables["tasks"].rows == DeltaTable(tmp_path / "x" / "tasks").to_pyarrow_table().num_rows
