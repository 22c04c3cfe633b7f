"""Read the boxes and polygons drawn on images, for exports such as COCO."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import starmap
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, not_, or_, select

from scalesync.annotations.models import Geometry
from scalesync.db.export.pictures import Picture, with_pictures
from scalesync.db.export.rows import stream
from scalesync.db.filters import equal, where
from scalesync.db.schema.annotations_and_changes import annotations, unread_responses
from scalesync.db.schema.mirror import tasks
from scalesync.models.selection import OF_ANNOTATIONS, Selection

# Task types that ask for boxes or polygons: without any in the response, the image is exported as empty.
_TYPES = ("imageannotation", "annotation", "polygonannotation")

_A = annotations.c
# A shape with a frame is in a video or on a page of a document, and not on an image. COALESCE, since the
# condition is negated below: NOT NULL would be NULL.
_DRAWN = and_(func.coalesce(_A.geometry, "").in_([Geometry.BOX, Geometry.POLYGON]), _A.frame.is_(None))


class Image(NamedTuple):
    """A task about one image."""

    task_id: str
    picture: Picture


class DrawnShape(NamedTuple):
    """A box or a polygon: columns of its row in `annotations`."""

    task_id: str
    uuid: str | None
    label: str | None
    geometry: str
    left: float | None
    top: float | None
    width: float | None
    height: float | None
    vertices: str | None
    attributes: str | None
    rotation: float | None = None


class SkippedAnnotations(NamedTuple):
    """The number of annotations of one kind that are not exported as shapes."""

    geometry: str | None
    has_frame: bool
    """In a video, or on a page of a document."""
    of_error: bool
    """Of a task in error."""
    number: int


@dataclass(frozen=True, slots=True)
class ImageShapes:
    """The shapes on the selected images; all methods see the snapshot of the connection's transaction.

    Filters of annotations choose shapes, not images: an image without a chosen shape is one all the same.
    """

    conn: Connection
    wanted: Selection

    def labels(self) -> list[str | None]:
        """Return the distinct labels of the shapes, unordered."""
        return list(self.conn.scalars(select(_A.label).distinct().where(*self._drawn())))

    def images(self) -> Generator[Image, None, None]:
        """Yield the selected tasks that were answered with shapes or asked for them, ordered by task_id.

        Tasks in error, and those of whose response nothing was understood, are left out: their missing shapes
        do not mean an empty image.
        """
        columns = (tasks.c.task_id, tasks.c.type, tasks.c.params, tasks.c.metadata)
        found = with_pictures(self.conn, stream(self.conn, _images(self.wanted, *columns)))
        yield from starmap(Image, found)

    def image_count(self) -> int:
        """Return the number of images."""
        images = _images(self.wanted, tasks.c.task_id).order_by(None).subquery()
        return self.conn.execute(select(func.count()).select_from(images)).scalar_one()

    def shapes(self) -> Generator[DrawnShape, None, None]:
        """Yield the shapes ordered by task_id, and within a task in the order of the response."""
        statement = select(*(_A[name] for name in DrawnShape._fields)).where(*self._drawn())
        yield from starmap(DrawnShape, stream(self.conn, statement.order_by(_A.task_id, _A.ordinal)))

    def undrawn(self) -> list[SkippedAnnotations]:
        """Return the counts of all other annotations of the selected tasks; with a limit, of its images."""
        of_error = _is_error().label("of_error")
        has_frame = _A.frame.is_not(None).label("has_frame")
        found = (
            select(_A.geometry, has_frame, of_error, func.count())
            .join_from(annotations, tasks, _A.task_id == tasks.c.task_id)
            .where(*_tasks_of(self.wanted), or_(not_(_DRAWN), of_error), *self._chosen_annotations())
            .group_by(_A.geometry, has_frame, of_error)
            .order_by(_A.geometry, has_frame, of_error)
        )
        if self.wanted.limit is not None:
            found = found.where(_A.task_id.in_(_images(self.wanted, tasks.c.task_id)))
        return list(starmap(SkippedAnnotations, self.conn.execute(found)))

    def tasks_in_error(self) -> int:
        """Return the number of selected tasks in error that asked for shapes or have some."""
        asked = or_(tasks.c.type.in_(_TYPES), _has_shapes())
        found = select(func.count()).select_from(tasks).where(*_tasks_of(self.wanted))
        return self.conn.execute(found.where(asked, _is_error())).scalar_one()

    def tasks_not_understood(self) -> int:
        """Return the number of selected tasks that asked for shapes, and have a response of no known form."""
        found = select(func.count()).select_from(tasks).where(*_tasks_of(self.wanted), _answered())
        return self.conn.execute(
            found.where(not_(_is_error()), _is_unread(), not_(_has_shapes()))
        ).scalar_one()

    def _drawn(self) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions for the shapes of the selected images."""
        # Every task with a shape is an image, so the query for images is needed for its limit only.
        chosen = select(tasks.c.task_id).where(*_tasks_of(self.wanted), not_(_is_error()))
        if self.wanted.limit is not None:
            chosen = _images(self.wanted, tasks.c.task_id)
        return _DRAWN, _A.task_id.in_(chosen), *self._chosen_annotations()

    def _chosen_annotations(self) -> Iterator[ColumnElement[bool]]:
        return equal(annotations, self.wanted, OF_ANNOTATIONS)


def _tasks_of(wanted: Selection) -> Iterator[ColumnElement[bool]]:
    return where(tasks, wanted.of_tasks())


def _images(wanted: Selection, *columns: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    is_image = and_(not_(_is_error()), or_(and_(_answered(), not_(_is_unread())), _has_shapes()))
    images = select(*columns).where(*_tasks_of(wanted), is_image)
    return images.order_by(tasks.c.task_id).limit(wanted.limit)


def _answered() -> ColumnElement[bool]:
    return and_(tasks.c.type.in_(_TYPES), tasks.c.response.is_not(None))


def _is_unread() -> ColumnElement[bool]:
    return exists().where(unread_responses.c.task_id == tasks.c.task_id)


def _has_shapes() -> ColumnElement[bool]:
    return exists().where(_A.task_id == tasks.c.task_id, _DRAWN)


def _is_error() -> ColumnElement[bool]:
    return func.coalesce(tasks.c.status == "error", false())
