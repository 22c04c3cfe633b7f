"""What changed since the last sync is behind and not wrong; what nothing explains is wrong."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import msgspec
import pytest
from sqlalchemy import delete, func, select, update

from scalesync.db.database import Database
from scalesync.db.schema.annotations_and_changes import annotations
from scalesync.db.schema.mirror import batches, project_versions, tasks
from scalesync.sandbox import SandboxServer, Switches
from scalesync.sync.planner import SyncRequest
from scalesync.sync.verify.models import DriftFound, PartVerified, Verification, VerifyStarted
from scalesync.sync.verify.runner import VerifyRunner
from tests.support.engine_rotation import in_turn
from tests.support.scripted_server import SkippingClock
from tests.support.sync_env import differences, session, sync
from tests.sync.test_verify import Start, found, keys

Watcher = Callable[[VerifyStarted | PartVerified | DriftFound], None]


CLOCK = SkippingClock()
"""Of the API as well, so that what changed before a verification is dated before it."""


@pytest.fixture
def start_sandbox(start_sandbox: Start) -> Start:
    """Start sandboxes on this module's clock."""
    return partial(start_sandbox, CLOCK.now)


def prove(
    server: SandboxServer,
    database: Database,
    *,
    deep: bool = False,
    repair: bool = False,
    listed: int = 0,
    watch: Watcher = lambda _: None,
) -> Verification:
    """Verify everything as the command does; whatever changed before is dated before."""
    with session(server, database, clock=CLOCK) as ready:
        return VerifyRunner(ready, watch, listed).verify(SyncRequest(), deep=deep, repair=repair)


def behind(seen: Verification) -> set[tuple[str, str, str]]:
    """Return what is behind."""
    return {(one.stream, one.key, str(one.kind)) for one in seen.behind}


def batch_of(database: Database, status: str) -> str:
    """Return the first batch with a status."""
    with database.read() as conn:
        query = select(func.min(batches.c.name)).where(batches.c.status == status)
        return str(conn.execute(query).scalar_one())


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("listed", [0, 10_000])
def test_what_changed_since_the_last_sync_is_behind(
    deep: bool, listed: int, start_sandbox: Start, database: Database
) -> None:
    """Tasks made, completed, recalled, canceled, a new batch and version: proven, and a sync has it all."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    (pending, cancelled), (done, _) = keys(database, "pending", 2), keys(database, "completed", 2)
    server.backend.complete(pending)
    server.backend.recall(done)
    with session(server, database) as ready:
        api = ready.store.api
        api.cancel_task(cancelled)
        made = api.create_task("categorization", {"attachment": "text", "categories": ["a"]})
        api.create_batch({"name": "of today", "project": "Street scenes"})
        api.update_project("Street scenes", {"instruction": "New."}, patch=True)
    new = msgspec.json.decode(made.raw)["task_id"]

    seen = prove(server, database, deep=deep, listed=listed)

    assert (seen.drift, seen.proven) == ([], True), (seen.drift, seen.unproven)
    assert behind(seen) == {
        ("projects", "Street scenes", "different"),
        ("batches", "of today", "missing_here"),
        ("tasks", new, "missing_here"),
        *(("tasks", key, "different") for key in (pending, cancelled, done)),
    }
    sync(server, database)
    assert prove(server, database, deep=deep, listed=listed).behind == []


def lose(database: Database, task_id: str) -> None:
    """Delete the task's row."""
    with database.write() as conn:
        conn.execute(delete(tasks).where(tasks.c.task_id == task_id))


def misstate(database: Database, task_id: str) -> None:
    """Have the task's row say something else."""
    with database.write() as conn:
        conn.execute(update(tasks).where(tasks.c.task_id == task_id).values(status="lost"))


def miscount(database: Database, task_id: str) -> None:
    """Remove the task's annotations."""
    with database.write() as conn:
        conn.execute(delete(annotations).where(annotations.c.task_id == task_id))


