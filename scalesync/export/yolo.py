"""Write pictures and shapes as Ultralytics' YOLO reads them: data.yaml, images and labels, by split.

A line of a label file is a class and numbers from 0 to 1, shares of the picture's width and height: the
middle, width and height of a box (detect); the corners of an outline (segment); the four corners of a
rectangle in any rotation (obb). A picture with an empty label file has nothing on it.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path

from scalesync.annotations.models import Geometry
from scalesync.export.counts import ExportCounts
from scalesync.export.dataset_folder import yaml_text
from scalesync.export.outlines import (
    Outline,
    bounds,
    clamped,
    is_upright,
    is_within,
    rectangle,
    smallest_rectangle,
)
from scalesync.export.picture_dataset import LabeledPicture, LabeledShape, PictureDataset

READABLE = frozenset({
    "avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp",
})  # fmt: skip
"""Endings of pictures that Ultralytics reads; it passes over all others."""
_SAME_BOUNDS = "outlines with the bounds of another, of which older versions of Ultralytics keep one"
_LEAST_PIXELS = 10
"""Ultralytics passes over pictures of which a side is shorter."""
_ALWAYS = ("train", "val")
"""Splits that data.yaml must name."""

_Corners = Callable[[LabeledShape, LabeledPicture, ExportCounts], Outline]


class YoloKind(StrEnum):
    """What models of a dataset are trained to find."""

    DETECT = "detect"
    """Upright boxes."""
    SEGMENT = "segment"
    """Outlines."""
    OBB = "obb"
    """Rectangles in any rotation."""


def write_yolo(dataset: PictureDataset, kind: YoloKind, target: Path) -> None:
    """Write a dataset for Ultralytics in constant memory; `target` is where its folder will lie.

    Each annotation is a line, or is counted as left out.
    """
    folder, counts = dataset.folder, dataset.counts
    splits = tuple(dict.fromkeys((*_ALWAYS, *dataset.splits.used())))
    for split in splits:
        folder.make(f"images/{split}")
        folder.make(f"labels/{split}")
    with closing(dataset.pictures("images/{}", READABLE)) as pictures:
        for picture in pictures:
            if min(picture.width, picture.height) < _LEAST_PIXELS:
                counts.alter("pictures too small for Ultralytics, which passes over them", 1)
            lines = [*_lines(picture, kind, counts)]
            label_file = Path(picture.file_name).with_suffix(".txt")
            folder.write(f"labels/{picture.split}/{label_file}", b"".join(lines))
            counts.written += len(lines)
            counts.pictures += 1
    names = "".join(f"  {index}: {yaml_text(name)}\n" for index, name in enumerate(dataset.categories()))
    places = "".join(f"{split}: images/{split}\n" for split in splits)
    head = f"path: {yaml_text(str(target.absolute()))}\n{places}names:"
    folder.write("data.yaml", f"{head}\n{names}".encode() if names else f"{head} {{}}\n".encode())


def _lines(picture: LabeledPicture, kind: YoloKind, counts: ExportCounts) -> Iterator[bytes]:
    """Yield the lines of a picture, none twice."""
    seen: set[bytes] = set()
    seen_bounds: set[tuple[int, bytes]] = set()
    for shape in picture.shapes:
        outline = _CORNERS[kind](shape, picture, counts)
        shares = [(x / picture.width, y / picture.height) for x, y in outline]
        line = _line(shape.category, _middle_and_size(shares) if kind is YoloKind.DETECT else _flat(shares))
        # Ultralytics takes labels for one whose classes and bounds are the same to 32 bits.
        key = shape.category, struct.pack("4f", *bounds(shares))
        if line in seen or (kind is YoloKind.DETECT and key in seen_bounds):
            counts.leave_out("annotations that repeat another on their picture")
            continue
        if key in seen_bounds:
            counts.alter(_SAME_BOUNDS, 1)
        seen.add(line)
        seen_bounds.add(key)
        yield line


def _box_corners(shape: LabeledShape, _: LabeledPicture, counts: ExportCounts) -> Outline:
    if not is_upright(shape.visible):
        counts.alter("outlines written as the upright box around them", 1)
    return rectangle(*bounds(shape.visible))


def _outline_corners(shape: LabeledShape, _picture: LabeledPicture, _counts: ExportCounts) -> Outline:
    return shape.visible


def _rectangle_corners(shape: LabeledShape, picture: LabeledPicture, counts: ExportCounts) -> Outline:
    is_rectangle = shape.geometry == Geometry.BOX and len(shape.outline) == 4
    if is_rectangle and is_within(shape.outline, picture.width, picture.height):
        return shape.outline
    if not is_upright(shape.visible):
        counts.alter("outlines written as the smallest rectangle around them", 1)
    # Around a part at the picture's edge it may reach beyond that again.
    return clamped(smallest_rectangle(shape.visible), picture.width, picture.height)


_CORNERS: dict[YoloKind, _Corners] = {
    YoloKind.DETECT: _box_corners,
    YoloKind.SEGMENT: _outline_corners,
    YoloKind.OBB: _rectangle_corners,
}


def _middle_and_size(outline: Outline) -> list[float]:
    left, top, right, bottom = bounds(outline)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _flat(outline: Outline) -> list[float]:
    return [number for corner in outline for number in corner]


def _line(category: int, numbers: list[float]) -> bytes:
    # Ten digits are a thousandth of a pixel in pictures of any size, and less than readers keep.
    return f"{category} {' '.join(f'{number:.10g}' for number in numbers)}\n".encode()
