"""Every operation of the official client's v1 API, over HTTP, against the sandbox."""

from typing import Any

import pytest
import scaleapi
from scaleapi.batches import BatchStatus
from scaleapi.exceptions import (
    ScaleDuplicateResource,
    ScaleInternalError,
    ScaleInvalidRequest,
    ScaleNotEnabled,
    ScaleResourceNotFound,
    ScaleUnauthorized,
)
from scaleapi.tasks import TaskReviewStatus, TaskStatus, TaskType

from scalesync.sandbox import SandboxServer
from tests.sandbox.orders import IMAGE, NAME, make_project
from tests.support.sandboxes import TEST_KEY, StartSandbox, official_client


def test_a_live_task_is_created_pending_and_read_back(client: scaleapi.ScaleClient) -> None:
    """create_task answers a pending task in live mode, and get_task and refresh give the same."""
    task = client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="img-1", metadata={"row": 1})
    assert (task.status, task.type, task.unique_id) == ("pending", "imageannotation", "img-1")
    assert task.params == {"attachment": IMAGE["attachment"], "geometries": IMAGE["geometries"]}
    assert client.get_task(task.id).as_dict() == task.as_dict()
    task.refresh()
    assert task.metadata == {"row": 1}


def test_a_pending_task_is_canceled_and_its_unique_id_freed(client: scaleapi.ScaleClient) -> None:
    """cancel_task with clear_unique_id leaves a canceled task and a unique_id that can be used again."""
    task = client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="img-1")
    canceled = client.cancel_task(task.id, clear_unique_id=True)
    assert canceled.status == "canceled"
    assert "unique_id" not in canceled.as_dict()
    client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="img-1").cancel()
    with pytest.raises(ScaleDuplicateResource):
        client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="img-1")


def test_an_audit_sets_the_review_and_is_kept(client: scaleapi.ScaleClient, sandbox: SandboxServer) -> None:
    """audit_task sets customer_review_status and adds to audits, but only once a task is completed."""
    task = client.create_task(TaskType.ImageAnnotation, **IMAGE)
    with pytest.raises(ScaleInvalidRequest):
        task.audit(accepted=True)
    sandbox.backend.complete(task.id)
    client.audit_task(task.id, accepted=False, comments="Too wide.")
    task.refresh()
    assert (task.customer_review_status, task.customer_review_comments) == ("rejected", "Too wide.")
    assert [audit["audit_result"] for audit in task.audits] == ["rejected"]


def test_a_unique_id_is_changed_cleared_and_never_shared(client: scaleapi.ScaleClient) -> None:
    """update_task_unique_id refuses one in use with 409; clear_task_unique_id removes it."""
    one = client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="one")
    two = client.create_task(TaskType.ImageAnnotation, **IMAGE)
    with pytest.raises(ScaleDuplicateResource) as refused:
        two.update_unique_id("one")
    assert refused.value.message == f'The unique_id ("one") is already used for a different task ({one.id}).'
    assert client.update_task_unique_id(one.id, "one").unique_id == "one"
    one.clear_unique_id()
    assert client.update_task_unique_id(two.id, "one").unique_id == "one"


def test_metadata_and_tags_are_replaced_added_and_removed(client: scaleapi.ScaleClient) -> None:
    """Metadata is replaced; tags are set, added without doubles, and removed; empty bodies are not sent."""
    task = client.create_task(TaskType.ImageAnnotation, **IMAGE, metadata={"a": 1})
    assert client.set_task_metadata(task.id, {"b": 2}).metadata == {"b": 2}
    assert client.set_task_metadata(task.id, {}).metadata == {}
    assert client.set_task_tags(task.id, ["x", "y"]).tags == ["x", "y"]
    assert client.add_task_tags(task.id, ["y", "z"]).tags == ["x", "y", "z"]
    assert client.delete_task_tags(task.id, ["x", "unknown"]).tags == ["y", "z"]
    assert client.set_task_tags(task.id, []).tags == []


def test_tasks_are_listed_by_every_filter_the_client_offers(shared_sandbox: SandboxServer) -> None:
    """get_tasks walks all pages with all filters at once and yields what the count promises."""
    client = official_client(shared_sandbox)
    filters: dict[str, Any] = {
        "project_name": "Street scenes",
        "task_type": TaskType.ImageAnnotation,
        "status": TaskStatus.Completed,
        "review_status": [TaskReviewStatus.Accepted, TaskReviewStatus.Fixed],
        "created_after": "2000-01-01 00:00:00.000000",
        "created_before": "2100-01-01T00:00:00Z",
        "updated_after": "2000-01-01",
        "updated_before": "2100-01-01T00:00:00+02:00",
        "completed_after": "2000-01-01",
        "completed_before": "2100-01-01",
    }
    tasks = list(client.get_tasks(**filters, limit=7))
    assert len({task.id for task in tasks}) == client.get_tasks_count(**filters) > 7
    assert {task.customer_review_status for task in tasks} == {"accepted", "fixed"}
    assert {(task.type, task.status) for task in tasks} == {("imageannotation", "completed")}


