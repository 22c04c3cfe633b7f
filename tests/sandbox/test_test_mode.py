"""What the official client's own suite takes for granted in test mode, and the canned output there."""

from typing import Any

import pytest
import scaleapi
from scaleapi.exceptions import ScaleInvalidRequest
from scaleapi.tasks import TaskType

from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import TEST_KEY, official_client

PICTURE = {"attachment_type": "image", "attachment": "https://pictures.example/cow.jpg"}
DRAW = {"instruction": "Draw.", "objects_to_annotate": ["cow"], "with_labels": True}

CREATES: dict[TaskType, dict[str, Any]] = {
    TaskType.Annotation: {**PICTURE, **DRAW, "min_width": "30"},
    TaskType.Categorization: {**PICTURE, "categories": ["public", "private"]},
    TaskType.Comparison: {
        "attachments": ["https://a.example", "https://b.example"],
        "choices": ["yes", "no"],
    },
    TaskType.CuboidAnnotation: {**PICTURE, **DRAW},
    TaskType.DataCollection: {**PICTURE, "fields": {"hiring_page": "URL"}},
    TaskType.DocumentTranscription: {**PICTURE, "features": [{"type": "block", "label": "barcode"}]},
    TaskType.ImageAnnotation: {**PICTURE, "geometries": {"box": {"objects_to_annotate": ["cow"]}}},
    TaskType.LidarAnnotation: {"attachments": ["https://a.example/1.json"], "labels": ["car"]},
    TaskType.LidarSegmentation: {"attachments": ["https://a.example/1.json"], "labels": ["car"]},
    TaskType.LineAnnotation: {**PICTURE, **DRAW},
    TaskType.PolygonAnnotation: {**PICTURE, **DRAW},
    TaskType.SegmentAnnotation: {**PICTURE, "labels": ["road", "sky"]},
    TaskType.Transcription: {**PICTURE, "fields": {"title": "T"}, "repeatable_fields": {"user": "U"}},
    TaskType.VideoAnnotation: {**PICTURE, "geometries": {}},
    TaskType.VideoPlaybackAnnotation: {**PICTURE, "geometries": {}},
}
"""A good create for each type that is about a file."""

PLACES = {
    TaskType.Annotation: {"annotations"},
    TaskType.Categorization: {"category", "category_id"},
    TaskType.Comparison: {"choice"},
    TaskType.CuboidAnnotation: {"annotations"},
    TaskType.DataCollection: {"fields", "time_spent_in_seconds"},
    TaskType.DocumentTranscription: {"annotations"},
    TaskType.ImageAnnotation: {"annotations", "global_attributes"},
    TaskType.LidarAnnotation: {"annotations"},
    TaskType.LidarSegmentation: {"point_segmentations"},
    TaskType.LineAnnotation: {"annotations"},
    TaskType.PolygonAnnotation: {"annotations"},
    TaskType.SegmentAnnotation: {"annotations", "labelMapping"},
    TaskType.Transcription: {"fields", "time_spent_in_seconds", "repeatable_fields"},
    TaskType.VideoAnnotation: {"annotations"},
    TaskType.VideoPlaybackAnnotation: {"annotations", "events"},
}
"""Where scale_api.md says that a response of the type keeps things."""


@pytest.fixture
def client(sandbox: SandboxServer) -> scaleapi.ScaleClient:
    """Return the official client with a test key on an empty sandbox."""
    return official_client(sandbox, TEST_KEY)


@pytest.mark.parametrize("task_type", CREATES, ids=lambda task_type: task_type.value)
def test_a_create_is_completed_at_once_with_output_of_its_type(
    client: scaleapi.ScaleClient, task_type: TaskType
) -> None:
    """In test mode the create's answer is completed and its response is where the type keeps it."""
    task = client.create_task(task_type, **CREATES[task_type])
    assert (task.status, task.is_test) == ("completed", True)
    assert task.completed_at
    assert PLACES[task_type] <= set(task.response)


