"""Whatever lists by time of creation hide, the count of everything shows it, and a repair brings it."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete

from scalesync.db.database import Database
from scalesync.db.schema.mirror import tasks
from scalesync.sync.planner import SyncRequest
from scalesync.sync.verify.models import Verification
from scalesync.sync.verify.runner import VerifyRunner
from tests.support.misbehaving_api import Doc, MisbehavingApi, Query, project, task
from tests.support.sync_env import TASKS_ONLY, NoWaitClock, present, session, sync
from tests.sync.test_list_anomalies import cut_to_days, without_bounds

MANY = 400
"""Tasks; so few are listed, unless a test asks for counts."""

COUNTED, LISTED = 0, 10_000


def prove(
    api: MisbehavingApi, database: Database, listed: int, *, deep: bool = False, repair: bool = False
) -> Verification:
    """Verify the tasks."""
    with session(api, database, clock=NoWaitClock()) as ready:
        return VerifyRunner(ready, lambda _: None, listed).verify(TASKS_ONLY, deep=deep, repair=repair)


def undated(number: int) -> Doc:
    """Return a task that says neither when it was made nor when it was changed."""
    return task(number, created_at=None, updated_at=None)


@pytest.mark.parametrize(("listed", "deep"), [(COUNTED, False), (COUNTED, True), (LISTED, False)])
def test_tasks_that_no_list_by_time_holds_are_missed(database: Database, listed: int, deep: bool) -> None:
    """Of 405 tasks 400 are here: that is not proven, however it is looked at; a repair brings them."""
    with MisbehavingApi([task(n) for n in range(MANY)]) as api:
        sync(api, database, TASKS_ONLY)
        assert prove(api, database, listed, deep=deep).proven
        api.tasks += [undated(n) for n in range(MANY, MANY + 5)]

        seen = prove(api, database, listed, deep=deep)
        proof = prove(api, database, listed, deep=deep, repair=True)
        again = prove(api, database, listed, deep=deep)

        if listed == COUNTED and not deep:
            assert "the API counts 405 in all where 400 are here" in seen.unproven[0]
        else:
            assert {one.key for one in seen.drift} == {f"t{n:05}" for n in range(MANY, MANY + 5)}
        assert not seen.proven
        assert (proof.proven, present(database)) == (True, api.everything()), proof
        assert again.proven, again


@pytest.mark.parametrize("listed", [COUNTED, LISTED])
def test_an_undated_task_that_goes_is_named(database: Database, listed: int) -> None:
    """It is looked up, as no list by time holds it."""
    with MisbehavingApi(
        [*(task(n) for n in range(MANY)), *(undated(n) for n in range(MANY, MANY + 5))]
    ) as api:
        sync(api, database, TASKS_ONLY)
        assert prove(api, database, listed).proven
        del api.tasks[-1]

        assert [one.key for one in prove(api, database, listed).drift] == ["t00404"]


@pytest.mark.parametrize("chosen", [cut_to_days, without_bounds])
@pytest.mark.parametrize("lost", ["t00007", "t00399"])
def test_whole_documents_are_compared_in_one_list_where_parts_do_not_add_up(
    database: Database, chosen: Callable[[Doc, Query], bool], lost: str
) -> None:
    """An API that knows bounds by the day, or not at all: what is missing is named, and mended."""
    with MisbehavingApi([task(n) for n in range(MANY)], chosen=chosen) as api:
        sync(api, database, TASKS_ONLY)
        assert prove(api, database, COUNTED, deep=True).proven
        with database.write() as conn:
            conn.execute(delete(tasks).where(tasks.c.task_id == lost))

        proof = prove(api, database, COUNTED, deep=True, repair=True)

        assert [one.key for one in (proof.before_repair or proof).drift] == [lost]
        assert (proof.proven, present(database)) == (True, api.everything())
        assert not prove(api, database, COUNTED).drift


@pytest.mark.parametrize("listed", [COUNTED, LISTED])
def test_what_is_made_while_it_counts_is_not_missed(database: Database, listed: int) -> None:
    """A task made before every list is in one count and not in the next: that is no difference."""
    made = iter(range(MANY, 10_000))
    with MisbehavingApi([task(n) for n in range(MANY)]) as api:
        sync(api, database, TASKS_ONLY)

        def odd(path: str, query: Query) -> None:
            if path == "/tasks" and query.get("limit") == "1":
                now = api.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
                api.tasks.append(task(next(made), created_at=now, updated_at=now))

        api.odd = odd
        seen = prove(api, database, listed)

        assert seen.proven, seen
        assert seen.requests < 120


def test_each_project_is_held_against_its_own_count(database: Database) -> None:
    """Where only a project was asked for, so is the count of it."""
    docs = [task(n, project="pq"[n % 2]) for n in range(MANY)]
    with MisbehavingApi(docs, [project("p"), project("q")]) as api:
        sync(api, database, TASKS_ONLY)
        api.tasks.append(task(MANY, project="q", created_at=None, updated_at=None))
        with session(api, database, clock=NoWaitClock()) as ready:
            found = {
                name: VerifyRunner(ready, lambda _: None, COUNTED)
                .verify(SyncRequest(("tasks",), projects=(name,)))
                .unproven
                for name in "pq"
            }

    assert found["p"] == []
    assert "of 'q': the API counts 201 in all where 200 are here" in found["q"][0]


@pytest.mark.parametrize("listed", [COUNTED, LISTED])
def test_an_api_that_stops_counting_proves_nothing(database: Database, listed: int) -> None:
    """It says so in a sentence, and not as a failure."""
    with MisbehavingApi([task(n) for n in range(MANY)]) as api:
        sync(api, database, TASKS_ONLY)

        def uncounted(path: str, query: Query) -> tuple[int, object] | None:
            unbounded = path == "/tasks" and query.get("limit") == "1" and "end_time" not in query
            return (200, {"docs": [], "has_more": False}) if unbounded and api.asked[1:] else None

        api.asked.clear()
        api.odd = uncounted
        seen = prove(api, database, listed)

    assert (seen.drift, seen.proven) == ([], False)
    assert "The API does not say how many tasks there are." in seen.unproven[0]


@pytest.mark.parametrize("listed", [COUNTED, LISTED])
def test_a_task_of_the_end_of_all_times_is_counted(database: Database, listed: int) -> None:
    """It is here, and so it is in the count of what is here."""
    last = task(MANY, created_at="9999-12-31T23:59:59.999Z")
    with MisbehavingApi([*(task(n) for n in range(MANY)), last]) as api:
        sync(api, database, TASKS_ONLY)

        seen = prove(api, database, listed)

    assert seen.proven, seen
