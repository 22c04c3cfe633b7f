"""What a run reads, decided from facts alone."""

from datetime import UTC, datetime, timedelta

import pytest

from scalesync.errors import ConfigurationError
from scalesync.models.sync import RunKind, Window
from scalesync.sync.planner import Plan, PlanningFacts, SyncRequest, covers, plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WATERMARK = datetime(2026, 3, 1, 11, tzinfo=UTC)
MARKS = {"projects": WATERMARK, "batches": WATERMARK, "tasks": WATERMARK}
QUARTER = timedelta(minutes=15)


def test_a_first_run_reads_each_stream_without_bounds() -> None:
    """Without watermarks the plan is one unbounded window per stream, and the watermark becomes now."""
    made = plan(SyncRequest(), PlanningFacts(NOW, {}))

    assert (Window("projects"), Window("batches"), Window("tasks")) == made.windows
    assert (made.kind, made.watermark_at) == (RunKind.FULL, NOW)


def test_a_later_run_reads_changes_since_the_watermark_less_the_lookback() -> None:
    """The tasks window has a lower bound on updates, no upper bound, and the lookback in between."""
    made = plan(SyncRequest(), PlanningFacts(NOW, MARKS))

    assert Window("tasks", updated_from=WATERMARK - QUARTER) == made.windows[-1]
    assert (made.kind, made.watermark_at) == (RunKind.INCREMENTAL, NOW)


def test_tasks_without_update_times_are_looked_for_by_creation() -> None:
    """Where some tasks here tell no time of change, new ones are also read by created_at."""
    made = plan(SyncRequest(("tasks",)), PlanningFacts(NOW, MARKS, some_task_without_update_time=True))

    since = WATERMARK - QUARTER
    assert (Window("tasks", updated_from=since), Window("tasks", created_from=since)) == made.windows


def test_batches_are_read_from_the_oldest_unfinished_one() -> None:
    """Batches have no filter on change, so every batch that may change is listed again."""
    oldest = NOW - timedelta(days=40)

    made = plan(SyncRequest(("batches",)), PlanningFacts(NOW, MARKS, oldest_unfinished_batch=oldest))

    assert (Window("batches", created_from=oldest),) == made.windows


def test_a_watermark_in_the_future_does_not_skip_anything() -> None:
    """If the API's clock went back, reading begins at its present time."""
    made = plan(SyncRequest(("tasks",)), PlanningFacts(NOW, {"tasks": NOW + timedelta(days=9)}))

    assert (Window("tasks", updated_from=NOW - QUARTER),) == made.windows


def test_a_full_run_ignores_watermarks() -> None:
    """--full reads everything again."""
    made = plan(SyncRequest(full=True), PlanningFacts(NOW, MARKS))

    assert Window("tasks") == made.windows[-1]
    assert made.kind is RunKind.FULL


@pytest.mark.parametrize(
    "request_",
    [
        SyncRequest(since=WATERMARK),
        SyncRequest(until=NOW),
        SyncRequest(projects=("a",)),
        SyncRequest(("tasks",), since=NOW),
    ],
)
def test_a_part_never_moves_a_watermark(request_: SyncRequest) -> None:
    """Dates or a project make a backfill."""
    made = plan(request_, PlanningFacts(NOW, MARKS))

    assert (made.kind, made.watermark_at) == (RunKind.BACKFILL, None)


def test_a_backfill_is_bounded_by_creation() -> None:
    """--since and --until are about created_at; the window ends with the last instant before --until."""
    made = plan(SyncRequest(("tasks",), since=WATERMARK, until=NOW), PlanningFacts(NOW, MARKS))

    assert (
        Window("tasks", created_from=WATERMARK, created_to=NOW - timedelta(milliseconds=1)),
    ) == made.windows


def test_an_api_that_demands_a_project_is_read_project_by_project() -> None:
    """One window for each project there is."""
    made = plan(SyncRequest(("tasks",)), PlanningFacts(NOW, {}, every_project=("a", "b")))

    assert (Window("tasks", "a"), Window("tasks", "b")) == made.windows


def test_since_after_until_is_refused() -> None:
    """A window cannot end before it begins."""
    with pytest.raises(ConfigurationError, match=r"--since .* after --until"):
        SyncRequest(since=NOW, until=WATERMARK)


CHANGES = plan(SyncRequest(), PlanningFacts(NOW, MARKS, oldest_unfinished_batch=NOW - timedelta(days=40)))
EVERYTHING = plan(SyncRequest(full=True), PlanningFacts(NOW, MARKS))
ONLY_TASKS = plan(SyncRequest(("tasks",)), PlanningFacts(NOW, MARKS))
FIRST = plan(SyncRequest(), PlanningFacts(NOW, {}))
OF_ONE = plan(SyncRequest(projects=("p",)), PlanningFacts(NOW, MARKS))


@pytest.mark.parametrize(
    ("other", "request_", "marks", "enough"),
    [
        (CHANGES, SyncRequest(), MARKS, True),
        (CHANGES, SyncRequest(("batches",)), MARKS, True),
        (EVERYTHING, SyncRequest(), MARKS, True),
        (EVERYTHING, SyncRequest(full=True), MARKS, True),
        (FIRST, SyncRequest(), {}, True),
        (CHANGES, SyncRequest(lookback=timedelta(minutes=5)), MARKS, True),
        (CHANGES, SyncRequest(lookback=timedelta(minutes=16)), MARKS, False),
        (CHANGES, SyncRequest(full=True), MARKS, False),
        (CHANGES, SyncRequest(), {}, False),
        (ONLY_TASKS, SyncRequest(), MARKS, False),
        (OF_ONE, SyncRequest(), MARKS, False),
        (OF_ONE, SyncRequest(projects=("p",)), MARKS, False),
        (EVERYTHING, SyncRequest(since=NOW - timedelta(days=1)), MARKS, False),
        (EVERYTHING, SyncRequest(windows=(Window("tasks"),)), MARKS, False),
    ],
)
def test_a_run_of_another_process_counts_only_if_it_reads_all_that_was_asked_for(
    other: Plan, request_: SyncRequest, marks: dict[str, datetime], enough: bool
) -> None:
    """Its streams, from as far back, and nothing less than everything where everything is asked for."""
    assert covers(other.kind, other.windows, request_, marks) is enough
