"""Made-up accounts: repeatable, consistent and full of what real ones contain."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scalesync.sandbox import SandboxOptions
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.seed import PLANS

Doc = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def backend_of(tasks: int = 2000, seed: int = 1, **options: Any) -> Backend:
    """Return a backend with a made-up account, its clock standing still."""
    return Backend(SandboxOptions(tasks=tasks, seed=seed, **options), clock=lambda: NOW)


BACKEND = backend_of()
TASKS: list[Doc] = [json.loads(raw) for raw in BACKEND.documents("tasks")]


def test_the_same_seed_and_clock_make_the_same_account() -> None:
    """Every document is the same for a seed, and another for another seed."""
    kinds = ("tasks", "batches", "projects")
    again, other = backend_of(), backend_of(seed=2)
    for kind in kinds:
        assert again.documents(kind) == BACKEND.documents(kind)
    assert other.documents("tasks") != BACKEND.documents("tasks")


@pytest.mark.parametrize("tasks", [1, 7, 499, 500, 1234])
def test_there_are_exactly_as_many_tasks_as_asked(tasks: int) -> None:
    """The number is exact, and every id is another."""
    docs = [json.loads(raw) for raw in backend_of(tasks).documents("tasks")]
    assert len({doc["task_id"] for doc in docs}) == tasks


def test_about_a_fifth_is_pending_and_a_few_failed() -> None:
    """Statuses come in realistic shares."""
    share = Counter(doc["status"] for doc in TASKS)
    assert 0.15 < share["pending"] / len(TASKS) < 0.25
    assert 0 < share["error"] < share["canceled"] < len(TASKS) / 20
    assert all(doc["response"]["error"] for doc in TASKS if doc["status"] == "error")


def test_tasks_spread_over_the_year_that_ended_an_hour_ago() -> None:
    """Nothing is from the future, no update precedes its creation, and some instants are shared."""
    created = [datetime.fromisoformat(doc["created_at"]) for doc in TASKS if "updated_at" in doc]
    assert NOW - timedelta(days=366) < min(created) < NOW - timedelta(days=300)
    assert NOW - timedelta(days=40) < max(created) < NOW - timedelta(hours=1)
    for doc in TASKS:
        updated = doc.get("updated_at") or doc["created_at"]
        assert doc["created_at"] <= updated < "2026-03-01T11:00:00.001Z"
    ties = Counter(doc["created_at"] for doc in TASKS).values()
    assert max(ties) == 60
    assert sum(1 for tie in ties if 2 <= tie <= 24) > 10


@pytest.mark.parametrize("tasks", [40, 150, 2000])
def test_batches_agree_with_their_tasks(tasks: int) -> None:
    """Completed batches have no pending task, other filled ones do, and none is younger than its tasks."""
    backend = backend_of(tasks)
    batches = backend.live.batches
    docs = [doc for doc in map(json.loads, backend.documents("tasks")) if "batch" in doc]
    assert {batch["status"] for batch in batches.values()} == {"staging", "in_progress", "completed"}
    for doc in docs:
        batch = batches[doc["batch"]]
        assert batch["project"] == doc["project"]
        assert batch["created_at"] <= doc["created_at"]
    pending = {doc["batch"] for doc in docs if doc["status"] == "pending"}
    for name in {doc["batch"] for doc in docs}:
        assert batches[name]["status"] == "staging" or (batches[name]["status"] == "in_progress") == (
            name in pending
        )


def test_only_rapid_and_studio_batches_are_in_staging() -> None:
    """Enterprise batches are never in staging."""
    for batch in BACKEND.live.batches.values():
        project = BACKEND.live.projects[batch["project"]]
        assert batch["status"] != "staging" or project.get("rapid") or project.get("studio")


def test_every_field_of_real_accounts_occurs() -> None:
    """Tags, audits, prior responses, unknown camelCase fields, nulls and missing responses are all there."""
    fields = {name for doc in TASKS for name in doc}
    assert fields >= {
        "tags",
        "audits",
        "prior_responses",
        "unique_id",
        "customer_review_comments",
        "reviewLevelCounts",
        "appsheetProjectId",
        "work_started",
        "priority",
        "callback_url",
    }
    assert any(None in doc.values() for doc in TASKS)
    assert any(doc["status"] == "completed" and "response" not in doc for doc in TASKS)
    assert {doc.get("priority") for doc in TASKS} == {None, 10, 30.5}
    assert any(len(doc.get("completed_at") or "") == len("2026-03-01T12:00:00Z") for doc in TASKS)
    assert any(not doc.get("project") and not doc.get("updated_at") for doc in TASKS)


def test_every_planned_type_has_a_response_somewhere() -> None:
    """Each type of every project occurs with a response."""
    answered = {doc["type"] for doc in TASKS if doc.get("response") and doc["status"] == "completed"}
    assert {task_type for plan in PLANS if plan.share for task_type in plan.types} <= answered


def responses(task_type: str) -> list[Doc]:
    """Return the responses of all completed tasks of a type."""
    return [
        doc["response"]
        for doc in TASKS
        if doc["type"] == task_type and doc["status"] == "completed" and "response" in doc
    ]


def test_drawings_have_the_fields_of_their_geometry() -> None:
    """Image annotations carry uuid, type, label, attributes and what their type is drawn with."""
    needed = {
        "box": {"left", "top", "width", "height"},
        "polygon": {"vertices"},
        "line": {"vertices"},
        "point": {"x", "y"},
        "ellipse": {"vertices"},
        "cuboid": {"vertices", "edges"},
    }
    drawings = [drawing for response in responses("imageannotation") for drawing in response["annotations"]]
    assert {drawing["type"] for drawing in drawings} == set(needed)
    for drawing in drawings:
        assert {"uuid", "type", "label", "attributes"} | needed[drawing["type"]] <= set(drawing)
    assert any("rotation" in drawing and len(drawing["vertices"]) == 4 for drawing in drawings)
    uuids = {drawing["uuid"] for drawing in drawings}
    assert any(drawing["attributes"].get("attached_to") in uuids for drawing in drawings)
    assert {type(drawing["left"]) for drawing in drawings if "left" in drawing} == {int, float}


def test_legacy_drawings_come_with_and_without_uuid() -> None:
    """Those of 2019 have neither uuid nor type; later ones may carry geometry instead of type."""
    drawings = [drawing for response in responses("annotation") for drawing in response["annotations"]]
    assert {frozenset(drawing) & {"uuid", "type", "geometry"} for drawing in drawings} == {
        frozenset(),
        frozenset({"uuid", "geometry"}),
    }


def test_text_collections_come_in_both_shapes() -> None:
    """Answers are annotations by field, or a list of responses."""
    assert {next(iter(response)) for response in responses("textcollection")} == {"annotations", "responses"}


def test_segmentations_label_with_one_url_several_or_none() -> None:
    """A label's area is a URL, a list of URLs, or null."""
    areas = [
        area
        for response in responses("segmentannotation")
        for area in response["annotations"]["labeled"].values()
    ]
    assert {type(area) for area in areas} == {str, list, type(None)}


