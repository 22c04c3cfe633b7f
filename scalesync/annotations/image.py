"""Flattens drawings on an image: boxes, polygons, lines, points, ellipses, cuboids."""

from collections.abc import Iterator

from scalesync.annotations.columns import (
    LINK_ENDS,
    Columns,
    FieldMap,
    Row,
    json_in,
    links,
    list_in,
    number_in,
    row,
    text_in,
    unexpected,
    word_in,
)
from scalesync.annotations.json_values import Object, encoded, is_no_double
from scalesync.annotations.models import Annotation, Geometry, Link

SHAPE: Columns = {
    "left": number_in("left"),
    "top": number_in("top"),
    "width": number_in("width"),
    "height": number_in("height"),
    "rotation": number_in("rotation"),
    "vertices": list_in("vertices"),
}
ALTERNATIVES: Columns = {
    "geometry": text_in("geometry"),
    "x": number_in("left"),
    "y": number_in("top"),
    "yaw": number_in("rotation"),
}
"""Fields used for a column that the usual field leaves empty."""
_IDS: Columns = {"cuboid_uuid": word_in("uuid"), "key": word_in("uuid"), "id": word_in("uuid")}
"""Fields with the name of an annotation without a `uuid`: linked cuboids, older lines and polygons."""
_DRAWING = FieldMap(
    {
        **SHAPE,
        "uuid": word_in("uuid"),
        "type": text_in("geometry"),
        "label": word_in("label"),
        "attributes": json_in("attributes"),
    },
    ALTERNATIVES,
    _IDS,
)
_LINK = FieldMap(
    {"uuid": word_in("uuid"), "from": word_in("source"), "to": word_in("target"), "label": word_in("label")},
    LINK_ENDS,
    row_type=Link,
)
_GEOMETRY, _FRAME, _EXTRA = map(Annotation._fields.index, ("geometry", "frame", "extra"))
_BOX = ("left", "top", "width", "height")
_BY_VERTICES = (Geometry.POLYGON, Geometry.LINE, Geometry.CUBOID, Geometry.ELLIPSE)


def image(response: Object, expected: str | None) -> Iterator[Row]:
    """Yield the drawings of `annotations` and the links of `links`.

    `expected` is the geometry that the type of task implies, or None.
    """
    given = response.get("annotations")
    # Without a generator for each row: most rows of an account are made here.
    if isinstance(given, list):
        yield from [drawing(element, expected) for element in given if element is not None]
    else:
        yield from unexpected("annotations", given)
    yield from links("link", _LINK, place="links", value=response.get("links"))


def drawing(
    element: object, expected: str | None = None, frame: int | None = None, beside: Object | None = None
) -> Annotation:
    """Return the row of one element of `annotations`, of any kind.

    `beside` has the values that apply to all elements of the list; they are kept in `extra`.
    """
    if type(element) is not dict:
        return row({"frame": frame}, {**(beside or {}), "value": element})
    values, rest = _DRAWING.fit(element)
    if values[_GEOMETRY] is None:
        values[_GEOMETRY] = _inferred(dict(zip(Annotation._fields, values, strict=True)), element, expected)
    if frame is not None:
        values[_FRAME] = frame
    if rest or beside:
        values[_EXTRA] = encoded({**beside, **rest} if beside else rest)
    return tuple.__new__(Annotation, values)  # as Annotation._make does, which takes twice as long


def shaped(given: Object, fields: FieldMap) -> tuple[Object, Object]:
    """Return column values and rest of an object with a shape; infer its geometry if nothing names it."""
    values, rest = fields.split(given)
    if "geometry" not in values and (geometry := _inferred(values, given, None)):
        values["geometry"] = geometry
    return values, rest


def _inferred(columns: Object, given: Object, expected: str | None) -> str | None:
    """Return the geometry that the column values and the fields of an element imply, or None."""
    # A side that no double can hold is not in its column, but the element is a box all the same.
    if all(columns.get(side) is not None or is_no_double(given.get(side)) for side in _BOX):
        return Geometry.BOX.value
    if columns.get("vertices") is not None:
        return expected if expected in _BY_VERTICES else _by_vertices(given)
    if "position" in given and "dimensions" in given:
        return Geometry.CUBOID.value
    # Its x and y are in these columns by now.
    if "x" in given and columns.get("left") is not None and columns.get("top") is not None:
        return Geometry.POINT.value
    return None


def _by_vertices(given: Object) -> str | None:
    vertices = given["vertices"]
    if "edges" in given or any(isinstance(vertex, dict) and "description" in vertex for vertex in vertices):
        return Geometry.CUBOID.value
    return Geometry.LINE.value if len(vertices) == 2 else None
