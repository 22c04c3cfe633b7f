"""Two responses of a task are compared annotation by annotation."""

import json
import random
from typing import Any

import pytest

from scalesync.annotations.difference import AnnotationDifference, compare_responses, differences
from scalesync.annotations.models import Annotation
from scalesync.models.changes import DifferenceKind

KINDS = DifferenceKind
Box = dict[str, Any]


def box(label: str, left: int = 0, **more: Any) -> Box:
    """Return a box of 10 by 10 pixels as the API sends it."""
    return {"type": "box", "label": label, "left": left, "top": 0, "width": 10, "height": 10, **more}


def compared(
    before: list[Box], after: list[Box], kind: str = "imageannotation"
) -> list[AnnotationDifference]:
    """Return what differs between two responses with these annotations."""
    return compare_responses(kind, *(json.dumps({"annotations": each}) for each in (before, after)))


def said(found: list[AnnotationDifference]) -> list[tuple[str, str | None, str | None]]:
    """Return kind and labels of differences."""
    return [(each.kind.value, each.label_before, each.label_after) for each in found]


def test_each_kind_of_difference_has_its_word() -> None:
    """One annotation may have several; what was removed comes last."""
    before = [
        box("car", uuid="a"),
        box("car", uuid="b"),
        box("car", uuid="c"),
        box("bus", uuid="d"),
        box("x", uuid="e"),
    ]
    after = [
        box("van", uuid="a"),
        box("car", 5, uuid="b"),
        box("van", 10, uuid="c", attributes={"far": True}),
        box("bus", uuid="d"),
        box("new", uuid="f"),
    ]
    found = compared(before, after)

    assert said(found) == [
        ("relabelled", "car", "van"),
        ("moved", "car", "car"),
        ("relabelled", "car", "van"),
        ("moved", "car", "van"),
        ("changed", "car", "van"),
        ("added", None, "new"),
        ("removed", "x", None),
    ]
    assert [each.iou for each in found] == [None, pytest.approx(1 / 3), None, 0.0, None, None, None]
    assert found[1] == AnnotationDifference(KINDS.MOVED, 1, 1, "b", "box", None, "car", "car", found[1].iou)
    assert (found[5].before_ordinal, found[5].after_ordinal) == (None, 4)
    assert (found[6].before_ordinal, found[6].after_ordinal) == (4, None)


def test_the_order_of_annotations_is_no_difference() -> None:
    """Neither with uuids nor without."""
    boxes = [box("car", 20 * number, uuid=str(number)) for number in range(5)]
    nameless = [{name: value for name, value in each.items() if name != "uuid"} for each in boxes]
    for given in (boxes, nameless):
        assert compared(given, given[::-1]) == []


def test_without_uuids_the_nearest_of_the_same_label_is_the_same() -> None:
    """Also if one of another label is nearer; that one is left for what is left."""
    before = [box("car", 0), box("bus", 100)]
    after = [box("van", 1), box("car", 4), box("bus", 101)]

    assert said(compared(before, after)) == [
        ("added", None, "van"),
        ("moved", "car", "car"),
        ("moved", "bus", "bus"),
    ]


def test_without_uuids_what_lies_there_with_another_label_was_relabelled() -> None:
    """If nothing of its label is near."""
    assert said(compared([box("car", 0)], [box("van", 1)])) == [
        ("relabelled", "car", "van"),
        ("moved", "car", "van"),
    ]


def test_without_uuids_what_lies_apart_is_another() -> None:
    """A box that overlaps none was added, and the old one removed."""
    assert said(compared([box("car", 0)], [box("car", 500)])) == [
        ("added", None, "car"),
        ("removed", "car", None),
    ]


def test_another_uuid_is_another_annotation() -> None:
    """Even at the same place: its uuid says what it is."""
    found = compared([box("car", uuid="a")], [box("car", uuid="b")])
    assert said(found) == [("added", None, "car"), ("removed", "car", None)]


def test_uuids_that_one_response_lacks_say_nothing() -> None:
    """As of tasks of 2019, which have none at first."""
    assert compared([box("car"), box("bus", 50)], [box("bus", 50, uuid="b"), box("car", uuid="a")]) == []


