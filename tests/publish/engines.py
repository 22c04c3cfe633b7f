"""Engines that read published tables in tests, by the calls that the page `engines` shows."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from scalesync.models.publishing import PARTITIONED
from tests.publish.published import Rows, manifest

_BY_DIRECTORY = {"project": pl.String, "month": pl.String}


ONLY_LOCAL = ("duckdb's delta",)
"""Engines that read no object store here: for that DuckDB needs one more extension, `httpfs`."""
WITHOUT_DIRECTORIES = ("sail",)
"""Engines that read no columns in the names of directories."""


class Filter(NamedTuple):
    """Rows whose column compares in this way with a value."""

    column: str
    compare: Callable[[Any, Any], Any]
    value: Any

    def of(self, columns: Callable[[str], Any]) -> Any:
        """Return the expression of an engine that makes one of a column's name."""
        return self.compare(columns(self.column), self.value)

    def keeps(self, row: dict[str, Any]) -> bool:
        """Return whether it holds for a row; it does not for NULL."""
        return row[self.column] is not None and bool(self.compare(row[self.column], self.value))


@contextmanager
def sail_session() -> Iterator[Any]:
    """Serve Spark's API in this process, and yield a session of its client."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(port=0)
    server.start(background=True)
    host, port = server.listening_address
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        # A process of xdist has no file of its own: the client takes that for its own doctests.
        patch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
        # Its `toPandas` is not used.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        from pyspark.sql import SparkSession

        session = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        yield session
    finally:
        session.stop()
        server.stop()


def listed(target: Path, name: str) -> list[str]:
    """Return the paths of the files in a manifest."""
    return [str(target / name / path) for path in manifest(target, name)["partitions"]]


class Engines:
    """Engines that are started once, and how each reads.

    Readers of Delta tables take an address, a version (None: the last one) and a filter of the rows.
    """

    def __init__(self, spark: Any, duck: Any) -> None:
        """Read with a session of Spark's API and a connection of DuckDB."""
        self._spark, self._duck = spark, duck
        self.delta: dict[str, Callable[[str, int | None, Filter | None], pa.Table]] = {
            "deltalake": _deltalake,
            "datafusion": _datafusion,
            "duckdb": self._duckdb,
            "duckdb's delta": self._delta_scan,
            "polars": _polars,
            "sail": self._sail,
        }
        self.parquet: dict[str, Callable[[list[str], str], Rows]] = {
            "duckdb": self._duckdb_files,
            "polars": _polars_files,
            "sail": self._sail_files,
        }

    def _duckdb(self, table: str, version: int | None, chosen: Filter | None) -> pa.Table:
        found = self._duck.from_arrow(DeltaTable(table, version=version).to_pyarrow_dataset())
        return _chosen_by_duckdb(found, chosen)

    def _delta_scan(self, table: str, version: int | None, chosen: Filter | None) -> pa.Table:
        given = "" if version is None else f", version = {version}"
        return _chosen_by_duckdb(self._duck.sql(f"FROM delta_scan('{table}'{given})"), chosen)

    def _sail(self, table: str, version: int | None, chosen: Filter | None) -> pa.Table:
        from pyspark.sql.functions import col

        reading = self._spark.read.format("delta")
        found = (reading if version is None else reading.option("versionAsOf", version)).load(table)
        return (found if chosen is None else found.where(chosen.of(col))).toArrow()

    def _duckdb_files(self, paths: list[str], name: str) -> Rows:
        query = "FROM read_parquet(?, hive_partitioning = ?, hive_types_autocast = false)"
        found: Rows = self._duck.execute(query, [paths, name in PARTITIONED]).to_arrow_table().to_pylist()
        return found

    def _sail_files(self, paths: list[str], name: str) -> Rows:  # noqa: ARG002 - directories are not read
        found: Rows = self._spark.read.parquet(*paths).toArrow().to_pylist()
        return found


def _chosen_by_duckdb(relation: Any, chosen: Filter | None) -> pa.Table:
    if chosen is not None:
        value = duckdb.ConstantExpression(chosen.value)
        relation = relation.filter(chosen.compare(duckdb.ColumnExpression(chosen.column), value))
    return relation.to_arrow_table()


def _deltalake(table: str, version: int | None, chosen: Filter | None) -> pa.Table:
    from pyarrow import dataset

    found = DeltaTable(table, version=version).to_pyarrow_dataset()
    return found.to_table(filter=None if chosen is None else chosen.of(dataset.field))


def _datafusion(table: str, version: int | None, chosen: Filter | None) -> pa.Table:
    """Read by deltalake's own engine; instants and texts are compared as literals."""
    given = DeltaTable(table, version=version)
    condition = "true"
    if chosen is not None:
        sign = {"ge": ">=", "eq": "=", "lt": "<"}[chosen.compare.__name__]
        quoted = str(chosen.value).replace("'", "''")
        condition = f"\"{chosen.column}\" {sign} '{quoted}'"
    query = f"SELECT * FROM found WHERE {condition}"
    return pa.table(QueryBuilder().register("found", given).execute(query).read_all())


def _polars(table: str, version: int | None, chosen: Filter | None) -> pa.Table:
    found = pl.scan_delta(table, version=version)
    return (found if chosen is None else found.filter(chosen.of(pl.col))).collect().to_arrow()


def _polars_files(paths: list[str], name: str) -> Rows:
    columns = _BY_DIRECTORY if name in PARTITIONED else None
    found = pl.scan_parquet(paths, hive_partitioning=name in PARTITIONED, hive_schema=columns)
    rows: Rows = found.collect().to_arrow().to_pylist()
    return rows
