"""A verification names exactly what differs, under every reading of the API, and a repair mends it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from sqlalchemy import and_, delete, func, insert, select, update

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.schema.annotations_and_changes import annotations
from scalesync.db.schema.mirror import batches, project_versions, tasks
from scalesync.errors import DatabaseError
from scalesync.models.sync import Window
from scalesync.sandbox import SandboxServer, Switches
from scalesync.sync.planner import SyncRequest
from scalesync.sync.verify.models import DriftFound, PartVerified, Verification, VerifyStarted
from scalesync.sync.verify.runner import VerifyRunner
from tests.support.engine_rotation import in_turn
from tests.support.sync_env import NoWaitClock, differences, session, sync, verify
from tests.sync.state_machine.oracle import drift

Start = Callable[..., SandboxServer]

MANY = 600
"""Tasks; so few are not counted, unless a test asks for it."""

COUNTING: dict[str, Switches] = {
    "as we think likeliest": Switches(),
    "bounds exclusive": Switches(bounds="exclusive"),
    "bounds half open": Switches(bounds="half_open"),
    "tokens are offsets and ties shuffled": Switches(tokens="offset", ties="shuffled"),
    "totals stop at a cap": Switches(total="capped", total_cap=300),
    "a project is required": Switches(project_required=True),
    "error is no filter": Switches(error_status_filter="refused"),
    "presigned links in every read": Switches(presigned_urls="always"),
}
"""The readings that bear on counts and lists of parts."""


def found(verification: Verification) -> set[tuple[str, str, str]]:
    """Return what a verification found, as the test works it out."""
    return {(one.stream, one.key, str(one.kind)) for one in verification.drift}


def prove(server: SandboxServer, database: Database, *, deep: bool = False) -> Verification:
    """Verify, repair and verify again, over everything."""
    with session(server, database, clock=NoWaitClock()) as ready:
        return VerifyRunner(ready, lambda _: None).verify(SyncRequest(), deep=deep, repair=True)


def keys(database: Database, status: str, number: int) -> list[str]:
    """Return so many tasks of a status and a project, far from each other in time."""
    with database.read() as conn:
        here = tasks.c.status == status
        query = select(tasks.c.task_id).where(here, tasks.c.project.is_not(None))
        every = list(conn.scalars(query.order_by(tasks.c.created_at)))
    return every[:: len(every) // number][:number]


def tamper(server: SandboxServer, database: Database) -> None:
    """Make the mirror and the API differ in every way, without a trace of when."""
    lost, wrong, moved, revived = keys(database, "completed", 4)
    with database.write() as conn:
        conn.execute(delete(tasks).where(tasks.c.task_id == lost))
        conn.execute(update(tasks).where(tasks.c.task_id == wrong).values(status="pending"))
        conn.execute(update(tasks).where(tasks.c.task_id == moved).values(project="elsewhere"))
        gone = update(tasks).where(tasks.c.task_id == revived)
        conn.execute(gone.values(missing_since=datetime(2026, 1, 1, tzinfo=UTC)))
        name = conn.execute(select(func.min(batches.c.name))).scalar_one()
        conn.execute(delete(batches).where(batches.c.name == name))
    for task_id in keys(database, "pending", 2):
        server.backend.remove("tasks", task_id)


@pytest.mark.parametrize(("name", "database_url"), in_turn(COUNTING), indirect=["database_url"])
def test_exactly_what_differs_is_named_and_mended(
    name: str, start_sandbox: Start, database: Database
) -> None:
    """Rows deleted and changed behind the mirror's back, tasks removed at the API; nothing else is named."""
    server = start_sandbox(tasks=MANY, switches=COUNTING[name])
    sync(server, database)
    homeless = name != "a project is required"
    clean = verify(server, database, listed=0)
    assert clean.proven, (clean.drift, clean.unproven)

    tamper(server, database)
    expected = drift(server, database, homeless=homeless)
    seen = verify(server, database, listed=0)
    proof = prove(server, database)

    assert found(seen) == expected
    assert {kind for _, _, kind in expected} == {"missing_here", "gone_there", "different"}
    assert found(proof.before_repair or proof) == expected
    assert proof.proven, (proof.drift, proof.unproven)
    assert drift(server, database, homeless=homeless) == set()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("number", [MANY, 3 * MANY])
