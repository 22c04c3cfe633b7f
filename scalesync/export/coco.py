"""Export boxes and polygons on images as COCO, the dataset format of object detection."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import msgspec

from scalesync.db.export.drawn_shapes import DrawnShape, Image, ImageShapes, SkippedAnnotations
from scalesync.export.counts import ExportCounts, joined

UNLABELED = "unlabeled"
"""The category of shapes without a label."""

_encode = msgspec.json.Encoder().encode
_Outline = Sequence[tuple[float, float]]

_MAX_PIXELS = 2**31
"""Pixels; no picture is larger, and areas of larger shapes would overflow a double."""
_ROUNDING = 1e-12
"""Share of the bounding box below which an area is a rounding error."""
_SIZE_FROM_SHAPES = "images of unknown size: how far their shapes reach is written"
_SIZE_UNKNOWN = "images of unknown size, written as 0"
_PLURAL = {"box": "boxes", "polygon": "polygons"}


class _Geometry(NamedTuple):
    """The fields of a COCO annotation that hold its position."""

    bbox: list[float]
    segmentation: list[list[float]]
    area: float
    """0 if its corners lie on one line."""
    iscrowd: int = 0

    def is_within(self, width: float, height: float) -> bool:
        """Return whether it lies within an image of this size."""
        left, top, wide, high = self.bbox
        return left >= 0 and top >= 0 and left + wide <= width and top + high <= height


class _Point(msgspec.Struct):
    x: float
    y: float


class _TaskDetails(msgspec.Struct):
    """The fields of a task's params or metadata that describe its image."""

    attachment: object = None
    width: object = None
    height: object = None


_points = msgspec.json.Decoder(list[_Point]).decode
_decode_details = msgspec.json.Decoder(_TaskDetails).decode


def coco_lines(image_shapes: ImageShapes, counts: ExportCounts) -> Iterator[bytes]:
    """Yield the lines of one COCO file; only the category names are held in memory.

    Ids count from 1, in order of task ids. An image's size is `width` and `height` in the task's params or
    metadata, else the extent of its shapes, else 0. Annotations that COCO cannot hold are counted as left
    out: written and left out add up to all annotations of the selected tasks.
    """
    # COCO wants categories before images before annotations: three passes over the mirror in one transaction,
    # instead of one pass with everything in memory.
    for item in image_shapes.undrawn():
        counts.leave_out(_skip_reason(item), item.number)
    counts.alter("tasks in error are no images", image_shapes.tasks_in_error())
    names = sorted({_category(label) for label in image_shapes.labels()})
    categories = {name: number for number, name in enumerate(names, 1)}
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    yield b'{"info":{"description":"Scale annotations"},"licenses":[],"categories":' + _encode(listed)
    yield b',"images":['
    yield from joined(_encode_image(*item, counts) for item in _images_with_shapes(image_shapes))
    yield b'],"annotations":['
    yield from joined(counts.counting(_annotations(image_shapes, categories, counts)))
    yield b"]}"


def _images_with_shapes(image_shapes: ImageShapes) -> Iterator[tuple[int, Image, Iterable[DrawnShape]]]:
    """Yield each image with its number and shapes; read the shapes before the next image."""
    # A merge join: images and shapes both come in the order of task ids.
    groups = groupby(image_shapes.shapes(), key=lambda shape: shape.task_id)
    following = next(groups, None)
    for number, image in enumerate(image_shapes.images(), 1):
        if following is not None and following[0] == image.task_id:
            yield number, image, following[1]
            following = next(groups, None)
        else:
            yield number, image, ()


def _skip_reason(of: SkippedAnnotations) -> str:
    if of.of_error:
        return "annotations of tasks in error"
    if of.has_frame:
        return "annotations on frames of videos or pages of documents"
    return f"annotations that are no box or polygon, but {of.geometry or 'of no geometry'}"


