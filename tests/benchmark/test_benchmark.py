"""The benchmark's floor writes the same rows as a sync, and its API counts right."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalesync import Mirror
from scalesync.sandbox.json_codec import Doc, decode
from tests.benchmark.account import CORPORA, Account, DuplicateError
from tests.benchmark.documents import BOXES, PROJECTS
from tests.benchmark.peers.floor import Floor, Rows, tables, transactions
from tests.benchmark.peers.floor_postgres import PostgresFloor
from tests.benchmark.peers.floor_sqlite import SETTINGS, SqliteFloor
from tests.benchmark.server import KEY, Api, running
from tests.support.databases import PostgresServer, migrate, opened

TASKS = 200


@pytest.fixture(scope="module", params=tuple(CORPORA))
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """Start the fast server with each corpus in turn."""
    with running(TASKS, corpus=request.param) as server:
        yield server


def _copied(source: Floor, target: Floor) -> dict[str, Rows]:
    """Copy all rows from one floor to another and return them; fail unless both hold the same then."""
    read = {name: source.read(name) for name in tables()}
    for chunk in transactions(read):
        target.write(chunk)
    assert {name: sorted(target.read(name).rows, key=repr) for name in read} == {
        name: sorted(rows.rows, key=repr) for name, rows in read.items()
    }
    return read


def test_the_floor_writes_what_a_sync_writes_and_that_is_the_whole_account(
    api: Api, sqlite_url: str, sqlite_template: Path, tmp_path: Path
) -> None:
    """The rows of the floor's database are those of the mirror, which `verify` proves complete."""
    mirror = Mirror(sqlite_url, api_key=KEY, api_url=api.url)
    assert mirror.sync().complete
    bare = f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'bare.db')}"

    source, target = SqliteFloor(sqlite_url), SqliteFloor(bare)
    read = _copied(source, target)

    assert len(read["tasks"].rows) == TASKS
    if api.corpus == "plain":
        assert len(read["annotations"].rows) == BOXES * TASKS
    source.close()
    target.close()
    assert mirror.verify().proven


def test_the_floor_of_sqlite_has_the_settings_of_a_syncs_own_connection(sqlite_url: str) -> None:
    """They are read while a sync's kind of transaction is open; the file brings its journal mode along."""
    with opened(sqlite_url) as database, database.write() as conn:
        ours = {name: conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in SETTINGS}
        journal = conn.exec_driver_sql("PRAGMA journal_mode").scalar()

    assert (ours, journal) == (SETTINGS, "wal")


def test_the_floor_of_postgres_writes_the_same_rows_as_it_reads(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """From a mirror that a sync made, into another database with the same tables."""
    with running(TASKS, corpus="mixed") as server:
        assert Mirror(postgres_url, api_key=KEY, api_url=server.url).sync().complete
    bare = postgres_server.create("bare_floor")
    migrate(bare)

    source, target = PostgresFloor(postgres_url), PostgresFloor(bare)
    _copied(source, target)

    source.close()
    target.close()
    postgres_server.drop("bare_floor")


def test_the_account_counts_right_under_every_filter() -> None:
    """Totals and pages under project, status and times are those of a look at each task."""
    account = Account(TASKS, seed=1)
    middle = decode(account.tasks[TASKS // 2].raw)
    at = middle["created_at"]
    filters: dict[str, Callable[[Doc], bool]] = {
        "project": lambda doc: doc["project"] == PROJECTS[1],
        "status": lambda doc: doc["status"] == "completed",
        "start_time": lambda doc: doc["created_at"] >= at,
        "end_time": lambda doc: doc["created_at"] <= at,
        "updated_after": lambda doc: doc["updated_at"] >= at,
        "batch": lambda doc: doc["batch"] == middle["batch"],
    }
    values = {"project": PROJECTS[1], "status": "completed", "batch": middle["batch"]}
    docs = [decode(task.raw) for task in reversed(account.tasks)]
    for name, fits in filters.items():
        query = {name: values.get(name, at), "limit": "7"}
        listed, total, token = [], 0, ""
        while True:
            page = decode(account.page({**query, "next_token": token}))
            listed += page["docs"]
            total, token = page["total"], page.get("next_token", "")
            if not page["has_more"]:
                break
        assert (listed, total) == ([doc for doc in docs if fits(doc)], len(listed)), name
    assert account.batch_status(middle["batch"]) == {
        "status": "completed",
        "completed": TASKS / len(PROJECTS),
    }


def test_a_task_is_created_once_for_each_unique_id() -> None:
    """It is found by its id, its unique_id and its status; the second of the same unique_id is refused."""
    account = Account(TASKS, seed=1)
    body = {"unique_id": "frame-new", "project": PROJECTS[0], "attachment": "https://pictures.example/1.jpg"}
    raw = account.create("imageannotation", body, 1_800_000_000_000)

    assert decode(raw)["params"] == {"attachment": body["attachment"]}
    assert account.task(decode(raw)["task_id"]) == raw
    for query in ({"unique_id": "frame-new"}, {"status": "pending", "project": PROJECTS[0]}):
        assert decode(account.page(query))["docs"] == [decode(raw)]
    with pytest.raises(DuplicateError):
        account.create("imageannotation", body, 1_800_000_000_001)
