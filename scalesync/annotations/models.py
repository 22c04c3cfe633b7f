"""What comes of flattening: rows for the tables `annotations` and `annotation_links`."""

from enum import StrEnum

import msgspec


class Geometry(StrEnum):
    """What an annotation is, where Scale's own word for it does not say.

    Scale's words (box, polygon, line, point, ellipse, cuboid, and whatever comes) stand as they are.
    """

    BOX = "box"
    POLYGON = "polygon"
    LINE = "line"
    POINT = "point"
    ELLIPSE = "ellipse"
    CUBOID = "cuboid"
    SEGMENTATION = "segmentation"
    """The area of a label, or one instance of it: an image behind `extra.url`."""
    ENTITY = "entity"
    """A stretch of a text: `text_start` to `text_end`."""
    FIELD = "field"
    """One answer to a field that was asked for, or an attribute of a whole frame; its name is the label."""
    CATEGORY = "category"
    CHOICE = "choice"
    TRANSCRIPT = "transcript"
    """All that was heard."""
    WORD = "word"
    """One word of a transcript; `extra` has its `start` and `end` in seconds."""
    EVENT = "event"
    """Something that happens in a video."""


class Annotation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `annotations`, but for its task and its place in it."""

    uuid: str | None = None
    label: str | None = None
    geometry: str | None = None
    frame: int | None = None
    """Of a video or a lidar sequence, from 0, or the key it was given; of a document its page."""
    left: float | None = None
    """Pixels; of a point its x."""
    top: float | None = None
    """Pixels; of a point its y."""
    width: float | None = None
    height: float | None = None
    rotation: float | None = None
    """As Scale gives it: radians; of a lidar cuboid its yaw."""
    vertices: str | None = None
    """A JSON array, in drawn order."""
    text_start: int | None = None
    text_end: int | None = None
    text: str | None = None
    attributes: str | None = None
    """A JSON object, or whatever else came in its place."""
    extra: str | None = None
    """A JSON object of everything else that the element held."""


class Link(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `annotation_links`: something that ties two annotations of a task together."""

    kind: str
    """relationship (of entities), link (of image annotations) or ref (of a document's annotations)."""
    uuid: str | None = None
    """Its own name, if it has one."""
    source: str | None = None
    """The `uuid` of an annotation."""
    target: str | None = None
    label: str | None = None
    extra: str | None = None


class UnreadFile(msgspec.Struct, frozen=True, gc=False):
    """A result file of which nothing, or not everything, could be read."""

    url: str
    """Its lasting address."""
    reason: str
    """A sentence that holds nothing of the content."""


class Flattened(msgspec.Struct, frozen=True):
    """What a response came to."""

    annotations: tuple[Annotation, ...] = ()
    links: tuple[Link, ...] = ()
    read: bool = True
    """False where nothing is known of the task's type, or its response is not of any known shape."""
    unread_files: tuple[UnreadFile, ...] = ()
    """Of the files that were given; `read` is False where there is any."""
