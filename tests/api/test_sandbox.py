"""The client against the sandbox: every write, and the API's own refusals."""

import json
from typing import Any

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.errors import (
    ScaleDuplicateResource,
    ScaleException,
    ScaleInvalidRequest,
    ScaleNoAnswer,
    ScaleNotEnabled,
    ScaleResourceNotFound,
    ScaleUnauthorized,
)
from scalesync.models.api import BatchFilter, Document, TaskFilter
from scalesync.retry import RetryPolicy
from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import LIVE_KEY, StartSandbox

QUICK = RetryPolicy(attempts=8, base=0.01)
TASK: dict[str, Any] = {
    "project": "p",
    "instruction": "Draw a box around each car.",
    "attachment": "https://example.com/1.jpg",
    "geometries": {"box": {"objects_to_annotate": ["car"]}},
}


def client(server: SandboxServer, key: str = LIVE_KEY) -> ScaleApi:
    """Return our client, talking to a sandbox."""
    return ScaleApi(key, ApiOptions(url=server.url, retry=QUICK))


def fields(document: Document | None) -> dict[str, Any]:
    """Return a document's fields."""
    assert document is not None
    found: dict[str, Any] = json.loads(bytes(document.raw))
    return found


def test_every_write(sandbox: SandboxServer) -> None:
    """Projects, batches and tasks can be made, changed and finished, and read back as they were answered."""
    with client(sandbox) as api:
        project = fields(api.create_project({"name": "p", "type": "imageannotation", "params": {}}))
        changed = fields(api.update_project("p", {"instruction": "new"}, patch=True))
        batch = fields(api.create_batch({"name": "b/1", "project": "p", "callback": "https://example.com"}))
        task = fields(api.create_task("imageannotation", {**TASK, "unique_id": "u", "batch": "b/1"}))
        finalized = api.finalize_batch("b/1")
        canceled = fields(api.cancel_task(task["task_id"], clear_unique_id=True))

        assert (project["name"], batch["name"], task["status"], canceled["status"]) == (
            "p",
            "b/1",
            "pending",
            "canceled",
        )
        assert len(changed["param_history"]) == len(project["param_history"]) + 1
        assert finalized is None or fields(finalized)["name"] == "b/1"
        assert fields(api.task(task["task_id"])) == canceled
        assert fields(api.batch("b/1"))["name"] == "b/1"
        assert api.batch_status("b/1").pending == 0
        assert fields(api.project("p")) == changed
        assert api.projects().total == 1
        assert api.tasks(TaskFilter(unique_id=("u",)), limit=1).total == 0


def test_refusals(start_sandbox: StartSandbox) -> None:
    """The API's refusals arrive with their codes and words."""
    server = start_sandbox(types_not_enabled=("lidarannotation",))
    with client(server) as api:
        api.create_project({"name": "p", "type": "imageannotation"})
        task = fields(api.create_task("imageannotation", {**TASK, "unique_id": "u"}))

        with pytest.raises(ScaleDuplicateResource, match=task["task_id"]):
            api.create_task("imageannotation", {**TASK, "unique_id": "u"})
        with pytest.raises(ScaleDuplicateResource):
            api.create_project({"name": "p", "type": "imageannotation"})
        with pytest.raises(ScaleInvalidRequest):
            api.create_task("imageannotation", {"project": "p"})
        with pytest.raises(ScaleNotEnabled):
            api.create_task("lidarannotation", {**TASK})
        with pytest.raises(ScaleResourceNotFound, match="not found"):
            api.task("0" * 24)
        with pytest.raises(ScaleResourceNotFound):
            api.cancel_task("0" * 24)
    with client(server, "nonsense") as api, pytest.raises(ScaleUnauthorized) as caught:
        api.projects()
    assert "nonsense" not in str(caught.value)


def test_paging(shared_sandbox: SandboxServer) -> None:
    """Following tokens gives every task and every batch once, and the totals agree."""
    with client(shared_sandbox) as api:
        first = page = api.tasks(TaskFilter())
        tasks = [bytes(doc) for doc in page.docs]
        while page.next_token:
            page = api.tasks(TaskFilter(), next_token=page.next_token)
            tasks += [bytes(doc) for doc in page.docs]
        batches = []
        token: str | None = None
        while True:
            page = api.batches(BatchFilter(), limit=3, next_token=token)
            batches += [json.loads(bytes(doc))["name"] for doc in page.docs]
            if (token := page.next_token) is None:
                break

        assert len({json.loads(task)["task_id"] for task in tasks}) == len(tasks) == first.total == 1000
        assert len(set(batches)) == len(batches) == page.total


@pytest.mark.parametrize(
    "fault", ["500:100%", "429:100%:retry-after=0", "reset:100%", "truncate:100%", "html:100%", "520:100%"]
)
def test_reads_survive_faults(start_sandbox: StartSandbox, fault: str) -> None:
    """Three faults in a row of any kind are got over by a read."""
    server = start_sandbox(tasks=10, faults=(f"{fault}:times=3",))
    with client(server) as api:
        assert api.tasks(TaskFilter()).total == 10
        assert api.requests_made == 4


@pytest.mark.parametrize("fault", ["applied-then-dropped", "applied-then-500", "truncate"])
def test_a_write_that_took_effect_without_an_answer(start_sandbox: StartSandbox, fault: str) -> None:
    """A create whose answer is lost took effect once, and its error does not deny it."""
    server = start_sandbox(faults=(f"{fault}:100%:times=1",))
    with client(server) as api:
        with pytest.raises(ScaleException) as caught:
            api.create_project({"name": "p", "type": "imageannotation"})

        assert isinstance(caught.value, ScaleNoAnswer) or caught.value.code == 500
        assert server.backend.applied.count("project", "p", "created") == 1
        assert fields(api.project("p"))["name"] == "p"
