"""Read a YOLO dataset as Ultralytics (8.4) does, with the checks of its own loader.

It finds pictures below the folders that data.yaml names, takes a picture's labels from the file whose path
has `labels` in place of the last `images`, and drops a picture whose labels break a rule. Here a broken rule
is an AssertionError instead.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

IMAGE_SUFFIXES = {
    ".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff",
    ".webp",
}  # fmt: skip


@dataclass
class YoloPicture:
    """A picture with its labels."""

    path: Path
    split: str
    classes: list[int] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    """Middle, width and height, as shares of the picture."""
    segments: list[list[tuple[float, float]]] = field(default_factory=list)
    """Corners as shares of the picture; empty for a dataset of boxes."""
    removed: int = 0
    """Labels that are dropped because they repeat another."""


@dataclass
class YoloData:
    """A dataset as it is loaded."""

    names: dict[int, str]
    pictures: list[YoloPicture]


def load_yolo(description: Path) -> YoloData:
    """Load the dataset that a data.yaml describes."""
    data = yaml.safe_load(description.read_text(encoding="utf-8"))
    names = data["names"]
    assert sorted(names) == list(range(len(names)))
    assert all(isinstance(name, str) for name in names.values())
    root = Path(data.get("path") or description.parent)
    assert root.is_absolute()
    assert {"train", "val"} <= data.keys()
    pictures: list[YoloPicture] = []
    for split in ("train", "val", "test"):
        if split in data:
            assert (root / data[split]).is_dir()
            paths = sorted((root / data[split]).rglob("*.*"))
            found = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
            pictures += [_read_labels(path, split, len(names)) for path in found]
    return YoloData(names, pictures)


def _read_labels(path: Path, split: str, class_count: int) -> YoloPicture:
    picture = YoloPicture(path, split)
    before, after = str(path).rsplit("/images/", 1)
    label_file = Path(f"{before}/labels/{after}".rsplit(".", 1)[0] + ".txt")
    assert label_file.is_file(), label_file
    lines = [line.split() for line in label_file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not lines:
        return picture
    segments: list[np.ndarray] = []
    if any(len(line) > 6 for line in lines):
        assert not any(len(line) == 5 for line in lines), "labels mix segments and boxes"
        segments = [np.array(line[1:], dtype=np.float32).reshape(-1, 2) for line in lines]
        rows = [[float(line[0]), *_bounds(corners)] for line, corners in zip(lines, segments, strict=True)]
    else:
        rows = [[float(number) for number in line] for line in lines]
    labels = np.array(rows, dtype=np.float32)
    assert labels.shape[1] == 5, "labels have 5 columns"
    # Ultralytics allows a hundredth more; we do not.
    assert labels[:, 1:].max() <= 1
    assert labels.min() >= 0
    assert (labels[:, 0] % 1 == 0).all()
    assert labels[:, 0].max() < class_count
    _, kept = np.unique(labels, axis=0, return_index=True)
    picture.removed = len(labels) - len(kept)
    for number in sorted(kept):
        picture.classes.append(int(labels[number, 0]))
        picture.boxes.append(tuple(float(each) for each in labels[number, 1:]))
        if segments:
            picture.segments.append([(float(x), float(y)) for x, y in segments[number]])
    return picture


def _bounds(corners: np.ndarray) -> list[float]:
    assert len(corners) >= 3
    assert corners.min() >= 0
    assert corners.max() <= 1
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
