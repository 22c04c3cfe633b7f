"""Where shapes are drawn: worked out here by hand, and nothing that a row holds raises."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.web.annotation_items import items_of
from scalesync.web.app import environment
from scalesync.web.shapes import FROM_ABOVE, Outline, outline_of
from scalesync.web.task import ANNOTATION_COLUMNS

EMPTY = dict.fromkeys(ANNOTATION_COLUMNS) | {"task_id": "t", "ordinal": 0}


def row(geometry: str | None, **columns: Any) -> dict[str, Any]:
    """Return a row of `annotations`; lists and objects become JSON."""
    texts = {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in columns.items()
    }
    return EMPTY | {"geometry": geometry} | texts


def points(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    """Return vertices."""
    return [{"x": x, "y": y} for x, y in pairs]


def drawn(geometry: str | None, **columns: Any) -> Outline:
    """Return the outline of a row that has one."""
    found = outline_of(row(geometry, **columns))
    assert found is not None
    return found


def test_a_box_is_a_rectangle() -> None:
    """Also one that was drawn from another corner."""
    numbers = {"x": "4", "y": "6.25", "width": "20.5", "height": "9"}
    assert drawn("box", left=4.0, top=6.25, width=20.5, height=9.0)[1:3] == ("rect", numbers)
    assert drawn("box", left=24.5, top=15.25, width=-20.5, height=-9.0)[1:3] == ("rect", numbers)


def test_a_turned_box_is_turned_clockwise_about_its_centre() -> None:
    """A quarter turn of an upright box lies down."""
    found = drawn("box", left=0.0, top=0.0, width=2.0, height=10.0, rotation=math.pi / 2)
    assert found.element == "polygon"
    assert [(round(x, 9), round(y, 9)) for x, y in found.points] == [(6, 4), (6, 6), (-4, 6), (-4, 4)]


def test_vertices_of_a_turned_box_count_more_than_its_sides() -> None:
    """They are what was drawn."""
    found = drawn(
        "box", left=0.0, top=0.0, width=2.0, height=2.0, rotation=1.0, vertices=points((1, 2), (3, 4), (5, 6))
    )
    assert (found.element, found.numbers["points"]) == ("polygon", "1,2 3,4 5,6")


def test_lines_polygons_and_points() -> None:
    """A line is open, a polygon closed, and a point is a dot at its place."""
    corners = points((1, 2), (3.5, 4), (5, 6))
    assert drawn("line", vertices=corners).element == "polyline"
    assert drawn("polygon", vertices=corners).element == "polygon"
    assert drawn("heptagram", vertices=corners).element == "polygon"
    assert drawn("point", left=7.0, top=8.0).numbers == {"d": "M7 8h0"}
    assert drawn("polygon", vertices=[[1, 2], [3, 4]]).numbers == {"points": "1,2 3,4"}


def test_an_ellipse_goes_through_the_ends_of_its_axes() -> None:
    """In any order of the four."""
    for corners in (points((0, 5), (10, 5), (5, 2), (5, 8)), points((5, 2), (0, 5), (5, 8), (10, 5))):
        numbers = drawn("ellipse", vertices=corners).numbers
        radii = {float(numbers["rx"]), float(numbers["ry"])}
        assert ((numbers["cx"], numbers["cy"]), radii) == (("5", "5"), {5.0, 3.0})


def test_a_cuboid_has_the_edges_that_the_response_gives() -> None:
    """Without them, those that the names of its corners say."""
    edges = [{"x1": 1, "y1": 2, "x2": 3, "y2": 4}, {"x1": "odd"}]
    corners = points((1, 2))
    assert drawn("cuboid", vertices=corners, extra={"edges": edges}).numbers == {"d": "M1 2L3 4"}
    names = {
        "face-topleft": (0, 0), "face-topright": (4, 0), "face-bottomleft": (0, 4),
        "face-bottomright": (4, 4), "side-topcorner": (6, 1), "side-bottomcorner": (6, 3),
    }  # fmt: skip
    named = [{"x": x, "y": y, "description": name} for name, (x, y) in names.items()]
    path = drawn("cuboid", vertices=named).numbers["d"]
    assert path == "M0 0L4 0M4 0L4 4M4 4L0 4M0 4L0 0M4 0L6 1M6 1L6 3M4 4L6 3"


def test_a_lidar_cuboid_is_seen_from_above() -> None:
    """X to the right, y up, length along y; a yaw of a quarter turn counter-clockwise faces left."""
    extra = {"position": {"x": 10, "y": 20, "z": 1}, "dimensions": {"x": 2, "y": 8, "z": 3}}
    found = drawn("cuboid", rotation=0.0, extra=extra)
    assert (found.plane, sorted(found.points)) == (FROM_ABOVE, [(9, -24), (9, -16), (11, -24), (11, -16)])
    assert found.numbers["d"].endswith("M10 -20L10 -24")
    turned = drawn("cuboid", rotation=math.pi / 2, extra=extra)
    assert sorted((round(x, 6), round(y, 6)) for x, y in turned.points) == [
        (6, -21),
        (6, -19),
        (14, -21),
        (14, -19),
    ]
    assert turned.numbers["d"].endswith("L6 -20")


def test_each_camera_is_a_plane_of_its_own() -> None:
    """Shapes in the pictures of several cameras do not lie on one another."""
    assert (
        drawn("box", left=1.0, top=1.0, width=1.0, height=1.0, extra={"camera_used": 2}).plane == "camera 2"
    )


@pytest.mark.parametrize(
    "odd",
    [
        row("box", left=math.nan, top=0.0, width=1.0, height=1.0),
        row("box", left=0.0, top=0.0, width=math.inf, height=1.0),
        row("box", left=1e300, top=0.0, width=1.0, height=1.0),
        row("box", left=0.0),
        row("polygon", vertices=[]),
        row("polygon", vertices=[{"x": 1}]),
        row("polygon", vertices=[None, [1], "x"]),
        row("polygon", vertices="[1e999, 2"),
        row("polygon", vertices="[" * 100_000),
        row("polygon", vertices='[{"x": 1e400, "y": 1}]'),
        row("cuboid", extra={"position": {"x": 10**400}, "dimensions": 5}),
        row("entity", text="a", text_start=1, text_end=2),
        row(None, extra="null"),
        row(None, extra="[1]", attributes='"a"'),
    ],
    ids=repr,
)  # fmt: skip
def test_what_has_no_place_has_no_outline(odd: dict[str, Any]) -> None:
    """It is shown as text, with what it holds."""
    assert outline_of(odd) is None
    assert len(items_of([odd])) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["x", "y", "edges", "position", "dimensions", "camera_used", "url", "x1", "start"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
numbers = st.none() | st.floats()
texts = st.none() | st.text(max_size=9) | anything.map(json.dumps)


short = st.none() | st.text(max_size=5)
words = st.sampled_from(["box", "line", "point", "ellipse", "cuboid", "segmentation", "entity", "word"])
columns_of_a_row = st.fixed_dictionaries({
    "geometry": short | words, "label": short, "uuid": short, "text": short,
    "frame": st.none() | st.integers(-(2**63), 2**63 - 1),
    "left": numbers, "top": numbers, "width": numbers, "height": numbers, "rotation": numbers,
    "vertices": texts, "attributes": texts, "extra": texts,
    "text_start": st.none() | st.integers(), "text_end": st.none() | st.integers(),
})  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(columns_of_a_row)
def test_no_row_raises(columns: dict[str, Any]) -> None:
    """Whatever is in its columns, it has one item, and its outline is written into the page."""
    (item,) = items_of([EMPTY | columns])
    if item.outline is not None:
        module = environment().get_template("drawing.html").module
        assert "NaN" not in str(module.outline(item, "shape", {}))  # type: ignore[attr-defined]
        assert not {"nan", "inf", "-inf"} & set(item.outline.numbers.values())