def test_points_are_the_same_as_the_nearest_of_their_label() -> None:
    """They have no area, and so no overlap to give."""

    def point(label: str, x: int) -> Box:
        return {"type": "point", "label": label, "x": x, "y": 0}

    found = compared(
        [point("eye", 0), point("eye", 100)], [point("eye", 90), point("eye", 3), point("ear", 1)]
    )
    assert said(found) == [("moved", "eye", "eye"), ("moved", "eye", "eye"), ("added", None, "ear")]
    assert [(each.before_ordinal, each.after_ordinal, each.iou) for each in found[:2]] == [
        (1, 0, None),
        (0, 1, None),
    ]


def test_frames_are_compared_each_for_itself() -> None:
    """One uuid may be in many."""
    before = [Annotation(uuid="a", label="car", frame=frame) for frame in range(3)]
    after = [Annotation(uuid="a", label="van" if frame == 1 else "car", frame=frame) for frame in (2, 1, 0)]
    found = differences(before, after)
    assert [(each.kind, each.frame) for each in found] == [(KINDS.RELABELLED, 1)]


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("categorization", {"category": "dog"}, {"category": "cat"}, [("relabelled", "dog", "cat")]),
        (
            "namedentityrecognition",
            {"annotations": [{"id": "1", "start": 0, "end": 4, "text": "Rome", "label": "city"}]},
            {"annotations": [{"id": "1", "start": 0, "end": 5, "text": "Rome,", "label": "city"}]},
            [("moved", "city", "city"), ("changed", "city", "city")],
        ),
        (
            "transcription",
            {"fields": {"name": "Ann", "age": "3"}},
            {"fields": {"name": "Anne", "sex": "f"}},
            [("changed", "name", "name"), ("added", None, "sex"), ("removed", "age", None)],
        ),
    ],
    ids=["category", "entity", "fields"],
)
def test_what_is_no_shape_is_compared_too(
    kind: str, before: object, after: object, expected: list[tuple[str, str | None, str | None]]
) -> None:
    """By its range of text, its name, or as the only one there is."""
    assert said(compare_responses(kind, json.dumps(before), json.dumps(after))) == expected


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("videoannotation", {"annotations": {"url": "https://files.example/1.json"}}),
        ("nobody knows", {"x": [1]}),
        ("imageannotation", {"annotations": "none"}),
    ],
    ids=["files", "unknown type", "unknown form"],
)
def test_what_cannot_be_compared_says_so(kind: str, after: object) -> None:
    """No difference found is not the same as none."""
    found = compare_responses(kind, '{"annotations": []}', json.dumps(after))
    assert KINDS.NOT_COMPARED in {each.kind for each in found}


def test_names_within_an_annotation_may_come_in_another_order() -> None:
    """Postgres gives the names of its JSON back in an order of its own."""
    one = box("car", uuid="a", attributes={"one": 1, "two": 2}, vertices=[{"x": 1, "y": 2}])
    other = box("car", uuid="a", attributes={"two": 2, "one": 1}, vertices=[{"y": 2, "x": 1}])
    assert compared([one], [other]) == []


def test_every_annotation_is_in_one_pair_or_none() -> None:
    """Of many boxes at random, with uuids and without: the numbers add up."""
    rng = random.Random(7)
    for _ in range(200):
        sides = [
            [
                box(
                    rng.choice("ab"),
                    rng.randrange(60),
                    **({"uuid": str(rng.randrange(9))} if rng.random() < 0.5 else {}),
                )
                for _ in range(rng.randrange(9))
            ]
            for _ in range(2)
        ]
        found = compared(sides[0], sides[1])
        added = [each.after_ordinal for each in found if each.kind is KINDS.ADDED]
        removed = [each.before_ordinal for each in found if each.kind is KINDS.REMOVED]
        paired = (
            {(each.before_ordinal, each.after_ordinal) for each in found}
            - {(None, number) for number in added}
            - {(number, None) for number in removed}
        )
        assert len(sides[0]) - len(removed) == len(sides[1]) - len(added)
        for side, others in ((0, removed), (1, added)):
            once = [pair[side] for pair in paired]
            assert len(set(once)) == len(once)
            assert not set(once) & set(others)
