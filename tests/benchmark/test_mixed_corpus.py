"""The corpus `mixed` is reproducible, and has all shapes and statuses in their proportions."""

import random
from collections.abc import Iterator
from functools import cache

import pytest

from scalesync.annotations.flatten import flatten
from scalesync.sandbox.json_codec import Doc, decode, encode
from tests.benchmark.mixed_documents import LARGE_EVERY, STATUSES, make_mixed_tasks
from tests.benchmark.mixed_responses import LARGE, SHAPES

COUNT = 4_000


@cache
def documents() -> list[Doc]:
    """Return the documents of an account that is too small for a large response."""
    return [decode(task.raw) for task in make_mixed_tasks(COUNT, 1)]


def keys(value: object) -> Iterator[str]:
    """Yield the names of all fields in a value."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(inner)


@cache
def anticipated() -> frozenset[str]:
    """Return the names of all fields that responses have in their usual forms."""
    rng = random.Random(0)
    usual = [shape.respond(rng) for shape in SHAPES for _ in range(50)]
    return frozenset(keys([*usual, {"error": "", "attachments": [{"statusCode": 404, "url": ""}]}]))


def test_the_same_count_and_seed_give_the_same_bytes() -> None:
    """Another seed gives others."""
    one, two, other = ([task.raw for task in make_mixed_tasks(300, seed)] for seed in (1, 1, 2))

    assert one == two
    assert not set(one) & set(other)


def test_the_types_of_tasks_have_the_proportions_of_their_shapes() -> None:
    """Within two percent of all tasks."""
    assert len(SHAPES) >= 10
    assert sum(shape.percent for shape in SHAPES) == 100
    for kind in {shape.task_type for shape in SHAPES}:
        percent = sum(shape.percent for shape in SHAPES if shape.task_type == kind)
        share = sum(doc["type"] == kind for doc in documents()) / COUNT
        assert share == pytest.approx(percent / 100, abs=0.02), kind


def test_the_drawings_of_images_are_of_all_five_kinds() -> None:
    """Each with the fields that make it what it is, and some with notes whose text is escaped."""
    drawings = [
        drawing
        for doc in documents()
        if doc["type"] == "imageannotation" and isinstance(doc.get("response", {}).get("annotations"), list)
        for drawing in doc["response"]["annotations"]
    ]
    fields = {"box": "confidence", "polygon": "metadata", "line": "vertices", "cuboid": "edges", "point": "x"}
    for kind, name in fields.items():
        assert any(drawing.get("type") == kind and name in drawing for drawing in drawings), kind
    notes = {str(drawing.get("annotator_note")) for drawing in drawings}
    assert all(any(mark in note for note in notes) for mark in '"\\\nü\x1f')
    texts = [task.raw for task in make_mixed_tasks(300, 1)]
    assert any(b"\\u00fc" in text for text in texts)
    assert any("ü".encode() in text for text in texts)


def test_pending_and_canceled_tasks_have_no_response_and_failed_ones_an_error() -> None:
    """The statuses have their shares; results of videos and lidar sequences are named by a signed URL."""
    for status, share in STATUSES.items():
        found = [doc for doc in documents() if doc["status"] == status]
        assert len(found) / COUNT == pytest.approx(share, abs=0.02)
        assert all(("response" in doc) == (status in {"completed", "error"}) for doc in found)
        assert all(status != "error" or "error" in doc["response"] for doc in found)
    for kind in ("videoannotation", "lidarannotation"):
        assert any(
            "X-Amz-Signature" in str(doc.get("response", {}).get("annotations"))
            for doc in documents()
            if doc["type"] == kind
        )


def test_three_of_ten_responses_have_a_form_that_nobody_anticipated() -> None:
    """Within two percent: they have a field of a name that no usual response has."""
    responses = [doc["response"] for doc in documents() if "response" in doc]
    unanticipated = [response for response in responses if not anticipated().issuperset(keys(response))]

    assert len(unanticipated) / len(responses) == pytest.approx(0.3, abs=0.02)
    top = sum(not anticipated().issuperset(response) for response in unanticipated)
    assert 0.3 < top / len(unanticipated) < 0.9


def test_a_task_comes_to_four_or_five_annotation_rows_and_one_in_twenty_thousand_to_thousands() -> None:
    """The rows are those of scalesync's own reader, which never fails on an unanticipated form."""
    responses = [(doc["type"], encode(doc["response"]).decode()) for doc in documents() if "response" in doc]
    rows = sum(len(flatten(kind, response).annotations) for kind, response in responses)

    assert 4 <= rows / COUNT <= 5
    large = [task for task in make_mixed_tasks(LARGE_EVERY // 2 + 1, 1) if len(task.raw) > 200_000]
    assert [len(decode(task.raw)["response"]["annotations"]) for task in large] == [LARGE]