def test_a_clean_mirror_costs_a_request_for_each_project_and_status(
    number: int, start_sandbox: Start, database: Database
) -> None:
    """And some twenty more, however many tasks there are; about so many were foretold."""
    server = start_sandbox(tasks=number)
    sync(server, database)
    told: list[VerifyStarted | PartVerified | DriftFound] = []

    proven = verify(server, database, listed=0, watch=told.append)

    with database.read() as conn:
        groups = select(tasks.c.project, tasks.c.status).distinct().subquery()
        cells = conn.execute(select(func.count()).select_from(groups)).scalar_one()
    assert proven.proven, (proven.drift, proven.unproven)
    assert proven.requests <= cells + 20
    assert isinstance(told[0], VerifyStarted)
    assert abs(told[0].requests - proven.requests) < 12, told[0]


def test_a_count_that_stops_where_the_mirror_does_proves_nothing(
    start_sandbox: Start, database: Database
) -> None:
    """The API counts 300 at most, and 300 of 600 tasks are here: all that is missing is named."""
    server = start_sandbox(tasks=MANY, switches=Switches(total="capped", total_cap=300))
    sync(server, database)
    with database.write() as conn:
        newest = select(tasks.c.task_id).order_by(tasks.c.created_at.desc()).limit(MANY - 300)
        conn.execute(delete(tasks).where(tasks.c.task_id.in_(newest)))

    seen = verify(server, database, (Window("tasks"),), listed=0)

    assert found(seen) == drift(server, database)


def test_what_cancels_out_within_a_quarter_is_seen_by_whole_documents(
    start_sandbox: Start, database: Database
) -> None:
    """One task lost here and one gone there: counts see it in different quarters, --deep anywhere."""
    server = start_sandbox(tasks=MANY)
    sync(server, database)
    with database.read() as conn:
        one = tasks.c.project == "Street scenes"
        chosen = select(tasks.c.task_id).where(one, tasks.c.status == "completed", tasks.c.batch.is_(None))
        old, middle, *_, new = conn.scalars(chosen.order_by(tasks.c.created_at)).all()

    with database.write() as conn:
        conn.execute(delete(tasks).where(tasks.c.task_id == old))
    server.backend.remove("tasks", new)
    apart = verify(server, database, listed=0)
    assert found(apart) == {("tasks", old, "missing_here"), ("tasks", new, "gone_there")}

    server.backend.remove("tasks", middle)
    assert found(verify(server, database, deep=True)) == drift(server, database)


def test_whole_documents_are_compared_field_by_field(start_sandbox: Start, database: Database) -> None:
    """--deep names the fields that differ, whatever the stored digest says; by counts nothing is amiss."""
    server = start_sandbox(tasks=MANY, switches=Switches(presigned_urls="always"))
    sync(server, database)
    first, second = keys(database, "completed", 2)
    with database.write() as conn:
        conn.execute(update(tasks).where(tasks.c.task_id == first).values(instruction="Other."))
        conn.execute(update(tasks).where(tasks.c.task_id == second).values(response='{"annotations": []}'))
        conn.execute(delete(annotations).where(annotations.c.task_id == second))

    assert verify(server, database, listed=0).proven
    seen = verify(server, database, deep=True)
    proof = prove(server, database, deep=True)

    assert {one.key: one.fields for one in seen.drift} == {first: ("instruction",), second: ("response",)}
    assert proof.proven
    assert differences(server, database) == {}


@pytest.mark.parametrize("deep", [False, True])
def test_what_changes_meanwhile_is_no_drift(deep: bool, start_sandbox: Start, database: Database) -> None:
    """Tasks made, completed and recalled before every list: nothing of it is named, and what was is."""
    server = start_sandbox(tasks=MANY)
    sync(server, database)
    lost, *_ = keys(database, "completed", 2)
    with database.write() as conn:
        conn.execute(delete(tasks).where(tasks.c.task_id == lost))
    pending, done = keys(database, "pending", 60), keys(database, "completed", 60)

    def change(kind: str, _: object) -> None:
        if kind == "tasks" and pending:
            server.backend.complete(pending.pop())
            server.backend.recall(done.pop())

    server.backend.before_list = change
    seen = verify(server, database, deep=deep, listed=0)
    server.backend.before_list = None

    assert {one.key for one in seen.drift} == {lost}
    assert seen.left_out > 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("bounds", ["inclusive", "exclusive", "half_open"])
