"""An overview says what the exported documents come to, the same on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from scalesync.db.database import Database
from scalesync.db.mirror import overview
from scalesync.db.schema.annotations_and_changes import task_changes
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import runs
from scalesync.mirror import Mirror
from scalesync.models.overview import Overview
from tests.support.commands import NOON, mirror
from tests.support.overview_oracle import expected
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync
from tests.support.view_checks import exported
from tests.support.view_edge_cases import ODD, done, hold_corners
from tests.support.view_oracle import when


def check(database: Database, project: str | None = None, since: datetime | None = None) -> Overview:
    """Return an overview, which is what Python makes of the documents."""
    with database.read() as conn:
        found = overview.overview(conn, project, since, NOON)
    wanted = expected(exported(database), project, since, NOON)
    for mine, theirs in zip(found.weeks, wanted.weeks, strict=True):
        assert (mine.p50_hours, mine.p90_hours) == pytest.approx(
            (theirs.p50_hours, theirs.p90_hours), rel=0, abs=0.001
        )
    assert [(week.week, week.completed) for week in found.weeks] == [
        (week.week, week.completed) for week in wanted.weeks
    ]
    assert replace(found, weeks=[], objects={}) == replace(wanted, weeks=[])
    assert found.objects["tasks"].here == len(exported(database).tasks)
    return found


def test_an_overview_of_a_whole_account(database: Database, start_sandbox: StartSandbox) -> None:
    """Of all, of one project, and since a time within the account's days."""
    assert sync(start_sandbox(tasks=300), database).complete
    whole = check(database)
    assert whole.tasks == 300
    assert min(len(whole.days), len(whole.weeks), len(whole.labels), len(whole.batches)) > 10
    assert max(row.rejected for row in whole.reviews) > 0
    check(database, project="Street scenes")
    middle = datetime.fromisoformat(whole.days[len(whole.days) // 2].day).replace(tzinfo=UTC)
    for since in (middle, middle + timedelta(hours=5)):
        part = check(database, since=since)
        assert 0 < part.tasks < 300
        assert check(database, "Street scenes", since).tasks < part.tasks


def test_an_overview_of_odd_documents(database: Database) -> None:
    """Names of any kind, times absent or running backwards, tasks that are missing, batches without tasks."""
    hold_corners(database)
    whole = check(database)
    assert ODD in {row.label for row in whole.labels}
    assert None in {row.project for row in whole.reviews}
    check(database, project=ODD)
    check(database, since=datetime(2024, 1, 1, tzinfo=UTC))
    assert check(database, project="of nobody").tasks == 0


def test_an_overview_of_nothing(database: Database) -> None:
    """An empty mirror has no rows of any kind."""
    found = check(database)
    assert (found.tasks, found.days, found.weeks, found.labels, found.batches) == (0, [], [], [], [])


def test_what_is_beyond_the_limit_is_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list ends at its limit with the first of its order, and the total says that there are more."""
    hold_corners(database)
    whole = check(database)
    monkeypatch.setattr(overview, "ROWS", 2)
    with database.read() as conn:
        cut = overview.overview(conn, None, None, NOON)
    assert (cut.labels, cut.labels_total) == (whole.labels[:2], len(whole.labels))
    assert (cut.batches, cut.batches_total) == (whole.batches[:2], len(whole.batches))
    assert (cut.reviews, cut.projects_total) == (whole.reviews[:2], len(whole.reviews))


def test_the_mark_differs_after_any_change_of_tasks(database: Database) -> None:
    """A run that writes moves it, and so does an answer to a command; a change of nothing does not."""

    def mark() -> object:
        with database.read() as conn:
            return overview.mark(conn)

    seen = [mark()]
    with database.write() as conn:
        conn.execute(insert(runs).values(kind="full", state="open", started_at=NOON))
    seen.append(mark())
    with database.write() as conn:
        conn.execute(update(runs).values(rows_written=5))
    seen.append(mark())
    with database.write() as conn:
        conn.execute(insert(task_changes).values(task_id="a", seen_at=NOON, field="status", after="pending"))
    seen.append(mark())
    with database.write() as conn:
        conn.execute(update(tasks).values(status="pending"))
    assert len(set(seen)) == len(seen) == 4
    assert mark() == seen[-1]


def test_samples_are_the_newest_tasks_with_shapes(database: Database, database_url: str) -> None:
    """With their annotations in order, as rows; those that are not drawn choose no task."""
    hold_corners(database)
    mirror(database, "tasks", **done(950, "2031-01-02T00:00:00.000Z", created_at="2031-01-01T00:00:00.000Z"))
    found = Mirror(database_url).samples(3)
    known = exported(database)
    drawn = {task_id for task_id, _, geometry in known.drawn if geometry == "box"}
    dated = [doc for doc in known.tasks if doc["task_id"] in drawn and when(doc, "created_at")]
    dated.sort(key=lambda doc: (-(when(doc, "created_at") or NOON).timestamp(), doc["task_id"]))
    assert [each.task_id for each in found] == [doc["task_id"] for doc in dated[:3]]
    for each in found:
        rows = [(row["label"], row["geometry"]) for row in each.annotations]
        assert rows == [(label, kind) for task_id, label, kind in known.drawn if task_id == each.task_id]
        assert each.annotations_total == len(rows)
    assert {each.project for each in Mirror(database_url).samples(50, project="p")} == {"p"}
    assert Mirror(database_url).samples(50, project="of nobody") == []
