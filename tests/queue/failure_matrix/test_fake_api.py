"""The API without HTTP is the sandbox over HTTP, and its faults are what they say."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.api.file_form import FileForm
from scalesync.db.database import Database
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleNotSent
from scalesync.models.api import Document, Page, TaskFilter
from scalesync.queue.file_commands import described
from scalesync.retry import RetryPolicy
from scalesync.sandbox import SandboxServer
from tests.queue.failure_matrix.cases import QUALITY
from tests.queue.failure_matrix.fake_api import KEY, LATE, FakeApi, FakeApiClient, ReadOutcome, WriteOutcome
from tests.queue.failure_matrix.virtual_time import Timeline, VirtualClock

TASK = {"instruction": "Look.", "attachment": "https://example.com/1.jpg", "project": "p", "batch": "b/1"}
FORM = FileForm(__file__, "a.py", *described(Path(__file__)), {"reference_id": "g", "metadata": '{"n": 1}'})
Call = Callable[[ScaleApi], object]

CALLS: list[Call] = [
    lambda api: api.project("p"),
    lambda api: api.create_project({"name": "p", "type": "imageannotation", "rapid": True}),
    lambda api: api.create_project({"name": "p", "type": "imageannotation"}),
    lambda api: api.update_project("p", {"instruction": "Look."}),
    lambda api: api.update_project("p", {"geometries": {"box": {}}}, patch=True),
    lambda api: api.update_project("nowhere", {"instruction": "Look."}, patch=False),
    lambda api: api.project("p"),
    lambda api: api.batch("b/1"),
    lambda api: api.create_batch({"name": "b/1", "project": "p", "callback": "https://example.com"}),
    lambda api: api.create_batch({"name": "b/1", "project": "p"}),
    lambda api: api.create_batch({"name": "b/2"}),
    lambda api: api.create_task("imageannotation", {**TASK, "unique_id": "u"}),
    lambda api: api.create_task("imageannotation", {**TASK, "unique_id": "u"}),
    lambda api: api.create_task("imageannotation", {"unique_id": "v"}),
    lambda api: api.create_task("nothing", TASK),
    lambda api: api.tasks(TaskFilter(unique_id=("u",)), limit=2),
    lambda api: api.tasks(TaskFilter(unique_id=("v",))),
    lambda api: api.tasks(TaskFilter(batch="b/1", status="pending")),
    lambda api: api.finalize_batch("b/1"),
    lambda api: api.finalize_batch("b/1"),
    lambda api: api.finalize_batch("nowhere"),
    lambda api: api.batch("b/1"),
    lambda api: api.create_task("imageannotation", {**TASK, "unique_id": "w"}),
    lambda api: api.task("0" * 24),
    lambda api: api.cancel_task("0" * 24),
    lambda api: api.cancel_task(_only(api), clear_unique_id=True),
    lambda api: api.cancel_task(_only(api)),
    lambda api: api.task(_only(api)),
    lambda api: api.change_task(_only(api), "send-callback"),
    lambda api: api.create("files/import", payload={"file_url": "https://a/b", "reference_id": "f"}),
    lambda api: api.create("files/import", payload={"file_url": "https://a/b", "reference_id": "f"}),
    lambda api: api.create("files/upload", payload=FORM),
    lambda api: api.create("files/upload", payload=FORM),
    lambda api: api.create("training_tasks/{}", "imageannotation", payload=QUALITY),
    lambda api: api.create("evaluation_tasks/{}", "imageannotation", payload={"unique_id": "q"}),
]
"""Every operation that the queue uses, with and without success, in an order that makes sense."""
MOVING = {"task_id", "attachment_url", "id", "projectId", "created_at", "updated_at", "completed_at"}


def _only(api: ScaleApi) -> str:
    page = api.tasks(TaskFilter(batch="b/1"))
    (task,) = (json.loads(bytes(doc)) for doc in page.docs)
    return str(task["task_id"])


def _plain(value: Any, api: ScaleApi) -> Any:
    """Return an answer without what differs from one world to the next."""
    if isinstance(value, Document):
        return _plain(json.loads(bytes(value.raw)), api)
    if isinstance(value, Page):
        docs = [json.loads(bytes(doc)) for doc in value.docs]
        return [_plain(docs, api), value.total, value.has_more, value.next_token]
    if isinstance(value, dict):
        return {name: _plain(inner, api) for name, inner in value.items() if name not in MOVING}
    return [_plain(inner, api) for inner in value] if isinstance(value, list) else value


def _told(call: Call, api: ScaleApi) -> object:
    try:
        return _plain(call(api), api)
    except ScaleException as error:
        words = str(error)
        if "different task" in words or "different file" in words:
            words = re.sub("[0-9a-f]{24}", "(id)", words)
        return type(error), error.code, words


@pytest.fixture
def server(sqlite_arena: Database) -> FakeApi:
    """Return an empty API on a timeline."""
    return FakeApi(Timeline(sqlite_arena))


@pytest.fixture
def api(server: FakeApi) -> ScaleApi:
    """Return a client of the API without HTTP."""
    return FakeApiClient(server, VirtualClock(timeline=server.timeline))


def test_it_answers_as_the_sandbox_over_http(sandbox: SandboxServer, server: FakeApi, api: ScaleApi) -> None:
    """The same calls in the same order get the same answers and errors, and have the same effects."""
    options = ApiOptions(url=sandbox.url, retry=RetryPolicy(attempts=1))
    with ScaleApi(KEY, options) as far:
        for number, call in enumerate(CALLS):
            assert _told(call, api) == _told(call, far), number

    def counted(world: Any) -> list[tuple[Any, ...]]:
        return sorted((kind, name, *more) for kind, name, *more in world.applied if kind != "task")

    assert counted(server.backend) == counted(sandbox.backend)


@pytest.mark.parametrize(
    ("fate", "error", "effects"),
    [
        (WriteOutcome.ANSWERED, None, 1),
        (WriteOutcome.DROPPED, ScaleNoAnswer, 1),
        (WriteOutcome.APPLIED_500, 500, 1),
        (WriteOutcome.BROKEN, ScaleNoAnswer, 1),
        (WriteOutcome.ECHO, 409, 1),
        (WriteOutcome.MUCH_LATER, 504, 0),
        (WriteOutcome.LOST, ScaleNoAnswer, 0),
        (WriteOutcome.REFUSED_503, 503, 0),
        (WriteOutcome.HTML, ScaleNoAnswer, 0),
        (WriteOutcome.MIXED_UP, None, 0),
        (WriteOutcome.SWAPPED, None, 1),
        (WriteOutcome.MIXED_UP_400, 400, 0),
        (WriteOutcome.SWAPPED_400, 400, 1),
        (WriteOutcome.NAMELESS_400, 400, 1),
        (WriteOutcome.SLOW_DOWN, 429, 0),
        (WriteOutcome.BAD_KEY, 401, 0),
        (WriteOutcome.NOT_SENT, ScaleNotSent, 0),
    ],
)
def test_fates_of_a_write(
    server: FakeApi, api: ScaleApi, fate: WriteOutcome, error: int | type | None, effects: int
) -> None:
    """Each fate has the effect and the error that it names; what is late comes when its time has."""
    server.write_outcomes.append(fate)
    caught: ScaleException | None = None
    try:
        api.create_project({"name": "p", "type": "imageannotation"})
    except ScaleException as raised:
        caught = raised
    now = server.backend.applied.count("project", "p", "created")
    server.timeline.advance(LATE - 0.001)
    before = server.backend.applied.count("project", "p", "created")
    server.timeline.advance(0.001)
    after = server.backend.applied.count("project", "p", "created")

    assert (type(caught) if isinstance(error, type) else caught and caught.code) == error
    assert (now, before, after) == (effects, effects, 1 if fate is WriteOutcome.MUCH_LATER else effects)


def test_fates_of_a_look(server: FakeApi, api: ScaleApi) -> None:
    """A read can fail in every way, and lag behind the last write for a while."""
    api.create_project({"name": "p", "type": "imageannotation"})
    codes = []
    for fate in (
        ReadOutcome.LAGGING,
        ReadOutcome.FAILS,
        ReadOutcome.DROPPED,
        ReadOutcome.BROKEN,
        ReadOutcome.NOT_SENT,
        ReadOutcome.MIXED_UP,
        ReadOutcome.ANSWERED,
    ):
        server.read_outcomes.append(fate)
        try:
            api.project("p")
            codes.append("there")
        except ScaleException as error:
            codes.append(str(error.code or type(error).__name__))
    server.timeline.advance(30)
    server.read_outcomes.append(ReadOutcome.LAGGING)

    nothing = "ScaleNoAnswer"
    assert codes == ["404", "500", nothing, nothing, "ScaleNotSent", nothing, "there"]
    assert api.project("p")