def test_a_task_on_a_boundary_is_seen(
    bounds: Literal["inclusive", "exclusive", "half_open"], start_sandbox: Start, database: Database
) -> None:
    """Whether both halves count it, or neither: it is missing here, and it is named."""
    start, made = datetime(2026, 3, 1, tzinfo=UTC), [0]
    server = start_sandbox(
        clock=lambda: start + timedelta(milliseconds=10 * len(made)), switches=Switches(bounds=bounds)
    )
    with session(server, database) as ready:
        api: ScaleApi = ready.store.api
        for number in range(241):
            api.create_task("categorization", {"attachment": "text", "categories": ["a"]})
            made.append(number)
    sync(server, database)
    with database.read() as conn:
        ids = list(conn.scalars(select(tasks.c.task_id).order_by(tasks.c.created_at)))
    middle = ids[len(ids) // 2]
    with database.write() as conn:
        conn.execute(delete(tasks).where(tasks.c.task_id == middle))
    made += range(1000)

    assert found(verify(server, database, listed=0)) == {("tasks", middle, "missing_here")}


def test_what_cannot_be_asked_for_is_not_called_proven(start_sandbox: Start, database: Database) -> None:
    """A task of no project, where the API lists only by project: it is neither drift nor proven."""
    server = start_sandbox(tasks=300, switches=Switches(project_required=True))
    sync(server, database)
    with database.write() as conn:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        conn.execute(insert(tasks).values(task_id="0" * 24, digest="?", created_at=at, synced_at=at))

    seen = verify(server, database)

    assert (seen.drift, seen.proven) == ([], False)
    assert "1 here are of none" in seen.unproven[0]


def test_what_cancelled_out_is_looked_for_again_once_a_part_is_found(
    start_sandbox: Start, database: Database
) -> None:
    """A batch's counts lead to one half of a pair; the other is found by counting anew."""
    server = start_sandbox(tasks=MANY)
    sync(server, database)
    with database.read() as conn:
        one = and_(tasks.c.project == "Street scenes", tasks.c.status == "completed")
        of_batch = select(tasks.c.task_id).where(
            one, tasks.c.batch.is_not(None), tasks.c.batch != "elsewhere"
        )
        lost = conn.scalars(of_batch.order_by(tasks.c.created_at)).first()
        created_at = conn.execute(select(tasks.c.created_at).where(tasks.c.task_id == lost)).scalar_one()
    with database.write() as conn:
        ghost = {"task_id": "f" * 24, "project": "Street scenes", "status": "completed"}
        conn.execute(insert(tasks).values(**ghost, digest="?", created_at=created_at, synced_at=created_at))
        conn.execute(delete(tasks).where(tasks.c.task_id == lost))

    assert found(verify(server, database, listed=0)) == {
        ("tasks", str(lost), "missing_here"),
        ("tasks", "f" * 24, "gone_there"),
    }


def test_versions_and_annotations_are_compared_and_mended(start_sandbox: Start, database: Database) -> None:
    """What was made of documents counts as well: versions always, annotations with --deep."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    with database.write() as conn:
        every = select(func.count()).select_from(annotations)
        there = conn.execute(every).scalar_one()
        conn.execute(delete(annotations))
        conn.execute(delete(project_versions).where(project_versions.c.project == "Street scenes"))
        conn.execute(insert(project_versions).values(project="chat-reviews", version=77))

    shallow = verify(server, database)
    proof = prove(server, database, deep=True)

    assert {(one.key, one.fields) for one in shallow.drift} == {
        ("Street scenes", ("versions",)),
        ("chat-reviews", ("versions",)),
    }
    assert {one.fields for one in (proof.before_repair or proof).drift if one.stream == "tasks"} == {
        ("annotations",)
    }
    assert proof.proven, proof.drift
    with database.read() as conn:
        assert conn.execute(every).scalar_one() == there


def test_a_time_of_creation_that_is_wrong_here_is_mended(start_sandbox: Start, database: Database) -> None:
    """Whether it lies ahead, is unknown, or only differs."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    ahead, unknown, other = keys(database, "completed", 3)
    with database.write() as conn:
        for task_id, at in (
            (ahead, datetime(2030, 1, 1, tzinfo=UTC)),
            (unknown, None),
            (other, datetime(2026, 1, 1, tzinfo=UTC)),
        ):
            conn.execute(update(tasks).where(tasks.c.task_id == task_id).values(created_at=at))

    proof = prove(server, database)

    assert {one.key: one.fields for one in (proof.before_repair or proof).drift} == dict.fromkeys(
        (ahead, unknown, other), ("created_at",)
    )
    assert proof.proven
    assert differences(server, database) == {}


def test_a_copy_that_claims_to_be_newer_than_the_apis_is_mended(
    start_sandbox: Start, database: Database
) -> None:
    """Once it is found to differ, what the API has replaces it, whatever the times say."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    (one,) = keys(database, "completed", 1)
    with database.write() as conn:
        later = {
            "updated_at": datetime(2030, 1, 1, tzinfo=UTC),
            "synced_at": datetime(2030, 1, 1, tzinfo=UTC),
        }
        conn.execute(update(tasks).where(tasks.c.task_id == one).values(status="pending", **later))

    proof = prove(server, database)

    assert ([drifted.key for drifted in (proof.before_repair or proof).drift], proof.proven) == ([one], True)
    assert differences(server, database) == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rows_that_are_damaged_are_named(start_sandbox: Start, database: Database) -> None:
    """JSON that is none is a difference; a time that is none is said in a sentence."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    first, second, third = keys(database, "completed", 3)
    with database.write() as conn:
        for task_id, column, value in ((first, "params", "{not"), (second, "extra", "[1]")):
            conn.execute(update(tasks).where(tasks.c.task_id == task_id).values({column: value}))
    assert {one.key for one in verify(server, database, deep=True).drift} == {first, second}

    with database.write() as conn:
        conn.exec_driver_sql(f"UPDATE tasks SET created_at = 'yesterday' WHERE task_id = '{third}'")
    with pytest.raises(DatabaseError, match="a time that is none: 'yesterday'"):
        verify(server, database)


def test_what_changes_after_it_was_read_is_no_drift_of_that_sync(
    start_sandbox: Start, database: Database
) -> None:
    """`sync --verify` vouches for what there was when the run began, and `--repair` for its own."""
    server = start_sandbox(tasks=300)
    with session(server, database, clock=NoWaitClock()) as ready:
        summary = ready.sync(SyncRequest())
        for task_id in keys(database, "pending", 3):
            server.backend.complete(task_id)
        seen = VerifyRunner(ready, lambda _: None).verify_runs(summary.runs)

    assert (seen.proven, seen.left_out) == (True, 3), seen.drift


def test_a_project_that_is_gone_is_named(start_sandbox: Start, database: Database) -> None:
    """It is in neither of the two lists, and the API answers 404 for it."""
    server = start_sandbox(tasks=60)
    sync(server, database)
    server.backend.remove("projects", "not begun")

    assert found(verify(server, database)) == {("projects", "not begun", "gone_there")}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_an_incremental_run_read_is_compared(start_sandbox: Start, database: Database) -> None:
    """A change that was read and is not in the mirror any more is found among what changed."""
    server = start_sandbox(tasks=300)
    sync(server, database)
    (one,) = keys(database, "pending", 1)
    server.backend.complete(one)
    time.sleep(1.1)  # what changes within the second in which a run begins has no say
    with session(server, database, clock=NoWaitClock()) as ready:
        summary = ready.sync(SyncRequest())
        with database.write() as conn:
            conn.execute(update(tasks).where(tasks.c.task_id == one).values(status="pending"))
        seen = VerifyRunner(ready, lambda _: None).verify_runs(summary.runs)

    assert found(seen) == {("tasks", one, "different")}