def test_tasks_are_found_by_unique_ids_and_tags(client: scaleapi.ScaleClient) -> None:
    """unique_id and tags take one value or several, and several mean any of them."""
    for name in ("one", "two", "three"):
        client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id=name, tags=[f"tag-{name}", "all"])
    found = client.tasks(unique_id=["one", "three", "none"])
    assert {task.unique_id for task in found} == {"one", "three"}
    assert [task.unique_id for task in client.tasks(unique_id="two")] == ["two"]
    assert client.tasks(tags=["tag-one", "tag-two"]).total == 2
    assert client.tasks(tags="all").total == 3


def test_a_limited_response_has_four_fields_only(client: scaleapi.ScaleClient) -> None:
    """limited_response leaves task_id, status, metadata and project."""
    make_project(client)
    client.create_task(TaskType.ImageAnnotation, **IMAGE, project=NAME)
    [task] = client.tasks(limited_response=True)
    assert set(task.as_dict()) == {"task_id", "status", "metadata", "project"}


def test_attachment_urls_come_on_request_and_differ_each_time(client: scaleapi.ScaleClient) -> None:
    """include_attachment_url adds attachmentS3Downloads, signed anew at every read."""
    client.create_task(TaskType.ImageAnnotation, **IMAGE)
    first, second = (client.tasks(include_attachment_url=True)[0].as_dict() for _ in range(2))
    assert first.pop("attachmentS3Downloads") != second.pop("attachmentS3Downloads")
    assert first == second == client.tasks()[0].as_dict()


def test_enterprise_batches_are_open_at_once(client: scaleapi.ScaleClient, sandbox: SandboxServer) -> None:
    """An Enterprise batch starts in_progress, finalizing is harmless, and it completes with its tasks."""
    make_project(client)
    batch = client.create_batch(NAME, NAME, callback="me@example.com", metadata={"a": 1})
    assert (batch.status, batch.project, batch.metadata) == (BatchStatus.InProgress.value, NAME, {"a": 1})
    batch.finalize()
    assert client.finalize_batch(NAME).status == "in_progress"
    task = client.create_task(TaskType.ImageAnnotation, **IMAGE, batch=NAME)
    assert task.project == NAME
    assert batch.get_status() == {"status": "in_progress", "pending": 1}
    sandbox.backend.complete(task.id)
    assert client.batch_status(NAME) == {"status": "completed", "completed": 1}
    assert client.get_batch(NAME).as_dict()["completed_at"]


def test_rapid_batches_collect_tasks_until_finalized(client: scaleapi.ScaleClient) -> None:
    """A Rapid batch starts in staging, takes no task after finalize, and refuses a second one with 400."""
    make_project(client, rapid=True)
    batch = client.create_batch(NAME, "rapid batch", calibration_batch=True)
    assert batch.status == "staging"
    client.create_task(TaskType.ImageAnnotation, **IMAGE, batch="rapid batch")
    batch.finalize()
    assert batch.status == "in_progress"
    with pytest.raises(ScaleInvalidRequest):
        client.create_task(TaskType.ImageAnnotation, **IMAGE, batch="rapid batch")
    with pytest.raises(ScaleInvalidRequest):
        batch.finalize()


def test_batches_are_listed_by_offset_with_all_filters(shared_sandbox: SandboxServer) -> None:
    """get_batches walks all pages by offset; status, project, times and exclude_archived filter."""
    client = official_client(shared_sandbox)
    everything = list(client.get_batches(created_after="2000-01-01", created_before="2100-01-01"))
    assert len(everything) == client.batches(limit=1).total > 3
    assert {batch.status for batch in everything} == {status.value for status in BatchStatus}
    done = list(client.get_batches(project_name="Street scenes", batch_status=BatchStatus.Completed))
    assert {(batch.status, batch.project) for batch in done} == {("completed", "Street scenes")}
    shown = list(client.get_batches(exclude_archived=True))
    assert [batch.name for batch in everything if not batch.as_dict().get("archived")] == [
        b.name for b in shown
    ]
    page = client.batches(limit=2, offset=2)
    assert [batch.name for batch in page] == [batch.name for batch in everything[2:4]]


def test_batch_metadata_is_replaced(client: scaleapi.ScaleClient) -> None:
    """set_batch_metadata replaces the metadata of a batch."""
    make_project(client)
    client.create_batch(NAME, NAME, metadata={"a": 1})
    assert client.set_batch_metadata(NAME, {"b": 2}).metadata == {"b": 2}
    assert client.get_batch(NAME).metadata == {"b": 2}


