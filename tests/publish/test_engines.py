"""What other engines read of published tables is the mirror, row by row.

Thirty random histories: every version of some, and the last one of all. SCALESYNC_TEST_EVERY_VERSION=yes has
every version of all, in seven minutes.
"""

import os
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import eq, ge, lt
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from scalesync.db.database import Database
from scalesync.db.export.rows import rows
from scalesync.db.schema.views import VIEWS
from scalesync.export.arrow import arrow_schema, record_batches
from scalesync.models.publishing import PARTITIONED
from tests.publish.engines import WITHOUT_DIRECTORIES, Engines, Filter, listed
from tests.publish.histories import History
from tests.publish.published import TABLES, Rows, mirrored, published, sorted_rows
from tests.publish.test_publish_interrupted import kill_after
from tests.support.databases import opened

Versions = dict[tuple[str, int | None], Rows]
"""Rows by table and version; None: the last one."""
_EVERY = "SCALESYNC_TEST_EVERY_VERSION" in os.environ
_MISREAD = ('a/b "é" = 100%', "x%2Fy", "NULL", "__HIVE_DEFAULT_PARTITION__", "語" * 90, "7", "'")
"""Names of projects that one engine or another misreads where it looks for them in a path or in SQL."""


@pytest.mark.parametrize("seed", range(100, 130))
def test_engines_read_delta_tables(
    request: pytest.FixtureRequest, tmp_path: Path, engines: Engines, seed: int
) -> None:
    """After the last of two publications; of some at every version, those of killed publications included."""
    every, kept, draw = _EVERY or seed % 10 == 0, Versions(), random.Random(seed)
    url = request.getfixturevalue("postgres_url" if seed % 4 < 2 else "sqlite_url")
    with opened(url) as database:
        history = History(database, seed)
        for _ in range(4 if every else 2):
            for _ in range(5):
                history.step()
            if every:
                kill_after(draw.uniform(0, 0.2), url, tmp_path, "delta")
                note_versions(kept, database, tmp_path)
                history.step()
            published(database, tmp_path)
            note_versions(kept, database, tmp_path)
        last: Versions = {(name, None): mirrored(database, name) for name in TABLES}
    for engine, read in engines.delta.items():
        for (name, version), wanted in (last | kept if every else last).items():
            found = read(str(tmp_path / name), version, None).to_pylist()
            assert sorted_rows(name, found) == wanted, (engine, name, version)


def note_versions(kept: Versions, database: Database, target: Path) -> None:
    """Keep the mirror's rows for each table that has a new version, which is the next one."""
    for name in TABLES:
        if not any((target / name / "_delta_log").glob("*.json")):
            continue
        version = DeltaTable(str(target / name)).version()
        assert version == 0 or (name, version - 1) in kept
        kept.setdefault((name, version), mirrored(database, name))


@pytest.mark.parametrize("seed", range(100, 110))
def test_engines_read_the_files_of_a_manifest(
    request: pytest.FixtureRequest, tmp_path: Path, engines: Engines, seed: int
) -> None:
    """Also where files of earlier publications lie beside them."""
    with opened(request.getfixturevalue("postgres_url" if seed % 2 else "sqlite_url")) as database:
        history = History(database, seed)
        for _ in range(2):
            for _ in range(5):
                history.step()
            published(database, tmp_path, "parquet")
        mirror = {name: mirrored(database, name) for name in TABLES}
    for name in filter(lambda name: listed(tmp_path, name), TABLES):
        for engine, read in engines.parquet.items():
            found = sorted_rows(name, read(listed(tmp_path, name), name))
            # The name of a directory may be shortened: `project_name` has it whole.
            ignored = ("project", "month") if engine in WITHOUT_DIRECTORIES else ("project",)
            assert without(ignored, found, name) == without(ignored, mirror[name], name), (engine, name)


def without(columns: tuple[str, ...], found: Rows, name: str) -> Rows:
    """Return the rows of a table about tasks without these columns."""
    ignored = columns if name in PARTITIONED else ()
    return [{column: value for column, value in row.items() if column not in ignored} for row in found]


def filters() -> list[Filter]:
    """Return filters by what the log has the values or the bounds of."""
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    return [
        *(Filter("project", eq, name) for name in _MISREAD),
        Filter("month", ge, "2026-02"),
        Filter("task_id", ge, "t0004"),
        Filter("status", eq, "pending"),
        Filter("created_at", ge, midnight),
        Filter("created_at", lt, midnight),
        Filter("created_at", eq, midnight - timedelta(milliseconds=1)),
    ]


def test_engines_skip_no_file_that_has_rows(sqlite_url: str, tmp_path: Path, engines: Engines) -> None:
    """What they keep of a filter's rows is what it keeps of all rows."""
    with opened(sqlite_url) as database:
        history = History(database, 200)
        for _ in range(12):
            history.step("create")
        published(database, tmp_path)
        all_rows = mirrored(database, "tasks")
    some = 0
    for chosen in filters():
        wanted = [row for row in all_rows if chosen.keeps(row)]
        some += bool(wanted)
        for engine, read in engines.delta.items():
            found = read(str(tmp_path / "tasks"), None, chosen).to_pylist()
            assert sorted_rows("tasks", found) == wanted, (engine, chosen)
    assert some > 9


def test_a_directory_that_was_vacuumed_is_read_by_a_pattern(
    sqlite_url: str, tmp_path: Path, engines: Engines
) -> None:
    """It has nothing but what the manifest lists, until the next publication."""
    with opened(sqlite_url) as database:
        history = History(database, 201)
        for _ in range(3):
            for _ in range(6):
                history.step()
            published(database, tmp_path, "parquet", vacuum=timedelta(0), short_retention=True)
        mirror = {name: mirrored(database, name) for name in TABLES}
    for name in filter(lambda name: listed(tmp_path, name), TABLES):
        pattern = str(tmp_path / name / ("*/*/*.parquet" if name in PARTITIONED else "*.parquet"))
        for engine in engines.parquet.keys() - set(WITHOUT_DIRECTORIES):
            found = sorted_rows(name, engines.parquet[engine]([pattern], name))
            assert without(("project",), found, name) == without(("project",), mirror[name], name), engine


def test_engines_read_every_view(database: Database, tmp_path: Path, engines: Engines) -> None:
    """With the types that exports give their columns, whichever database answers."""
    history = History(database, 202)
    for _ in range(25):
        history.step()
    published(database, tmp_path, views=tuple(VIEWS))
    some = 0
    for name in VIEWS:
        with database.read() as conn, closing(rows(conn, name)) as found:
            schema = arrow_schema(found.columns)
            batches = list(record_batches(schema, found.columns, found.rows))
        wanted = pa.Table.from_batches(batches, schema).to_pylist()
        some += bool(wanted)
        for engine, read in engines.delta.items():
            read_rows = read(str(tmp_path / name), None, None).to_pylist()
            assert in_any_order(read_rows) == in_any_order(wanted), (engine, name)
    assert some >= 10


def in_any_order(found: Rows) -> list[str]:
    """Return rows as sorted texts, with their columns by name and instants as numbers."""
    plain = [
        {name: each.timestamp() if isinstance(each, datetime) else each for name, each in row.items()}
        for row in found
    ]
    return sorted(str(sorted(row.items())) for row in plain)
