"""Outlines: the part within a picture, the area, and the smallest rectangle around them."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists, tuples

from scalesync.export.outlines import (
    Outline,
    area,
    bounds,
    clamped,
    clipped,
    is_upright,
    is_within,
    rectangle,
    smallest_rectangle,
)

coordinates = floats(-50, 150).map(lambda number: round(number, 2))
outlines = lists(tuples(coordinates, coordinates), min_size=3, max_size=8)
U = [
    (10.0, -5.0),
    (30.0, -5.0),
    (30.0, 20.0),
    (25.0, 20.0),
    (25.0, 0.0),
    (15.0, 0.0),
    (15.0, 20.0),
    (10.0, 20.0),
]


@pytest.mark.parametrize(
    ("outline", "expected"),
    [
        (rectangle(1, 2, 3, 4), rectangle(1, 2, 3, 4)),
        (rectangle(-5, -5, 5, 5), rectangle(0, 0, 5, 5)),
        (rectangle(90, 40, 200, 200), rectangle(90, 40, 100, 50)),
        (rectangle(-9, -9, 900, 900), rectangle(0, 0, 100, 50)),
        (rectangle(101, 1, 110, 5), []),
        (rectangle(-5, -5, -1, -1), []),
        (rectangle(0, 0, 100, 50), rectangle(0, 0, 100, 50)),
    ],
)
def test_a_rectangle_is_cut_at_the_edges(outline: Outline, expected: Outline) -> None:
    """Exactly, and what is within stays as it is."""
    found = clipped(outline, 100, 50)
    assert sorted(found) == sorted(expected)
    assert area(found) == area(expected) if expected else not found


def test_a_triangle_gets_a_corner_more() -> None:
    """Where its sides cross the edge."""
    assert clipped([(10, -10), (20, 10), (0, 10)], 100, 50) == [(15, 0), (20, 10), (0, 10), (5, 0)]


def test_an_outline_that_comes_back_stays_one() -> None:
    """Its parts are joined along the edge, with the area of the parts."""
    assert area(clipped(U, 100, 50)) == 2 * 5 * 20
    assert bounds(clipped(U, 100, 50)) == (10, 0, 30, 20)


@given(outlines)
def test_the_part_within_a_picture_is_within_it(outline: Outline) -> None:
    """No larger than the whole, and cut once more it is the same."""
    found = clipped(outline, 100, 50)
    if found:
        assert is_within(found, 100, 50)
        assert clipped(found, 100, 50) == found
        left, top, right, bottom = bounds(outline)
        assert is_within([(x - left, y - top) for x, y in found], right - left + 1e-9, bottom - top + 1e-9)


@given(outlines)
def test_the_smallest_rectangle_is_around_and_no_larger_than_the_upright_one(outline: Outline) -> None:
    """Its sides stand at right angles, and every corner of the outline lies within."""
    if not area(outline):
        return
    found = smallest_rectangle(outline)
    sides = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise([*found, found[0]])]
    for (x, y), (next_x, next_y) in pairwise(sides):
        assert abs(x * next_x + y * next_y) <= 1e-6 * math.hypot(x, y) * math.hypot(next_x, next_y) + 1e-9
    for start, (x, y) in zip(found, sides, strict=True):
        # How far each corner lies beside this side: all to one hand.
        length = max(math.hypot(x, y), 1e-9)
        beside = [((px - start[0]) * y - (py - start[1]) * x) / length for px, py in outline]
        assert max(beside) <= 1e-6 or min(beside) >= -1e-6
    assert area(found) <= area(rectangle(*bounds(outline))) * (1 + 1e-9)


def test_a_turned_square_is_its_own_smallest_rectangle() -> None:
    """To the last corner."""
    square = [(5.0, 0.0), (9.0, 4.0), (5.0, 8.0), (1.0, 4.0)]
    found = smallest_rectangle([*square, (5, 4), (4, 4)])
    assert sorted((round(x, 9), round(y, 9)) for x, y in found) == sorted(square)


def test_upright_rectangles_are_known() -> None:
    """From any corner and in either direction; a turned one, or five corners, are none."""
    corners = [*rectangle(1, 2, 5, 4)]
    assert all(is_upright(corners[n:] + corners[:n]) for n in range(4))
    assert is_upright(corners[::-1])
    assert not is_upright([*corners, (1, 3)])
    assert not is_upright([(5, 0), (9, 3), (6, 7), (2, 4)])
    assert clamped([(-1, 2), (200, 60)], 100, 50) == [(0, 2), (100, 50)]
