"""Writes of the drop-in: sent at once, queued for later, or refused; each has its effect once."""

from contextlib import closing
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import scaleapi

from scalesync.client import ScaleClient, Task
from scalesync.db.database import Database
from scalesync.errors import (
    ConfigurationError,
    DatabaseError,
    ScaleDuplicateResource,
    ScaleInvalidRequest,
    ScaleNoAnswer,
    ScaleUnauthorized,
)
from scalesync.models.commands import CommandState
from scalesync.sandbox import SandboxServer
from scalesync.sandbox.task_writes import cancel_task
from tests.client.conftest import Connect
from tests.support.commands import NOON, change
from tests.support.sandboxes import LIVE_KEY, StartSandbox

BOX = "imageannotation"
IMAGE: dict[str, Any] = {
    "attachment": "https://example.com/1.jpg",
    "geometries": {"box": {"objects_to_annotate": ["car"], "min_height": 5, "min_width": 5}},
}


def test_a_script_written_offline_is_sent_later_and_once(sandbox: SandboxServer, connect: Connect) -> None:
    """Project, batch, tasks with tags, metadata and a cancel: queued without a network, then dispatched."""
    offline = connect(sandbox, writes="queue")
    offline.create_project("P", BOX, {"instruction": "Box every car."}, rapid=True)
    offline.create_batch("P", "B", metadata={"week": 48})
    tasks = [offline.create_task(BOX, **IMAGE, project="P", batch="B", unique_id=f"u{n}") for n in range(30)]
    for number, task in enumerate(tasks):
        task.add_tags([f"tag{number % 3}"])
    tasks[0].set_metadata({"first": True})
    offline.finalize_batch("B")
    assert [task.id for task in tasks] == [None] * 30
    assert {task.status for task in tasks} == {"pending"}

    assert sum(sandbox.backend.requests.values()) == 0
    assert offline.mirror.dispatch(patience=20).dead == 0
    for task in tasks:
        task.refresh()
    stored = {doc.unique_id: doc for doc in map(sandbox.backend.live.tasks.__getitem__, _ids(tasks))}
    assert sorted(map(str, stored)) == sorted(f"u{n}" for n in range(30))
    assert tasks[4].tags == ["tag1"]
    assert tasks[0].metadata == {"first": True}
    applied = sandbox.backend.applied
    assert {applied.count("unique_id", f"u{n}", "created") for n in range(30)} == {1}
    assert {applied.count("task", task_id, "tagged") for task_id in _ids(tasks)} == {1}


def _ids(tasks: list[Task]) -> list[str]:
    return [str(task.id) for task in tasks]


def test_a_queued_task_without_a_unique_id_can_be_changed(sandbox: SandboxServer, connect: Connect) -> None:
    """The queue gives it one, by which changes come behind its create, and are withdrawn with it."""
    client = connect(sandbox, writes="queue")
    task = client.create_task(BOX, **IMAGE)
    task.set_tags(["rain"])
    task.cancel()
    assert task.unique_id.startswith("scalesync-")
    assert client.mirror.queue.depth()[0].open == 0
    other = client.create_task(BOX, **IMAGE)
    other.set_tags(["rain"])
    assert client.mirror.dispatch(patience=20).dead == 0
    other.refresh()
    assert other.tags == ["rain"]


def test_a_client_that_only_reads_refuses_every_write(sandbox: SandboxServer, connect: Connect) -> None:
    """And queues nothing."""
    client = connect(sandbox, writes="refuse")
    for write in (
        lambda: client.create_task(BOX, **IMAGE),
        lambda: client.cancel_task("t"),
        lambda: client.set_task_tags("t", ["a"]),
        lambda: client.create_batch("P", "B"),
        lambda: client.update_project("P", instruction="x"),
        lambda: client.import_file("https://example.com/1.jpg"),
        lambda: client.upload_file(__file__),
        lambda: client.create_training_task(BOX, **IMAGE),
        lambda: client.invite_teammates(["ann@example.com"], "member"),
    ):
        with pytest.raises(ConfigurationError, match=r"only reads|sent at once"):
            write()
    assert client.mirror.queue.depth()[0].open == 0


def test_a_write_that_is_delivered_without_a_result_has_ended(
    sandbox: SandboxServer, client: ScaleClient, sqlite_url: str
) -> None:
    """After a restored backup: the task was known by its unique_id alone, and has lost that as it was to."""
    task_id = str(client.create_task(BOX, **IMAGE, unique_id="one").id)
    task = Task({"unique_id": "one"}, client)
    client.writes = "queue"
    task.cancel(clear_unique_id=True)
    client.mirror.queue.distrust()
    with closing(Database.open(sqlite_url)) as database:  # so long ago that the API shows all of it
        change(database, 1, CommandState.DELIVERED, finished_at=NOON)
    with sandbox.backend.locked():
        cancel_task(sandbox.backend.live, task_id, clear_unique_id=True)
    client.writes = "send"
    task.cancel(clear_unique_id=True)
    assert client.mirror.queue.depth()[0].open == 0


