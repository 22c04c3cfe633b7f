"""Delta tables hold the mirror's rows, and only what changed is written anew."""

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from scalesync.db.database import Database
from scalesync.db.export.rows import rows
from scalesync.db.queue.enqueue import enqueue
from scalesync.errors import ConfigurationError
from scalesync.models.publishing import PARTITIONED, Partition
from scalesync.queue import new_commands
from tests.publish.histories import History, by_partition
from tests.publish.published import TABLES, Rows, delta, mirrored, published, same
from tests.publish.test_partition_changes import numbers

AllRows = Mapping[Partition, list[str]]


@pytest.mark.parametrize("seed", range(2))
def test_tables_equal_the_mirror_at_every_version(database: Database, tmp_path: Path, seed: int) -> None:
    """After any changes between two publications; and an older version stays what it was."""
    history, kept = History(database, seed), dict[tuple[str, int | None], Rows]()
    for _ in range(5):
        for _ in range(5):
            history.step()
        done = published(database, tmp_path)
        assert list(same(database, tmp_path)) == []
        kept |= {(name, done.tables[name].version): mirrored(database, name) for name in PARTITIONED}

    for (name, version), wanted in kept.items():
        assert delta(tmp_path, name, version) == wanted


def test_only_touched_partitions_are_written(database: Database, tmp_path: Path) -> None:
    """By the log: what it adds and removes belongs to partitions that were marked since."""
    history = History(database, 5)
    for _ in range(30):
        history.step()
    published(database, tmp_path)
    for _ in range(8):
        before, marked = by_partition(database), numbers(database)
        history.step()
        after, now = by_partition(database), numbers(database)
        done = published(database, tmp_path)
        touched = {each for each, number in now.items() if marked.get(each) != number}
        for name in PARTITIONED:
            version = done.tables[name].version
            assert done.tables[name].partitions == len(touched)
            written = log_of(tmp_path / name, version) if touched else set()
            assert written <= touched
            changed = {each for each in before.keys() | after.keys() if differs(before, after, each, name)}
            assert changed <= written


def differs(before: AllRows, after: AllRows, partition: Partition, name: str) -> bool:
    """Return whether the rows of a table in a partition are others than before."""
    now, then = (
        [row for row in rows.get(partition, []) if row.startswith(f"{name} ")] for rows in (after, before)
    )
    return now != then


def log_of(table: Path, version: int | None) -> set[Partition]:
    """Return the partitions that a version of the log adds files to, or removes some from."""
    lines = (table / "_delta_log" / f"{version:020}.json").read_text().splitlines()
    actions = [
        each for line in map(json.loads, lines) for name, each in line.items() if name in ("add", "remove")
    ]
    values = [each["partitionValues"] for each in actions]
    return {Partition(each["project"] or "", each["month"] or "") for each in values}


def test_nothing_is_committed_if_nothing_changed(database: Database, tmp_path: Path) -> None:
    """Not even of tables that are published as a whole."""
    history = History(database, 3)
    for _ in range(20):
        history.step()
    first = published(database, tmp_path, views=("label_counts",))
    again = published(database, tmp_path, views=("label_counts",))
    assert [(each.version, each.rows) for each in again.tables.values()] == [(0, 0)] * 8
    assert [each.version for each in first.tables.values()] == [0] * 8
    history.step("projects")
    history.step("projects")
    third = published(database, tmp_path, views=("label_counts",))
    assert {name for name, each in third.tables.items() if each.version == 1} <= {"projects"}
    assert list(same(database, tmp_path)) == []


def test_an_empty_mirror_is_published_with_its_columns(database: Database, tmp_path: Path) -> None:
    """And filled later."""
    published(database, tmp_path)
    assert [delta(tmp_path, name) for name in TABLES] == [[]] * len(TABLES)
    History(database, 0).step()
    published(database, tmp_path)
    assert list(same(database, tmp_path)) == []


def test_a_table_that_somebody_removed_is_published_anew(database: Database, tmp_path: Path) -> None:
    """Alone: the others have what they need."""
    history = History(database, 4)
    for _ in range(10):
        history.step()
    published(database, tmp_path)
    (tmp_path / "tasks").rename(tmp_path / "elsewhere")
    done = published(database, tmp_path)
    assert (done.tables["tasks"].version, done.tables["annotations"].rows) == (0, 0)
    assert list(same(database, tmp_path)) == []


