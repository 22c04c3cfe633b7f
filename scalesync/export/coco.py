"""Boxes and polygons on images as COCO, the dataset format of object detection."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import msgspec

from scalesync.db.export.drawn_shapes import DrawnShape, Image, ImageShapes, SkippedAnnotations
from scalesync.export.counts import ExportCounts, joined

UNLABELED = "unlabeled"
"""The category of what has no label: Scale has tasks without."""

_encode = msgspec.json.Encoder().encode
_Outline = Sequence[tuple[float, float]]

_FAR = 2**31
"""Pixels. What lies beyond is no picture's, and sizes and areas of such would be no numbers any more."""


_ROUNDING = 1e-12
_AS_SHAPES = "images of unknown size: how far their shapes reach is written"
_NO_SIZE = "images of unknown size, written as 0"
_PLURAL = {"box": "boxes", "polygon": "polygons"}


class _Geometry(NamedTuple):
    """The fields of a COCO annotation that say where it is."""

    bbox: list[float]
    segmentation: list[list[float]]
    area: float
    """0 where it has none that a detector could learn."""
    iscrowd: int = 0

    def is_within(self, width: float, height: float) -> bool:
        """Return whether an image of this size holds it."""
        left, top, wide, high = self.bbox
        return left >= 0 and top >= 0 and left + wide <= width and top + high <= height


class _Point(msgspec.Struct):
    x: float
    y: float


class _TaskDetails(msgspec.Struct):
    """What a task may tell of its image, in its params or its metadata."""

    attachment: object = None
    width: object = None
    height: object = None


_points = msgspec.json.Decoder(list[_Point]).decode
_told = msgspec.json.Decoder(_TaskDetails).decode


def coco_lines(drawings: ImageShapes, tally: ExportCounts) -> Iterator[bytes]:
    """Yield the lines of one COCO file, in flat memory but for the names of its categories.

    Ids count from 1, in order of task ids. The size of an image is what the task's params or metadata say
    (`width` and `height`), else how far its shapes reach, else 0. A rotated box is the polygon of its
    vertices. Shapes without an outline that has an area are left out, and so is every other annotation of the
    wanted tasks: what is written and what is left out add up to what the mirror has of them.
    """
    for each in drawings.undrawn():
        tally.leave_out(_undrawn(each), each.number)
    tally.alter("tasks in error are no images", drawings.tasks_in_error())
    names = sorted({_category(label) for label in drawings.labels()})
    categories = {name: number for number, name in enumerate(names, 1)}
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    yield b'{"info":{"description":"Scale annotations"},"licenses":[],"categories":' + _encode(listed)
    yield b',"images":['
    yield from joined(_image(*each, tally) for each in _paired(drawings))
    yield b'],"annotations":['
    yield from joined(tally.counting(_numbered(drawings, categories, tally)))
    yield b"]}"


def _paired(drawings: ImageShapes) -> Iterator[tuple[int, Image, Iterable[DrawnShape]]]:
    """Yield each image with its number and its shapes, which must be read before the next."""
    groups = groupby(drawings.shapes(), key=lambda shape: shape.task_id)
    following = next(groups, None)
    for number, image in enumerate(drawings.images(), 1):
        if following is not None and following[0] == image.task_id:
            yield number, image, following[1]
            following = next(groups, None)
        else:
            yield number, image, ()


def _undrawn(of: SkippedAnnotations) -> str:
    if of.of_error:
        return "annotations of tasks in error"
    if of.has_frame:
        return "annotations on frames of videos or pages of documents"
    return f"annotations that are no box or polygon, but {of.geometry or 'of no geometry'}"


def _image(number: int, image: Image, shapes: Iterable[DrawnShape], tally: ExportCounts) -> bytes:
    size = _known_size(image)
    if size is None:
        size = _reach(shapes)
        tally.alter(_AS_SHAPES if all(size) else _NO_SIZE, 1)
    attachment = _read(image.params).attachment
    name = attachment if isinstance(attachment, str) else image.task_id
    width, height = size
    return _encode(
        {"id": number, "file_name": name, "width": width, "height": height, "task_id": image.task_id}
    )


def _known_size(image: Image) -> tuple[int, int] | None:
    return _size(_read(image.params)) or _size(_read(image.metadata))


def _read(text: str | None) -> _TaskDetails:
    try:
        return _told(text) if text else _TaskDetails()
    except msgspec.DecodeError:
        return _TaskDetails()


def _size(told: _TaskDetails) -> tuple[int, int] | None:
    width, height = told.width, told.height
    if isinstance(width, int | float) and isinstance(height, int | float) and width > 0 and height > 0:
        if max(width, height) > _FAR:
            return None
        return math.ceil(width), math.ceil(height)
    return None


def _reach(shapes: Iterable[DrawnShape]) -> tuple[int, int]:
    right = bottom = 0.0
    for shape in shapes:
        for x, y in _outline(shape) or ():
            right, bottom = max(right, x), max(bottom, y)
    return math.ceil(right), math.ceil(bottom)


def _numbered(drawings: ImageShapes, categories: dict[str, int], tally: ExportCounts) -> Iterator[bytes]:
    number = 0
    for place, image, shapes in _paired(drawings):
        size = _known_size(image)
        for shape in shapes:
            outline, what = _outline(shape), _PLURAL.get(shape.geometry, shape.geometry)
            if outline is None:
                tally.leave_out(f"{what} without corners that a picture can have")
                continue
            geometry = _geometry(outline)
            if not geometry.area:
                tally.leave_out(f"{what} without an area")
                continue
            if size is not None and not geometry.is_within(*size):
                tally.alter(f"{what} reach beyond their image", 1)
            number += 1
            ids = {"id": number, "image_id": place, "category_id": categories[_category(shape.label)]}
            attributes = msgspec.Raw(shape.attributes or "{}")
            yield _encode(ids | geometry._asdict() | {"attributes": attributes, "uuid": shape.uuid})


def _category(label: str | None) -> str:
    return UNLABELED if label is None else label


def _geometry(outline: _Outline) -> _Geometry:
    xs, ys = zip(*outline, strict=True)
    left, top = min(xs), min(ys)
    width, height = max(xs) - left, max(ys) - top
    # Counted from a corner: far from it the products would leave nothing of a small area.
    near = [(x - left, y - top) for x, y in outline]
    twice = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise([*near, near[0]]))
    area = abs(twice) / 2
    return _Geometry(
        [left, top, width, height],
        [[each for point in outline for each in point]],
        # Of corners on one line rounding leaves something.
        area if area > width * height * _ROUNDING else 0,
    )


def _outline(shape: DrawnShape) -> _Outline | None:
    """Return the corners of a shape; None where it has no three of them, or one lies beyond any picture."""
    corners = _corners(shape)
    usable = len(corners) >= 3 and all(abs(x) <= _FAR and abs(y) <= _FAR for x, y in corners)
    return corners if usable else None


def _corners(shape: DrawnShape) -> _Outline:
    corners = _vertices(shape.vertices)
    if len(corners) >= 3:
        return corners
    left, top, width, height = shape.left, shape.top, shape.width, shape.height
    if left is None or top is None or width is None or height is None:
        return []
    right, bottom = left + width, top + height
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _vertices(text: str | None) -> list[tuple[float, float]]:
    try:
        return [(point.x, point.y) for point in _points(text)] if text else []
    except msgspec.DecodeError:
        return []
