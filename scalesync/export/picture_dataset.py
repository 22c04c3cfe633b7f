"""Read pictures with the shapes on them, and place the files of these pictures in a dataset's folder."""

import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar, NamedTuple
from urllib.parse import urlsplit

from scalesync.annotations.urls import unsigned_url
from scalesync.db.export.drawn_shapes import DrawnShape, Image, ImageShapes
from scalesync.db.export.pictures import Picture
from scalesync.export.coco import (
    PLURAL,
    TURNED_BACK,
    category_names,
    category_of,
    count_undrawn,
    images_with_shapes,
)
from scalesync.export.counts import ExportCounts
from scalesync.export.dataset_folder import DatasetFolder, stem_of
from scalesync.export.outlines import Outline, area, clipped, is_turned_back, is_within, outline_of
from scalesync.export.splits import Splits

TO_FETCH = "pictures_to_fetch.jsonl"
"""The file that lists the pictures which are not in the folder."""

_ENDING = re.compile("[a-z0-9]{1,5}")
_USUAL_ENDING = "jpg"


class PictureFiles(StrEnum):
    """What happens to the files of pictures that were kept."""

    COPY = "copy"
    LINK = "link"
    """Hard links, which need no room; copies where the file system has none."""
    NONE = "none"


class LabeledShape(NamedTuple):
    """A shape of which a part lies within its picture."""

    category: int
    """Index of its name in the categories of the dataset, from 0."""
    geometry: str
    outline: Outline
    visible: Outline
    """The part within the picture."""


class LabeledPicture(NamedTuple):
    """A picture of known size with its shapes."""

    task_id: str
    split: str
    file_name: str
    """The name of its file in the folder of the split."""
    width: int
    height: int
    shapes: list[LabeledShape]
    is_placed: bool
    """Whether its file is in the folder, or was not asked for."""


@dataclass(frozen=True, slots=True)
class PictureDone:
    """A picture was read, and written or left out."""

    name: ClassVar = "picture"
    done: int
    total: int


@dataclass(frozen=True)
class PictureDataset:
    """The pictures of one dataset, and the folder that they are written to."""

    image_shapes: ImageShapes
    folder: DatasetFolder
    counts: ExportCounts
    splits: Splits
    files: PictureFiles
    on_event: Callable[[PictureDone], None]

    def categories(self) -> list[str]:
        """Return the names of the categories, sorted, each once; a shape has the index of its own."""
        return category_names(self.image_shapes)

    def pictures(self, place: str, readable: frozenset[str]) -> Generator[LabeledPicture, None, None]:
        """Yield the pictures in order of their tasks, each with its file placed, in constant memory.

        `place` is the folder of a split's pictures, with `{}` for its name; `readable` are the endings of
        files that the dataset's readers take. Pictures that are left out are counted with their annotations,
        and those without a file are listed in the folder. Close it if it is not read to its end.
        """
        count_undrawn(self.image_shapes, self.counts)
        indexes = {name: index for index, name in enumerate(self.categories())}
        total = self.image_shapes.image_count()
        for split in self.splits.used():
            self.folder.make(place.format(split))
        filled: set[str] = set()
        with (
            self.folder.create(TO_FETCH) as listing,
            closing(images_with_shapes(self.image_shapes)) as images,
        ):
            for number, image, shapes in images:
                ending = _ending(image.picture)
                if image.picture.size is None:
                    self._leave_out(shapes, "pictures of unknown size", is_final=False)
                elif ending not in readable:
                    self._leave_out(shapes, f"pictures of a form that is not read ({ending})", is_final=True)
                else:
                    split = self.splits.of(image.task_id)
                    name = f"{stem_of(image.task_id)}.{ending}"
                    is_placed = self._place(image, f"{place.format(split)}/{name}", listing)
                    labeled = [*self._labeled(shapes, image.picture.size, indexes)]
                    filled.add(split)
                    yield LabeledPicture(image.task_id, split, name, *image.picture.size, labeled, is_placed)
                self.on_event(PictureDone(number, total))
        for split in {*self.splits.used()} - filled if filled else ():
            self.counts.alter(f"split without a picture: {split}", 1)

    def _leave_out(self, shapes: Iterable[DrawnShape], what: str, *, is_final: bool) -> None:
        (self.counts.altered if is_final else self.counts.unfinished)[what] += 1
        if number := sum(1 for _ in shapes):
            self.counts.leave_out(f"annotations on {what}", number)

    def _place(self, image: Image, name: str, listing: IO[bytes]) -> bool:
        """Place the file of a picture in the folder, or list it; return False if it ought to be there."""
        (url, _, path), is_wanted = image.picture, self.files is not PictureFiles.NONE
        is_link = self.files is PictureFiles.LINK
        if is_wanted and path is not None and self.folder.place(Path(path), name, link=is_link):
            return True
        # Without its signature, which is a secret for as long as it is valid.
        missing = {"file": name, "task_id": image.task_id, "attachment": url and unsigned_url(url)}
        listing.write(json.dumps(missing).encode() + b"\n")
        if is_wanted:
            self.counts.unfinished["pictures that were not fetched"] += 1
        return not is_wanted

    def _labeled(
        self, shapes: Iterable[DrawnShape], size: tuple[int, int], indexes: dict[str, int]
    ) -> Iterator[LabeledShape]:
        for shape in shapes:
            outline, what = outline_of(shape), PLURAL.get(shape.geometry, shape.geometry)
            if outline is None:
                self.counts.leave_out(f"{what} without corners that a picture can have")
            elif not area(outline):
                self.counts.leave_out(f"{what} without an area")
            elif not (visible := clipped(outline, *size)) or not area(visible):
                self.counts.leave_out(f"{what} outside their picture")
            else:
                self.counts.alter(TURNED_BACK, is_turned_back(shape))
                self.counts.alter(f"{what} clipped to their picture", not is_within(outline, *size))
                yield LabeledShape(indexes[category_of(shape.label)], shape.geometry, outline, visible)


def _ending(picture: Picture) -> str:
    """Return the ending of a picture's file, in small letters."""
    path = picture.path or _path_in(picture.url or "")
    ending = PurePosixPath(path).suffix[1:].lower()
    return ending if _ENDING.fullmatch(ending) else _USUAL_ENDING


def _path_in(url: str) -> str:
    """Return the path in a URL, empty if it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
