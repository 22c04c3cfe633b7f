"""Published Parquet files registered as Iceberg tables are the mirror."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import AlwaysTrue, EqualTo, Reference
from pyiceberg.table import Table

from scalesync.db.database import Database
from tests.publish.engines import listed
from tests.publish.histories import History
from tests.publish.published import TABLES, Rows, mirrored, published, sorted_rows


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Return a new catalog in an SQLite file."""
    warehouse = (tmp_path / "warehouse").as_uri()
    made = SqlCatalog("mirror", uri=f"sqlite:///{tmp_path / 'iceberg.db'}", warehouse=warehouse)
    made.create_namespace("scale")
    yield made
    made.close()


def register(catalog: Catalog, target: Path, name: str) -> Table | None:
    """Replace the files of a table by those of its manifest, as the page `engines` does."""
    files = listed(target, name)
    if not files:
        return None
    columns = pyarrow.parquet.read_schema(files[0])
    table = catalog.create_table_if_not_exists(f"scale.{name}", schema=columns)
    with table.update_schema() as schema:
        schema.union_by_name(columns)
    with table.transaction() as change:
        if table.current_snapshot():
            change.delete(AlwaysTrue())
        change.add_files(files, check_duplicate_files=False)
    return table


def rows_of(database: Database, name: str) -> Rows:
    """Return the rows of the mirror without what only the directories say."""
    rows = mirrored(database, name)
    named = ("project", "month") if rows and "project_name" in rows[0] else ()
    return [{column: value for column, value in row.items() if column not in named} for row in rows]


def test_registered_files_are_the_mirror(database: Database, catalog: Catalog, tmp_path: Path) -> None:
    """After each of two publications; and the snapshot between them stays what it was."""
    history, before = History(database, 41), dict[str, tuple[Any, Rows]]()
    for _ in range(2):
        for _ in range(8):
            history.step()
        published(database, tmp_path / "files", "parquet")
        for name in TABLES:
            table = register(catalog, tmp_path / "files", name)
            if table is None:
                assert rows_of(database, name) == []
                continue
            assert sorted_rows(name, table.scan().to_arrow().to_pylist()) == rows_of(database, name)
            if name in before:
                snapshot, rows = before[name]
                earlier = table.scan(snapshot_id=snapshot).to_arrow().to_pylist()
                assert sorted_rows(name, earlier) == rows
            current = table.current_snapshot()
            assert current is not None
            before[name] = (current.snapshot_id, rows_of(database, name))


def test_filters_find_the_rows_that_they_name(sqlite_url: str, catalog: Catalog, tmp_path: Path) -> None:
    """By the bounds that the catalog took from the files; after a vacuum, too."""
    from tests.support.databases import opened

    with opened(sqlite_url) as database:
        history = History(database, 42)
        for _ in range(12):
            history.step("create")
        published(database, tmp_path / "files", "parquet")
        history.step("edit")
        published(database, tmp_path / "files", "parquet", vacuum=timedelta(0), short_retention=True)
        table = register(catalog, tmp_path / "files", "tasks")
        assert table is not None
        for chosen in {row["project_name"] for row in rows_of(database, "tasks")} - {None}:
            condition = EqualTo(term=Reference("project_name"), value=chosen)
            found = table.scan(row_filter=condition).to_arrow().to_pylist()
            wanted = [row for row in rows_of(database, "tasks") if row["project_name"] == chosen]
            assert sorted_rows("tasks", found) == wanted
