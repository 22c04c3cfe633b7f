"""Lists that hide rows, ignore their bounds, or answer for each other: nothing is lost without a word."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.schema.sync import runs as runs_table
from scalesync.db.schema.sync import windows
from scalesync.db.sync import runs
from scalesync.models.sync import RunState, WindowState
from scalesync.sync.planner import SyncRequest
from tests.support.misbehaving_api import BEGAN, Answer, Doc, MisbehavingApi, Query, as_promised, page, task
from tests.support.sync_env import TASKS_ONLY, present, session, sync

MANY = 1_500
"""Tasks enough for a first pass to be divided, as nothing else is to be read."""

FULL = SyncRequest(("tasks",), full=True)


def day(instant: str) -> str:
    """Return the beginning of the day."""
    return instant[:10] + "T00:00:00.000Z"


def cut_to_days(doc: Doc, query: Query) -> bool:
    """Choose as an API that knows bounds by the day only."""
    return as_promised(
        doc, query | {name: day(query[name]) for name in ("start_time", "end_time") if name in query}
    )


def without_bounds(doc: Doc, query: Query) -> bool:
    """Choose as an API that ignores bounds of creation."""
    return as_promised(doc, {name: value for name, value in query.items() if not name.endswith("_time")})


@pytest.mark.parametrize(
    "chosen",
    [None, cut_to_days, without_bounds],
    ids=["hides undated tasks", "cuts to days", "ignores bounds"],
)
def test_a_first_pass_reads_what_lists_with_bounds_do_not_give(database: Database, chosen: object) -> None:
    """The parts are held against the whole, which is read undivided where they do not add up."""
    docs = [task(n) for n in range(MANY)] + [task(n, created_at=None) for n in range(MANY, MANY + 5)]
    with MisbehavingApi(docs, chosen=chosen) as api:  # type: ignore[arg-type]
        summary = sync(api, database, TASKS_ONLY)

        assert present(database) == api.everything()
        assert summary.complete
        assert len(api.pages()) < 5 * MANY / 100


def test_a_mirror_that_knows_undated_tasks_divides_nothing(database: Database) -> None:
    """A list with bounds could hide them, so the next full pass reads it whole, and sees what is gone."""
    docs = [task(n) for n in range(MANY)] + [task(n, created_at=None) for n in range(MANY, MANY + 5)]
    with MisbehavingApi(docs) as api:
        sync(api, database, TASKS_ONLY)
        del api.tasks[-2:]
        api.asked.clear()

        assert sync(api, database, FULL).complete

        assert present(database) == api.everything()
        assert len(api.pages()) <= MANY / 100 + 3


def test_answers_that_are_mixed_up_are_read_again(database: Database) -> None:
    """A page that answers another window's request holds rows outside of this one, and is no part of it."""
    turn = threading.Lock()
    kept: list[Doc] = []

    def mixed_up(path: str, query: Query) -> Answer | None:
        if path != "/tasks" or "start_time" not in query:
            return None
        answer = page([doc for doc in api.tasks if as_promised(doc, query)], query)
        with turn:
            kept.append(answer)
            # Each third answer with bounds is the one before.
            return 200, kept[-2] if len(kept) % 3 == 0 else answer

    with MisbehavingApi([task(n) for n in range(MANY)], odd=mixed_up) as api:
        sync(api, database, TASKS_ONLY)
        complete = sync(api, database, FULL).complete

        assert present(database) == api.everything() or not complete


def test_tasks_of_another_project_in_a_list_of_one_are_a_contradiction(database: Database) -> None:
    """The window is read again, and given up if that goes on."""
    docs = [task(n, project="pq"[n % 2]) for n in range(10)]

    def any_project(doc: Doc, query: Query) -> bool:
        return as_promised(doc, {name: value for name, value in query.items() if name != "project"})

    with MisbehavingApi(docs, chosen=any_project) as api:
        summary = sync(api, database, SyncRequest(("tasks",), projects=("p",)))

    assert not summary.complete
    assert "of another project than its own" in str(summary.runs[-1].error)


def test_what_is_gone_is_noticed_wherever_it_was(database: Database) -> None:
    """Also on the first page of a window that was divided, and of one of its parts that was divided again."""
    with MisbehavingApi([task(n) for n in range(2_500)]) as api:
        sync(api, database, TASKS_ONLY, workers=8)
        gone = {doc["task_id"] for doc in api.tasks[::100]} | {doc["task_id"] for doc in api.tasks[-60::7]}
        api.tasks = [doc for doc in api.tasks if doc["task_id"] not in gone]

        summary = sync(api, database, FULL, workers=8)

        assert (summary.complete, summary.totals.missed) == (True, len(gone))
        assert present(database) == api.everything()


def test_every_row_lies_in_exactly_one_part_that_closes(database: Database) -> None:
    """What the closed parts received within their bounds adds up to what the API counts in the whole."""
    with MisbehavingApi([task(n // 7) | {"task_id": f"x{n}"} for n in range(3_000)]) as api:
        assert sync(api, database, TASKS_ONLY).complete
    lines = select(windows.c.state, windows.c.parent_id, windows.c.rows_within, windows.c.api_total)
    with database.read() as conn:
        found = conn.execute(lines.where(windows.c.stream == "tasks").order_by(windows.c.id)).all()

    assert next((total, parent) for state, parent, _, total in found if state == WindowState.SPLIT) == (
        3_000,
        None,
    )
    assert sum(within for state, _, within, _ in found if state == WindowState.CLOSED) == 3_000


def test_what_leaves_an_account_while_it_is_read_is_no_loss(database: Database) -> None:
    """The parts then hold fewer rows than were counted at first, and as many as are counted at the end."""
    removed = threading.Event()

    def one_leaves(path: str, query: Query) -> Answer | None:
        if path == "/tasks" and "end_time" in query and not removed.is_set():
            removed.set()
            del api.tasks[3]
        return None

    with MisbehavingApi([task(n) for n in range(MANY)], odd=one_leaves) as api:
        summary = sync(api, database, TASKS_ONLY, workers=1)

        assert summary.complete
        assert present(database) == api.everything()
        assert len(api.pages()) < 2 * MANY / 100


def test_a_run_whose_parts_do_not_add_up_is_never_complete(database: Database) -> None:
    """Whoever ends it, and whatever they looked at before."""
    with MisbehavingApi([task(n) for n in range(MANY)]) as api, session(api, database) as ready:
        ready.sync(TASKS_ONLY)
        with database.write() as conn:
            run = runs.recent(conn, 1)[0]
            whole = windows.c.parent_id.is_(None) & (windows.c.stream == "tasks")
            conn.execute(windows.update().where(whole).values(api_total=MANY + 1))
            conn.execute(runs_table.update().values(state="open", finished_at=None))

            ended = runs.finish(conn, run, BEGAN + timedelta(days=1))

    assert ended is not None
    assert (ended.state, ended.error) == (
        RunState.INCOMPLETE,
        f"tasks: its parts hold {MANY} rows where the API counts {MANY + 1}",
    )
