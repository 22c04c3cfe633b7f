"""Boxes and polygons on images as COCO, the dataset format of object detection."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import msgspec

from scalesync.db.shapes import Drawings, Image, Shape
from scalesync.formats.tally import Tally, joined

UNLABELED = "unlabeled"
"""The category of what has no label: Scale has tasks without."""

_encode = msgspec.json.Encoder().encode
_Outline = Sequence[tuple[float, float]]

_FAR = 2**31
"""Pixels. What lies beyond is no picture's, and sizes and areas of such would be no numbers any more."""


class _Point(msgspec.Struct):
    x: float
    y: float


class _Told(msgspec.Struct):
    """What a task may tell of its image, in its params or its metadata."""

    attachment: object = None
    width: object = None
    height: object = None


_points = msgspec.json.Decoder(list[_Point]).decode
_told = msgspec.json.Decoder(_Told).decode


def coco_lines(drawings: Drawings, tally: Tally) -> Iterator[bytes]:
    """Yield the lines of one COCO file, in flat memory but for the names of its categories.

    Ids count from 1, in order of task ids. The size of an image is what the task's params or metadata say
    (`width` and `height`), else how far its shapes reach, else 0. A rotated box is the polygon of its
    vertices. Shapes without a usable outline are left out.
    """
    names = sorted({_category(label) for label in drawings.labels()})
    categories = {name: number for number, name in enumerate(names, 1)}
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    yield b'{"info":{"description":"Scale annotations"},"licenses":[],"categories":' + _encode(listed)
    yield b',"images":['
    yield from joined(_image(*each) for each in _paired(drawings))
    yield b'],"annotations":['
    yield from joined(tally.counting(_numbered(drawings, categories, tally)))
    yield b"]}"


def _paired(drawings: Drawings) -> Iterator[tuple[int, Image, Iterable[Shape]]]:
    """Yield each image with its number and its shapes, which must be read before the next."""
    groups = groupby(drawings.shapes(), key=lambda shape: shape.task_id)
    following = next(groups, None)
    for number, image in enumerate(drawings.images(), 1):
        if following is not None and following[0] == image.task_id:
            yield number, image, following[1]
            following = next(groups, None)
        else:
            yield number, image, ()


def _image(number: int, image: Image, shapes: Iterable[Shape]) -> bytes:
    params, metadata = _read(image.params), _read(image.metadata)
    width, height = _size(params) or _size(metadata) or _reach(shapes)
    name = params.attachment if isinstance(params.attachment, str) else image.task_id
    return _encode(
        {"id": number, "file_name": name, "width": width, "height": height, "task_id": image.task_id}
    )


def _read(text: str | None) -> _Told:
    try:
        return _told(text) if text else _Told()
    except msgspec.DecodeError:
        return _Told()


def _size(told: _Told) -> tuple[int, int] | None:
    width, height = told.width, told.height
    if isinstance(width, int | float) and isinstance(height, int | float) and width > 0 and height > 0:
        if max(width, height) > _FAR:
            return None
        return math.ceil(width), math.ceil(height)
    return None


def _reach(shapes: Iterable[Shape]) -> tuple[int, int]:
    right = bottom = 0.0
    for shape in shapes:
        for x, y in _outline(shape) or ():
            right, bottom = max(right, x), max(bottom, y)
    return math.ceil(right), math.ceil(bottom)


def _numbered(drawings: Drawings, categories: dict[str, int], tally: Tally) -> Iterator[bytes]:
    number = 0
    for image, _, shapes in _paired(drawings):
        for shape in shapes:
            outline = _outline(shape)
            if outline is None:
                tally.left_out += 1
                continue
            number += 1
            ids = {"id": number, "image_id": image, "category_id": categories[_category(shape.label)]}
            attributes = msgspec.Raw(shape.attributes or "{}")
            yield _encode(ids | _geometry(outline) | {"attributes": attributes, "uuid": shape.uuid})


def _category(label: str | None) -> str:
    return UNLABELED if label is None else label


def _geometry(outline: _Outline) -> dict[str, object]:
    xs, ys = zip(*outline, strict=True)
    twice = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise([*outline, outline[0]]))
    return {
        "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)],
        "segmentation": [[each for point in outline for each in point]],
        "area": abs(twice) / 2,
        "iscrowd": 0,
    }


def _outline(shape: Shape) -> _Outline | None:
    """Return the corners of a shape; None where it has no three of them, or one lies beyond any picture."""
    corners = _corners(shape)
    usable = len(corners) >= 3 and all(abs(x) <= _FAR and abs(y) <= _FAR for x, y in corners)
    return corners if usable else None


def _corners(shape: Shape) -> _Outline:
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
