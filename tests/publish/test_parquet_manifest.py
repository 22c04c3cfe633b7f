"""Parquet files with a manifest: what it lists is the mirror, however the files beside it came there."""

import fcntl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.errors import AlreadyRunningError, ConfigurationError
from scalesync.models.publishing import PARTITIONED, PublishFormat, PublishWaiting
from scalesync.publish.publisher import Publisher, PublishPlan
from scalesync.publish.target import Target
from tests.publish.histories import History
from tests.publish.published import TABLES, manifest, published, same
from tests.support.databases import opened


@pytest.mark.parametrize("seed", range(2))
def test_the_files_of_the_manifest_are_the_mirror(database: Database, tmp_path: Path, seed: int) -> None:
    """With rows and hashes; what was listed before is still there, for readers of an older manifest."""
    history, before = History(database, seed), set[str]()
    for _ in range(4):
        for _ in range(6):
            history.step()
        published(database, tmp_path, "parquet")
        assert list(same(database, tmp_path, "parquet")) == []
        for name in TABLES:
            for path, said in manifest(tmp_path, name)["partitions"].items():
                content = (tmp_path / name / path).read_bytes()
                rows = pyarrow.parquet.ParquetFile(tmp_path / name / path).metadata.num_rows
                assert said == {"rows": rows, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        assert all((tmp_path / "tasks" / path).exists() for path in before)
        before |= set(manifest(tmp_path, "tasks")["partitions"])


def test_only_touched_partitions_get_new_files(database: Database, tmp_path: Path) -> None:
    """All others keep theirs; and nothing changes if nothing did."""
    history = History(database, 5)
    for _ in range(20):
        history.step()
    published(database, tmp_path, "parquet")
    for _ in range(5):
        before = {name: manifest(tmp_path, name) for name in TABLES}
        history.step()
        done = published(database, tmp_path, "parquet")
        for name in PARTITIONED:
            gone = set(before[name]["partitions"]) - set(manifest(tmp_path, name)["partitions"])
            assert len({path.rpartition("/")[0] for path in gone}) <= done.tables[name].partitions
            if done.tables[name].partitions == 0:
                assert manifest(tmp_path, name) == before[name]


def test_another_engine_reads_the_names_of_projects(database: Database, tmp_path: Path) -> None:
    """From the directories, as they are; and of any length from the column beside them."""
    history = History(database, 6, names=("p", 'a/b "é" = 100%', "x%2Fy", "..", "NULL", "#?&+"))
    for chosen in [*["create"] * 10, *[None] * 20]:
        history.step(chosen)
    published(database, tmp_path, "parquet")
    paths = [str(tmp_path / "tasks" / path) for path in manifest(tmp_path, "tasks")["partitions"]]
    query = (
        "SELECT count(*), count(*) FILTER (project IS DISTINCT FROM project_name) "
        "FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false)"
    )
    rows, differing = duckdb.connect().execute(query, [paths]).fetchall()[0]
    assert rows > 5
    assert differing == 0


def test_a_vacuum_deletes_what_no_manifest_lists(database: Database, tmp_path: Path) -> None:
    """If it is old enough, also what a killed publication left; and nothing that is not ours."""
    history = History(database, 7)
    for _ in range(20):
        history.step()
    published(database, tmp_path, "parquet")
    for _ in range(5):
        history.step("edit")
    (tmp_path / "tasks" / "notes.txt").write_text("mine")
    done = published(database, tmp_path, "parquet", vacuum=timedelta(days=7))
    assert sum(done.deleted_files.values()) == 0
    done = published(database, tmp_path, "parquet", vacuum=timedelta(0), short_retention=True)
    assert done.deleted_files["tasks"] > 0
    assert list(same(database, tmp_path, "parquet")) == []
    there = {str(path.relative_to(tmp_path / "tasks")) for path in (tmp_path / "tasks").rglob("*.parquet")}
    assert there == set(manifest(tmp_path, "tasks")["partitions"])
    assert (tmp_path / "tasks" / "notes.txt").exists()


def test_two_forms_do_not_share_a_directory(database: Database, tmp_path: Path) -> None:
    """Nor does either with files of somebody else."""
    published(database, tmp_path / "a", "parquet")
    published(database, tmp_path / "b", "delta")
    for target, form in (("a", "delta"), ("b", "parquet")):
        with pytest.raises(ConfigurationError, match="does not belong to a table of this form"):
            published(database, tmp_path / target, form)
    (tmp_path / "c" / "tasks").mkdir(parents=True)
    (tmp_path / "c" / "tasks" / "thesis.tex").touch()
    for form in ("delta", "parquet"):
        with pytest.raises(ConfigurationError, match="thesis"):
            published(database, tmp_path / "c", form)


def test_the_tables_of_another_mirror_are_refused(database: Database, tmp_path: Path) -> None:
    """And stay as they are."""
    published(database, tmp_path, "parquet")
    with database.write() as conn:
        conn.exec_driver_sql("UPDATE publisher SET name = 'another'")
    with pytest.raises(ConfigurationError, match="not published by this mirror"):
        published(database, tmp_path, "parquet")


class HurryingClock(Clock):
    """A clock on which a sleep takes no time; what it was asked to sleep is what it shows."""

    slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Count."""
        object.__setattr__(self, "slept", self.slept + seconds)


@contextmanager
def busy(target: Path) -> Iterator[None]:
    """Hold the lock of a table, as another publisher does."""
    with (target / "tasks" / ".scalesync-lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def test_one_at_a_time_publishes_to_a_directory(sqlite_url: str, tmp_path: Path) -> None:
    """A second one waits for ten minutes, says so every half a minute, and ends with 6."""
    plan = PublishPlan(Target.parse(str(tmp_path)), PublishFormat.PARQUET)
    events: list[object] = []
    clock = HurryingClock()
    with opened(sqlite_url) as database:
        publisher = Publisher(lambda: nullcontext(database), clock, lambda _: (), events.append)
        publisher.publish(plan)
        before = manifest(tmp_path, "tasks")
        events.clear()
        with busy(tmp_path), pytest.raises(AlreadyRunningError, match="Another process") as raised:
            publisher.publish(plan)
        assert (raised.value.exit_code, clock.slept) == (6, 600)
        assert [each.seconds for each in events if isinstance(each, PublishWaiting)] == list(
            range(0, 600, 30)
        )
        assert len(events) == 20
        assert manifest(tmp_path, "tasks") == before


def test_its_turn_comes(sqlite_url: str, tmp_path: Path) -> None:
    """As soon as the other one is done."""
    with opened(sqlite_url) as database:
        published(database, tmp_path, "parquet")
        History(database, 8).step("create")
        with ThreadPoolExecutor() as threads:
            with busy(tmp_path):
                done = threads.submit(published, database, tmp_path, "parquet")
                time.sleep(0.3)
                assert not done.done()
            assert done.result(30).tables["tasks"].rows > 0
        assert list(same(database, tmp_path, "parquet")) == []