def _encode_image(number: int, image: Image, shapes: Iterable[DrawnShape], counts: ExportCounts) -> bytes:
    size = _known_size(image)
    if size is None:
        size = _extent_of_shapes(shapes)
        counts.alter(_SIZE_FROM_SHAPES if all(size) else _SIZE_UNKNOWN, 1)
    attachment = _read_details(image.params).attachment
    name = attachment if isinstance(attachment, str) else image.task_id
    width, height = size
    return _encode(
        {"id": number, "file_name": name, "width": width, "height": height, "task_id": image.task_id}
    )


def _known_size(image: Image) -> tuple[int, int] | None:
    for details in map(_read_details, (image.params, image.metadata)):
        width, height = details.width, details.height
        if not isinstance(width, int | float) or not isinstance(height, int | float):
            continue
        if min(width, height) > 0 and max(width, height) <= _MAX_PIXELS:
            return math.ceil(width), math.ceil(height)
    return None


def _read_details(text: str | None) -> _TaskDetails:
    try:
        return _decode_details(text) if text else _TaskDetails()
    except msgspec.DecodeError:
        return _TaskDetails()


def _extent_of_shapes(shapes: Iterable[DrawnShape]) -> tuple[int, int]:
    right = bottom = 0.0
    for shape in shapes:
        for x, y in _outline(shape) or ():
            right, bottom = max(right, x), max(bottom, y)
    return math.ceil(right), math.ceil(bottom)


def _annotations(
    image_shapes: ImageShapes, categories: dict[str, int], counts: ExportCounts
) -> Iterator[bytes]:
    number = 0
    for image_id, image, shapes in _images_with_shapes(image_shapes):
        size = _known_size(image)
        for shape in shapes:
            outline, what = _outline(shape), _PLURAL.get(shape.geometry, shape.geometry)
            if outline is None:
                counts.leave_out(f"{what} without corners that a picture can have")
                continue
            geometry = _geometry(outline)
            if not geometry.area:
                counts.leave_out(f"{what} without an area")
                continue
            if size is not None and not geometry.is_within(*size):
                counts.alter(f"{what} reach beyond their image", 1)
            number += 1
            ids = {"id": number, "image_id": image_id, "category_id": categories[_category(shape.label)]}
            attributes = msgspec.Raw(shape.attributes or "{}")
            yield _encode(ids | geometry._asdict() | {"attributes": attributes, "uuid": shape.uuid})


def _category(label: str | None) -> str:
    return UNLABELED if label is None else label


def _geometry(outline: _Outline) -> _Geometry:
    xs, ys = zip(*outline, strict=True)
    left, top = min(xs), min(ys)
    width, height = max(xs) - left, max(ys) - top
    # Shoelace formula, relative to a corner: with large coordinates the products would cancel out a small
    # area.
    local = [(x - left, y - top) for x, y in outline]
    twice = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise([*local, local[0]]))
    area = abs(twice) / 2
    return _Geometry(
        [left, top, width, height],
        [[item for point in outline for item in point]],
        # For corners on one line rounding leaves a tiny area.
        area if area > width * height * _ROUNDING else 0,
    )


def _outline(shape: DrawnShape) -> _Outline | None:
    """Return a shape's corners; None if it has fewer than three, or one is out of range."""
    corners = _corners(shape)
    usable = len(corners) >= 3 and all(abs(x) <= _MAX_PIXELS and abs(y) <= _MAX_PIXELS for x, y in corners)
    return corners if usable else None


def _corners(shape: DrawnShape) -> _Outline:
    try:
        vertices = _points(shape.vertices or "[]")
    except msgspec.DecodeError:
        vertices = []
    # A rotated box has vertices too, and its left, top, width and height do not describe it: vertices first.
    if len(vertices) >= 3:
        return [(point.x, point.y) for point in vertices]
    left, top, width, height = shape.left, shape.top, shape.width, shape.height
    if left is None or top is None or width is None or height is None:
        return []
    right, bottom = left + width, top + height
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
