"""Parquet as people read it: through DuckDB and pyarrow, from both databases alike."""

import csv
import io
import json
import stat
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import dataset
from pyarrow import parquet as pq

from scalesync.cli.export import TABLES, VIEWS
from scalesync.db.database import Database
from scalesync.errors import ConfigurationError
from scalesync.export import parquet
from scalesync.export.counts import ExportCounts
from scalesync.export.exporter import Export, Exporter, Format
from scalesync.models.columns import Column, ColumnKind
from scalesync.timestamps import format_instant
from tests.support.databases import opened
from tests.support.export_account import ODD, filled, ways_out

INSTANT = pa.timestamp("ms", tz="UTC")


@pytest.fixture
def ways(database: Database) -> Exporter:
    """Return the ways out of a database with the account in it."""
    return ways_out(filled(database))


def table_of(ways: Exporter, name: str) -> pa.Table:
    """Return a table or view as pyarrow reads it from its file."""
    file = io.BytesIO()
    ways.parquet(Export(name, Format.PARQUET), file, ExportCounts())
    return pq.read_table(file)


def lines_of(ways: Exporter, name: str, as_what: Format) -> list[bytes]:
    """Return a table or view as lines."""
    return list(ways.lines(Export(name, as_what), ExportCounts()))


def as_json(value: Any) -> Any:
    """Return a value of Parquet as JSON lines have it."""
    if isinstance(value, datetime):
        return format_instant(value)
    return value.isoformat() if isinstance(value, date) else value


def test_columns_have_proper_types(ways: Exporter) -> None:
    """Numbers, truths, times and days are what they are; JSON is text."""
    types = {field.name: field.type for field in table_of(ways, "tasks").schema}
    types |= {field.name: field.type for field in table_of(ways, "annotations").schema}
    types |= {field.name: field.type for field in table_of(ways, "daily_throughput").schema}
    types |= {field.name: field.type for field in table_of(ways, "batch_progress").schema}
    expected = {
        "task_id": pa.string(), "is_test": pa.bool_(), "priority": pa.int64(), "created_at": INSTANT,
        "params": pa.string(), "ordinal": pa.int64(), "left": pa.float64(), "vertices": pa.string(),
        "day": pa.date32(), "created": pa.int64(), "share_done": pa.float64(), "last_completed_at": INSTANT,
    }  # fmt: skip
    assert {name: types[name] for name in expected} == expected


def test_both_databases_give_the_same_schema(sqlite_url: str, postgres_url: str) -> None:
    """Of every table and view, with rows or without: what the first rows hold decides nothing."""
    with opened(sqlite_url) as one, opened(postgres_url) as other:
        for name in (*TABLES, *VIEWS):
            schemas = [table_of(ways_out(each), name).schema for each in (one, other)]
            filled_ones = [table_of(ways_out(filled(one)), name).schema] if name in VIEWS else []
            assert all(schema == schemas[0] for schema in schemas + filled_ones), name


