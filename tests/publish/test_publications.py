"""What the mirror remembers of publications, and what follows from it."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.errors import ConfigurationError, DatabaseError
from tests.publish.histories import History
from tests.publish.published import TABLES, manifest, published, same
from tests.support.databases import opened


def counted(database: Database) -> list[tuple[str, int]]:
    """Return the rows of `publications` for each table, and whether each is done."""
    query = 'SELECT "table", count(*) FROM publications WHERE published_at IS NOT NULL GROUP BY 1 ORDER BY 1'
    with database.read() as conn:
        return [(name, count) for name, count in conn.execute(text(query))]


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_a_view_that_was_published_once_keeps_up(database: Database, tmp_path: Path, form: str) -> None:
    """Also where nobody asks for it again; one that was removed stays away."""
    history = History(database, 51)
    for _ in range(6):
        history.step("create")
    published(database, tmp_path, form, views=("label_counts", "task_facts"))
    for _ in range(3):
        history.step("create")
    done = published(database, tmp_path, form)
    assert list(done.tables) == [*TABLES, "task_facts", "label_counts"]
    assert done.tables["task_facts"].rows == sum(1 for _ in rows_of(database, "task_facts"))
    assert len(rows_of(database, "task_facts")) > 8

    (tmp_path / "label_counts").rename(tmp_path / "away")
    assert list(published(database, tmp_path, form).tables) == [*TABLES, "task_facts"]
    assert not (tmp_path / "label_counts").exists()


def lose_a_file(table: Path, form: str) -> None:
    """Remove a file that counts."""
    if form == "delta":
        Path(DeltaTable(table).file_uris()[0]).unlink()
    else:
        (table / next(iter(manifest(table.parent, table.name)["partitions"]))).unlink()


def rows_of(database: Database, view: str) -> list[object]:
    """Return the rows of a view."""
    with database.read() as conn:
        return list(conn.execute(text(f"SELECT * FROM {view}")))


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_what_others_call_like_a_view_is_left_alone(sqlite_url: str, tmp_path: Path, form: str) -> None:
    """Unless it was asked for: then it is refused, as any table of theirs."""
    with opened(sqlite_url) as database:
        write_deltalake(tmp_path / "label_counts", pa.table({"mine": [1]}))
        (tmp_path / "task_facts").mkdir()
        (tmp_path / "task_facts" / "_manifest.json").write_text("{}")
        for _ in range(2):
            assert list(published(database, tmp_path, form).tables) == list(TABLES)
        assert (tmp_path / "task_facts" / "_manifest.json").read_text() == "{}"
        with pytest.raises(ConfigurationError):
            published(database, tmp_path, form, views=("label_counts", "task_facts"))
        assert DeltaTable(tmp_path / "label_counts").to_pyarrow_table().to_pylist() == [{"mine": 1}]


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_one_row_is_kept_for_each_table(database: Database, tmp_path: Path, form: str) -> None:
    """However often it was written again, also without a change, or begun in vain."""
    history = History(database, 52)
    for _ in range(3):
        history.step("create")
        published(database, tmp_path, form)
        with database.write() as conn:
            conn.execute(
                text(
                    'INSERT INTO publications (id, target, "table", change_id) '
                    'SELECT 5, target, "table", 99 FROM publications WHERE "table" = \'tasks\''
                )
            )
        lose_a_file(tmp_path / "tasks", form)
        published(database, tmp_path, form)
        assert counted(database) == [(name, 1) for name in sorted(TABLES)]
        assert list(same(database, tmp_path, form)) == []
        with database.read() as conn:
            assert conn.scalar(text("SELECT count(*) FROM publications")) == len(TABLES)


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_a_mirror_that_only_reads_publishes_nothing(postgres_url: str, tmp_path: Path, form: str) -> None:
    """Such as a standby: nothing is at the target, and what was there stays as it was."""
    with opened(postgres_url) as database:
        History(database, 53).step("create")
        published(database, tmp_path / "before", form)
        with database.write() as conn:
            name = conn.scalar(text("SELECT current_database()"))
            conn.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    with opened(postgres_url) as database:
        for target in ("before", "new"):
            there = set((tmp_path / target).rglob("*"))
            with pytest.raises(DatabaseError, match="may only be read here"):
                published(database, tmp_path / target, form)
            assert set((tmp_path / target).rglob("*")) == there


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_files_are_removed_if_the_mirror_cannot_note_them(sqlite_url: str, tmp_path: Path, form: str) -> None:
    """Because its disk is full, for example: the table stays as it was."""
    with opened(sqlite_url) as database:
        history = History(database, 54)
        history.step("create")
        published(database, tmp_path, form)
        history.step("create")
        with database.write() as conn:
            conn.execute(
                text(
                    "CREATE TRIGGER full BEFORE INSERT ON publications BEGIN SELECT RAISE(ABORT, 'full'); END"
                )
            )
        there = {path for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(DatabaseError, match="full"):
            published(database, tmp_path, form)
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == there
        if form == "parquet":
            assert manifest(tmp_path, "tasks")["partitions"]
