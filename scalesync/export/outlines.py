"""Outlines of boxes and polygons: their corners, their area, and the part of them within a picture."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import hypot

import msgspec

from scalesync.db.export.drawn_shapes import DrawnShape
from scalesync.db.export.pictures import MAX_PIXELS

Corner = tuple[float, float]
Outline = Sequence[Corner]

_ROUNDING = 1e-12
"""Share of the bounding box below which an area is a rounding error."""


class _Point(msgspec.Struct):
    x: float
    y: float


_points = msgspec.json.Decoder(list[_Point]).decode


def outline_of(shape: DrawnShape) -> Outline | None:
    """Return a shape's corners; None if it has fewer than three, or one is out of range."""
    corners = _corners(shape)
    usable = len(corners) >= 3 and all(abs(x) <= MAX_PIXELS and abs(y) <= MAX_PIXELS for x, y in corners)
    return corners if usable else None


def _vertices(shape: DrawnShape) -> list[_Point]:
    try:
        return _points(shape.vertices or "[]")
    except msgspec.DecodeError:
        return []


def _corners(shape: DrawnShape) -> Outline:
    vertices = _vertices(shape)
    # A rotated box has vertices too, and its left, top, width and height do not describe it: vertices first.
    if len(vertices) >= 3:
        return [(point.x, point.y) for point in vertices]
    left, top, width, height = shape.left, shape.top, shape.width, shape.height
    if left is None or top is None or width is None or height is None:
        return []
    return rectangle(left, top, left + width, top + height)


def is_turned_back(shape: DrawnShape) -> bool:
    """Return whether a shape is rotated without saying where its corners are: its outline is upright."""
    return bool(shape.rotation) and len(_vertices(shape)) < 3


def rectangle(left: float, top: float, right: float, bottom: float) -> Outline:
    """Return the corners of an upright rectangle, clockwise from its left top one."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def bounds(outline: Outline) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the upright box around an outline."""
    xs, ys = zip(*outline, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def area(outline: Outline) -> float:
    """Return the area within an outline; 0 if its corners lie on one line."""
    left, top, right, bottom = bounds(outline)
    # Shoelace formula, relative to a corner: with large coordinates the products would cancel out a small
    # area.
    local = [(x - left, y - top) for x, y in outline]
    twice = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise([*local, local[0]]))
    found = abs(twice) / 2
    # For corners on one line rounding leaves a tiny area.
    return found if found > (right - left) * (bottom - top) * _ROUNDING else 0


def is_upright(outline: Outline) -> bool:
    """Return whether an outline is an upright rectangle."""
    return len(outline) == 4 and set(outline) == set(rectangle(*bounds(outline)))


def is_within(outline: Outline, width: float, height: float) -> bool:
    """Return whether an outline lies within a picture of this size."""
    left, top, right, bottom = bounds(outline)
    return left >= 0 and top >= 0 and right <= width and bottom <= height


def clipped(outline: Outline, width: float, height: float) -> Outline:
    """Return the part of an outline within a picture, empty if there is none.

    An outline that leaves the picture and comes back stays one, joined along the picture's edge.
    """
    if is_within(outline, width, height):
        return outline
    # Sutherland and Hodgman: cut at one edge of the picture after the other.
    for axis, sign, limit in ((0, 1, 0.0), (0, -1, width), (1, 1, 0.0), (1, -1, height)):
        outline = list(_cut(outline, axis, sign, limit)) if outline else outline
    return outline


def _cut(outline: Outline, axis: int, sign: int, limit: float) -> Iterator[Corner]:
    """Yield the corners of the part on one side of a line that is parallel to an axis."""
    for corner, following in pairwise([*outline, outline[0]]):
        here, there = sign * (corner[axis] - limit), sign * (following[axis] - limit)
        if here >= 0:
            yield corner
        if (here < 0 < there) or (there < 0 < here):
            share = here / (here - there)
            other = corner[1 - axis] + share * (following[1 - axis] - corner[1 - axis])
            yield (limit, other) if axis == 0 else (other, limit)


def clamped(outline: Outline, width: float, height: float) -> Outline:
    """Return an outline with each corner that is outside a picture moved to its edge."""
    return [(min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in outline]


def smallest_rectangle(outline: Outline) -> Outline:
    """Return the corners of the smallest rectangle, in any rotation, around an outline with an area."""
    # One side of it lies on a side of the convex hull.
    hull = _convex_hull(outline)
    found = [_rectangle_along(hull, *side) for side in pairwise([*hull, hull[0]])]
    return min(found, key=area)


def _rectangle_along(hull: Outline, start: Corner, end: Corner) -> Outline:
    length = hypot(end[0] - start[0], end[1] - start[1])
    x, y = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    turned = [(px * x + py * y, py * x - px * y) for px, py in hull]
    return [(u * x - v * y, u * y + v * x) for u, v in rectangle(*bounds(turned))]


def _convex_hull(outline: Outline) -> Outline:
    # Andrew's monotone chain: the lower half from left to right, the upper half back.
    ordered = sorted(set(outline))
    return [*_half_hull(ordered), *_half_hull(ordered[::-1])]


def _half_hull(ordered: Outline) -> Outline:
    hull: list[Corner] = []
    for corner in ordered:
        while len(hull) >= 2 and _turn(hull[-2], hull[-1], corner) <= 0:
            hull.pop()
        hull.append(corner)
    return hull[:-1]


def _turn(start: Corner, middle: Corner, end: Corner) -> float:
    """Return a number above 0 for a turn to one side at the middle corner, below 0 for the other."""
    return (middle[0] - start[0]) * (end[1] - start[1]) - (middle[1] - start[1]) * (end[0] - start[0])