@pytest.mark.parametrize("task_type", CREATES, ids=lambda task_type: task_type.value)
def test_a_create_without_its_attachment_is_refused(
    client: scaleapi.ScaleClient, task_type: TaskType
) -> None:
    """A type that is about a file refuses a create without one with 400, and nothing is created."""
    body = {name: value for name, value in CREATES[task_type].items() if not name.startswith("attachment")}
    with pytest.raises(ScaleInvalidRequest):
        client.create_task(task_type, **body)
    assert client.tasks().total == 0


@pytest.mark.parametrize(
    ("task_type", "added"),
    [
        (TaskType.Annotation, {"min_height": 0}),
        (TaskType.Categorization, {"allow_multiple": False}),
        (TaskType.CuboidAnnotation, {"min_annotations": 0, "max_annotations": 0}),
        (TaskType.LineAnnotation, {"splines": False}),
        (TaskType.SegmentAnnotation, {"allow_unlabeled": False, "allow_parent_labels": False}),
    ],
)
def test_the_api_adds_defaults_and_keeps_what_was_sent(
    client: scaleapi.ScaleClient, task_type: TaskType, added: dict[str, Any]
) -> None:
    """Params answer with everything that was sent, plus the defaults that were recorded."""
    body = CREATES[task_type]
    task = client.create_task(task_type, **body)
    sent = {name: value for name, value in body.items() if name != "instruction"}
    assert task.params == {**sent, **added}


def test_named_entities_need_a_text_but_no_attachment(client: scaleapi.ScaleClient) -> None:
    """Entities are marked in a text alone: spans lie within it; without one it is refused."""
    text = "Anna flew to Łódź with Bob."
    task = client.create_task(TaskType.NamedEntityRecognition, text=text, labels=[{"name": "person"}])
    for found in task.response["annotations"]:
        assert found["text"] == text[found["start"] : found["end"]]
        assert found["label"] == "person"
    with pytest.raises(ScaleInvalidRequest):
        client.create_task(TaskType.NamedEntityRecognition, labels=["person"])


def test_a_completed_task_cannot_be_canceled(client: scaleapi.ScaleClient) -> None:
    """Test tasks complete at once, so that a cancel is refused with 400."""
    task = client.create_task(TaskType.ImageAnnotation, **CREATES[TaskType.ImageAnnotation])
    with pytest.raises(ScaleInvalidRequest):
        task.cancel()


def test_a_batch_takes_one_completed_task_after_the_other(client: scaleapi.ScaleClient) -> None:
    """An Enterprise batch stays open in test mode; tasks are found by it alone and with its project."""
    client.create_project("p", TaskType.ImageAnnotation)
    batch = client.create_batch("p", "b")
    made = {
        client.create_task(TaskType.ImageAnnotation, **CREATES[TaskType.ImageAnnotation], batch="b").id
        for _ in range(3)
    }
    assert {task.id for task in client.get_tasks(batch_name="b", limit=1)} == made
    assert {task.id for task in client.get_tasks(project_name="p", batch_name="b", limit=1)} == made
    assert batch.get_status() == {"status": "in_progress", "completed": 3}


def test_the_newest_tasks_come_first(client: scaleapi.ScaleClient) -> None:
    """The first page holds what was created last, and a time range in which nothing happened is empty."""
    made = [
        client.create_task(TaskType.ImageAnnotation, **CREATES[TaskType.ImageAnnotation]) for _ in range(4)
    ]
    newest = sorted(made, key=lambda task: (task.created_at, task.id), reverse=True)
    assert [task.id for task in client.tasks(limit=3)] == [task.id for task in newest[:3]]
    assert client.tasks(start_time="2100-01-01T00:00:00", end_time="2101-01-01").docs == []


def test_tags_are_absent_until_there_are_some(client: scaleapi.ScaleClient) -> None:
    """Unset fields are absent, not null."""
    task = client.create_task(TaskType.ImageAnnotation, **CREATES[TaskType.ImageAnnotation])
    assert not {"tags", "unique_id", "project", "batch"} & set(task.as_dict())
    assert None not in task.as_dict().values()
    task.add_tags(["a", "b"])
    task.refresh()
    assert task.tags == ["a", "b"]
