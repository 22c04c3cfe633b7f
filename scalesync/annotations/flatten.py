"""From a task's response to rows: which flattener reads which type of task."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scalesync.annotations import text
from scalesync.annotations.columns import NotUnderstood, Row
from scalesync.annotations.conversation import talk
from scalesync.annotations.fast_path import drawings
from scalesync.annotations.file_references import Files, address, names_file, value_at
from scalesync.annotations.image import image
from scalesync.annotations.json_values import Object, UnreadableError, decoded
from scalesync.annotations.models import Annotation, Flattened, Geometry, Link, UnreadFile
from scalesync.annotations.segmentation import segmentation
from scalesync.annotations.video_lidar import playback, point_labels, sequence

_NO_FILES: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TypeReader:
    """How the responses of a type of task are read."""

    places: frozenset[str]
    """Fields of a response; one that has none of them is of no known shape."""
    rows: Callable[[Object, Files], Iterator[Row]]
    files: tuple[str, ...] = ()
    """Fields, a dot before one within another, whose `url` names a file that is wanted."""
    plain: Callable[[str | bytes], tuple[Annotation, ...] | None] | None = None
    """Reads quickly what has nothing unusual about it, and leaves the rest."""


def flatten(
    task_type: str | None, response: str | bytes | None, files: Mapping[str, bytes] = _NO_FILES
) -> Flattened:
    """Return the rows of a response in the order in which they stand there.

    `files` is the content of result files by address, signatures left out; one that is missing gives no
    rows. Never raises: what cannot be read is left out or kept in `extra`, and `read` is False where
    nothing is known of the type, the response is of no known shape, or it or one of its files is not JSON.
    """
    shape = TYPE_READERS.get(task_type or "")
    if shape and shape.plain and response and (drawn := shape.plain(response)) is not None:
        return Flattened(drawn)
    annotations: list[Annotation] = []
    links: list[Link] = []
    unread: list[UnreadFile] = []
    read = True
    try:
        for row in _rows(task_type, response, files):
            if type(row) is Annotation:
                annotations.append(row)
            elif type(row) is Link:
                links.append(row)
            else:
                read = False
                if type(row) is UnreadFile:
                    unread.append(row)
    except (UnreadableError, RecursionError):
        read = False
    return Flattened(tuple(annotations), tuple(links), read, tuple(unread))


def result_urls(task_type: str | None, response: str | bytes | None) -> tuple[str, ...]:
    """Return the http addresses of the files that hold a response's annotations, signatures and all.

    Each stands there once, in order. Images of areas are not among them. Never raises.
    """
    shape = TYPE_READERS.get(task_type or "")
    if shape is None or not shape.files or response is None:
        return ()
    try:
        given = decoded(response)
    except UnreadableError:
        return ()
    found = (address(value_at(given, path)) for path in shape.files) if isinstance(given, dict) else ()
    return tuple(dict.fromkeys(url for url in found if url is not None))


def _rows(task_type: str | None, response: str | bytes | None, files: Files) -> Iterator[Row]:
    given = None if response is None else decoded(response)
    if given is None:
        return
    shape = TYPE_READERS.get(task_type or "")
    if shape is None and isinstance(given, dict) and "threads" in given:
        # Tasks of the newer API name no type.
        shape = _TALK
    if not isinstance(given, dict) or (shape is None and not _is_error(given)):
        yield NotUnderstood.UNREAD
    elif shape is None or shape.places.isdisjoint(given):
        # A task with status `error` says in `response.error` what went wrong (documented).
        if given and "error" not in given:
            yield NotUnderstood.UNREAD
    else:
        yield from shape.rows(given, files)
        if shape.files and any(name not in shape.places and names_file(given[name]) for name in given):
            # A file in a place where none is known: it is not fetched.
            yield NotUnderstood.UNREAD


def _is_error(given: Object) -> bool:
    """Return whether this is what a response of any type is where something could not be fetched."""
    said = {name: value for name, value in given.items() if name not in {"attachments", "frames"}}
    return "error" in said and not any(isinstance(value, list | dict) for value in said.values())


def _inline(rows: Callable[[Object], Iterator[Row]], *places: str) -> TypeReader:
    return TypeReader(frozenset(places), lambda response, _files: rows(response))


def _drawn(expected: Geometry | None = None) -> TypeReader:
    return TypeReader(
        frozenset({"annotations", "links"}),
        lambda response, _files: image(response, expected and expected.value),
        plain=drawings,
    )


_DOCUMENT = _inline(text.document, "annotations")
_FIELDS = _inline(text.fields, "fields", "repeatable_fields")
_TALK = _inline(talk, "threads", "responses")
_IN_FILES = ("annotations", "events", "annotations.events")
_SEQUENCE = TypeReader(frozenset({"annotations", "events"}), sequence, _IN_FILES)

TYPE_READERS: Mapping[str, TypeReader] = MappingProxyType(
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
        "federal2dvideoannotation": _SEQUENCE,
        "videoplaybackannotation": TypeReader(_SEQUENCE.places, playback, _IN_FILES),
        "lidarannotation": _SEQUENCE,
        "lidarlinking": _SEQUENCE,
        "lidartopdown": _SEQUENCE,
        "sensorfusion": _SEQUENCE,
        "multistage": _SEQUENCE,
        "lidarsegmentation": TypeReader(
            _SEQUENCE.places | {"point_segmentations"}, point_labels, (*_IN_FILES, "point_segmentations")
        ),
        "namedentityrecognition": _inline(text.entities, "annotations", "relationships"),
        "textcollection": _inline(text.collection, "annotations", "responses"),
        "categorization": _inline(text.categories, "category", "category_id"),
        "comparison": _inline(text.choice, "choice", "fields"),
        "datacollection": _FIELDS,
        "transcription": _FIELDS,
        "phonecall": _inline(text.call, "outcome", "choice", "fields"),
        "audiotranscription": _inline(text.speech, "transcript", "alignment"),
        "documenttranscription": _DOCUMENT,
        "documentmodel": _DOCUMENT,
        "chat": _TALK,
        "chatlite": _TALK,
        "chatv2": _TALK,
        "multichat": _TALK,
    }
)
"""By type of task. A new type is one entry."""
