"""Any filter that the API takes gives the same tasks from the mirror, in the same order, page by page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import scaleapi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesync import Mirror
from scalesync.client import ScaleClient
from scalesync.errors import ConfigurationError, ScaleInvalidRequest
from scalesync.sandbox import SandboxServer
from tests.client.conftest import Connect
from tests.support.sandboxes import LIVE_KEY, StartSandbox, official_client

Documents = list[dict[str, Any]]
ARCHIVED = {"exclude_archived": True, "limit": 4, "offset": 1}


def _pages(client: Any, filters: dict[str, Any]) -> tuple[list[Documents], list[int], list[bool]]:
    """Return documents, totals and `has_more` of every page of a list."""
    pages, totals, more = [], [], []
    token = None
    while True:
        page = client.tasks(**filters, **({"next_token": token} if token else {}))
        pages.append([task.as_dict() for task in page])
        totals.append(page.total)
        more.append(page.has_more)
        token = page.next_token
        if token is None:
            return pages, totals, more


@pytest.fixture(scope="module")
def account(shared_sandbox: SandboxServer) -> dict[str, list[Any]]:
    """Return the values that occur in the account, by the name of the filter."""
    docs = [task.as_dict() for task in _every_task(shared_sandbox)]
    fields = ("status", "type", "project", "batch", "unique_id", "customer_review_status")
    found = {name: sorted({doc[name] for doc in docs if doc.get(name)}) for name in fields}
    found["tags"] = sorted({tag for doc in docs for tag in doc.get("tags") or ()})
    found["times"] = sorted(
        {doc[name] for doc in docs for name in ("created_at", "updated_at", "completed_at") if doc.get(name)}
    )
    return found


def _every_task(server: SandboxServer) -> Any:
    client, token = official_client(server), None
    while True:
        page = client.tasks(**({"next_token": token} if token else {}))
        yield from page
        token = page.next_token
        if token is None:
            return


@pytest.fixture
def mirrored(shared_sandbox: SandboxServer, connect: Connect, database_url: str) -> ScaleClient:
    """Return the drop-in over a synced mirror, on each database."""
    client = connect(shared_sandbox, database_url, writes="refuse")
    assert Mirror(database_url, api_key=LIVE_KEY, api_url=shared_sandbox.url).sync().complete
    return client


def _filters(account: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return random filters, mostly of values that occur."""
    nothing = datetime(2031, 1, 1, tzinfo=UTC)
    time = st.sampled_from(account["times"]) | st.just(nothing.isoformat()) | st.just("2024-02-29 12:00:00")
    several = {
        name: st.lists(st.sampled_from([*account[name], "nobody"]), min_size=1, max_size=3)
        for name in ("unique_id", "tags")
    }
    one = {
        "status": st.sampled_from(["pending", "completed", "canceled", "error"]),
        **{name: st.sampled_from([*account[name], "nothing"]) for name in ("type", "project", "batch")},
        "customer_review_status": st.lists(
            st.sampled_from(["accepted", "fixed", "commented", "rejected", "pending"]), min_size=1, max_size=2
        ).map(",".join),
        **{f"{kind}_{end}": time for kind in ("completed", "updated") for end in ("after", "before")},
        "start_time": time,
        "end_time": time,
        "limited_response": st.just(True),
    }
    return st.fixed_dictionaries({"limit": st.sampled_from([100, 100, 37, 7])}, optional={**several, **one})


