"""Publications that are killed, and several at once: readers see one moment, and the next one goes on."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.errors import AlreadyRunningError, DatabaseError
from scalesync.models.publishing import PARTITIONED
from tests.publish.histories import History
from tests.publish.published import TABLES, delta, manifest, mirrored, published, same
from tests.support.databases import opened

CHILD = """
import sys
from pathlib import Path
from tests.publish.published import published
from tests.support.databases import opened
import deltalake, pyarrow.parquet, scalesync.publish.delta, scalesync.publish.parquet_manifest
with opened(sys.argv[1]) as database:
    print(flush=True)
    published(database, Path(sys.argv[2]), sys.argv[3])
"""


def kill_after(seconds: float, url: str, target: Path, form: str) -> None:
    """Start a process that publishes, and kill it this long after it began."""
    command = [sys.executable, "-c", CHILD, url, str(target), form]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_a_killed_publication_is_seen_whole_or_not_at_all(sqlite_url: str, tmp_path: Path, form: str) -> None:
    """At any moment: each table is as before or as after, and the next publication brings all of it."""
    draw = random.Random(form)
    with opened(sqlite_url) as database:
        history = History(database, 11)
        for _ in range(15):
            history.step()
        published(database, tmp_path, form)
        for _ in range(2):
            before = {name: mirrored(database, name) for name in TABLES}
            for _ in range(4):
                history.step()
            kill_after(draw.uniform(0, 0.25), sqlite_url, tmp_path, form)
            if form == "delta":
                for name in TABLES:
                    assert delta(tmp_path, name) in (before[name], mirrored(database, name))
            else:
                listed = [(name, path) for name in TABLES for path in manifest(tmp_path, name)["partitions"]]
                assert all((tmp_path / name / path).exists() for name, path in listed)
            published(database, tmp_path, form)
            assert list(same(database, tmp_path, form)) == []


@contextmanager
def stuck_after_the_commit(database: Database) -> Iterator[None]:
    """Let the mirror refuse to note that a publication was made."""
    if database.is_sqlite:
        made = ["CREATE TRIGGER stuck BEFORE UPDATE ON publications BEGIN SELECT RAISE(ABORT, 'stuck'); END"]
        gone = ["DROP TRIGGER stuck"]
    else:
        made = [
            "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''stuck''; END'",
            "CREATE TRIGGER stuck BEFORE UPDATE ON publications EXECUTE FUNCTION stuck()",
        ]
        gone = ["DROP TRIGGER stuck ON publications", "DROP FUNCTION stuck()"]
    with database.write() as conn:
        for statement in made:
            conn.execute(text(statement))
    yield
    with database.write() as conn:
        for statement in gone:
            conn.execute(text(statement))


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_an_end_between_the_commit_and_its_note_costs_nothing(
    database: Database, tmp_path: Path, form: str
) -> None:
    """The target says which publication it has, and the mirror knows that it has begun it."""
    history = History(database, 12)
    for _ in range(15):
        history.step()
    published(database, tmp_path, form)
    history.step("create")
    with stuck_after_the_commit(database), pytest.raises(DatabaseError):
        published(database, tmp_path, form)
    done = published(database, tmp_path, form)

    assert done.tables["tasks"].rows == 0
    assert done.tables["annotations"].partitions > 0
    assert list(same(database, tmp_path, form)) == []


def change_ids(target: Path, name: str) -> list[int]:
    """Return the last change that each version of a Delta table includes."""
    logs = sorted((target / name / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [int(line["commitInfo"]["scalesync.change_id"]) for line in lines if "commitInfo" in line]


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_several_publish_at_once(database: Database, tmp_path: Path, form: str) -> None:
    """Also for the first time: no version goes back, and whoever comes last has brought everything."""
    history = History(database, 13)
    for _ in range(10):
        history.step()

    def publish() -> None:
        for _ in range(2):
            with suppress(AlreadyRunningError):  # overtaken again and again
                published(database, tmp_path, form)

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(publish) for _ in range(3)]
        for _ in range(10):
            history.step()
        for each in done:
            each.result()
    published(database, tmp_path, form)
    assert list(same(database, tmp_path, form)) == []
    for name in PARTITIONED if form == "delta" else ():
        assert change_ids(tmp_path, name) == sorted(change_ids(tmp_path, name))
