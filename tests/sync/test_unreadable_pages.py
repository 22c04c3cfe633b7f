"""A page, a project, a batch or an object that cannot be read holds up nothing but itself, and is named."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.errors import ScaleForbidden, ScaleUnauthorized
from scalesync.sync.planner import SyncRequest
from tests.support.misbehaving_api import Answer, MisbehavingApi, Query, batch, page, project, task
from tests.support.sync_env import ONCE_MORE, TASKS_ONLY, present, sync

FAILS = {"status_code": 500, "error": "It failed."}


def names(database: Database, stream: str) -> set[str]:
    """Return the names in a table."""
    table = MAPPINGS[stream].table
    with database.read() as conn:
        return set(conn.scalars(select(table.c.name)))


def failing_with(key: str, api: Callable[[], MisbehavingApi]) -> Callable[[str, Query], Answer | None]:
    """Return what answers with a failure wherever a page of tasks would hold this one."""

    def odd(path: str, query: Query) -> Answer | None:
        if path != "/tasks":
            return None
        whole = api()
        found = page([doc for doc in whole.tasks if whole.holds(doc, query)], query)
        return (500, FAILS) if any(doc["task_id"] == key for doc in found["docs"]) else None

    return odd


@pytest.mark.parametrize("number", [0, 399, 250], ids=["the oldest", "the newest", "one in the middle"])
def test_a_task_that_no_page_can_hold_leaves_out_nothing_but_itself(database: Database, number: int) -> None:
    """Its page is divided in time until nothing else is in it; the run is incomplete and says where."""
    key = f"t{number:05}"
    with MisbehavingApi([task(n) for n in range(400)]) as api:
        api.odd = failing_with(key, lambda: api)
        summary = sync(api, database, TASKS_ONLY, retry=ONCE_MORE)
        assert not summary.complete
        assert present(database) == api.everything() - {key}
        assert "tasks created" in str(summary.runs[-1].error)
        assert "It failed." in str(summary.runs[-1].error)

        api.tasks.append(task(500))
        again = sync(api, database, TASKS_ONLY, retry=ONCE_MORE)
        assert (again.complete, present(database)) == (False, api.everything() - {key})

        api.odd = lambda path, query: None  # noqa: ARG005 - its signature
        assert sync(api, database, TASKS_ONLY, retry=ONCE_MORE).complete
        assert present(database) == api.everything()


@pytest.mark.parametrize("status", [500, 403, 502])
def test_a_project_that_cannot_be_read_holds_up_no_other(database: Database, status: int) -> None:
    """Where the API lists tasks project by project, the others come, in this run and the next."""

    def odd(path: str, query: Query) -> Answer | None:
        if path == "/tasks" and "project" not in query:
            return 400, {"status_code": 400, "error": "A project is required."}
        return (status, FAILS) if path == "/tasks" and query["project"] == "b" else None

    docs = [task(n, project="abc"[n % 3]) for n in range(60)]
    with MisbehavingApi(docs, [project(name) for name in "abc"], odd=odd) as api:
        for expected in (60, 70):
            api.tasks += [task(n, project="a") for n in range(len(api.tasks), expected)]
            summary = sync(api, database, retry=ONCE_MORE)

            assert not summary.complete
            assert present(database) == {doc["task_id"] for doc in api.tasks if doc["project"] != "b"}
            assert "'b'" in str(summary.runs[-1].error)
        assert sync(api, database, SyncRequest(projects=("c",)), retry=ONCE_MORE).complete


@pytest.mark.parametrize("stream", ["projects", "batches"])
def test_a_list_that_cannot_be_read_holds_up_no_other(database: Database, stream: str) -> None:
    """Tasks come although projects or batches do not, and the run says which."""

    def odd(path: str, query: Query) -> Answer | None:  # noqa: ARG001 - its signature
        return (500, FAILS) if path == f"/{stream}" else None

    with MisbehavingApi([task(n) for n in range(5)], odd=odd) as api:
        summary = sync(api, database, retry=ONCE_MORE)

    assert (summary.complete, len(present(database))) == (False, 5)
    assert str(summary.runs[-1].error).startswith(stream)


@pytest.mark.parametrize(("status", "error"), [(401, ScaleUnauthorized), (403, ScaleForbidden)])
def test_a_refusal_of_everything_ends_the_run(
    database: Database, status: int, error: type[Exception]
) -> None:
    """It is about the key, not about a window."""
    with MisbehavingApi([task(1)], odd=lambda path, query: (status, FAILS)) as api, pytest.raises(error):  # noqa: ARG005
        sync(api, database, retry=ONCE_MORE)


@pytest.mark.parametrize("length", [1_100, 5_000])
def test_a_long_name_leaves_out_no_other(database: Database, length: int) -> None:
    """A project or batch whose name no index takes is left out and named; the others come."""
    long = "n" * length
    with MisbehavingApi(
        [task(n) for n in range(5)],
        [project(name) for name in ("p", long, "q")],
        [batch(name) for name in ("a", long, "z")],
    ) as api:
        summary = sync(api, database, retry=ONCE_MORE)

    assert names(database, "projects") >= {"p", "q"}
    assert names(database, "batches") >= {"a", "z"}
    assert len(present(database)) == 5
    left_out = long not in names(database, "projects")
    assert summary.complete is not left_out
    assert ("nnnn" in str(summary.runs[-1].error)) is left_out


def test_a_task_whose_absence_cannot_be_proven_is_named(database: Database) -> None:
    """One look-up that fails holds up no other; the run is incomplete."""
    with MisbehavingApi([task(n) for n in range(10)]) as api:
        sync(api, database, TASKS_ONLY, retry=ONCE_MORE)
        del api.tasks[:3]
        api.odd = lambda path, query: (500, FAILS) if path == "/task/t00001" else None  # noqa: ARG005

        summary = sync(api, database, SyncRequest(("tasks",), full=True), retry=ONCE_MORE)

    assert (summary.complete, summary.totals.missed) == (False, 2)
    assert "t00001 could not be looked up" in str(summary.runs[-1].error)
    assert present(database) == api.everything() | {"t00001"}


@pytest.mark.parametrize("total", [10**9, 10**12, 10**15, 10**30])
def test_a_count_that_cannot_be_ends_in_an_incomplete_run(database: Database, total: int) -> None:
    """What came is kept."""
    with MisbehavingApi([task(n) for n in range(250)]) as api:

        def odd(path: str, query: Query) -> Answer | None:
            counted = page([doc for doc in api.tasks if api.holds(doc, query)], query) | {"total": total}
            return (200, counted) if path == "/tasks" else None

        api.odd = odd
        summary = sync(api, database, TASKS_ONLY, retry=ONCE_MORE)

        assert (summary.complete, present(database)) == (False, api.everything())
    assert summary.runs[-1].error
