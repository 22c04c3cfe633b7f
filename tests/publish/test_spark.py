"""Spark itself reads what is published, where one is installed: Java, and SPARK_HOME in the environment."""

import os
import pickle
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from tests.publish.histories import History
from tests.publish.published import TABLES, mirrored, published, sorted_rows
from tests.support.databases import opened

_SUBMIT = Path(os.environ.get("SPARK_HOME", "/nowhere"), "bin", "spark-submit")
_OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


@pytest.mark.skipif(not _SUBMIT.exists(), reason="SPARK_HOME names no Spark")
@pytest.mark.skipif(which("java") is None, reason="Spark needs Java")
def test_spark_reads_the_files_of_a_manifest(sqlite_url: str, tmp_path: Path) -> None:
    """With the columns of their directories; names beyond ASCII are right in `project_name` only."""
    with opened(sqlite_url) as database:
        history = History(database, 51)
        for _ in range(2):
            for _ in range(8):
                history.step()
            published(database, tmp_path / "files", "parquet")
        wanted = {name: mirrored(database, name) for name in TABLES}
    options = [word for name, value in _OPTIONS.items() for word in ("--conf", f"{name}={value}")]
    program = [
        str(Path(__file__).with_name("spark_reader.py")),
        str(tmp_path / "files"),
        str(tmp_path / "rows"),
    ]
    subprocess.run(
        [str(_SUBMIT), "--master", "local[1]", *options, *program],
        check=True,
        capture_output=True,
        env={**os.environ, "TZ": "UTC"},
    )
    found = pickle.loads((tmp_path / "rows").read_bytes())
    for name in TABLES:
        rows = [{column: _in_utc(value) for column, value in row.items()} for row in found[name]]
        for row in [*rows, *wanted[name]]:
            if "project_name" in row and not (row["project_name"] or "").isascii():
                del row["project"]
            elif row.get("project_name") == "":
                row["project"] = None
        assert sorted_rows(name, rows) == wanted[name], name


def _in_utc(value: Any) -> Any:
    """Return an instant with the zone in which Spark has given it; anything else as it is."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
