"""Publishing notices a table that others changed since the last publication, and writes it whole."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.models.publishing import PublishFault, PublishFormat
from scalesync.publish.publisher import Publisher, PublishPlan
from scalesync.publish.target import Target
from tests.publish.histories import History
from tests.publish.published import manifest, published, same
from tests.publish.test_publish_interrupted import stuck_after_the_commit
from tests.support.databases import opened


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Return a mirror: what is tested here lies in its tables elsewhere, and is the same for Postgres."""
    with opened(sqlite_url) as found:
        yield found


def faults(database: Database, target: Path, form: str) -> dict[str, str]:
    """Publish, and return what was found to be wrong, by table."""
    found: list[object] = []
    plan = PublishPlan(Target.parse(str(target)), PublishFormat(form))
    Publisher(lambda: nullcontext(database), Clock(), lambda _: (), found.append).publish(plan)
    return {each.table: each.reason for each in found if isinstance(each, PublishFault)}


def filled(database: Database, seed: int) -> History:
    """Return a history of a few dozen changes."""
    # Other engines write paths with the names of projects in them, which must not be too long.
    history = History(database, seed, names=("p", 'a/b "é" = 100%', "x%2Fy", ".."))
    for kind in [*["create"] * 8, "batches", "projects", *[None] * 8]:
        history.step(kind)
    return history


def restore(table: DeltaTable) -> None:
    """Go back to the first version."""
    table.restore(0)


def delete_some(table: DeltaTable) -> None:
    """Delete one task."""
    task = table.to_pyarrow_table().column("task_id")[0].as_py()
    table.delete(f"task_id = '{task}'")


def delete_all(table: DeltaTable) -> None:
    """Delete every row."""
    table.delete()


def append(table: DeltaTable) -> None:
    """Append every row once more."""
    write_deltalake(table, table.to_pyarrow_table(), mode="append")


def overwrite(table: DeltaTable) -> None:
    """Replace the table by nothing."""
    write_deltalake(table, table.to_pyarrow_table().slice(0, 0), mode="overwrite")


def delete_and_compact(table: DeltaTable) -> None:
    """Delete a task, and hide it behind what changes no row."""
    delete_some(table)
    table.optimize.compact()
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)


@pytest.mark.parametrize(
    "act",
    [restore, delete_some, delete_all, append, overwrite, delete_and_compact],
    ids=lambda act: act.__name__,
)
def test_what_another_engine_wrote_is_noticed(
    database: Database, tmp_path: Path, act: Callable[[DeltaTable], None]
) -> None:
    """And said; the table is the mirror again, though nothing changed in the mirror."""
    history = filled(database, 41)
    published(database, tmp_path)
    history.step("create")
    published(database, tmp_path)
    act(DeltaTable(tmp_path / "tasks"))
    assert list(same(database, tmp_path)) == ["tasks"]
    assert faults(database, tmp_path, "delta") == {"tasks": "was changed by another program"}
    assert list(same(database, tmp_path)) == []
    assert faults(database, tmp_path, "delta") == {}


def test_tables_without_partitions_are_watched_too(database: Database, tmp_path: Path) -> None:
    """Their content is compared with what the log says, which a deletion does not change."""
    filled(database, 42)
    published(database, tmp_path)
    DeltaTable(tmp_path / "projects").delete()
    assert set(faults(database, tmp_path, "delta")) == {"projects"}
    assert list(same(database, tmp_path)) == []


def test_compacting_and_vacuuming_by_others_is_no_change(database: Database, tmp_path: Path) -> None:
    """However often they do: only what changed in the mirror is written."""
    history = filled(database, 43)
    published(database, tmp_path)
    for _ in range(2):
        table = DeltaTable(tmp_path / "tasks")
        table.optimize.z_order(["task_id"])
        table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
        before = DeltaTable(tmp_path / "tasks").version()
        assert faults(database, tmp_path, "delta") == {}
        assert DeltaTable(tmp_path / "tasks").version() == before
    history.step("create")
    assert faults(database, tmp_path, "delta") == {}
    assert list(same(database, tmp_path)) == []


def test_a_change_after_an_end_without_a_note_is_noticed(database: Database, tmp_path: Path) -> None:
    """The mirror does not know the version that it made, but the log does."""
    history = filled(database, 44)
    published(database, tmp_path)
    history.step("create")
    with stuck_after_the_commit(database), pytest.raises(Exception, match="stuck"):
        published(database, tmp_path)
    DeltaTable(tmp_path / "tasks").delete()
    assert set(faults(database, tmp_path, "delta")) == {"tasks"}
    assert list(same(database, tmp_path)) == []


@pytest.mark.parametrize("form", ["delta", "parquet"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")], ids=["lost", "cut"])
def test_a_lost_data_file_is_noticed(
    database: Database, tmp_path: Path, form: str, damage: Callable[[Path], object]
) -> None:
    """Of a table with partitions or without."""
    filled(database, 45)
    published(database, tmp_path, form)
    for name in ("annotations", "batches"):
        damage(next((tmp_path / name).rglob("*.parquet")))
    found = faults(database, tmp_path, form)
    assert set(found) == {"annotations", "batches"}
    assert "lacks 1 of its" in found["annotations"]
    assert list(same(database, tmp_path, form)) == []


def test_a_lost_checkpoint_or_commit_is_noticed(database: Database, tmp_path: Path) -> None:
    """If the last commit was ours and somebody removed it, the table is an older one: it is brought up."""
    history = filled(database, 46)
    for _ in range(2):
        published(database, tmp_path)
        history.step("create")
    published(database, tmp_path)
    newest = max((tmp_path / "tasks" / "_delta_log").glob("*.json"))
    newest.unlink()
    published(database, tmp_path)
    assert list(same(database, tmp_path)) == []


def test_what_lies_beside_the_files_of_a_manifest_is_no_fault(database: Database, tmp_path: Path) -> None:
    """Nor is an empty table."""
    published(database, tmp_path, "parquet")
    assert faults(database, tmp_path, "parquet") == {}
    filled(database, 47)
    published(database, tmp_path, "parquet")
    (tmp_path / "tasks" / "notes.txt").write_text("mine")
    before = manifest(tmp_path, "tasks")
    assert faults(database, tmp_path, "parquet") == {}
    assert manifest(tmp_path, "tasks") == before
