"""Computes how much two shapes overlap: intersection over union (IoU). No database."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from scalesync.annotations.models import Annotation, Geometry

Point = tuple[float, float]
Edge = tuple[float, float, float, float]
"""x and y of an edge's upper end, then of its lower end; never horizontal."""

_ELLIPSE_SIDES = 64


class Extent(NamedTuple):
    """The place of an annotation in its image, as far as it has one."""

    left: float
    top: float
    right: float
    bottom: float
    outline: tuple[Point, ...] = ()
    """Corners of the area; empty for what has none: points and lines."""

    @property
    def center(self) -> Point:
        """The middle of the bounding box."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def extent_of(annotation: Annotation) -> Extent | None:
    """Return where an annotation is in its image; None if that cannot be read from its columns."""
    corners = _corners(annotation)
    if not corners or not all(map(math.isfinite, [number for corner in corners for number in corner])):
        return None
    xs, ys = zip(*corners, strict=True)
    outline = () if annotation.geometry in {Geometry.POINT, Geometry.LINE} or len(corners) < 3 else corners
    if annotation.geometry == Geometry.CUBOID:
        # Its vertices are in no order of drawing: its bounding box stands in for its outline.
        outline = _rectangle(min(xs), min(ys), max(xs), max(ys))
    return Extent(min(xs), min(ys), max(xs), max(ys), outline)


def box_iou(one: Extent, other: Extent) -> float:
    """Return the intersection over union of two bounding boxes; 0 where both have no area."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    union = _box_area(one) + _box_area(other) - both
    return both / union if union > 0 and math.isfinite(union) else 0.0


def iou(one: Extent, other: Extent) -> float | None:
    """Return the intersection over union of two areas, 0 to 1; None if one of them has no area.

    Exact for any outlines, also those that cross themselves: what an odd number of edges surrounds is inside.
    """
    if not one.outline or not other.outline:
        return None
    both = union = 0.0
    # Between two neighbouring heights no edge begins, ends or crosses another: there every width grows in
    # proportion to the height, and the width halfway up is the mean.
    for height, lines in _strips(list(_edges(one.outline)), list(_edges(other.outline))):
        shared = _shared(*lines) * height
        both += shared
        union += sum(right - left for line in lines for left, right in line) * height - shared
    return min(1.0, both / union) if union > 0 else None


def text_iou(one: Annotation, other: Annotation) -> float:
    """Return the intersection over union of two ranges of a text; 0 if one of them has no range."""
    if None in (one.text_start, one.text_end, other.text_start, other.text_end):
        return 0.0
    starts, ends = (one.text_start or 0, other.text_start or 0), (one.text_end or 0, other.text_end or 0)
    union = max(ends) - min(starts)
    return max(0, min(ends) - max(starts)) / union if union > 0 else 1.0


def _corners(annotation: Annotation) -> tuple[Point, ...]:
    corners = _points(annotation.vertices)
    if annotation.geometry == Geometry.ELLIPSE and len(corners) == 4:
        return _ellipse(corners)
    if corners:
        return corners
    left, top = annotation.left, annotation.top
    if left is None or top is None:
        return ()
    if annotation.width is None or annotation.height is None:
        return ((left, top),)
    return _rectangle(left, top, left + annotation.width, top + annotation.height)


def _points(vertices: str | None) -> tuple[Point, ...]:
    """Return the vertices of a JSON list of objects with x and y; none if one is something else."""
    try:
        given = msgspec.json.decode(vertices or "[]", type=list[dict[str, object]])
        return tuple((_number(each["x"]), _number(each["y"])) for each in given)
    except (msgspec.DecodeError, KeyError, TypeError, OverflowError):
        return ()


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)


def _rectangle(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _ellipse(ends: Sequence[Point]) -> tuple[Point, ...]:
    """Return the corners of a polygon through the ends of an ellipse's axes, in the order of drawing."""
    x, y = (sum(end[axis] for end in ends) / len(ends) for axis in (0, 1))
    (ax, ay), (bx, by) = ((end[0] - x, end[1] - y) for end in ends[:2])
    turns = (2 * math.pi * step / _ELLIPSE_SIDES for step in range(_ELLIPSE_SIDES))
    return tuple(
        (x + ax * math.cos(turn) + bx * math.sin(turn), y + ay * math.cos(turn) + by * math.sin(turn))
        for turn in turns
    )


def _box_area(extent: Extent) -> float:
    return (extent.right - extent.left) * (extent.bottom - extent.top)


def _edges(outline: Sequence[Point]) -> Iterator[Edge]:
    for (x, y), (next_x, next_y) in pairwise((*outline, outline[0])):
        if y != next_y:
            yield (x, y, next_x, next_y) if y < next_y else (next_x, next_y, x, y)


def _strips(one: Sequence[Edge], other: Sequence[Edge]) -> Iterator[tuple[float, list[list[Point]]]]:
    """Yield horizontal strips through two outlines: the height, and what is inside each halfway up."""
    waiting = sorted(((edge, which) for which, edges in enumerate((one, other)) for edge in edges), key=_top)
    waiting.reverse()
    heights = _heights([edge for edge, _ in reversed(waiting)])
    current: list[tuple[Edge, int]] = []
    for upper, lower in pairwise(heights):
        current = [each for each in current if each[0][3] > upper]
        while waiting and _top(waiting[-1]) <= upper:
            current.append(waiting.pop())
        middle = (upper + lower) / 2
        yield (
            lower - upper,
            [_spans([edge for edge, of in current if of == which], middle) for which in (0, 1)],
        )


def _top(each: tuple[Edge, int]) -> float:
    return each[0][1]


def _heights(edges: Sequence[Edge]) -> list[float]:
    """Return every height at which an edge begins, ends or crosses another, in order.

    `edges` are in the order of their tops.
    """
    heights = {height for _, top, _, bottom in edges for height in (top, bottom)}
    beside: list[Edge] = []
    for edge in edges:
        beside = [each for each in beside if each[3] > edge[1]]
        heights.update(height for each in beside if (height := _crossing(edge, each)) is not None)
        beside.append(edge)
    return sorted(heights)


def _crossing(one: Edge, other: Edge) -> float | None:
    """Return the height at which two edges cross; None if they do not."""
    top, bottom = max(one[1], other[1]), min(one[3], other[3])
    if top >= bottom:
        return None
    at_top, at_bottom = _x_at(one, top) - _x_at(other, top), _x_at(one, bottom) - _x_at(other, bottom)
    if at_top * at_bottom >= 0:
        return None
    return top + (bottom - top) * at_top / (at_top - at_bottom)


def _x_at(edge: Edge, height: float) -> float:
    x, top, end, bottom = edge
    return x + (end - x) * (height - top) / (bottom - top)


def _spans(edges: Sequence[Edge], height: float) -> list[Point]:
    """Return the stretches of a horizontal line that are inside an outline, from left to right."""
    crossed = sorted(_x_at(edge, height) for edge in edges)
    return list(zip(crossed[::2], crossed[1::2], strict=False))


def _shared(one: Sequence[Point], other: Sequence[Point]) -> float:
    """Return the length that both of two lists of stretches cover."""
    return sum(max(0.0, min(right, end) - max(left, start)) for left, right in one for start, end in other)
