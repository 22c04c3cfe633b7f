"""What other engines read of published tables is the mirror, row by row.

Thirty random histories: every version of some, and the last one of all.
"""

from datetime import UTC, datetime, timedelta
from operator import eq, ge, lt
from pathlib import Path

import pytest

from scalesync.models.publishing import PARTITIONED
from tests.publish.engines import WITHOUT_DIRECTORIES, Engines, Filter, listed
from tests.publish.histories import History
from tests.publish.published import TABLES, Rows, mirrored, published, sorted_rows
from tests.support.databases import opened

_MISREAD = ('a/b "é" = 100%', "x%2Fy", "NULL", "__HIVE_DEFAULT_PARTITION__", "語" * 90, "7", "'")
"""Names of projects that one engine or another misreads where it looks for them in a path or in SQL."""


@pytest.mark.parametrize("seed", range(100, 130))
def test_engines_read_delta_tables(
    request: pytest.FixtureRequest, tmp_path: Path, engines: Engines, seed: int
) -> None:
    """After the last of two publications; of every tenth history at each of four versions."""
    every, kept = seed % 10 == 0, dict[tuple[str, int | None], Rows]()
    with opened(request.getfixturevalue("postgres_url" if seed % 4 < 2 else "sqlite_url")) as database:
        history = History(database, seed)
        for _ in range(4 if every else 2):
            for _ in range(5):
                history.step()
            done = published(database, tmp_path)
            kept |= {(name, done.tables[name].version): mirrored(database, name) for name in TABLES}
        last: dict[tuple[str, int | None], Rows] = {(name, None): mirrored(database, name) for name in TABLES}
    for engine, read in engines.delta.items():
        for (name, version), rows in (last | kept if every else last).items():
            found = read(str(tmp_path / name), version, None).to_pylist()
            assert sorted_rows(name, found) == rows, (engine, name, version)


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
        rows = {name: mirrored(database, name) for name in TABLES}
    for name in filter(lambda name: listed(tmp_path, name), TABLES):
        for engine, read in engines.parquet.items():
            found = sorted_rows(name, read(listed(tmp_path, name), name))
            # The name of a directory may be shortened: `project_name` has it whole.
            ignored = ("project", "month") if engine in WITHOUT_DIRECTORIES else ("project",)
            assert without(ignored, found, name) == without(ignored, rows[name], name), (engine, name)


def without(columns: tuple[str, ...], rows: Rows, name: str) -> Rows:
    """Return the rows of a table about tasks without these columns."""
    ignored = columns if name in PARTITIONED else ()
    return [{column: value for column, value in row.items() if column not in ignored} for row in rows]


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
        rows = mirrored(database, "tasks")
    some = 0
    for chosen in filters():
        wanted = [row for row in rows if chosen.keeps(row)]
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
        rows = {name: mirrored(database, name) for name in TABLES}
    for name in filter(lambda name: listed(tmp_path, name), TABLES):
        pattern = str(tmp_path / name / ("*/*/*.parquet" if name in PARTITIONED else "*.parquet"))
        for engine in engines.parquet.keys() - set(WITHOUT_DIRECTORIES):
            found = sorted_rows(name, engines.parquet[engine]([pattern], name))
            assert without(("project",), found, name) == without(("project",), rows[name], name), engine
