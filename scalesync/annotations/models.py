"""Results of flattening: rows of `annotations` and the tables beside it, and unread files."""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class Geometry(StrEnum):
    """Kind of an annotation. Other words of Scale's responses are stored unchanged."""

    BOX = "box"
    POLYGON = "polygon"
    LINE = "line"
    POINT = "point"
    ELLIPSE = "ellipse"
    CUBOID = "cuboid"
    SEGMENTATION = "segmentation"
    """Area of a label, or one instance of it: an image at `extra.url`."""
    ENTITY = "entity"
    """Range of a text: `text_start` to `text_end`."""
    FIELD = "field"
    """One answer to a field of a form, or an attribute of a whole frame; its name is the label."""
    CATEGORY = "category"
    CHOICE = "choice"
    TRANSCRIPT = "transcript"
    """Everything that was heard."""
    WORD = "word"
    """One word of a transcript; `extra` has its `start` and `end` in seconds."""
    EVENT = "event"
    """Event in a video."""


class Annotation(NamedTuple):
    """One row of `annotations`, without its task and its number."""

    uuid: str | None = None
    label: str | None = None
    geometry: str | None = None
    frame: int | None = None
    """Frame of a video or a lidar sequence, from 0, or its key; page of a document."""
    left: float | None = None
    """Pixels; for a point its x."""
    top: float | None = None
    """Pixels; for a point its y."""
    width: float | None = None
    height: float | None = None
    rotation: float | None = None
    """Radians; for a lidar cuboid its yaw."""
    vertices: str | None = None
    """JSON array, in the order of drawing."""
    text_start: int | None = None
    text_end: int | None = None
    text: str | None = None
    attributes: str | None = None
    """JSON object, or any other JSON value in its place."""
    extra: str | None = None
    """JSON object of all other fields of the element."""


class Link(NamedTuple):
    """One row of `annotation_links`: a link between two annotations of a task."""

    kind: str
    """relationship (of entities), link (of image annotations) or ref (of a document's annotations)."""
    uuid: str | None = None
    """Id of the link, if it has one."""
    source: str | None = None
    """`uuid` of an annotation."""
    target: str | None = None
    label: str | None = None
    extra: str | None = None


class Audit(NamedTuple):
    """One row of `task_audits`, without its task and its number."""

    source: str | None = None
    """customer or scale (documented)."""
    result: str | None = None
    comments: str | None = None
    at: str | None = None
    """Instant as text of the API's own form."""
    audited_by: str | None = None
    seconds: float | None = None
    extra: str | None = None
    """JSON object of all other fields, and of those that fit no column."""


class TaskAttempt(NamedTuple):
    """One row of `task_attempts`, without its task and its number."""

    response: str | None = None
    """JSON, as in `tasks`."""
    extra: str | None = None


class UnreadFile(msgspec.Struct, frozen=True, gc=False):
    """A result file that could not be read, or not completely."""

    url: str
    """URL without its signature."""
    reason: str
    """A sentence that quotes nothing of the content."""


class Flattened(msgspec.Struct, frozen=True):
    """A flattened response."""

    annotations: tuple[Annotation, ...] = ()
    links: tuple[Link, ...] = ()
    read: bool = True
    """False if the type of task or the shape of the response is unknown, or a file could not be read."""
    unread_files: tuple[UnreadFile, ...] = ()
    """Given files that could not be read; if there is one, `read` is False."""