def test_any_filter_gives_the_same_pages(
    mirrored: ScaleClient, shared_sandbox: SandboxServer, account: dict[str, list[Any]]
) -> None:
    """The same documents, totals and ends of pages as over HTTP."""
    official = official_client(shared_sandbox)

    @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(_filters(account))
    def compare(filters: dict[str, Any]) -> None:
        assert _pages(mirrored, filters) == _pages(official, filters)

    compare()


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "done"},
        {"customer_review_status": "accepted,perfect"},
        {"limit": 0},
        {"limit": 101},
        {"next_token": "garbage"},
        {"start_time": "yesterday-ish"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_wrong_filter_is_refused_as_by_the_official_client(
    mirrored: ScaleClient, shared_sandbox: SandboxServer, filters: dict[str, Any]
) -> None:
    """400, by the same class, whichever of the two modules the handler knows."""
    with pytest.raises(scaleapi.exceptions.ScaleInvalidRequest):
        official_client(shared_sandbox).tasks(**filters)
    with pytest.raises(ScaleInvalidRequest) as ours:
        mirrored.tasks(**filters)
    assert isinstance(ours.value, scaleapi.exceptions.ScaleInvalidRequest)
    assert ours.value.code == 400


def test_lists_of_batches_and_projects_are_the_same(
    mirrored: ScaleClient, shared_sandbox: SandboxServer
) -> None:
    """Page by page, with offsets, filters and counts by status."""
    official = official_client(shared_sandbox)
    names = [batch.name for batch in official.get_batches()]
    assert [batch.as_dict() for batch in mirrored.get_batches()] == [
        batch.as_dict() for batch in official.get_batches()
    ]
    for filters in (
        {"limit": 3},
        {"limit": 3, "offset": 2},
        {"offset": 10_000},
        {"status": "completed"},
        ARCHIVED,
    ):
        ours, theirs = mirrored.batches(**filters), official.batches(**filters)
        assert [each.as_dict() for each in ours] == [each.as_dict() for each in theirs]
        assert (ours.total, ours.has_more, ours.limit, ours.offset) == (
            theirs.total,
            theirs.has_more,
            theirs.limit,
            theirs.offset,
        )
    for name in names[:20]:
        assert mirrored.batch_status(name) == official.batch_status(name)
    assert {each.name: each.as_dict() for each in mirrored.projects()} == {
        each.name: each.as_dict() for each in official.projects()
    }


def test_the_generator_and_the_count_are_the_same(
    mirrored: ScaleClient, shared_sandbox: SandboxServer
) -> None:
    """All tasks of each project, in order; without project and batch both refuse."""
    official = official_client(shared_sandbox)
    for project in official.projects():
        ours = [task.as_dict() for task in mirrored.get_tasks(project_name=project.name)]
        theirs = official.get_tasks(project_name=project.name, include_attachment_url=False)
        assert ours == [task.as_dict() for task in theirs]
        assert mirrored.get_tasks_count(project_name=project.name) == len(ours)
    for method in (mirrored.get_tasks, mirrored.get_tasks_count):
        with pytest.raises(ValueError, match="project_name"):
            method()


def test_a_task_that_no_longer_fits_when_its_turn_comes_is_left_out(
    start_sandbox: StartSandbox, connect: Connect, database_url: str
) -> None:
    """A generator holds no transaction open: what a sync changes meanwhile shows, and nothing comes twice."""
    server = start_sandbox(tasks=1000)
    client = connect(server, database_url)
    assert client.mirror.sync().complete
    tasks = client.get_tasks(project_name="Street scenes")
    first, *_, last = client.get_tasks(project_name="Street scenes")
    assert next(tasks) == first
    server.backend.remove("tasks", str(last.id))
    assert client.mirror.verify(repair=True).proven
    ids = [str(first.id), *(str(task.id) for task in tasks)]
    assert str(last.id) not in ids
    assert len(ids) == len(set(ids)) == client.get_tasks_count(project_name="Street scenes") > 200


def test_how_old_the_answers_are_is_said(mirrored: ScaleClient, shared_sandbox: SandboxServer) -> None:
    """`as_of` is the time of the last complete sync; only beyond `max_age` the API is asked."""
    as_of, requests = mirrored.as_of, shared_sandbox.backend.requests
    assert as_of is not None
    assert timedelta(0) <= datetime.now(UTC) - as_of < timedelta(minutes=5)
    for max_age, asked in ((None, 0), (timedelta(hours=1), 0), (timedelta(0), 1)):
        mirrored.max_age = max_age
        before = requests["GET /tasks"]
        assert len(mirrored.tasks(limit=5)) == 5
        assert requests["GET /tasks"] - before == asked


def test_a_mirror_that_was_never_synced_gives_no_list(sandbox: SandboxServer, connect: Connect) -> None:
    """An error says so, instead of a list without what others have made; the API may be asked."""
    client = connect(sandbox)
    batch = client.create_batch(client.create_project("P", "imageannotation").name, "B")
    for read in (
        client.tasks,
        client.batches,
        client.projects,
        batch.get_status,
        lambda: client.get_tasks(project_name="P"),
        lambda: list(client.get_batches()),
        lambda: client.get_tasks_count(project_name="P"),
    ):
        with pytest.raises(ConfigurationError, match="never synced"):
            read()
    assert client.get_batch("B").project == "P"
    client.max_age = timedelta(0)
    assert [batch.name for batch in client.batches()] == ["B"]


def test_database_and_max_age_may_come_from_the_environment(
    mirrored: ScaleClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a script that names neither; an argument wins, and what is no time span is refused."""
    monkeypatch.setenv("SCALESYNC_DB", database_url)
    monkeypatch.setenv("SCALESYNC_MAX_AGE", "90s")
    assert ScaleClient(LIVE_KEY).max_age == timedelta(seconds=90)
    assert ScaleClient(LIVE_KEY).as_of == mirrored.as_of
    assert ScaleClient(LIVE_KEY, max_age=5).max_age == timedelta(seconds=5)
    monkeypatch.setenv("SCALESYNC_MAX_AGE", "long")
    with pytest.raises(ConfigurationError, match="time span"):
        ScaleClient(LIVE_KEY)


def test_what_the_mirror_does_not_have_is_a_404(mirrored: ScaleClient) -> None:
    """With how old the mirror is, by the official class."""
    for read in (mirrored.get_task, mirrored.get_batch, mirrored.get_project, mirrored.batch_status):
        with pytest.raises(scaleapi.exceptions.ScaleResourceNotFound, match="as of 20") as refused:
            read("nothing of this name")
        assert (refused.value.code, str(refused.value)[:16]) == (404, "<Response [404]>")