def deny(database: Database, task_id: str) -> None:
    """Have the task's row say that the API has it no more."""
    gone = update(tasks).where(tasks.c.task_id == task_id)
    with database.write() as conn:
        conn.execute(gone.values(missing_since=datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("damage", [lose, misstate, miscount, deny])
def test_what_a_sync_should_have_had_is_wrong(
    damage: Callable[[Database, str], None], start_sandbox: Start, database: Database
) -> None:
    """Whatever else changed since then: what has not is not excused by it."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    with database.read() as conn:
        drawn = select(func.min(annotations.c.task_id))
        task_id = str(conn.execute(drawn).scalar_one())
    for other in keys(database, "pending", 5):
        server.backend.complete(other)
    damage(database, task_id)

    seen = prove(server, database, deep=True)

    assert [one.key for one in seen.drift] == [task_id]
    assert len(seen.behind) == 5


@pytest.mark.parametrize("damage", [lose, miscount])
def test_a_later_change_excuses_no_loss(
    damage: Callable[[Database, str], None], start_sandbox: Start, database: Database
) -> None:
    """A task that was made before the last sync has to be here, and its annotations are made here."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    with database.read() as conn:
        drawn = select(func.min(annotations.c.task_id)).join(tasks, tasks.c.task_id == annotations.c.task_id)
        task_id = str(conn.execute(drawn.where(tasks.c.status == "completed")).scalar_one())
    server.backend.recall(task_id)
    damage(database, task_id)

    assert [one.key for one in prove(server, database, deep=True).drift] == [task_id]


def test_a_copy_of_the_same_change_that_differs_is_wrong(start_sandbox: Start, database: Database) -> None:
    """The API dates it after the watermark, but the mirror has that very change, and another status."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    (task_id,) = keys(database, "pending", 1)
    server.backend.complete(task_id)
    with session(server, database) as ready:
        ready.sync(SyncRequest(("tasks",), since=datetime(2025, 1, 1, tzinfo=UTC)))
    misstate(database, task_id)

    assert found(prove(server, database)) == {("tasks", task_id, "different")}


def test_what_is_gone_is_wrong(start_sandbox: Start, database: Database) -> None:
    """No time can be had of it, and no ordinary sync notices."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    (task_id,) = keys(database, "pending", 1)
    server.backend.remove("tasks", task_id)

    seen = prove(server, database)

    assert (found(seen), seen.behind) == ({("tasks", task_id, "gone_there")}, [])


def test_an_old_version_that_is_missing_is_wrong(start_sandbox: Start, database: Database) -> None:
    """A new one does not excuse it."""
    server = start_sandbox(tasks=100)
    sync(server, database)
    with database.write() as conn:
        conn.execute(delete(project_versions).where(project_versions.c.project == "Street scenes"))
    with session(server, database) as ready:
        ready.store.api.update_project("Street scenes", {"instruction": "New."}, patch=True)

    assert found(prove(server, database)) == {("projects", "Street scenes", "different")}


def test_a_batch_that_is_open_here_may_be_behind(start_sandbox: Start, database: Database) -> None:
    """The API does not date its change: that is neither wrong nor proven, and the next sync tells."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    name = batch_of(database, "staging")
    with session(server, database) as ready:
        ready.store.api.finalize_batch(name)

    seen = prove(server, database)
    sync(server, database)

    assert (seen.drift, seen.proven, [one.key for one in seen.undated]) == ([], False, [name])
    assert f"{name!r}: staging here and in_progress there" in seen.unproven[0]
    assert prove(server, database).proven


def test_a_batch_that_is_finished_here_and_differs_is_wrong(start_sandbox: Start, database: Database) -> None:
    """No ordinary sync reads it again."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    name = batch_of(database, "in_progress")
    with database.write() as conn:
        conn.execute(update(batches).where(batches.c.name == name).values(status="completed"))

    assert found(prove(server, database)) >= {("batches", name, "different")}


def test_a_repair_reads_what_is_behind_as_well(start_sandbox: Start, database: Database) -> None:
    """Once, and in few requests; nothing differs afterwards."""
    server = start_sandbox(tasks=400)
    sync(server, database)
    for task_id in keys(database, "pending", 30):
        server.backend.complete(task_id)
    (wrong,) = keys(database, "completed", 1)
    misstate(database, wrong)

    proof = prove(server, database, repair=True)

    assert (len((proof.before_repair or proof).behind), len((proof.before_repair or proof).drift)) == (30, 1)
    assert (proof.behind, proof.proven) == ([], True)
    assert differences(server, database) == {}


def changing(server: SandboxServer) -> Callable[[str, object], None]:
    """Return what makes a change of any kind before each list."""

    def change(_kind: str, _params: object) -> None:
        server.backend.churn(1)

    return change


READINGS = {
    "as we think likeliest": Switches(),
    "tokens are offsets": Switches(tokens="offset"),
    "a project is required": Switches(project_required=True),
    "only content moves updated_at": Switches(updated_at_moves_on="content"),
}


@pytest.mark.parametrize(("name", "database_url"), in_turn(READINGS), indirect=["database_url"])
@pytest.mark.parametrize("deep", [False, True])
def test_an_account_that_changes_with_every_request_is_compared_in_bounds(
    name: str, deep: bool, start_sandbox: Start, database: Database
) -> None:
    """At most five times what was announced; nothing that is only behind is wrong; no count is negative."""
    server = start_sandbox(tasks=1_000, switches=READINGS[name])
    sync(server, database)
    server.backend.before_list = changing(server)
    told: list[VerifyStarted | PartVerified | DriftFound] = []

    seen = prove(server, database, deep=deep, watch=told.append)

    assert isinstance(told[0], VerifyStarted)
    assert seen.requests <= 5 * told[0].requests
    # What tells no time of its change is wrong: with whole documents that is seen of metadata too.
    assert seen.drift == [] or (deep and name == "only content moves updated_at")
    assert "counts -" not in " ".join(seen.unproven)


def test_a_repair_amid_changes_comes_to_an_end(start_sandbox: Start, database: Database) -> None:
    """And mends what is wrong."""
    server = start_sandbox(tasks=600)
    sync(server, database)
    wrong, lost = keys(database, "completed", 2)
    misstate(database, wrong)
    lose(database, lost)
    server.backend.before_list = changing(server)

    proof = prove(server, database, repair=True)

    assert {one.key for one in (proof.before_repair or proof).drift} <= {wrong, lost}
    assert proof.drift == []
    assert proof.requests < 600