def test_projects_keep_every_version_of_their_params(client: scaleapi.ScaleClient) -> None:
    """update_project appends a version each time: whole without patch, merged over the latest with it."""
    project = make_project(client)
    assert (project.version, project.instruction) == (0, "Look.")
    merged = client.update_project(NAME, patch=True, extra=[1])
    assert {**merged.params, "created_at": ""} == {
        "version": 1,
        "created_at": "",
        "instruction": "Look.",
        "extra": [1],
    }
    whole = client.update_project(NAME, instruction="Again.")
    assert (whole.version, whole.instruction, "extra" in whole.params) == (2, "Again.", False)
    assert client.update_project(NAME, instruction="Again.").version == 3
    assert client.get_project(NAME).as_dict() == client.get_projects()[0].as_dict()
    assert len(client.get_project(NAME).as_dict()["param_history"]) == 4


def test_a_projects_params_are_its_tasks_defaults(client: scaleapi.ScaleClient) -> None:
    """A task takes its project's latest params and instruction, its own winning, and notes the version."""
    make_project(client)
    client.update_project(NAME, patch=True, padding=5, depth=1)
    body = {name: value for name, value in IMAGE.items() if name != "instruction"}
    task = client.create_task(TaskType.ImageAnnotation, **body, project=NAME, depth=2)
    assert (task.instruction, task.project_param_version) == ("Look.", 1)
    assert task.params == {
        "padding": 5,
        "depth": 2,
        "attachment": IMAGE["attachment"],
        "geometries": IMAGE["geometries"],
    }


def test_task_templates_exist_for_text_projects_only(client: scaleapi.ScaleClient) -> None:
    """get_project_template answers for textcollection and chat, and 400 otherwise."""
    text = client.create_project("texts", TaskType.TextCollection, params={"fields": [{"field_id": "a"}]})
    assert text.get_template().template_variables["fields"] == [{"field_id": "a"}]
    make_project(client)
    with pytest.raises(ScaleInvalidRequest):
        client.get_project_template(NAME)


def test_unknown_things_are_404(client: scaleapi.ScaleClient) -> None:
    """Tasks, batches and projects that do not exist are not found, for reads and for writes."""
    with pytest.raises(ScaleResourceNotFound) as refused:
        client.get_task("fake_id")
    assert refused.value.message == "Task with that ID not found."
    for ask in (client.cancel_task, client.clear_task_unique_id):
        with pytest.raises(ScaleResourceNotFound):
            ask("fake_id")
    for ask in (client.get_batch, client.batch_status, client.finalize_batch, client.get_project):
        with pytest.raises(ScaleResourceNotFound):
            ask(NAME)
    with pytest.raises(ScaleResourceNotFound):
        client.update_project(NAME, instruction="x")


def test_used_names_are_409(client: scaleapi.ScaleClient) -> None:
    """A second project or batch of a name is refused as a duplicate."""
    make_project(client)
    client.create_batch(NAME, NAME)
    with pytest.raises(ScaleDuplicateResource):
        make_project(client)
    with pytest.raises(ScaleDuplicateResource):
        client.create_batch(NAME, NAME)


def test_keys_decide_who_is_asking(start_sandbox: StartSandbox) -> None:
    """A key of neither mode is 401, and so is one that is not among the configured keys."""
    with pytest.raises(ScaleUnauthorized):
        official_client(start_sandbox(), "dummy").batches(limit=1)
    choosy = start_sandbox(keys=frozenset({"live_mine"}))
    assert official_client(choosy, "live_mine").tasks().total == 0
    with pytest.raises(ScaleUnauthorized):
        official_client(choosy, "live_other").tasks()


def test_live_and_test_data_never_meet(sandbox: SandboxServer) -> None:
    """What a test key creates is not there for a live key; `|test` at the end makes a test key too."""
    official_client(sandbox, TEST_KEY).create_task(TaskType.ImageAnnotation, **IMAGE)
    assert official_client(sandbox).tasks().total == 0
    assert official_client(sandbox, "abc|test").tasks().total == 1


def test_a_type_that_is_not_enabled_is_402(start_sandbox: StartSandbox) -> None:
    """Creating a type that the account does not have is refused with 402."""
    server = start_sandbox(types_not_enabled=("imageannotation",))
    with pytest.raises(ScaleNotEnabled):
        official_client(server).create_task(TaskType.ImageAnnotation, **IMAGE)


def test_a_create_that_fails_may_have_been_applied(start_sandbox: StartSandbox) -> None:
    """After a 500 on a create that took effect the task is found by its unique_id, and a repeat gets 409."""
    server = start_sandbox(faults=("applied-then-500:100%:times=1@POST",))
    client = official_client(server)
    with pytest.raises(ScaleInternalError):
        client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="img-1")
    with pytest.raises(ScaleDuplicateResource):
        client.create_task(TaskType.ImageAnnotation, **IMAGE, unique_id="img-1")
    assert [task.unique_id for task in client.tasks(unique_id="img-1")] == ["img-1"]
    assert server.backend.applied.count("unique_id", "img-1", "created") == 1