def test_files_are_sent_at_once_and_are_the_same_file_twice(
    sandbox: SandboxServer, client: ScaleClient, tmp_path: Path
) -> None:
    """By path, as an open file, or from a URL; the address goes into a task."""
    picture = tmp_path / "1.jpg"
    picture.write_bytes(b"bytes")
    with picture.open("rb") as file:
        one = client.upload_file(file=file, project_name="P", metadata={"n": 1})
    two = client.import_file("https://example.com/1.jpg", reference_id="two")
    assert client.upload_file(picture, project_name="P", metadata={"n": 1}).id == one.id
    kept = [each["shown"] for each in sandbox.backend.live.objects["files"].values()]
    assert [(each["id"], each["attachment_url"]) for each in kept] == [
        (each.id, each.attachment_url) for each in (one, two)
    ]
    task = client.create_task(BOX, **{**IMAGE, "attachment": one.attachment_url})
    assert task.params["attachment"].startswith("scaledata://")


@pytest.mark.parametrize("writes", ["queue", "send"])
def test_a_file_without_a_path_is_refused(
    sandbox: SandboxServer, connect: Connect, writes: str, tmp_path: Path
) -> None:
    """Also one that only has the name of another."""
    client = connect(sandbox, writes=writes)
    named = BytesIO(b"bytes")
    named.name = str(tmp_path / "1.jpg")
    (tmp_path / "1.jpg").write_bytes(b"others")
    for file in (BytesIO(b"bytes"), named):
        with pytest.raises(ConfigurationError, match="has no path"):
            client.upload_file(file)
    assert client.mirror.queue.depth()[0].open == 0


def test_a_reference_id_that_is_taken_is_the_official_error(client: ScaleClient) -> None:
    """Here or at Scale."""
    url = "https://example.com/1.jpg"
    client.import_file(url, reference_id="one")
    with client.mirror.connections().api() as api:
        api.create("files/import", payload={"file_url": url, "reference_id": "two"})
    for name in ("one", "two"):
        with pytest.raises(scaleapi.exceptions.ScaleDuplicateResource):
            client.import_file(url, reference_id=name)
    with pytest.raises(scaleapi.exceptions.ScaleInvalidRequest):
        client.import_file("nowhere")


def test_refusals_are_the_official_errors(client: ScaleClient) -> None:
    """400, 404 and 409 with the API's words, by either module's class."""
    client.create_task(BOX, **IMAGE, unique_id="one")
    for write, ours, theirs in (
        (lambda: client.create_task(BOX, **IMAGE, unique_id="one"), ScaleDuplicateResource, 409),
        (lambda: client.create_task("no such type", unique_id="two"), ScaleInvalidRequest, 400),
        (lambda: client.create_batch("no such project", "B"), scaleapi.exceptions.ScaleException, None),
        (lambda: client.cancel_task("0" * 24), scaleapi.exceptions.ScaleResourceNotFound, 404),
        (lambda: client.create_task(BOX, unique_id=""), ScaleInvalidRequest, 400),
    ):
        with pytest.raises(ours) as refused:
            write()
        assert isinstance(refused.value, scaleapi.exceptions.ScaleException)
        assert theirs is None or refused.value.code == theirs


def test_what_was_refused_holds_up_nothing(client: ScaleClient) -> None:
    """Its unique_id can be used again, its batch finalized, and nothing dead is left in the queue."""
    client.create_project("P", BOX, {"instruction": "x"}, rapid=True)
    client.create_batch("P", "B")
    for _ in range(2):
        with pytest.raises(ScaleInvalidRequest) as refused:
            client.create_task(BOX, project="P", batch="B", unique_id="one")
        assert refused.value.code == 400
    assert client.create_task(BOX, **IMAGE, project="P", batch="B", unique_id="one").status == "pending"
    assert client.finalize_batch("B").status == "in_progress"
    assert list(client.mirror.queue.commands()) == []


def test_tasks_without_a_unique_id_are_each_another_one(client: ScaleClient, sandbox: SandboxServer) -> None:
    """The same content twice makes two tasks, as with the official client."""
    one, two = client.create_task(BOX, **IMAGE), client.create_task(BOX, **IMAGE)
    assert one.id != two.id
    assert len(sandbox.backend.documents("tasks")) == 2


