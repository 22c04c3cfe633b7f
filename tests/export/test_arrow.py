"""Tables, views and SQL results as Arrow data, in constant memory, for the libraries that read it."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import LIVE_KEY


@pytest.fixture
def mirror(shared_sandbox: SandboxServer, database_url: str) -> Mirror:
    """Return a synced mirror of a thousand tasks, on each database."""
    mirror = Mirror(database_url, api_key=LIVE_KEY, api_url=shared_sandbox.url)
    assert mirror.sync().complete
    return mirror


def _exported(mirror: Mirror, table: str, **filters: Any) -> list[dict[str, Any]]:
    file = io.BytesIO()
    mirror.export(table, file, **filters)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_rows_are_those_of_the_export(mirror: Mirror) -> None:
    """Of tables and views, with its filters; instants as instants."""
    shapes = mirror.rows("annotations", status="completed").read_all()
    exported = _exported(mirror, "annotations", status="completed")
    assert shapes.num_rows == len(exported) > 1_000
    assert shapes.column("label").to_pylist() == [row["label"] for row in exported]
    assert shapes.column("left").to_pylist() == [row["left"] for row in exported]
    facts = mirror.rows("task_facts").read_all()
    assert facts.num_rows == len(_exported(mirror, "task_facts"))
    first = mirror.rows("tasks", limit=1).read_all().to_pylist()[0]["created_at"]
    assert isinstance(first, datetime)
    assert first.tzinfo is not None


def test_batches_are_read_as_they_are_wanted(mirror: Mirror) -> None:
    """Of one that is closed early nothing keeps the database busy."""
    reader = mirror.rows("annotations")
    assert 0 < reader.read_next_batch().num_rows <= 1_000
    reader.close()
    del reader
    mirror.create_batch("B", "P")
    assert mirror.queue.depth()[0].open == 1


def test_sql_results_go_to_libraries_as_they_are(mirror: Mirror) -> None:
    """Pyarrow and duckdb take the result itself; it still is an iterator of dicts."""
    statement = (
        "SELECT project, count(*) AS n, avg(priority) AS p FROM tasks GROUP BY project ORDER BY project"
    )
    rows = list(mirror.sql(statement))
    table = pa.table(mirror.sql(statement))
    assert [table.column(name).to_pylist() for name in ("project", "n")] == [
        [row[name] for row in rows] for name in ("project", "n")
    ]
    reader = mirror.sql(statement).arrow()
    with duckdb.connect() as db:
        [(total,)] = db.from_arrow(reader).aggregate("sum(n)").fetchall()
    assert total == 1_000


def test_a_table_without_rows_has_its_columns(mirror: Mirror) -> None:
    """So has a result."""
    assert mirror.rows("commands").read_all().num_rows == 0
    assert "payload" in mirror.rows("commands").schema.names
    assert pa.table(mirror.sql("SELECT task_id FROM tasks WHERE 1 = 0")).column_names == ["task_id"]


def test_kinds_of_values_are_kept(mirror: Mirror) -> None:
    """Nothing, numbers, texts, bytes; types by the first value where none is declared."""
    statement = "SELECT NULL AS a, 1 AS b, 1.5 AS c, 'x' AS d UNION ALL SELECT 'later', 2, 2.5, NULL"
    rows = sorted(pa.table(mirror.sql(statement)).to_pylist(), key=str)
    assert [(row["b"], float(row["c"]), row["d"]) for row in rows] == [(2, 2.5, None), (1, 1.5, "x")]
    when = next(iter(mirror.rows("tasks", limit=1).read_all().to_pylist()))["synced_at"]
    assert when.astimezone(UTC).year > 2024


def test_wrong_requests_are_refused(mirror: Mirror) -> None:
    """In one sentence."""
    with pytest.raises(ConfigurationError, match="no table or view 'nothing'"):
        mirror.rows("nothing")
    with pytest.raises(ConfigurationError, match="does not apply"):
        mirror.rows("runs", status="completed")
    with pytest.raises(ConfigurationError):
        mirror.sql("DELETE FROM tasks").arrow()
    if mirror.status().database.startswith("/"):
        mixed = mirror.sql("SELECT 1 AS n UNION ALL SELECT 'one'")
        with pytest.raises((pa.ArrowInvalid, ConfigurationError), match="'n' begins with"):
            mixed.arrow().read_all()
