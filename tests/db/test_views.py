"""The views say what the exported documents come to, whatever these hold."""

import pytest
from sqlalchemy import inspect, text

from scalesync.db.database import Database
from scalesync.db.schema.sync import watermarks
from scalesync.db.schema.views import VIEWS
from tests.support.databases import opened
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync
from tests.support.view_checks import check, exported, said
from tests.support.view_edge_cases import CORNERS, MISSING, ODD, hold_corners
from tests.support.view_oracle_of_versions import ANSWERS


@pytest.fixture
def corners(database: Database) -> Database:
    """Return a mirror of odd tasks and batches."""
    hold_corners(database)
    return database


def test_the_views_answer_for_a_whole_account(database: Database, start_sandbox: StartSandbox) -> None:
    """Every view of a synced account equals what Python makes of its documents."""
    assert sync(start_sandbox(tasks=300), database).complete
    known = exported(database)
    rows = {view: check(database, view, known) for view in VIEWS}
    assert len(rows["task_facts"]) == len(known.tasks) == 300
    of_one_sync = rows.keys() - {"submissions", "annotation_changes", "duplicate_tasks"}
    assert min(len(rows[view]) for view in of_one_sync) > 3
    assert any(row["p90_hours"] for row in rows["batch_progress"])


def test_the_views_answer_for_odd_documents(corners: Database) -> None:
    """Names of any kind, times absent or running backwards, tasks that are missing, batches without tasks."""
    drawn = [
        (str(doc["task_id"]), box["label"], "box")
        for doc in CORNERS
        for box in doc.get("response", {}).get("annotations", ())
    ]
    known = exported(corners)
    assert sorted(known.drawn, key=repr) == sorted(drawn, key=repr)
    for view in VIEWS:
        check(corners, view, known)


def test_one_task_in_numbers(corners: Database) -> None:
    """Its duration to the millisecond, its annotations, and how many labels they have."""
    facts = {row["task_id"]: row for row in said(corners, "task_facts")}
    names = ("seconds_to_complete", "pending_seconds", "annotations", "labels")
    assert [facts[f"{1:024x}"][name] for name in names] == [3600.001, None, 4, 2]
    assert [facts[f"{5:024x}"][name] for name in names] == [-60.0, None, 1, 1]
    assert [facts[f"{9:024x}"][name] for name in names] == [None, 335 * 86_400.0, 0, 0]
    assert facts[f"{10:024x}"]["pending_seconds"] == 0.0
    assert facts[f"{13:024x}"]["seconds_to_complete"] is None
    assert MISSING not in facts


def test_one_batch_in_numbers(corners: Database) -> None:
    """Percentiles stand between the two nearest tasks, and what is canceled is not to be done."""
    batches = {row["batch"]: row for row in said(corners, "batch_progress")}
    assert (batches["many"]["median_hours"], batches["many"]["p90_hours"]) == (348.0, 626.4)
    assert (batches[ODD]["median_hours"], batches[ODD]["p90_hours"]) == (24.0, 53.2)
    assert [batches["pair"][name] for name in ("tasks", "tasks_completed", "share_done")] == [3, 2, 2 / 3]
    assert (batches["gone"]["tasks_canceled"], batches["gone"]["share_done"]) == (2, None)
    assert {name: batches[name]["project"] for name in (ODD, "pair", "torn", "alone", "empty")} == {
        ODD: "of its own",
        "pair": "p",
        "torn": None,
        "alone": None,
        "empty": None,
    }
    assert (batches["faulty"]["status"], batches["faulty"]["tasks"]) == (None, 2)
    assert batches.keys().isdisjoint({"removed", "lost"})


def test_without_a_watermark_nothing_has_an_age(corners: Database) -> None:
    """How long a task is pending is told as of the API's clock, never ours."""
    with corners.write() as conn:
        conn.execute(watermarks.delete())
    facts = check(corners, "task_facts", exported(corners))
    assert {row["pending_seconds"] for row in facts} == {None}


def test_an_empty_mirror_has_empty_views(database: Database) -> None:
    """No view has a row of nothing."""
    assert {view: said(database, view) for view in VIEWS} == {view: [] for view in VIEWS}


def test_the_views_are_those_declared(database: Database) -> None:
    """There are no others, and their columns stand in the same order."""
    with database.read() as conn:
        inspector = inspect(conn)
        assert set(inspector.get_view_names()) == set(VIEWS) == set(ANSWERS)
        for name, view in VIEWS.items():
            assert [each["name"] for each in inspector.get_columns(name)] == list(view.c.keys())


def test_postgres_has_the_types_declared(postgres_url: str) -> None:
    """They are those of the tables' columns."""
    with opened(postgres_url) as database, database.read() as conn:
        for name, view in VIEWS.items():
            found = [str(each["type"].compile(conn.dialect)) for each in inspect(conn).get_columns(name)]
            assert found == [each.type.compile(conn.dialect) for each in view.columns]


def test_sqlite_has_values_of_the_kinds_declared(sqlite_url: str) -> None:
    """Where columns have no types, the values have them: texts, whole numbers, and numbers with a point."""
    kinds = {"BIGINT": "integer", "INTEGER": "integer", "DOUBLE": "real"}
    with opened(sqlite_url) as database:
        hold_corners(database)
        with database.read() as conn:
            for name, view in VIEWS.items():
                for column in view.columns:
                    found = set(conn.scalars(text(f'SELECT typeof("{column.name}") FROM {name}')))
                    declared = kinds.get(column.type.compile(conn.dialect), "text")
                    assert found <= {"null", declared}, f"{name}.{column.name}"