def test_names_of_older_clients_work(client: ScaleClient) -> None:
    """create_<type>_task, fetch_task, list_batches, attributes of params, and objects that read as dicts."""
    client.create_project("P", BOX, {"instruction": "x"})
    client.create_batch("P", "B")
    task = client.create_imageannotation_task(**IMAGE, project="P", batch="B")
    assert client.fetch_task(str(task.id)).param_dict == task.as_dict()
    assert task.attachment == IMAGE["attachment"]
    assert client.get_project("P")["name"] == "P"
    assert dict(client.get_project("P"))["type"] == BOX
    page = client.list_batches(next_token=None)
    assert ([batch.name for batch in page], page.next_token) == (["B"], None)
    with pytest.raises(AttributeError, match="create_nonsense_task"):
        _ = client.create_nonsense_task
    with pytest.raises(AttributeError, match="nonsense"):
        _ = task.nonsense


def test_a_write_without_an_answer_stays_in_the_queue_and_is_applied_once(
    sandbox: SandboxServer, connect: Connect
) -> None:
    """The error says so; once the API answers again, what was done is found, and not done again."""
    client = connect(sandbox, patience=0.5)
    sandbox.backend.faults.replace(("applied-then-dropped:100%@POST", "500:100%@GET"))
    with pytest.raises(ScaleNoAnswer) as unknown:
        client.create_task(BOX, **IMAGE, unique_id="one")
    assert isinstance(unknown.value, scaleapi.exceptions.ScaleException)
    sandbox.backend.faults.replace(())
    assert client.mirror.queue.depth()[0].in_doubt == 1
    assert client.mirror.dispatch(patience=20).delivered == 1
    assert sandbox.backend.applied.count("unique_id", "one", "created") == 1


def test_a_wrong_key_is_an_official_error(start_sandbox: StartSandbox, connect: Connect) -> None:
    """401, from a write."""
    server = start_sandbox(keys=frozenset({"live_another_key_0000"}))
    client = connect(server)
    with pytest.raises(ScaleUnauthorized) as refused:
        client.create_task(BOX, **IMAGE, unique_id="one")
    assert isinstance(refused.value, scaleapi.exceptions.ScaleUnauthorized)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"writes": "never"}, "none of the ways"),
        ({"proxies": {}}, "environment"),
        ({"verify": False}, "environment"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(
    connect: Connect, sandbox: SandboxServer, options: Any, words: str
) -> None:
    """In one sentence."""
    with pytest.raises(ConfigurationError, match=words):
        connect(sandbox, **options)


def test_a_project_without_a_type_is_refused(client: ScaleClient) -> None:
    """Under neither of the two names that the type has."""
    with pytest.raises(ScaleInvalidRequest, match="type of its tasks"):
        client.create_project("P")
    assert client.get_projects() == []


@pytest.mark.parametrize("other", ["another key", "another address"])
def test_a_client_of_another_account_queues_nothing(
    sandbox: SandboxServer, connect: Connect, sqlite_url: str, other: str
) -> None:
    """Or what it asked for would be done to the account of the mirror, by its next dispatch."""
    mine = connect(sandbox, max_age=0)
    mine.create_project("P", BOX, {"instruction": "Box."})
    key = "live_other" if other == "another key" else LIVE_KEY
    url = sandbox.url if other == "another key" else sandbox.url.replace("127.0.0.1", "localhost")
    theirs = ScaleClient(key, api_instance_url=url, database=sqlite_url)
    with pytest.raises(DatabaseError, match="another"):
        theirs.create_batch("P", "B")
    assert list(mine.mirror.queue.commands()) == []


def test_a_write_that_was_not_sent_is_not_sent_later(sandbox: SandboxServer, connect: Connect) -> None:
    """Its caller had the error, and writes it again."""
    client = connect(sandbox, max_age=0)
    client.create_project("P", BOX, {"instruction": "Box."})
    sandbox.backend.faults.replace(["401:100%@POST /batches"])
    with pytest.raises(ScaleUnauthorized):
        client.create_batch("P", "B")
    sandbox.backend.faults.replace([])
    client.mirror.queue.resume()
    client.mirror.dispatch()
    assert list(client.mirror.queue.commands()) == []
    assert list(client.get_batches()) == []


@pytest.mark.parametrize("max_age", ["x", -1, timedelta(seconds=-1)])
def test_an_age_that_is_none_is_refused(max_age: Any) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match="is no age"):
        ScaleClient("live_x", max_age=max_age)
