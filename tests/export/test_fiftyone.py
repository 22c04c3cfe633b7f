"""What FiftyOne's importer of Scale's labels cannot read is left out and counted; the rest is as it came."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.export.counts import ExportCounts
from scalesync.export.fiftyone import fiftyone_lines
from tests.support.export_account import box
from tests.support.fiftyone_importer import does_it_stop, loaded

VERDICTS = (Path(__file__).parent / "fiftyone_verdicts.jsonl").read_bytes().splitlines()[1:]
"""Of the real importer."""
CASES = [loaded(line) for line in VERDICTS]


def exported(*responses: Any, kind: str = "imageannotation") -> tuple[list[Any], ExportCounts]:
    """Return what is exported of completed tasks with these responses, and the count."""
    documents = [
        {"task_id": f"{number}", "type": kind, "status": "completed", "response": each}
        for number, each in enumerate(responses)
    ]
    lines = fiftyone_lines((json.dumps(each).encode() for each in documents), tally := ExportCounts())
    return json.loads(b"".join(lines)), tally


def responses_of(found: Iterable[Any]) -> list[Any]:
    """Return the responses of exported tasks."""
    return [each["response"] for each in found]


def test_the_model_of_the_importer_stops_where_the_importer_does() -> None:
    """At each of the arrays that FiftyOne 1.22.1 was given, and at no other."""
    wrong = [each for stops, each in CASES if does_it_stop(each) is not stops]
    assert wrong == []
    assert (len(CASES) > 800, sum(stops for stops, _ in CASES) > 400) == (True, True)


def test_nothing_that_is_exported_stops_the_importer() -> None:
    """And what it would have stopped at is counted, but for attributes that are null."""
    for stops, responses in CASES:
        found, tally = exported(*responses)
        assert not does_it_stop(responses_of(found)), responses
        nothing = '"attributes": null' in json.dumps(responses) or '_attributes": null' in json.dumps(
            responses
        )
        assert tally.left_out or not stops or nothing, responses


def test_what_the_importer_reads_is_as_it_came() -> None:
    """Every document whose labels it would read, unless it has nothing of an image, or names of its own."""
    ours = {
        "attributes with a name that FiftyOne has for itself", "tasks without a list of annotations",
        "tasks whose response is an error", "tasks of which FiftyOne can read nothing",
    }  # fmt: skip
    for stops, responses in CASES:
        found, tally = exported(*responses)
        assert stops or responses_of(found) == responses or tally.reasons.keys() <= ours, responses


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(["label", "tags", "id", "index", "a.b", "_x", "$y", "", "ok", "detections", "closed"])
attributes = st.dictionaries(names, values, max_size=3) | values
annotations = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["box", "polygon", "line", "point", "ellipse"]) | values,
        "label": st.text(max_size=3) | values,
        "attributes": attributes,
        "vertices": st.lists(st.fixed_dictionaries({"x": values, "y": st.integers()}), max_size=2) | values,
        **{name: st.integers() | values for name in ("left", "top", "width", "height", "x", "y")},
    },
)
responses = st.fixed_dictionaries(
    {}, optional={"annotations": st.lists(annotations | values) | values, "global_attributes": attributes}
)


@given(st.lists(responses | values, max_size=4))
def test_no_response_whatever_stops_the_importer(given_responses: list[Any]) -> None:
    """Any JSON in any place, task after task."""
    found, _ = exported(*given_responses)
    assert not does_it_stop(responses_of(found))


def test_the_rest_of_a_task_stays() -> None:
    """Without one attribute, one annotation, one global attribute, each counted by its reason."""
    good, odd = box("car", 1, 1), {**box("bus", 1, 1), "attributes": {"label": "x", "ok": "y"}}
    given = {
        "annotations": [good, odd, {**good, "label": 7}, {**good, "left": "1"}, {"type": "cuboid"}],
        "global_attributes": {"weather": "sunny", "count": 3, "id": "x"},
    }
    (found,), tally = exported(given)
    assert found["response"] == {
        "annotations": [good, {**odd, "attributes": {"ok": "y"}}, {"type": "cuboid"}],
        "global_attributes": {"weather": "sunny"},
    }
    assert (tally.written, tally.left_out) == (1, 5)
    assert tally.reasons == {
        "annotations whose label is no text": 1,
        "annotations without coordinates that are numbers": 1,
        "attributes with a name that FiftyOne has for itself": 1,
        "global attributes that are no text": 1,
        "global attributes with a name that FiftyOne has for itself": 1,
    }
    assert tally.altered == {"annotations of other geometries: FiftyOne passes over them": 1}


def test_a_global_attribute_keeps_the_form_that_it_had_first() -> None:
    """FiftyOne makes a field of it, which takes one; a task that is left out does not count."""
    lists, texts = ({"annotations": [], "global_attributes": {"w": each}} for each in (["a"], "a"))
    refused = {"annotations": "no", "global_attributes": {"w": "a"}}
    found, tally = exported(refused, lists, texts | {"annotations": [box("car", 1, 1)]})
    assert responses_of(found) == [lists, {"annotations": [box("car", 1, 1)], "global_attributes": {}}]
    assert tally.reasons["global attributes that are a text in one task and a list in another"] == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"error": "cannot fetch"}, "tasks whose response is an error"),
        (None, "tasks without a response"),
        ({"category": "x"}, "tasks without a list of annotations"),
        ({"annotations": [{"label": "car"}]}, "tasks of which FiftyOne can read nothing"),
        ({"annotations": {"url": "u"}}, "tasks without an image of indexes, nor a list of annotations"),
    ],
)
def test_a_task_without_anything_to_read_is_left_out(response: object, reason: str) -> None:
    """As one task, with why."""
    found, tally = exported(response)
    assert (found, tally.reasons) == ([], {reason: 1})


def test_what_becomes_another_thing_is_said() -> None:
    """A rotated box, which FiftyOne takes for an upright one, and videos, whose files it fetches itself."""
    _, tally = exported({"annotations": [{**box("car", 1, 1), "rotation": 0.5}]})
    assert tally.altered == {"rotated boxes: FiftyOne takes them for upright ones": 1}
    _, tally = exported({"annotations": {"url": "u"}}, {"events": {"url": "u"}}, kind="videoannotation")
    assert (tally.written, tally.altered.total(), tally.left_out) == (2, 2, 0)


def test_a_mask_is_exported_without_numbers_for_labels() -> None:
    """The importer makes keys of them, and MongoDB takes keys of text only."""
    image = {"annotations": {"combined": {"indexedImage": "https://x/y.png"}}}
    (found,), tally = exported(image | {"labelMapping": {"road": {"index": 1}}})
    assert (found["response"], tally.left_out) == (image, 1)
