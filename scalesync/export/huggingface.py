"""Write pictures and shapes as Hugging Face's `imagefolder` reads them: metadata.jsonl beside pictures.

Each line of `{split}/metadata.jsonl` has `file_name`, `task_id`, `width`, `height` and `objects`: lists of
`bbox` ([left, top, width, height] in pixels), `categories` (numbers from 0), `area` and `segmentation`.
"""

import shutil
from collections.abc import Iterable
from contextlib import ExitStack, closing
from tempfile import TemporaryFile
from typing import IO

import msgspec

from scalesync.export.dataset_folder import yaml_text
from scalesync.export.outlines import area, bounds
from scalesync.export.picture_dataset import LabeledPicture, LabeledShape, PictureDataset

READABLE = frozenset({
    "avif", "bmp", "gif", "ico", "jp2", "jpeg", "jpg", "mpo", "pbm", "pgm", "png", "pnm", "ppm", "tif",
    "tiff", "webp",
})  # fmt: skip
"""Endings of pictures that Pillow reads and `imagefolder` takes for pictures."""

_encode = msgspec.json.Encoder().encode
_CARD = """\
---
task_categories:
- object-detection
dataset_info:
  features:
  - name: image
    dtype: image
  - name: task_id
    dtype: string
  - name: width
    dtype: int64
  - name: height
    dtype: int64
  - name: objects
    struct:
    - name: bbox
      list:
        list: float64
    - name: categories
      list:{kind}
    - name: area
      list: float64
    - name: segmentation
      list:
        list:
          list: float64
---

# Scale annotations

`bbox` is left, top, width and height in pixels; `categories` are numbers of these names, from 0:

```python
from datasets import ClassLabel, List, load_dataset

names = {names}
data = load_dataset("imagefolder", data_dir=".")
for split, rows in data.items():
    features = rows.features.copy()
    features["objects"]["categories"] = List(ClassLabel(names=names))
    data[split] = rows.cast(features)
```
"""


class _SplitFiles:
    """The metadata of one split: lines with objects first."""

    # `datasets` takes the types of columns from the first lines: an empty list shows none.
    def __init__(self, with_objects: IO[bytes], without: IO[bytes]) -> None:
        self.with_objects, self.without = with_objects, without
        self.annotated = 0

    def add(self, picture: LabeledPicture) -> None:
        """Add the line of a picture."""
        line = _encode(_row(picture)) + b"\n"
        (self.with_objects if picture.shapes else self.without).write(line)
        self.annotated += bool(picture.shapes)

    def finish(self) -> None:
        """Append the lines without objects."""
        self.without.seek(0)
        shutil.copyfileobj(self.without, self.with_objects)


def write_huggingface(dataset: PictureDataset) -> None:
    """Write a dataset for `datasets.load_dataset("imagefolder", data_dir=...)` in constant memory.

    Pictures whose files are not there are left out and counted: `datasets` stops at them.
    """
    folder, counts = dataset.folder, dataset.counts
    splits: dict[str, _SplitFiles] = {}
    with ExitStack() as stack:
        for picture in stack.enter_context(closing(dataset.pictures("{}", READABLE))):
            if not picture.is_placed:
                counts.leave_out("annotations on pictures that were not fetched", len(picture.shapes))
                continue
            if picture.split not in splits:
                file = stack.enter_context(folder.create(f"{picture.split}/metadata.jsonl"))
                splits[picture.split] = _SplitFiles(file, stack.enter_context(TemporaryFile()))
            splits[picture.split].add(picture)
            counts.written += len(picture.shapes)
            counts.pictures += 1
        for split in splits.values():
            split.finish()
    bare = [name for name, split in splits.items() if not split.annotated]
    if len(bare) < len(splits):
        # `datasets` refuses to load splits together in which the same column has different types.
        what = "split without an annotation, which `datasets` cannot load beside others"
        counts.unfinished.update(f"{what}: {name}" for name in bare)
    folder.write("README.md", _card(dataset.categories()).encode())


def _row(picture: LabeledPicture) -> dict[str, object]:
    return {
        "file_name": picture.file_name,
        "task_id": picture.task_id,
        "width": picture.width,
        "height": picture.height,
        "objects": _objects(picture.shapes),
    }


def _objects(shapes: Iterable[LabeledShape]) -> dict[str, list[object]]:
    objects: dict[str, list[object]] = {"bbox": [], "categories": [], "area": [], "segmentation": []}
    for shape in shapes:
        left, top, right, bottom = bounds(shape.visible)
        # Floats throughout: a column of whole numbers here and fractions there has two types.
        objects["bbox"].append([float(left), float(top), float(right - left), float(bottom - top)])
        objects["categories"].append(shape.category)
        objects["area"].append(float(area(shape.visible)))
        objects["segmentation"].append([[float(number) for corner in shape.visible for number in corner]])
    return objects


def _card(names: list[str]) -> str:
    """Return the README of a dataset: its features, and how to give categories their names."""
    classes = "".join(f"\n            '{index}': {yaml_text(name)}" for index, name in enumerate(names))
    return _CARD.format(
        kind=f"\n        class_label:\n          names:{classes}" if names else " int64",
        names=_encode(names).decode(),
    )
