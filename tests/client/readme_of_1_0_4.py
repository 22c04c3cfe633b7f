"""Every call of the README of the official client 1.0.4, in its order; prints what each returned as JSON.

Arguments: `theirs` for the official client, else ours, and the id of a completed task. Calls that cannot work
as they are printed, such as one with a quote that is not closed, are written as they are meant.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

if sys.argv[1] == "theirs":
    import scaleapi

    scaleapi.SCALE_ENDPOINT = os.environ["SCALESYNC_API_URL"] + "/"
else:
    from scalesync import client as scaleapi

client: Any = scaleapi.ScaleClient(os.environ["SCALE_API_KEY"])
calls: dict[str, Any] = {}


def shown(value: Any) -> Any:
    """Return an object of the client, a page of them or a dict as JSON has it."""
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return value
    # Where older clients return an object it has this attribute; where they return a dict, ours reads as one.
    return [str(value), value.__dict__["param_dict"]]


def call(name: str, method: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
    """Call a method, note what it returned or raised, and return that."""
    try:
        returned = method(*given, **named)
    except (scaleapi.ScaleException, TypeError) as error:
        invalid = isinstance(error, scaleapi.ScaleInvalidRequest)
        calls[name] = ["raised", isinstance(error, TypeError), invalid, getattr(error, "code", None)]
        return None
    calls[name] = shown(returned)
    return returned


def tasks() -> None:
    """Sections `Create Task` to `Cancel Task`."""
    created = call(
        "create task",
        client.create_imageannotation_task,
        project="test_project",
        callback_url="http://www.example.com/callback",
        instruction="Draw a box around each baby cow and big cow.",
        attachment_type="image",
        attachment="http://i.imgur.com/v4cBreD.jpg",
        geometries={
            "box": {"objects_to_annotate": ["Baby Cow", "Big Cow"], "min_height": 10, "min_width": 10}
        },
    )
    task = call("fetch task", client.fetch_task, sys.argv[2])
    calls["its attributes"] = [task.status, task.response]
    call("fetch unknown task", client.fetch_task, "asdfasdfasdfasdfasdfasdf")
    next_token = None
    listed = []
    while True:
        page = client.tasks(
            start_time="2020-09-08",
            end_time="2031-01-01",
            customer_review_status="accepted",
            next_token=next_token,
        )
        listed += [[each.task_id, each.__dict__["param_dict"]] for each in page]
        calls[f"page after {next_token}"] = [page.total, page.limit, page.offset, page.has_more]
        next_token = page.next_token
        if next_token is None:
            break
    calls["all tasks"] = listed
    call("cancel task", client.cancel_task, created.id)
    call("cancel task that is completed", client.cancel_task, sys.argv[2])


def batches() -> None:
    """Sections `Create Batch` to `List Batches`."""
    name, callback = "batch_name_01_07_2021", "http://www.example.com/callback"
    call("create batch as printed", client.create_batch, project="test_project", callback=callback, name=name)
    call("create batch", client.create_batch, project="test_project", callback=callback, batch_name=name)
    call("finalize batch", client.finalize_batch, batch_name=name)
    call("batch status", client.batch_status, batch_name=name)
    batch = call("get batch", client.get_batch, batch_name=name)
    calls["its counts"] = [batch.pending, batch.completed, batch.error, batch.canceled]
    while True:
        page = client.list_batches(status="completed")
        calls["all batches"] = [
            [each.name, each.param_dict["status"], each.__dict__["param_dict"]] for each in page
        ]
        if page.next_token is None:
            break


def projects() -> None:
    """Sections `Create Project` to `Update Project`, and the errors."""
    call(
        "create project",
        client.create_project,
        project_name="kittens",
        type="imageannotation",
        params={"instruction": "Please label the kittens"},
    )
    call("get project", client.get_project, project_name="kittens")
    calls["all projects"] = [[each["name"], each["type"], dict(each)] for each in client.projects()]
    text = "update: Please label all the stuff"
    updated = client.update_project(project_name="kittens", patch=False, instruction=text)
    calls["update project"] = dict(updated)
    call("create without parameters as printed", client.create_categorization_task, "Some are missing.")
    call("create without parameters", client.create_categorization_task)


tasks()
batches()
projects()
sys.stdout.write(json.dumps(calls))