def test_jsonl_csv_and_parquet_hold_the_same(ways: Exporter) -> None:
    """Row by row and value by value, of tables and views that have any."""
    for name in ("annotations", "project_versions", "task_changes", *VIEWS):
        table = table_of(ways, name)
        rows = table.to_pylist()
        objects = [json.loads(line) for line in lines_of(ways, name, Format.JSONL)]
        nested = {
            column
            for column in ("vertices", "attributes", "extra", "params", "response")
            if column in table.column_names
        }
        assert [
            {
                column: json.loads(value) if value and column in nested else as_json(value)
                for column, value in row.items()
            }
            for row in rows
        ] == objects
        text = b"\n".join(lines_of(ways, name, Format.CSV)).decode()
        names, *cells = csv.reader(io.StringIO(text, newline=""))
        assert names == table.column_names
        assert cells == [[as_cell(each) for each in line.values()] for line in plain(rows)]


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with times and days as text."""
    return [{name: as_json(value) for name, value in row.items()} for row in rows]


def as_cell(value: Any) -> str:
    """Return a value as a cell of CSV."""
    if isinstance(value, str) and value.startswith("="):
        return f"'{value}"
    return "" if value is None else str(value)


def asked(query: str) -> list[tuple[Any, ...]]:
    """Return what DuckDB answers."""
    with duckdb.connect() as connection:
        return list(connection.execute(query).fetchall())


def test_duckdb_reads_a_file(ways: Exporter, tmp_path: Path) -> None:
    """With the types it needs to compute."""
    path = tmp_path / "drawn.parquet"
    with path.open("wb") as file:
        ways.parquet(Export("annotations", Format.PARQUET), file, tally := ExportCounts())
    query = (
        f"SELECT label, count(*), sum(width), typeof(any_value(ordinal)) FROM '{path}' GROUP BY 1 ORDER BY 1"
    )
    assert tally.written == 5
    assert asked(query) == [
        ("bus", 1, 10.0, "BIGINT"),
        ("car", 3, 10.0, "BIGINT"),
        (None, 1, 10.0, "BIGINT"),
    ]


def test_partitions_are_read_by_duckdb_and_pyarrow(ways: Exporter, tmp_path: Path) -> None:
    """By project, whatever its name, and month; what has neither is NULL."""
    (there := tmp_path / "tasks").mkdir(mode=0o700)
    ways.partitions(Export("tasks", Format.PARQUET), there, tally := ExportCounts())
    read = f"read_parquet('{there}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
    found = asked(f"SELECT task_id, project, month, typeof(created_at) FROM {read} ORDER BY 1")
    assert found == [
        ("a", "p", "2026-01", "TIMESTAMP WITH TIME ZONE"),
        ("b", ODD, "2026-01", "TIMESTAMP WITH TIME ZONE"),
        ("c", "p", "2026-02", "TIMESTAMP WITH TIME ZONE"),
        ("d", None, None, "TIMESTAMP WITH TIME ZONE"),
        ("e", "p", "2026-02", "TIMESTAMP WITH TIME ZONE"),
    ]
    hive = dataset.partitioning(pa.schema([("project", pa.string()), ("month", pa.string())]), flavor="hive")
    table = dataset.dataset(there, partitioning=hive).to_table(columns=["task_id", "project", "month"])
    assert sorted(tuple(row.values()) for row in table.to_pylist()) == [row[:3] for row in found]
    assert (tally.written, parquet.holds_partitions(there)) == (5, True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in there.rglob("*")}
    assert modes == {0o600, 0o700}


def test_annotations_are_partitioned_by_their_task(ways: Exporter, tmp_path: Path) -> None:
    """The paths say it; the files have every column but the project."""
    ways.partitions(Export("annotations", Format.PARQUET), tmp_path, ExportCounts())
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet"))
    odd = "project=A%2Fb%20100%25%20%22%C3%A9%22%2C%20%3Dx%0A"
    assert found == [
        f"{odd}/month=2026-01/part-0.parquet",
        "project=p/month=2026-01/part-0.parquet",
        "project=p/month=2026-02/part-0.parquet",
    ]


N = Column("n", ColumnKind.INTEGER)


def partitioned(directory: Path, *projects: str | None) -> list[tuple[object, ...]]:
    """Return number, project and whole name, as DuckDB reads the rows that these projects have, one each."""
    parquet.write_partitions(directory, [N], [(name, "2026-01", n) for n, name in enumerate(projects, 1)])
    read = f"read_parquet('{directory}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
    return asked(f"SELECT n, project, project_name FROM {read} ORDER BY 1")


def test_projects_are_read_with_the_names_they_have(tmp_path: Path) -> None:
    """Also one that is named like NULL, like a directory or a number, with nothing, or with other letters."""
    null = "__HIVE_DEFAULT_PARTITION__"
    names = [None, null, null.lower(), "NULL", "null", "", ".", "..", "7", "a", "A", "a b", "a+b", "a%20b"]
    assert partitioned(tmp_path, *names) == [(n, name, name) for n, name in enumerate(names, 1)]
    read = dataset.dataset(tmp_path, partitioning=dataset.partitioning(flavor="hive")).to_table()
    assert {row["n"]: row["project_name"] for row in read.to_pylist()} == dict(enumerate(names, 1))


def test_a_name_too_long_for_a_directory_is_shortened(tmp_path: Path) -> None:
    """Each to a name of its own, cut between letters; the files have the whole."""
    cyrillic = "Улица ночью: разметка пешеходов и автомобилей"
    names = ["a" * 247, "a" * 248, "a" * 247 + "b", "b" * 10_000, cyrillic, cyrillic + "!"]
    found = partitioned(tmp_path, *names)

    assert [name for _, _, name in found] == names
    short = [str(project) for _, project, _ in found]
    assert (short[0], len(set(short))) == (names[0], len(names))
    assert [name.startswith(project.split("@")[0]) for name, project in zip(names, short, strict=True)] == [
        True
    ] * len(names)
    assert max(len(path.name) for path in tmp_path.iterdir()) == 255
    assert parquet.holds_partitions(tmp_path)


def test_names_that_a_file_system_takes_for_one_are_kept_apart(tmp_path: Path) -> None:
    """As `A` and `a` on many: the second has a directory of its own, with its name in the files."""
    (tmp_path / "project=a").mkdir()
    assert parquet.write_partitions(tmp_path, [N], [("a", "2026-01", 1), ("b", "2026-01", 2)]) == 1
    (path,) = tmp_path.glob("project=a@*/month=2026-01/part-0.parquet")
    assert pq.read_table(path, partitioning=None).to_pylist() == [{"project_name": "a", "n": 1}]


def test_what_holds_anything_else_is_no_dataset(tmp_path: Path) -> None:
    """A file, a directory or a link of another name, at any level."""
    month = tmp_path / "project=p" / "month=2026-01"
    month.mkdir(parents=True)
    (month / "part-0.parquet").touch()
    assert parquet.holds_partitions(tmp_path)
    for other in (tmp_path / "notes.txt", month.parent / "month=x", month / "part-1.parquet"):
        other.touch()
        assert not parquet.holds_partitions(tmp_path)
        other.unlink()
    (tmp_path / "project=q").symlink_to(month.parent)
    assert not parquet.holds_partitions(tmp_path)


def test_row_groups_are_bounded_by_bytes() -> None:
    """Of 50 MB of text a part is held at a time, and large documents make small groups."""

    def rows() -> Iterator[tuple[str]]:
        for number in range(5_000):
            yield (f"{number:05}" * 2_000,)

    file = io.BytesIO()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    parquet.write(file, [Column("t", ColumnKind.TEXT)], rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    groups = pq.ParquetFile(file).metadata.num_row_groups
    assert (groups, pa.total_allocated_bytes() - before) == (2, 0)
    assert peak < 15_000_000


def test_instants_keep_their_milliseconds() -> None:
    """And lose what is finer, as everywhere."""
    file = io.BytesIO()
    at = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    parquet.write(
        file, [Column("at", ColumnKind.INSTANT), Column("b", ColumnKind.BYTES)], [(at, b"x"), (None, None)]
    )
    assert pq.read_table(file).to_pylist() == [
        {"at": at.replace(microsecond=678_000), "b": b"x"},
        {"at": None, "b": None},
    ]


def test_without_pyarrow_it_is_said_how_to_get_it(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with opened(sqlite_url) as database, pytest.raises(ConfigurationError, match="pyarrow") as refusal:
        ways_out(database).partitions(Export("tasks", Format.PARQUET), tmp_path, ExportCounts())
    assert "pip install '.[parquet]'" in refusal.value.advice
