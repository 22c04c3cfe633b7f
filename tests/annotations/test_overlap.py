"""How much two shapes overlap, against a count of points and against plain arithmetic."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.annotations.models import Annotation
from scalesync.annotations.overlap import Extent, box_iou, extent_of, iou, text_iou

Corners = Sequence[tuple[float, float]]


def polygon(*corners: tuple[float, float], geometry: str = "polygon") -> Annotation:
    """Return an annotation with these vertices."""
    return Annotation(geometry=geometry, vertices=json.dumps([{"x": x, "y": y} for x, y in corners]))


def box(left: float, top: float, width: float, height: float) -> Annotation:
    """Return a box."""
    return Annotation(geometry="box", left=left, top=top, width=width, height=height)


def extent(annotation: Annotation) -> Extent:
    """Return where an annotation is; it must be somewhere."""
    found = extent_of(annotation)
    assert found is not None
    return found


_SQUARE = box(0, 0, 10, 10)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (box(0, 0, 10, 10), 1.0),
        (box(5, 0, 10, 10), 1 / 3),
        (box(0, 0, 5, 10), 0.5),
        (box(10, 0, 5, 5), 0.0),
        (polygon((0, 0), (10, 0), (10, 10)), 0.5),
        (polygon((10, 10), (0, 10), (0, 0), (10, 0)), 1.0),
        # A bow tie: two triangles of a quarter each.
        (polygon((0, 0), (10, 0), (0, 10), (10, 10)), 0.5),
        (polygon((0, 5), (5, 0), (10, 5), (5, 10)), 0.5),
        # A square with a hole, drawn around and back.
        (polygon((0, 0), (10, 0), (10, 10), (0, 10), (0, 0), (2, 2), (2, 8), (8, 8), (8, 2), (2, 2)), 0.64),
        (polygon((0, 0), (10, 0), (5, 5), (10, 10), (0, 10), (10, 3), geometry="cuboid"), 1.0),
    ],
    ids=["same", "half beside", "half of it", "only touching", "triangle", "the other way round", "bow tie",
         "diamond", "with a hole", "cuboid"],
)  # fmt: skip
def test_the_overlap_of_a_square_with_known_shapes(other: Annotation, expected: float) -> None:
    """As arithmetic gives it, in both directions."""
    here, there = extent(_SQUARE), extent(other)
    assert iou(here, there) == pytest.approx(expected)
    assert iou(there, here) == pytest.approx(expected)


def test_an_ellipse_is_round() -> None:
    """Of the ends of its axes: in its square it covers a share of pi / 4."""
    ellipse = polygon((5, 0), (10, 5), (5, 10), (0, 5), geometry="ellipse")
    assert iou(extent(_SQUARE), extent(ellipse)) == pytest.approx(3.14159 / 4, abs=0.002)


@pytest.mark.parametrize(
    "shape",
    [
        Annotation(geometry="point", left=1.0, top=2.0),
        polygon((0, 0), (5, 5), (9, 0), geometry="line"),
        box(3, 3, 0, 0),
    ],
    ids=["point", "line", "box of no size"],
)
def test_what_has_no_area_overlaps_nothing(shape: Annotation) -> None:
    """None, not a share of nothing."""
    assert not iou(extent(shape), extent(_SQUARE))
    assert iou(extent(shape), extent(shape)) is None


@pytest.mark.parametrize(
    "shape",
    [
        Annotation(geometry="polygon", vertices='[{"x": "a", "y": 1}]'),
        Annotation(geometry="polygon", vertices='{"x": 1}'),
        Annotation(geometry="polygon", vertices='[{"x": 1}]'),
        Annotation(geometry="box", left=1.0),
        Annotation(geometry="category", label="a"),
        box(float("inf"), 0, 1, 1),
    ],
    ids=["text", "no list", "no y", "no top", "category", "infinite"],
)
def test_a_shape_that_cannot_be_read_is_nowhere(shape: Annotation) -> None:
    """And nothing raises."""
    assert extent_of(shape) is None


_CORNERS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda at: (float(at[0]), float(at[1]))),
    min_size=3,
    max_size=7,
)


def _inside(corners: Corners, x: float, y: float) -> bool:
    crossings = 0
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (bx - ax) * (y - ay) / (by - ay):
            crossings += 1
    return crossings % 2 == 1


@settings(deadline=None)
@given(_CORNERS, _CORNERS)
def test_the_overlap_is_the_share_of_points_inside_both(one: Corners, other: Corners) -> None:
    """For any polygons, also such as cross themselves, to the precision of a grid."""
    steps = [(number + 0.499) / 6 for number in range(48)]
    both = either = 0
    for x in steps:
        for y in steps:
            inside = _inside(one, x, y), _inside(other, x, y)
            both, either = both + all(inside), either + any(inside)
    found = iou(extent(polygon(*one)), extent(polygon(*other)))
    if either > 200:
        assert found == pytest.approx(both / either, abs=0.1)
    assert found is None or 0 <= found <= 1


@given(_CORNERS, _CORNERS)
def test_the_boxes_around_shapes_overlap_as_boxes(one: Corners, other: Corners) -> None:
    """Which is what the nearest shape is found by."""
    here, there = extent(polygon(*one)), extent(polygon(*other))
    as_boxes = [extent(box(each.left, each.top, each.right - each.left, each.bottom - each.top))
                for each in (here, there)]  # fmt: skip
    assert box_iou(here, there) == pytest.approx(iou(*as_boxes) or 0.0)


def _range(start: int, end: int) -> Annotation:
    return Annotation(geometry="entity", text_start=start, text_end=end)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (_range(0, 10), _range(0, 10), 1.0),
        (_range(0, 10), _range(5, 15), 1 / 3),
        (_range(0, 5), _range(5, 9), 0.0),
        (_range(3, 3), _range(3, 3), 1.0),
        (_range(0, 5), Annotation(text_start=0), 0.0),
    ],
    ids=["same", "half", "touching", "empty", "no end"],
)
def test_the_overlap_of_ranges_of_text(one: Annotation, other: Annotation, expected: float) -> None:
    """Of the letters that either has, how many both have."""
    assert text_iou(one, other) == text_iou(other, one) == pytest.approx(expected)
