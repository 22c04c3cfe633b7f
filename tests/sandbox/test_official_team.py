"""The official client's operations on files, teammates, Studio and quality tasks."""

import io
from typing import Any

import pytest
import scaleapi
from scaleapi.exceptions import ScaleDuplicateResource, ScaleInvalidRequest
from scaleapi.tasks import TaskType
from scaleapi.teams import TeammateRole

from tests.sandbox.orders import IMAGE, NAME, make_project


def test_files_are_uploaded_and_imported(client: scaleapi.ScaleClient) -> None:
    """upload_file and import_file answer a file with an id and an attachment_url."""
    upload = io.BytesIO(b"some bytes")
    upload.name = "cat.png"
    uploaded = client.upload_file(upload, project_name=NAME)
    assert uploaded.attachment_url.startswith("scaledata://")
    assert uploaded.as_dict()["filename"] == "cat.png"
    imported = client.import_file("https://pictures.example/cat.jpg", project_name=NAME)
    assert imported.id != uploaded.id
    with pytest.raises(ScaleInvalidRequest):
        client.import_file("nowhere")


def test_teammates_are_listed_invited_and_promoted(client: scaleapi.ScaleClient) -> None:
    """There is always an owner; invited people appear, and their role can be changed."""
    assert [mate.role for mate in client.list_teammates()] == ["admin"]
    client.invite_teammates(["ann@example.com"], TeammateRole.Labeler)
    [_, ann] = client.update_teammates_role(["ann@example.com"], TeammateRole.Manager)
    assert (ann.email, ann.role) == ("ann@example.com", "manager")
    with pytest.raises(ScaleInvalidRequest):
        client.update_teammates_role(["stranger@example.com"], TeammateRole.Admin)


def test_studio_assignments_are_added_and_removed(client: scaleapi.ScaleClient) -> None:
    """Assignments map emails to projects."""
    make_project(client, studio=True)
    added = client.add_studio_assignments(["ann@example.com"], [NAME])
    assert added["ann@example.com"].assigned_projects == [NAME]
    assert list(client.list_studio_assignments()) == ["ann@example.com"]
    removed = client.remove_studio_assignments(["ann@example.com"], [NAME])
    assert removed["ann@example.com"].assigned_projects == []


def test_studio_groups_are_created_and_changed(client: scaleapi.ScaleClient) -> None:
    """Groups of a project are listed with their workers, whose number follows changes."""
    make_project(client, studio=True)
    client.create_project_group(NAME, ["ann@example.com"], "night/shift")
    changed = client.update_project_group(NAME, "night/shift", ["bob@example.com"], ["ann@example.com"])
    assert (changed.numWorkers, changed.workers[0][0].email) == (1, "bob@example.com")
    assert [group.name for group in client.list_project_groups(NAME)] == ["night/shift"]
    with pytest.raises(ScaleDuplicateResource):
        client.create_project_group(NAME, [], "night/shift")


def test_studio_batches_have_groups_and_priorities(client: scaleapi.ScaleClient) -> None:
    """Unfinished Studio batches come by age, or in the order that was set until it is reset."""
    make_project(client, studio=True)
    for name in ("first", "second"):
        client.create_batch(NAME, name)
    assert client.assign_studio_batches("first", ["night"]).groups == ["night"]
    ordered = client.set_studio_batches_priorities(["second", "first"])
    assert [(batch.name, batch.studio_priority) for batch in ordered] == [("second", 1), ("first", 2)]
    assert [batch.name for batch in client.list_studio_batches()] == ["second", "first"]
    assert {batch.studio_priority for batch in client.reset_studio_batches_priorities()} == {None}


def test_evaluation_and_training_tasks_need_a_rapid_project(client: scaleapi.ScaleClient) -> None:
    """Quality tasks are created with an expected response in Rapid projects, and refused elsewhere."""
    make_project(client, rapid=True)
    make_project(client, name="enterprise")
    expected: dict[str, Any] = {"annotations": []}
    for create in (client.create_evaluation_task, client.create_training_task):
        task = create(TaskType.ImageAnnotation, **IMAGE, project=NAME, expected_response=expected)
        assert (task.expected_response, len(task.id)) == (expected, 24)
        with pytest.raises(ScaleInvalidRequest):
            create(TaskType.ImageAnnotation, **IMAGE, project=NAME)
        with pytest.raises(ScaleInvalidRequest):
            create(TaskType.ImageAnnotation, **IMAGE, project="enterprise", expected_response=expected)
        with pytest.raises(ScaleInvalidRequest):
            create(TaskType.Annotation, **IMAGE, expected_response=expected)
