"""From a task's response to rows: which flattener reads which type of task."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scalesync.flatten import texts
from scalesync.flatten.areas import segmentation
from scalesync.flatten.columns import Row, Unread
from scalesync.flatten.content import Object, UnreadableError, decoded
from scalesync.flatten.drawings import image
from scalesync.flatten.plain import drawings
from scalesync.flatten.rows import Annotation, Flattened, Geometry, Link
from scalesync.flatten.sequences import address, sequence

Files = Mapping[str, bytes]
_NO_FILES: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shape:
    """How the responses of a type of task are read."""

    places: frozenset[str]
    """Fields of a response; one that has none of them is of no known shape."""
    rows: Callable[[Object, Files], Iterator[Row]]
    files: tuple[str, ...] = ()
    """Fields whose `url` names a file that is wanted."""
    plain: Callable[[str | bytes], tuple[Annotation, ...] | None] | None = None
    """Reads quickly what has nothing unusual about it, and leaves the rest."""


def flatten(
    task_type: str | None, response: str | bytes | None, files: Mapping[str, bytes] = _NO_FILES
) -> Flattened:
    """Return the rows of a response in the order in which they stand there.

    `files` is the content of result files by lasting address; where one is missing its annotations are too.
    Never raises: what cannot be read is left out or kept in `extra`, and `read` is False where nothing is
    known of the type, the response is of no known shape, or it or one of its files is not JSON.
    """
    shape = SHAPES.get(task_type or "")
    if shape and shape.plain and response and (drawn := shape.plain(response)) is not None:
        return Flattened(drawn)
    annotations: list[Annotation] = []
    links: list[Link] = []
    read = True
    try:
        for row in _rows(task_type, response, files):
            if type(row) is Annotation:
                annotations.append(row)
            elif type(row) is Link:
                links.append(row)
            else:
                read = False
    except (UnreadableError, RecursionError):
        read = False
    return Flattened(tuple(annotations), tuple(links), read)


def result_urls(task_type: str | None, response: str | bytes | None) -> tuple[str, ...]:
    """Return the http addresses of the files that hold a response's annotations, signatures and all.

    Each stands there once, in order. Images of areas are not among them. Never raises.
    """
    shape = SHAPES.get(task_type or "")
    if shape is None or not shape.files or response is None:
        return ()
    try:
        given = decoded(response)
    except UnreadableError:
        return ()
    found = (address(given.get(place)) for place in shape.files) if isinstance(given, dict) else ()
    return tuple(dict.fromkeys(url for url in found if url is not None))


def _rows(task_type: str | None, response: str | bytes | None, files: Files) -> Iterator[Row]:
    given = None if response is None else decoded(response)
    if given is None:
        return
    shape = SHAPES.get(task_type or "")
    if shape is None or not isinstance(given, dict):
        yield Unread.UNREAD
    elif shape.places.isdisjoint(given):
        # A task with status `error` says in `response.error` what went wrong (documented).
        if given and "error" not in given:
            yield Unread.UNREAD
    else:
        yield from shape.rows(given, files)


def _inline(rows: Callable[[Object], Iterator[Row]], *places: str) -> Shape:
    return Shape(frozenset(places), lambda response, _files: rows(response))


def _drawn(expected: Geometry | None = None) -> Shape:
    return Shape(
        frozenset({"annotations", "links"}),
        lambda response, _files: image(response, expected and expected.value),
        plain=drawings,
    )


def _nothing(_response: Object, _files: Files) -> Iterator[Row]:
    """Yield nothing: what such a file holds is not documented."""
    return iter(())


_DOCUMENT = _inline(texts.document, "annotations")
_FIELDS = _inline(texts.fields, "fields", "repeatable_fields")
_SEQUENCE = Shape(frozenset({"annotations", "events"}), sequence, ("annotations", "events"))

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "imageannotation": _drawn(),
        "annotation": _drawn(Geometry.BOX),
        "polygonannotation": _drawn(Geometry.POLYGON),
        "lineannotation": _drawn(Geometry.LINE),
        "laneannotation": _drawn(Geometry.LINE),
        "pointannotation": _drawn(Geometry.POINT),
        "cuboidannotation": _drawn(Geometry.CUBOID),
        "segmentannotation": _inline(segmentation, "annotations"),
        "videoannotation": _SEQUENCE,
        "videoboxannotation": _SEQUENCE,
        "videocuboidannotation": _SEQUENCE,
        "videoplaybackannotation": _SEQUENCE,
        "lidarannotation": _SEQUENCE,
        "lidarlinking": _SEQUENCE,
        "lidartopdown": _SEQUENCE,
        "sensorfusion": _SEQUENCE,
        "lidarsegmentation": Shape(
            frozenset({"point_segmentations"}), _nothing, files=("point_segmentations",)
        ),
        "namedentityrecognition": _inline(texts.entities, "annotations", "relationships"),
        "textcollection": _inline(texts.collection, "annotations", "responses"),
        "categorization": _inline(texts.categories, "category"),
        "comparison": _inline(texts.choice, "choice"),
        "datacollection": _FIELDS,
        "transcription": _FIELDS,
        "audiotranscription": _inline(texts.speech, "transcript", "alignment"),
        "documenttranscription": _DOCUMENT,
        "documentmodel": _DOCUMENT,
    }
)
"""By type of task. A new type is one entry."""
