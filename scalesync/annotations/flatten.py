"""Flattens a task's response into rows: chooses the flattener by the type of task.

Open it to add a type of task (TYPE_READERS), or for what counts as read completely.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scalesync.annotations import text
from scalesync.annotations.columns import NotUnderstood, Row
from scalesync.annotations.conversation import talk
from scalesync.annotations.file_references import Files, address, names_file, value_at
from scalesync.annotations.image import image
from scalesync.annotations.json_values import Object, UnreadableError, decoded
from scalesync.annotations.models import Annotation, Flattened, Geometry, Link, UnreadFile
from scalesync.annotations.segmentation import segmentation
from scalesync.annotations.video_lidar import playback, point_labels, sequence

_NO_FILES: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TypeReader:
    """Flattener of the responses of a type of task."""

    places: frozenset[str]
    """Fields of a response; a response with none of them is of no known shape."""
    rows: Callable[[Object, Files], Iterator[Row]]
    files: tuple[str, ...] = ()
    """Dotted paths of fields whose `url` names a wanted file."""


def flatten(
    task_type: str | None, response: str | bytes | None, files: Mapping[str, bytes] = _NO_FILES
) -> Flattened:
    """Return the rows of a response, in its order.

    `files` has the content of result files by unsigned URL; a missing one gives no rows. Never raises: what
    cannot be read is left out or kept in `extra`, and `read` is False if the type or the shape of the
    response is unknown, or if it or one of its files is not JSON.
    """
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
    """Return the signed http URLs of the files with a response's annotations: each once, in order.

    Images of segmentations are not among them. Never raises.
    """
    reader = TYPE_READERS.get(task_type or "")
    if reader is None or not reader.files or response is None:
        return ()
    try:
        given = decoded(response)
    except UnreadableError:
        return ()
    urls = (address(value_at(given, path)) for path in reader.files) if isinstance(given, dict) else ()
    return tuple(dict.fromkeys(url for url in urls if url is not None))


def _rows(task_type: str | None, response: str | bytes | None, files: Files) -> Iterator[Row]:
    given = None if response is None else decoded(response)
    if given is None:
        return
    reader = TYPE_READERS.get(task_type or "")
    if reader is None and isinstance(given, dict) and "threads" in given:
        # Tasks of the newer API have no type (observed).
        reader = _CONVERSATION
    if not isinstance(given, dict) or (reader is None and not _is_error(given)):
        yield NotUnderstood.UNREAD
    elif reader is None or reader.places.isdisjoint(given):
        # A task with status `error` says in `response.error` what went wrong (documented).
        if given and "error" not in given:
            yield NotUnderstood.UNREAD
    else:
        yield from reader.rows(given, files)
        if reader.files and any(name not in reader.places and names_file(given[name]) for name in given):
            # A file at an unknown place is not fetched, so that its annotations are missing.
            yield NotUnderstood.UNREAD


def _is_error(given: Object) -> bool:
    """Return whether a response only says that something could not be fetched, as for any type of task."""
    fields = {name: value for name, value in given.items() if name not in {"attachments", "frames"}}
    return "error" in fields and not any(isinstance(value, list | dict) for value in fields.values())


def _inline(rows: Callable[[Object], Iterator[Row]], *places: str) -> TypeReader:
    return TypeReader(frozenset(places), lambda response, _files: rows(response))


def _image_reader(expected: Geometry | None = None) -> TypeReader:
    return TypeReader(
        frozenset({"annotations", "links"}),
        lambda response, _files: image(response, expected and expected.value),
    )


_DOCUMENT = _inline(text.document, "annotations")
_FIELDS = _inline(text.fields, "fields", "repeatable_fields")
_CONVERSATION = _inline(talk, "threads", "responses")
_IN_FILES = ("annotations", "events", "annotations.events")
_SEQUENCE = TypeReader(frozenset({"annotations", "events"}), sequence, _IN_FILES)

TYPE_READERS: Mapping[str, TypeReader] = MappingProxyType(
    {
        "imageannotation": _image_reader(),
        "annotation": _image_reader(Geometry.BOX),
        "polygonannotation": _image_reader(Geometry.POLYGON),
        "lineannotation": _image_reader(Geometry.LINE),
        "laneannotation": _image_reader(Geometry.LINE),
        "pointannotation": _image_reader(Geometry.POINT),
        "cuboidannotation": _image_reader(Geometry.CUBOID),
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
        "chat": _CONVERSATION,
        "chatlite": _CONVERSATION,
        "chatv2": _CONVERSATION,
        "multichat": _CONVERSATION,
    }
)
"""Flatteners by type of task. A new type is one entry."""
