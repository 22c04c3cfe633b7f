"""The page `engines`: its examples run, and its sources for dbt name what the mirror has."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.sync import watermarks
from tests.publish.histories import History
from tests.readme import BLOCKS, marked
from tests.support.databases import opened

_QUIET = "ignore:PySpark does not yet fully support pandas:FutureWarning"


@pytest.fixture
def mirror(sqlite_template: Path, tmp_path: Path) -> Path:
    """Return a directory with a mirror of some tasks, under the name that is the default."""
    shutil.copyfile(sqlite_template, tmp_path / "scalesync.db")
    with opened(f"sqlite:///{tmp_path / 'scalesync.db'}") as database:
        history = History(database, 1)
        for _ in range(12):
            history.step()
    return tmp_path


def test_the_examples_run_one_after_the_other(mirror: Path) -> None:
    """In one process, as what they import takes seconds; warnings are errors."""
    examples = [block.code for block in BLOCKS if block.marker == "engine"]
    (mirror / "examples.py").write_text("\n".join(examples))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", _QUIET, "examples.py"],
        cwd=mirror,
        env={name: value for name, value in os.environ.items() if not name.startswith("SCALE")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(examples) == 6
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sources_of_dbt_are_tables_of_the_mirror() -> None:
    """With columns that exist."""
    (source,) = yaml.safe_load(marked("dbt sources"))["sources"]
    for table in source["tables"]:
        columns = {column["name"] for column in table["columns"]}
        assert columns <= set(metadata.tables[table["name"]].columns.keys()), table["name"]


def test_the_freshness_of_dbt_is_the_oldest_watermark(postgres_url: str) -> None:
    """What one stream is complete up to counts, if the others are ahead; without one of them nothing does."""
    (source,) = yaml.safe_load(marked("dbt sources"))["sources"]
    found = []
    with opened(postgres_url) as database, database.write() as conn:
        for stream, day in (("tasks", 2), ("batches", 1), ("projects", 3)):
            conn.execute(sa.insert(watermarks).values(stream=stream, at=datetime(2026, 3, day, tzinfo=UTC)))
            found.append(conn.execute(sa.text(source["config"]["loaded_at_query"])).scalar_one())
    assert found == [None, None, datetime(2026, 3, 1, tzinfo=UTC)]
