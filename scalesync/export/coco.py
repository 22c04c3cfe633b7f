"""Export boxes and polygons on images as COCO, the dataset format of object detection."""

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import NamedTuple

import msgspec

from scalesync.db.export.drawn_shapes import DrawnShape, Image, ImageShapes, SkippedAnnotations
from scalesync.export.counts import ExportCounts, joined
from scalesync.export.outlines import Outline, area, bounds, is_turned_back, outline_of

UNLABELED = "unlabeled"
"""The category of shapes without a label."""

_encode = msgspec.json.Encoder().encode

_SIZE_FROM_SHAPES = "images of unknown size: how far their shapes reach is written"
_SIZE_UNKNOWN = "images of unknown size, written as 0"
TURNED_BACK = "rotated boxes that do not say where their corners are, written as upright ones"
PLURAL = {"box": "boxes", "polygon": "polygons"}
"""What shapes of a geometry are called in sentences."""


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


def coco_lines(image_shapes: ImageShapes, counts: ExportCounts) -> Iterator[bytes]:
    """Yield the lines of one COCO file; only the category names are held in memory.

    Ids count from 1, in order of task ids. An image of unknown size gets the extent of its shapes, else 0.
    Annotations that COCO cannot hold are counted as left out: written and left out add up to all annotations
    of the selected tasks.
    """
    # COCO wants categories before images before annotations: three passes over the mirror in one transaction,
    # instead of one pass with everything in memory.
    count_undrawn(image_shapes, counts)
    names = category_names(image_shapes)
    categories = {name: number for number, name in enumerate(names, 1)}
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    yield b'{"info":{"description":"Scale annotations"},"licenses":[],"categories":' + _encode(listed)
    yield b',"images":['
    yield from joined(_encode_image(*item, counts) for item in images_with_shapes(image_shapes))
    yield b'],"annotations":['
    yield from joined(counts.counting(_annotations(image_shapes, categories, counts)))
    yield b"]}"


def count_undrawn(image_shapes: ImageShapes, counts: ExportCounts) -> None:
    """Count the annotations that are no shapes on images as left out, and tasks that are no images."""
    for item in image_shapes.undrawn():
        counts.leave_out(_skip_reason(item), item.number)
    counts.alter("tasks in error are no images", image_shapes.tasks_in_error())
    not_understood = "tasks are no images: the form of their response is not known"
    counts.alter(not_understood, image_shapes.tasks_not_understood())


def category_names(image_shapes: ImageShapes) -> list[str]:
    """Return the names of all categories of the selected shapes, sorted, each once."""
    return sorted({category_of(label) for label in image_shapes.labels()})


def images_with_shapes(
    image_shapes: ImageShapes,
) -> Generator[tuple[int, Image, Iterable[DrawnShape]], None, None]:
    """Yield each image with its number and shapes; read the shapes before the next image.

    Close it if it is not read to its end, before the connection is closed.
    """
    # A merge join: images and shapes both come in the order of task ids.
    with closing(image_shapes.shapes()) as shapes, closing(image_shapes.images()) as images:
        groups = groupby(shapes, key=lambda shape: shape.task_id)
        following = next(groups, None)
        for number, image in enumerate(images, 1):
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
    size = image.picture.size
    if size is None:
        size = _extent_of_shapes(shapes)
        counts.alter(_SIZE_FROM_SHAPES if all(size) else _SIZE_UNKNOWN, 1)
    name = image.task_id if image.picture.url is None else image.picture.url
    width, height = size
    return _encode(
        {"id": number, "file_name": name, "width": width, "height": height, "task_id": image.task_id}
    )


def _extent_of_shapes(shapes: Iterable[DrawnShape]) -> tuple[int, int]:
    right = bottom = 0.0
    for shape in shapes:
        for x, y in outline_of(shape) or ():
            right, bottom = max(right, x), max(bottom, y)
    return math.ceil(right), math.ceil(bottom)


def _annotations(
    image_shapes: ImageShapes, categories: dict[str, int], counts: ExportCounts
) -> Iterator[bytes]:
    number = 0
    for image_id, image, shapes in images_with_shapes(image_shapes):
        size = image.picture.size
        for shape in shapes:
            outline, what = outline_of(shape), PLURAL.get(shape.geometry, shape.geometry)
            if outline is None:
                counts.leave_out(f"{what} without corners that a picture can have")
                continue
            geometry = _geometry(outline)
            if not geometry.area:
                counts.leave_out(f"{what} without an area")
                continue
            if size is not None and not geometry.is_within(*size):
                counts.alter(f"{what} reach beyond their image", 1)
            counts.alter(TURNED_BACK, is_turned_back(shape))
            number += 1
            ids = {"id": number, "image_id": image_id, "category_id": categories[category_of(shape.label)]}
            attributes = msgspec.Raw(shape.attributes or "{}")
            yield _encode(ids | geometry._asdict() | {"attributes": attributes, "uuid": shape.uuid})


def category_of(label: str | None) -> str:
    """Return the name of the category of shapes with a label."""
    return UNLABELED if label is None else label


def _geometry(outline: Outline) -> _Geometry:
    left, top, right, bottom = bounds(outline)
    flat = [item for point in outline for item in point]
    return _Geometry([left, top, right - left, bottom - top], [flat], area(outline))
