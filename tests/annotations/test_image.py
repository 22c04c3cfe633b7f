"""Drawings on images become rows: Scale's fields in columns, everything else kept."""

from typing import Any

import pytest

from scalesync.annotations.models import Annotation, Link
from tests.support.flattening import extras, flat

CORNERS = [{"x": 1, "y": 2.5}, {"x": 3, "y": 4}, {"x": 5, "y": 6}]
CORNERS_TEXT = '[{"x":1,"y":2.5},{"x":3,"y":4},{"x":5,"y":6}]'
NAMED = [{"x": 1, "y": 2, "type": "vertex", "description": "face-topleft"}]
NAMED_TEXT = '[{"x":1,"y":2,"type":"vertex","description":"face-topleft"}]'
BOX = {"left": 1, "top": 2.5, "width": 3, "height": 4}
BOX_COLUMNS = {"left": 1.0, "top": 2.5, "width": 3.0, "height": 4.0}
EDGES_TEXT = '{"edges":[{"x1":1}]}'


@pytest.mark.parametrize(
    ("task_type", "element", "expected"),
    [
        (
            "imageannotation",
            {"uuid": "u", "type": "box", "label": "car", "attributes": {"a": ["b", 1]}, **BOX},
            {"uuid": "u", "label": "car", "geometry": "box", "attributes": '{"a":["b",1]}', **BOX_COLUMNS},
        ),
        (
            "imageannotation",
            {"type": "box", **BOX, "rotation": -0.5, "vertices": CORNERS},
            {"geometry": "box", **BOX_COLUMNS, "rotation": -0.5, "vertices": CORNERS_TEXT},
        ),
        (
            "imageannotation",
            {"type": "point", "x": 7, "y": 8},
            {"geometry": "point", "left": 7.0, "top": 8.0},
        ),
        (
            "imageannotation",
            {"type": "polygon", "vertices": CORNERS},
            {"geometry": "polygon", "vertices": CORNERS_TEXT},
        ),
        ("imageannotation", {"type": "ellipse", "vertices": []}, {"geometry": "ellipse", "vertices": "[]"}),
        (
            "imageannotation",
            {"type": "cuboid", "vertices": NAMED, "edges": [{"x1": 1}]},
            {"geometry": "cuboid", "vertices": NAMED_TEXT, "extra": EDGES_TEXT},
        ),
        ("imageannotation", {"geometry": "polygon", "label": "a"}, {"geometry": "polygon", "label": "a"}),
        ("imageannotation", {"type": "spline"}, {"geometry": "spline"}),
        ("imageannotation", BOX, {"geometry": "box", **BOX_COLUMNS}),
        ("imageannotation", {"x": 1, "y": 2}, {"geometry": "point", "left": 1.0, "top": 2.0}),
        ("imageannotation", {"vertices": CORNERS}, {"vertices": CORNERS_TEXT}),
        ("imageannotation", {"vertices": NAMED}, {"geometry": "cuboid", "vertices": NAMED_TEXT}),
        (
            "imageannotation",
            {"vertices": CORNERS, "edges": [{"x1": 1}]},
            {"geometry": "cuboid", "vertices": CORNERS_TEXT, "extra": EDGES_TEXT},
        ),
        (
            "imageannotation",
            {"vertices": [{"x": 1}, {"x": 2}]},
            {"geometry": "line", "vertices": '[{"x":1},{"x":2}]'},
        ),
        ("annotation", {"label": "cow", **BOX}, {"label": "cow", "geometry": "box", **BOX_COLUMNS}),
        ("polygonannotation", {"vertices": CORNERS}, {"geometry": "polygon", "vertices": CORNERS_TEXT}),
        ("polygonannotation", {"vertices": CORNERS, "geometry": "line"}, {"geometry": "line"}),
        ("polygonannotation", BOX, {"geometry": "box", **BOX_COLUMNS}),
        ("polygonannotation", {"label": "a"}, {"label": "a"}),
        ("lineannotation", {"vertices": CORNERS}, {"geometry": "line", "vertices": CORNERS_TEXT}),
        ("laneannotation", {"vertices": CORNERS}, {"geometry": "line", "vertices": CORNERS_TEXT}),
        ("pointannotation", {"x": 1.5, "y": 2}, {"geometry": "point", "left": 1.5, "top": 2.0}),
        (
            "cuboidannotation",
            {"vertices": CORNERS, "edges": [{"x1": 1}]},
            {"geometry": "cuboid", "vertices": CORNERS_TEXT, "extra": EDGES_TEXT},
        ),
    ],
)
def test_an_element_is_a_row(task_type: str, element: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each known field is in its column, and geometry is what Scale calls it, or what its fields make it."""
    if expected.get("geometry") == "line" and "geometry" in element:
        expected = {**expected, "vertices": CORNERS_TEXT}

    assert flat(task_type, {"annotations": [element]}).annotations == (Annotation(**expected),)


def test_rows_stand_in_the_order_of_the_response_and_links_beside_them() -> None:
    """Annotations keep their order; links keep what else they hold; attributes of the image are no row."""
    response = {
        "links": [{"from": "b", "to": "a", "label": "follows", "attributes": {"n": 1}}],
        "annotations": [{"uuid": "b"}, {"uuid": "a"}],
        "global_attributes": {"weather": "rain"},
    }

    came = flat("imageannotation", response)

    assert [row.uuid for row in came.annotations] == ["b", "a"]
    link = Link(kind="link", source="b", target="a", label="follows", extra='{"attributes":{"n":1}}')
    assert came.links == (link,)
    assert came.read


@pytest.mark.parametrize(
    ("element", "columns", "extra"),
    [
        ({"label": 5}, {"label": "5"}, None),
        ({"label": True, "uuid": 1.5}, {"label": "true", "uuid": "1.5"}, None),
        ({"label": ["a"], "uuid": {"b": 1}}, {}, {"label": ["a"], "uuid": {"b": 1}}),
        ({"type": 5}, {}, {"type": 5}),
        ({"type": 5, "geometry": "box"}, {"geometry": "box"}, {"type": 5}),
        ({"type": "box", "geometry": "polygon"}, {"geometry": "box"}, {"geometry": "polygon"}),
        ({"left": "1", "top": True, "width": [2]}, {}, {"left": "1", "top": True, "width": [2]}),
        ({"left": 10**309, "top": -(10**309)}, {}, {"left": 10**309, "top": -(10**309)}),
        ({"left": 10**300, "x": 1}, {"left": 1e300}, {"x": 1}),
        ({"vertices": "none"}, {}, {"vertices": "none"}),
        ({"vertices": {"x": 1}}, {}, {"vertices": {"x": 1}}),
        ({"attributes": "dirty"}, {"attributes": '"dirty"'}, None),
        ({"uuid": None, "left": None, "attributes": None, "vertices": None}, {}, None),
        ({"text": "a", "odd key": {"deep": [None]}}, {}, {"text": "a", "odd key": {"deep": [None]}}),
        ("a text", {}, {"value": "a text"}),
        ([{"left": 1}], {}, {"value": [{"left": 1}]}),
        (0, {}, {"value": 0}),
    ],
)
def test_what_fits_no_column_is_kept(element: object, columns: dict[str, Any], extra: object) -> None:
    """A value of another kind than its column's, and a field without one, stands in `extra` as it came."""
    came = flat("imageannotation", {"annotations": [element]})

    assert extras(came) == [extra]
    [row] = came.annotations
    assert {name: getattr(row, name) for name in columns} == columns
    assert Annotation(**columns, extra=row.extra) == row
    assert came.read


def test_a_null_is_no_annotation() -> None:
    """A null among annotations, or in their place, gives no row and is no surprise."""
    assert len(flat("imageannotation", {"annotations": [None, {}, None]}).annotations) == 1
    assert flat("imageannotation", {"annotations": None, "links": None}) == flat("imageannotation", None)


@pytest.mark.parametrize("instead", ["a text", {"a": 1}, 5, False])
def test_annotations_that_are_no_list_are_kept_and_reported(instead: object) -> None:
    """Where a list is due and something else comes, one row keeps it, and the response counts as not read."""
    came = flat("annotation", {"annotations": instead})

    assert extras(came) == [{"annotations": instead}]
    assert not came.read


def test_odd_links_are_kept() -> None:
    """What is no object among links stands in a link's `extra`; so does what is no list of them."""
    among, instead = flat("imageannotation", {"links": [None, 5]}), flat("imageannotation", {"links": "a"})

    assert among.links == (Link(kind="link", extra='{"value":5}'),)
    assert instead.links == (Link(kind="link", extra='{"links":"a"}'),)
    assert (among.read, instead.read) == (True, False)


def test_segmentation_has_a_row_per_image_of_a_label() -> None:
    """Each URL of each label is a row with the label's colour and index; no row for the whole image."""
    response = {
        "annotations": {
            "unlabeled": "https://r.example/u",
            "labeled": {
                "sky": "https://r.example/s",
                "car": [
                    "https://r.example/1",
                    {"url": "https://r.example/2", "uuid": "i", "attributes": {"a": 1}},
                ],
                "road": None,
                "odd": 5,
            },
            "combined": {"image": "https://r.example/c"},
        },
        "labelMapping": {"sky": {"index": 1, "color": "#ff0000", "attributes": None}, "car": "blue"},
    }

    came = flat("segmentannotation", response)

    assert [(row.label, row.uuid, row.attributes) for row in came.annotations] == [
        ("sky", None, None),
        ("car", None, None),
        ("car", "i", '{"a":1}'),
        ("odd", None, None),
    ]
    assert {row.geometry for row in came.annotations} == {"segmentation"}
    assert extras(came) == [
        {"url": "https://r.example/s", "index": 1, "color": "#ff0000"},
        {"url": "https://r.example/1", "labelMapping": "blue"},
        {"url": "https://r.example/2", "labelMapping": "blue"},
        {"value": 5},
    ]


@pytest.mark.parametrize("given", ["a", ["a"]])
def test_odd_segmentation_is_kept(given: object) -> None:
    """Where an object is due and something else comes, one row keeps it."""
    outside = flat("segmentannotation", {"annotations": given})
    inside = flat("segmentannotation", {"annotations": {"labeled": given}})

    assert extras(outside) == [{"annotations": given}]
    assert extras(inside) == [{"labeled": given}]
    assert not outside.read
    assert not inside.read