def test_the_tables_of_another_mirror_are_refused(database: Database, tmp_path: Path) -> None:
    """And stay as they are; so does a Delta table of somebody else."""
    History(database, 4).step()
    published(database, tmp_path)
    before = delta(tmp_path, "tasks")
    with database.write() as conn:
        conn.exec_driver_sql("UPDATE publisher SET name = 'another'")
    with pytest.raises(ConfigurationError, match="not published by this mirror"):
        published(database, tmp_path)
    assert delta(tmp_path, "tasks") == before


def test_a_restored_mirror_is_published_whole(database: Database, tmp_path: Path) -> None:
    """Its numbers are given a second time: they say nothing about the target any more."""
    history = History(database, 7)
    for _ in range(10):
        history.step()
    published(database, tmp_path)
    with database.write() as conn:
        conn.exec_driver_sql("DELETE FROM publications")
        conn.exec_driver_sql("DELETE FROM annotations")
    done = published(database, tmp_path)
    assert done.tables["annotations"].version == 1
    assert list(same(database, tmp_path)) == []


def test_a_new_column_is_added(database: Database, tmp_path: Path) -> None:
    """By a newer scalesync: older files have NULL in it."""
    history = History(database, 8)
    for _ in range(10):
        history.step()
    published(database, tmp_path)
    table = tmp_path / "annotations"
    log = table / "_delta_log" / f"{0:020}.json"
    # As an older scalesync would have made it: without `label`.
    log.write_text(
        log.read_text().replace(
            r"{\"name\":\"label\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},", ""
        )
    )
    assert "label" not in DeltaTable(table).to_pyarrow_table().column_names
    history.step("create")
    published(database, tmp_path)
    assert "label" in DeltaTable(table).to_pyarrow_table().column_names
    assert list(same(database, tmp_path)) == []


def test_compacting_and_vacuuming_change_no_row(database: Database, tmp_path: Path) -> None:
    """Nor does either keep the next publication from finding its files."""
    history = History(database, 9, names=("p", 'a/b "é" = 100%', "x%2Fy", ".."))
    for _ in range(4):
        for _ in range(5):
            history.step()
        published(database, tmp_path, compact=True)
        # What others do to a table: every file is written anew, at a path with the partition's names in it.
        DeltaTable(tmp_path / "tasks").optimize.z_order(["task_id"])
        assert list(same(database, tmp_path)) == []
    with pytest.raises(ConfigurationError, match="7d"):
        published(database, tmp_path, vacuum=timedelta(0))
    left = tmp_path / "tasks" / "part-left-by-a-kill.parquet"
    left.write_bytes(b"x")
    done = published(database, tmp_path, vacuum=timedelta(0), short_retention=True)
    assert done.deleted_files["tasks"] > 0
    assert not left.exists()
    assert list(same(database, tmp_path)) == []


def test_a_name_too_long_for_compacting_is_refused_before_anything_is_published(
    database: Database, tmp_path: Path
) -> None:
    """Deltalake would name a directory by it."""
    history = History(database, 10, names=("語" * 90,))
    for _ in range(3):
        history.step("create")
    with pytest.raises(ConfigurationError, match="nothing was published"):
        published(database, tmp_path, compact=True)
    assert not list(tmp_path.rglob("*.parquet"))


def test_times_of_views_keep_their_microseconds(database: Database, tmp_path: Path) -> None:
    """As rows and as bounds, by which engines skip files."""
    with database.write() as conn:
        for number in range(3):
            enqueue(conn, new_commands.create_task("textcollection", {"unique_id": str(number)}))
    with database.read() as conn, closing(rows(conn, "submissions")) as exported:
        at = [column.name for column in exported.columns].index("queued_at")
        queued = sorted(row[at] for row in exported.rows)
    published(database, tmp_path, views=("submissions",))

    table = DeltaTable(tmp_path / "submissions")
    found = sorted(table.to_pyarrow_table()["queued_at"].to_pylist())
    assert found == queued
    bounds = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    assert [each["max.queued_at"] for each in bounds] == [found[-1]]
