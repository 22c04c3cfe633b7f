"""An account that is kept nowhere answers as the sandbox does, before and after tasks changed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from scalesync import Mirror
from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.batches import batch_status, list_batches
from scalesync.sandbox.json_codec import decode, encode
from scalesync.sandbox.server import SandboxServer
from scalesync.sandbox.switches import Switches
from scalesync.sandbox.tasks import record_of
from scalesync.sandbox.timestamps import format_millis, to_millis
from tests.benchmark.account import GENERATED
from tests.benchmark.documents import PROJECTS
from tests.benchmark.generated_account import GeneratedAccount
from tests.benchmark.server import KEY, running

TASKS = 9_000
NOW = to_millis(datetime(2026, 11, 30, tzinfo=UTC))


def _copied(account: GeneratedAccount) -> SandboxAccount:
    """Return a sandbox that keeps every object of an account."""
    copy = SandboxAccount("live", Switches(), now=lambda: NOW, seed=1)
    _fill(copy, account)
    return copy


def _fill(copy: SandboxAccount, account: GeneratedAccount) -> None:
    docs, token = [], ""
    while True:
        page = decode(account.page({"next_token": token}))
        docs += page["docs"]
        token = page.get("next_token", "")
        if not token:
            break
    copy.add_tasks([record_of(doc) for doc in docs])
    for project in account.projects:
        copy.save("projects", project["name"], project)
    batches = account.page_of_batches({"limit": "100"})
    assert not batches["has_more"]
    for batch in batches["docs"]:
        copy.save("batches", batch["name"], batch)


@pytest.fixture(scope="module", params=(0, 3))
def accounts(request: pytest.FixtureRequest) -> tuple[GeneratedAccount, SandboxAccount]:
    """Make an account that was changed so often, and a sandbox with the same objects."""
    account = GeneratedAccount(TASKS, seed=1)
    for change in range(request.param):
        changed = account.change(NOW - 60_000 * change, recent=change == 1)
        assert changed == pytest.approx(TASKS / 1_000, abs=2)
    return account, _copied(account)


def _queries(account: GeneratedAccount) -> Iterator[Mapping[str, str]]:
    middle = decode(account.page({"limit": "1", "end_time": "2025-01-01T00:00:00.000Z"}))["docs"][0]
    newest = decode(account.page({"limit": "1"}))["docs"][0]
    at = middle["created_at"]
    yield {}
    for status in ("pending", "completed", "error", "canceled"):
        yield {"status": status}
        yield {"status": status, "project": PROJECTS[1], "start_time": at}
        yield {"status": status, "batch": newest["batch"]}
    for project in PROJECTS:
        yield {"project": project}
        yield {"project": project, "end_time": at}
    for bounds in ({"start_time": at}, {"end_time": at}, {"start_time": at, "end_time": at}):
        yield bounds
        yield {**bounds, "limited_response": "true"}
    yield {"batch": middle["batch"]}
    yield {"batch": middle["batch"], "project": middle["project"]}
    yield {"batch": middle["batch"], "project": "Nothing"}
    yield {"batch": "nothing"}
    yield {"updated_after": middle["updated_at"], "project": PROJECTS[2]}
    yield {"updated_after": format_millis(NOW - 90_000)}
    yield {"updated_after": format_millis(NOW - 90_000), "status": "completed", "project": PROJECTS[0]}
    yield {"unique_id": middle["unique_id"]}
    yield {"unique_id": "frame-99999999"}
    yield {"start_time": "2030-01-01T00:00:00.000Z"}
    yield {"end_time": "2010-01-01T00:00:00.000Z"}


def test_each_list_is_the_sandboxes_to_the_byte(
    accounts: tuple[GeneratedAccount, SandboxAccount],
) -> None:
    """Under every filter that a sync, a verification and a status use, from the first page to the last."""
    account, copy = accounts
    for query in _queries(account):
        for limit in ("100", "1"):
            token, pages = "", 0
            while pages < 40:
                asked = {**query, "limit": limit, "next_token": token}
                page = account.page(asked)
                assert page == copy.lister.answer(
                    {name: (value,) for name, value in asked.items() if value}, NOW
                ), asked
                token, pages = decode(page).get("next_token", ""), pages + 1
                if not token:
                    break


def test_each_task_and_batch_is_found_by_its_name(
    accounts: tuple[GeneratedAccount, SandboxAccount],
) -> None:
    """Batches are listed by project, time and status; their counts are those of a look at each task."""
    account, copy = accounts
    for record in list(copy.tasks)[::97]:
        assert account.task(record.task_id) == record.raw
        assert decode(record.raw)["unique_id"]
    assert account.task("0" * 24) is None
    assert account.task("xyz") is None
    for name, batch in copy.batches.items():
        assert account.batch(name) == batch
        assert account.batch_status(name) == batch_status(copy, name)
    assert account.batch("nothing") is account.batch_status("nothing") is None
    queries: list[dict[str, str]] = [{"limit": "3", "offset": "2"}, {"project": PROJECTS[0]}]
    queries += [{"status": "in_progress"}, {"start_time": "2025-01-01T00:00:00.000Z", "status": "completed"}]
    for query in queries:
        listed = list_batches(copy, {name: (value,) for name, value in query.items()})
        assert encode(account.page_of_batches(query)) == encode(listed)


def test_a_mirror_of_it_is_the_mirror_of_a_sandbox_with_the_same_objects(
    sqlite_url: str, postgres_url: str
) -> None:
    """Both syncs are complete and proven by a verification that counts, also after a change of some tasks."""
    tasks = 2_000
    with SandboxServer() as sandbox, running(tasks, corpus=GENERATED) as api:
        _fill(sandbox.backend.live, GeneratedAccount(tasks, seed=1))
        mirrors = [
            Mirror(sqlite_url, api_key=KEY, api_url=api.url),
            Mirror(postgres_url, api_key=KEY, api_url=sandbox.url),
        ]
        for mirror in mirrors:
            assert mirror.sync().complete
            assert mirror.verify().proven
        generated, copied = map(_contents, mirrors)
        assert generated == copied

        assert api.change() == tasks // 1_000
        done = mirrors[0].sync()
        assert done.complete
        assert done.totals.written["tasks"].changed == tasks // 1_000
        assert mirrors[0].verify().proven
        changed = list(mirrors[0].sql("SELECT 1 FROM tasks WHERE customer_review_status = 'fixed'"))
        assert len(changed) == tasks // 1_000


def _contents(mirror: Mirror) -> list[list[object]]:
    queries = (
        "SELECT task_id, project, batch, status, unique_id, digest, response_digest FROM tasks ORDER BY 1",
        "SELECT name, project, status, digest, tasks_pending, tasks_completed FROM batches ORDER BY 1",
        "SELECT name, digest FROM projects ORDER BY 1",
        'SELECT task_id, ordinal, label, geometry, "left", width FROM annotations ORDER BY 1, 2',
    )
    return [list(mirror.sql(query)) for query in queries]
