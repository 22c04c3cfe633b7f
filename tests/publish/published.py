"""Publish a mirror, and read what was published as other engines do."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from pyarrow import dataset

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.schema.partial_indexes import metadata
from scalesync.models.publishing import PARTITIONED, WHOLE, Publication, PublishFormat
from scalesync.publish.publisher import Publisher, PublishPlan
from scalesync.publish.target import Target
from tests.publish.histories import expected

TABLES = (*PARTITIONED, *WHOLE)
Rows = list[dict[str, Any]]


def published(database: Database, target: Path, format: str = "delta", **options: Any) -> Publication:  # noqa: A002
    """Publish an open database."""
    plan = PublishPlan(Target.parse(str(target)), PublishFormat(format), **options)
    return Publisher(lambda: nullcontext(database), Clock(), lambda _: (), lambda _: None).publish(plan)


def delta(target: Path | str, name: str, version: int | None = None) -> Rows:
    """Return the rows of a Delta table, in the order of the table's key."""
    return sorted_rows(name, DeltaTable(f"{target}/{name}", version=version).to_pyarrow_table().to_pylist())


def parquet(target: Path, name: str) -> Rows:
    """Return the rows of the files in a manifest, in the order of the table's key."""
    paths = [str(target / name / path) for path in manifest(target, name)["partitions"]]
    if not paths:
        return []
    columns = pa.schema([("project", pa.string()), ("month", pa.string())])
    directories = dataset.partitioning(columns if name in PARTITIONED else None, flavor="hive")
    found = dataset.dataset(paths, partitioning=directories, partition_base_dir=str(target / name))
    return sorted_rows(name, found.to_table().to_pylist())


def manifest(target: Path, name: str) -> dict[str, Any]:
    """Return the manifest of a table of Parquet files."""
    read: dict[str, Any] = json.loads((target / name / "_manifest.json").read_text())
    return read


def mirrored(database: Database, name: str) -> Rows:
    """Return what a published table has to hold, without the directory's name of the project."""
    rows = expected(database, name)
    if name in PARTITIONED:
        rows = [{**row, "project": row["project_name"] or None} for row in rows]
    return rows


def sorted_rows(name: str, rows: Rows) -> Rows:
    """Return the rows of a table in the order of its key."""
    key = [column.name for column in metadata.tables[name].primary_key]
    return sorted(rows, key=lambda row: [row[column] for column in key])


def same(database: Database, target: Path | str, format: str = "delta") -> Iterator[str]:  # noqa: A002
    """Yield the tables whose published rows are not those of the mirror."""
    for name in TABLES:
        read = delta(target, name) if format == "delta" else parquet(Path(target), name)
        wanted = mirrored(database, name)
        if format == "parquet":
            # Names of directories may be shortened: the column has the whole name.
            read, wanted = _by_true_names(read), _by_true_names(wanted)
        if read != wanted:
            yield name


def _by_true_names(rows: Rows) -> Rows:
    return [{**row, "project": row.get("project_name", row.get("project"))} for row in rows]
