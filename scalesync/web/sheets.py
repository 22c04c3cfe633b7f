"""The sheets of a task's page: its picture, frame by frame, each camera, and the scene from above."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scalesync.web.addresses import address
from scalesync.web.annotation_items import Item
from scalesync.web.pages import PageRequest
from scalesync.web.pictures import NO_PICTURE, Medium, Size, page_sizes, reached
from scalesync.web.shapes import FROM_ABOVE, PICTURE, Point, written

_MOST_LAYERS = 50
_MOST_FRAMES = 2_000
_NOTHING = Medium("", "", None, "The task names no attachment.")


class Frame(NamedTuple):
    """What belongs to one frame of a video or page of a document; None: to all of them."""

    number: int | None
    shown: bool
    medium: Medium
    items: Sequence[Item]
    seconds: float | None
    """Its place in a recording."""


class Sheet(NamedTuple):
    """A picture, or a grey sheet in its place, with the shapes on it."""

    name: str
    view_box: str
    width: str
    height: str
    is_known: bool
    """Whether the size is known, and not only how far the shapes reach."""
    frames: Sequence[Frame]
    medium: Medium
    """That of the frame which is shown."""


@dataclass(frozen=True, slots=True)
class Sheets:
    """All sheets of a page, and the frame that is shown."""

    sheets: list[Sheet]
    frames: list[int]
    """The numbers of the frames that there is something of, in order."""
    frame: int | None
    kind: str
    """`frame`, or `page` of a document."""
    others: list[Medium]
    """Attachments beside the sheets: recordings, further pictures of a comparison."""
    layers: list[Item]
    request: PageRequest

    def values(self) -> dict[str, Any]:
        """Return what the template shows."""
        at = self.frames.index(self.frame) if self.frame in self.frames else None
        near = {"previous": at - 1 if at else None, "next": at + 1 if at is not None else None}
        query = [pair for pair in self.request.query if pair[0] != "frame"]
        return {
            "sheets": self.sheets,
            "frames": self.frames,
            "frame": self.frame,
            "frame_kind": self.kind,
            "frame_query": query,
            "frame_addresses": {
                name: address(self.request.path, query, frame=self.frames[place])
                for name, place in near.items()
                if place is not None and place < len(self.frames)
            },
            "media": self.others,
            "layers": self.layers,
        }


def sheets_of(
    task: Mapping[str, Any], media: Sequence[Medium], items: Sequence[Item], request: PageRequest
) -> Sheets:
    """Return the sheets of a task: that of its picture first, if there is one or a shape lies on it."""
    numbers = sorted({item.frame for item in items if item.frame is not None})
    pictures = _pictures(media, by_frame=len(media) > 1 and bool(numbers))
    if len(pictures) > 1 and numbers:
        # Frames without annotations are pictures too.
        numbers = sorted({*numbers, *range(min(len(pictures), _MOST_FRAMES))})
    # Begin where something is drawn: events have frames too.
    begin = min((item.frame for item in items if item.outline and item.frame is not None), default=None)
    first = numbers[0] if begin is None and numbers else begin
    frame = request.number("frame", first, 2**53) if first is not None else None
    drawn: dict[str, list[Item]] = {}
    for item in items:
        if item.outline is not None:
            drawn.setdefault(item.outline.plane, []).append(item)
    if any(each.kind in ("image", "video") for each in pictures):
        drawn.setdefault(PICTURE, [])
    sizes = page_sizes(task)
    sheets = [
        _sheet(plane, drawn[plane], pictures if plane == PICTURE else [], _Shown(frame, numbers, sizes))
        for plane in sorted(drawn)
    ]
    beside = list(media) if not sheets else [each for each in media if each.kind == "audio"]
    if not numbers and sheets:
        beside += pictures[1:]
    layers = [item for item in items if item.layer][:_MOST_LAYERS]
    return Sheets(
        sheets,
        numbers,
        frame,
        "page" if sizes or str(task.get("type")).startswith("document") else "frame",
        beside,
        layers,
        request,
    )


def _pictures(media: Sequence[Medium], *, by_frame: bool) -> list[Medium]:
    """Return what is shown on sheets, `by_frame` with something in the place of what is not."""
    found = [each if each.kind in ("image", "video") or each.reason else None for each in media]
    # The number of a frame is the place of its picture.
    return [each or NO_PICTURE for each in found] if by_frame else [each for each in found if each]


class _Shown(NamedTuple):
    frame: int | None
    numbers: Sequence[int]
    sizes: Sequence[Size | None]


def _sheet(plane: str, items: Sequence[Item], pictures: Sequence[Medium], shown: _Shown) -> Sheet:
    by_frame: dict[int | None, list[Item]] = {}
    for item in items:
        by_frame.setdefault(item.frame, []).append(item)
    # The whole picture's first, then frame by frame; one that is shown has a place even if it is empty.
    numbers: list[int | None] = [None, *shown.numbers]
    if shown.frame is not None and shown.frame not in shown.numbers:
        numbers.append(shown.frame)
    frames = [
        Frame(
            number,
            number is None or number == shown.frame,
            _medium(pictures, number, shown.sizes),
            by_frame.get(number, []),
            next((item.start for item in by_frame.get(number, []) if item.start is not None), None),
        )
        for number in numbers
    ]
    medium = _medium(pictures, shown.frame, shown.sizes)
    points = [point for item in items if item.outline for point in item.outline.points]
    left, top, width, height = _area(plane, medium, points)
    return Sheet(
        plane or "picture",
        " ".join(map(written, (left, top, width, height))),
        written(width),
        written(height),
        plane == PICTURE and medium.size is not None,
        frames,
        medium,
    )


def _area(plane: str, medium: Medium, points: Sequence[Point]) -> tuple[float, float, float, float]:
    if plane == FROM_ABOVE:
        # The device stands at the origin.
        return reached([*points, (0.0, 0.0)], from_origin=False)
    if plane == PICTURE and medium.size is not None:
        return 0.0, 0.0, *medium.size
    return reached(points, from_origin=True)


def _medium(pictures: Sequence[Medium], frame: int | None, sizes: Sequence[Size | None]) -> Medium:
    """Return the picture of a frame: its own where there is one for each, else the only one."""
    found = _NOTHING
    if pictures:
        own = frame is not None and len(pictures) > 1
        place = frame if own and frame is not None else 0
        found = pictures[place] if 0 <= place < len(pictures) else NO_PICTURE
    # A page of a PDF is no picture, but its size is known.
    if frame is not None and 0 <= frame < len(sizes) and sizes[frame] is not None:
        return found._replace(size=sizes[frame])
    return found


def thumbnail(task: Mapping[str, Any], media: Sequence[Medium], items: Sequence[Item]) -> Sheet:
    """Return a task in small: its first picture or frame, with the shapes on it."""
    pictures = [each for each in media if each.kind == "image" or each.reason]
    drawn = [item for item in items if item.outline]
    planes = [item.outline.plane for item in drawn if item.outline]
    plane = PICTURE if PICTURE in planes or not planes else planes[0]
    here = [item for item in drawn if item.outline and item.outline.plane == plane]
    frame = min((item.frame for item in here if item.frame is not None), default=None)
    first = [item for item in here if item.frame in (None, frame)]
    numbers = [] if frame is None else [frame]
    return _sheet(
        plane, first, pictures if plane == PICTURE else [], _Shown(frame, numbers, page_sizes(task))
    )
