"""Turn rows of `annotations` into outlines for SVG, in the pixels of their picture or in metres from above.

No content of a row makes this raise: an annotation that cannot be drawn has no outline, and is shown as text.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from scalesync.annotations.models import Geometry
from scalesync.json_sanitizing import read_json

Row = Mapping[str, Any]
Point = tuple[float, float]

FROM_ABOVE = "from above"
"""The plane of lidar cuboids: metres, seen along the z axis."""
PICTURE = ""
"""The plane of the task's own picture."""

_LARGEST = 1e9
"""Coordinates beyond it are no places: browsers compute with single precision."""
_BOX = ("left", "top", "width", "height")
_MAX_POINTS = 20_000


class Outline(NamedTuple):
    """How an annotation is drawn."""

    plane: str
    """PICTURE, FROM_ABOVE, or the name of a camera."""
    element: str
    """Of SVG."""
    numbers: Mapping[str, str]
    """Its attributes."""
    points: Sequence[Point]
    """Corners, by which it is known how far it reaches."""


def outline_of(row: Row) -> Outline | None:
    """Return how a row of `annotations` is drawn, None if it has no place that can be."""
    extra = object_in(row.get("extra"))
    plane = _camera(extra)
    if row.get("geometry") == Geometry.CUBOID and (above := _from_above(row, extra)):
        return above
    vertices = _points(value_in(row.get("vertices")))
    draw = _BY_GEOMETRY.get(str(row.get("geometry")), _polygon)
    found = draw(row, vertices, extra) if vertices else None
    found = found or _box(row) or (_dot(row) if row.get("geometry") == Geometry.POINT else None)
    return found and found._replace(plane=plane)


def value_in(text: object) -> Any:
    """Return the value of a JSON text; the text itself if it cannot be read."""
    if not isinstance(text, str):
        return text
    try:
        return read_json(text)
    except (ValueError, RecursionError):
        return text


def object_in(text: object) -> dict[str, Any]:
    """Return the object of a JSON text, an empty one for anything else."""
    value = value_in(text)
    return value if isinstance(value, dict) else {}


def number(value: object) -> float | None:
    """Return a number that can be a place, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is converted: a whole number may be too large for a double. NaN compares as false.
    return float(value) if -_LARGEST <= value <= _LARGEST else None


def written(value: float) -> str:
    """Return a number for an attribute of SVG, exact to a hundredth of a pixel."""
    return f"{value:.11g}"


def _camera(extra: Mapping[str, Any]) -> str:
    camera = extra.get("camera_used")
    return f"camera {camera}" if isinstance(camera, int) and not isinstance(camera, bool) else PICTURE


def _point(given: object) -> Point | None:
    pair: Sequence[object] = ()
    if isinstance(given, dict):
        pair = given.get("x"), given.get("y")
    elif isinstance(given, list) and len(given) >= 2:
        pair = given[:2]
    numbers = [found for each in pair if (found := number(each)) is not None]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def _points(given: object) -> list[Point]:
    """Return the points of a list; none at all if one of them is no place."""
    if not isinstance(given, list) or len(given) > _MAX_POINTS:
        return []
    found = [_point(each) for each in given]
    return [each for each in found if each is not None] if None not in found else []


def _of(element: str, reach: Sequence[Point], **numbers: str) -> Outline:
    return Outline(PICTURE, element, numbers, reach)


def _line_through(points: Sequence[Point]) -> str:
    return " ".join(f"{written(x)},{written(y)}" for x, y in points)


def _box(row: Row) -> Outline | None:
    sides = [number(row.get(side)) for side in _BOX]
    if any(side is None for side in sides):
        return None
    left, top, width, height = (side or 0.0 for side in sides)
    # Drawn from the other corner, a side is negative, which SVG does not draw.
    left, top, width, height = min(left, left + width), min(top, top + height), abs(width), abs(height)
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    center = (left + width / 2, top + height / 2)
    turned = number(row.get("rotation"))
    if turned:
        corners = [_turned(corner, center, turned) for corner in corners]
        return _of("polygon", corners, points=_line_through(corners))
    return _of("rect", corners, x=written(left), y=written(top), width=written(width), height=written(height))


def _turned(point: Point, center: Point, angle: float) -> Point:
    """Return a point turned around another by radians, clockwise on a picture, whose y points down."""
    x, y = point[0] - center[0], point[1] - center[1]
    sine, cosine = math.sin(angle), math.cos(angle)
    return center[0] + x * cosine - y * sine, center[1] + x * sine + y * cosine


def _dot(row: Row) -> Outline | None:
    place = _point({"x": row.get("left"), "y": row.get("top")})
    return place and _spot(place)


def _spot(place: Point) -> Outline:
    # A line of no length with round ends: as wide as its stroke, at any zoom.
    return _of("path", [place], d=f"M{written(place[0])} {written(place[1])}h0")


def _polygon(_row: Row, vertices: Sequence[Point], _extra: Mapping[str, Any]) -> Outline:
    return _of("polygon", vertices, points=_line_through(vertices)) if vertices[1:] else _spot(vertices[0])


def _line(_row: Row, vertices: Sequence[Point], _extra: Mapping[str, Any]) -> Outline:
    return _of("polyline", vertices, points=_line_through(vertices)) if vertices[1:] else _spot(vertices[0])


def _ellipse(row: Row, vertices: Sequence[Point], extra: Mapping[str, Any]) -> Outline:
    """Return the ellipse whose axes end at four points, in any order."""
    if len(vertices) != 4:
        return _polygon(row, vertices, extra)
    first, *others = vertices
    opposite = max(others, key=lambda each: math.dist(first, each))
    # Of two points at the same place, only one is the other end.
    others.remove(opposite)
    center = ((first[0] + opposite[0]) / 2, (first[1] + opposite[1]) / 2)
    angle = math.degrees(math.atan2(opposite[1] - first[1], opposite[0] - first[0]))
    return _of(
        "ellipse",
        vertices,
        cx=written(center[0]),
        cy=written(center[1]),
        rx=written(math.dist(first, opposite) / 2),
        ry=written(math.dist(*others) / 2),
        transform=f"rotate({written(angle)} {written(center[0])} {written(center[1])})",
    )


def _cuboid(row: Row, vertices: Sequence[Point], extra: Mapping[str, Any]) -> Outline:
    """Return the edges of a cuboid on a picture: as the response gives them, else by the corners' names."""
    edges = extra.get("edges")
    found: list[tuple[Point, Point]] = []
    for edge in edges if isinstance(edges, list) else ():
        given = edge if isinstance(edge, dict) else {}
        start, end = _point([given.get("x1"), given.get("y1")]), _point([given.get("x2"), given.get("y2")])
        if start and end:
            found.append((start, end))
    found = found or _edges_by_names(value_in(row.get("vertices")), vertices)
    if not found:
        return _polygon(row, vertices, extra)
    reached = [*vertices, *(end for edge in found for end in edge)]
    lines = (f"M{written(a)} {written(b)}L{written(c)} {written(d)}" for (a, b), (c, d) in found)
    return _of("path", reached, d="".join(lines))