def test_results_in_files_are_urls() -> None:
    """Video and lidar responses point to files."""
    for task_type in ("videoannotation", "lidarannotation", "videoplaybackannotation"):
        assert all(response["annotations"]["url"] for response in responses(task_type))
    assert all(response["events"]["url"] for response in responses("videoplaybackannotation"))
    assert all(response["point_segmentations"]["url"] for response in responses("lidarsegmentation"))


def test_entities_are_spans_with_relationships() -> None:
    """Entities have id, start, end, text and label; relationships name two of them."""
    for response in responses("namedentityrecognition"):
        ids = {entity["id"] for entity in response["annotations"]}
        for link in response["relationships"]:
            assert {link["source_ref"], link["target_ref"]} <= ids


def test_made_up_data_can_be_given_to_test_keys() -> None:
    """With seed_mode the test account is filled, and every task of it says so."""
    backend = backend_of(50, seed_mode="test")
    assert (len(backend.live.tasks), len(backend.test.tasks)) == (0, 50)
    assert any(record.doc()["is_test"] for record in backend.test.tasks)


@pytest.mark.parametrize("options", [{"seed_mode": "both"}, {"tasks": -1}, {"annotate": -1.0}])
def test_impossible_options_are_refused(options: Doc) -> None:
    """A sandbox cannot be asked for what does not exist."""
    with pytest.raises(ValueError, match=r"seed_mode|negative"):
        SandboxOptions(**options)