_FACE = ("face-topleft", "face-topright", "face-bottomright", "face-bottomleft")
_SIDE = ("side-topcorner", "side-bottomcorner")


def _edges_by_names(given: list[Any], vertices: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Return the edges of the face, of the side, and between them; none if the corners have other names."""
    names = [each.get("description") if isinstance(each, dict) else None for each in given]
    corners = {name: point for name, point in zip(names, vertices, strict=False) if isinstance(name, str)}
    if not all(name in corners for name in _FACE):
        return []
    face = [corners[name] for name in _FACE]
    edges = [*zip(face, [*face[1:], face[0]], strict=True)]
    if all(name in corners for name in _SIDE):
        top, bottom = (corners[name] for name in _SIDE)
        # The side is seen beside the edge of the face that is nearer to it.
        right = abs(face[1][0] - top[0]) <= abs(face[0][0] - top[0])
        edges += [
            (face[1] if right else face[0], top),
            (top, bottom),
            (face[2] if right else face[3], bottom),
        ]
    return edges


def _from_above(row: Row, extra: Mapping[str, Any]) -> Outline | None:
    """Return a lidar cuboid from above, with a line from its centre to its front; y points up there."""
    center, size = _point(extra.get("position")), _point(extra.get("dimensions"))
    if center is None or size is None:
        return None
    yaw = number(row.get("rotation")) or 0.0
    middle, half = (center[0], -center[1]), (abs(size[0]) / 2, abs(size[1]) / 2)
    places = [(-half[0], -half[1]), (half[0], -half[1]), (half[0], half[1]), (-half[0], half[1])]
    # Counter-clockwise where y points up is clockwise negated where it points down.
    corners = [_turned((middle[0] + x, middle[1] + y), middle, -yaw) for x, y in places]
    front = _turned((middle[0], middle[1] - half[1]), middle, -yaw)
    around = "L".join(f"{written(x)} {written(y)}" for x, y in corners)
    heading = f"M{written(middle[0])} {written(middle[1])}L{written(front[0])} {written(front[1])}"
    return Outline(FROM_ABOVE, "path", {"d": f"M{around}Z{heading}"}, corners)


_BY_GEOMETRY: Mapping[str, Callable[[Row, Sequence[Point], Mapping[str, Any]], Outline]] = {
    Geometry.LINE: _line,
    Geometry.ELLIPSE: _ellipse,
    Geometry.CUBOID: _cuboid,
}
"""How vertices are drawn; those of any other geometry are a polygon."""
