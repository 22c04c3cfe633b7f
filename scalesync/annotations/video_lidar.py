"""Flattens videos and lidar sequences: annotations per frame or per track, mostly in result files."""

from collections.abc import Collection, Iterator

from scalesync.annotations.columns import (
    Columns,
    FieldMap,
    NotUnderstood,
    Row,
    integer_in,
    json_in,
    row,
    rows_of_list,
    text_in,
    text_of,
    unexpected,
    word_in,
)
from scalesync.annotations.file_references import Files, names_file, opened
from scalesync.annotations.image import ALTERNATIVES, SHAPE, drawing, shaped
from scalesync.annotations.json_values import Object, leaves
from scalesync.annotations.known_forms import (
    IN_A_FRAME,
    PLACES,
    has_events,
    has_frames,
    has_points,
    has_tracks,
)
from scalesync.annotations.models import Annotation, Geometry

_FRAME_NUMBERS = frozenset({"frame", "key"})
"""Fields with the number of a frame."""
_TRACK = FieldMap(
    {
        **SHAPE,
        "label": word_in("label"),
        "type": text_in("geometry"),
        "attributes": json_in("attributes"),
    },
    ALTERNATIVES,
)
_TRACK_FRAME = FieldMap(
    {**SHAPE, "key": integer_in("frame"), "attributes": json_in("attributes")}, ALTERNATIVES
)
_FRAME_NUMBER = integer_in("frame")
_NAMED: Columns = {"uuid": word_in("uuid"), "label": word_in("label"), "attributes": json_in("attributes")}
_OBJECT = FieldMap(_NAMED)
_EVENT_ALTERNATIVES: Columns = {
    "type": word_in("label"),
    "name": word_in("label"),
    "frame": integer_in("frame"),
    "start": integer_in("frame"),
}
_EVENT = FieldMap(_NAMED, _EVENT_ALTERNATIVES, {"id": word_in("uuid")})
_EVENT_BY_UUID = FieldMap(_NAMED, _EVENT_ALTERNATIVES)
"""For events listed under their uuid: their `id` is not it."""


def sequence(response: Object, files: Files) -> Iterator[Row]:
    """Yield the annotations of every frame, then the events, from fetched files or inline."""
    yield from opened("annotations", response, files, _annotations, has_frames)
    yield from _events_of(response, files)


def playback(response: Object, files: Files) -> Iterator[Row]:
    """Yield annotations and events; an empty object is a known form here: no tracks."""
    yield from opened("annotations", response, files, _tracks_or_frames, has_tracks)
    yield from _events_of(response, files)


def point_labels(response: Object, files: Files) -> Iterator[Row]:
    """Yield the cuboids of a point segmentation, then a row per object or label of its points."""
    yield from sequence(response, files)
    yield from opened("point_segmentations", response, files, _segmented, has_points)


def _events_of(response: Object, files: Files) -> Iterator[Row]:
    yield from opened("events", response, files, _events, has_events)
    about = response.get("annotations")
    if isinstance(about, dict) and names_file(about):
        # One revision of the documentation has the events there.
        yield from opened("annotations.events", response, files, _events, has_events)
        yield from _unknown(about, {"url", "events"})


def _tracks_or_frames(given: object) -> Iterator[Row]:
    return iter(()) if given == {} else _annotations(given)


def _annotations(given: object) -> Iterator[Row]:
    """Yield the rows of a file by its form: a list of frames, one frame, or tracks by uuid."""
    if isinstance(given, dict) and isinstance(given.get("frames"), list):
        yield from _unknown(given, {"frames"})
        given = given["frames"]
    if isinstance(given, list):
        for index, frame in enumerate(given):
            yield from _frame(frame, index)
    elif not isinstance(given, dict):
        yield from unexpected("annotations", given)
    elif not IN_A_FRAME.isdisjoint(given):
        yield from _frame(given, None)
    elif given:
        yield from _tracks(given)
    else:
        yield NotUnderstood.UNREAD


def _frame(given: object, index: int | None) -> Iterator[Row]:
    """Yield the rows of a frame; an object that is not a frame may be an annotation itself."""
    if isinstance(given, list):
        given = {"annotations": given}
    if not isinstance(given, dict):
        if given is not None:
            yield drawing(given, frame=index)
            yield NotUnderstood.UNREAD
        return
    if IN_A_FRAME.isdisjoint(given):
        if given:
            yield drawing(given)
        if given and PLACES.isdisjoint(given):
            yield NotUnderstood.UNREAD
        return
    numbers = (_FRAME_NUMBER.of(given.get(name)) for name in ("frame", "key"))
    number = next((number for number in numbers if isinstance(number, int)), index)
    beside = _beside(given, _FRAME_NUMBERS)
    yield from _elements("annotations", given, number, beside)
    yield from _elements("cuboids", given, number, beside)
    yield from _cameras(given.get("camera_responses"), number, beside)
    yield from _global_attributes(given.get("global_attributes"), number, beside)
    yield from _unknown(given, IN_A_FRAME | _FRAME_NUMBERS)


def _elements(place: str, frame: Object, number: int | None, beside: Object) -> Iterator[Row]:
    def read(element: object) -> Iterator[Row]:
        shape = drawing(_cuboid(element) if place == "cuboids" else element, None, number, beside)
        yield shape
        if shape.geometry is None and element != {}:
            yield NotUnderstood.UNREAD

    elements = frame.get(place)
    if isinstance(elements, dict) and place == "annotations":
        yield from _tracks(elements, beside)
    else:
        yield from rows_of_list(place, elements, read)


def _cuboid(element: object) -> object:
    """Return an element of `cuboids` with its geometry, which it need not name."""
    if not isinstance(element, dict) or "type" in element or "geometry" in element:
        return element
    return {**element, "type": Geometry.CUBOID.value}


def _cameras(given: object, number: int | None, beside: Object) -> Iterator[Row]:
    """Yield the drawings in each camera's images, with `camera_used` in `extra`."""
    if not isinstance(given, list):
        yield from unexpected("camera_responses", given)
        return
    for camera in given:
        if isinstance(camera, dict):
            yield from _elements("annotations", camera, number, {**beside, **_beside(camera, ())})
            yield from _unknown(camera, {"annotations"})
        else:
            yield from unexpected("camera_responses", camera)


def _global_attributes(given: object, number: int | None, beside: Object) -> Iterator[Row]:
    """Yield a row per value of each attribute of a whole frame."""
    if not isinstance(given, dict):
        yield from unexpected("global_attributes", given)
        return
    for name, values in given.items():
        for value in leaves(values):
            text = text_of(value)
            columns = {"geometry": Geometry.FIELD.value, "label": name, "frame": number, "text": text}
            yield row(columns, dict(beside) if text is not None else {**beside, "value": value})


def _beside(given: Object, known: Collection[str]) -> Object:
    """Return the scalar fields of a frame that apply to all its annotations: its time, its camera."""
    return {
        name: value
        for name, value in given.items()
        if name not in known and value is not None and not isinstance(value, list | dict)
    }


def _unknown(given: Object, known: Collection[str]) -> Iterator[Row]:
    """Yield a row for each list or object under an unknown name, and mark it as unread."""
    for name, value in given.items():
        if name not in known and value and isinstance(value, list | dict):
            yield from unexpected(name, value)


def _tracks(given: Object, beside: Object | None = None) -> Iterator[Row]:
    for uuid, track in given.items():
        yield from _track(uuid, track, beside or {})


def _track(uuid: str, given: object, beside: Object) -> Iterator[Row]:
    """Yield the rows of an object tracked through a video: one per frame, or one if it has no frames."""
    if not isinstance(given, dict):
        if given is not None:
            yield row({"uuid": uuid}, {"value": given})
            yield NotUnderstood.UNREAD
        return
    # Fields of the track apply to each of its frames.
    values, rest = shaped(given, _TRACK)
    rest = {**beside, **rest}
    values["uuid"] = uuid
    frames = rest.get("frames")
    if not (isinstance(frames, list) and frames):
        yield row(values, rest)
        if frames != [] and PLACES.isdisjoint(given):
            yield NotUnderstood.UNREAD
        return
    del rest["frames"]
    for frame in frames:
        if frame is None:
            continue
        shape = _track_frame(frame, values, rest)
        yield shape
        if shape.geometry is None or not isinstance(frame, dict):
            yield NotUnderstood.UNREAD


def _track_frame(given: object, track: Object, beside: Object) -> Annotation:
    """Return the row of a track in one frame: the values of the track, overridden by those of the frame."""
    if not isinstance(given, dict):
        return row(dict(track), {**beside, "value": given})
    values, rest = shaped(given, _TRACK_FRAME)
    # A geometry that the frame does not name is a guess from its fields: the track's is better.
    if "geometry" in track and "geometry" not in given:
        values["geometry"] = track["geometry"]
    return row({**track, **values}, {**beside, **rest})


def _segmented(given: object) -> Iterator[Row]:
    """Yield a row per segmented object or label; which points belong to it stays in the file."""
    if not isinstance(given, dict):
        yield from unexpected("point_segmentations", given)
        return
    for name in ("objects", "labels"):
        objects = given.get(name)
        for element in objects if isinstance(objects, list) else ():
            values, rest = _OBJECT.split(element)
            yield row({**values, "geometry": Geometry.SEGMENTATION.value}, rest)
            if "label" not in values:
                yield NotUnderstood.UNREAD
    named, pointed = _lists(given, "objects", "labels"), _lists(given, "point_objects", "point_labels")
    if not named or not pointed or not all(isinstance(frame, list) for frame in pointed[0]):
        yield NotUnderstood.UNREAD
    yield from _unknown(given, {"objects", "labels", "point_objects", "point_labels"})


def _lists(given: Object, *names: str) -> list[list[object]]:
    return [value for name in names if isinstance(value := given.get(name), list)]


def _events(given: object) -> Iterator[Row]:
    """Yield a row per event of a list, or of an object with events by name."""
    if isinstance(given, dict) and isinstance(given.get("events"), list):
        yield from _unknown(given, {"events"})
        given = given["events"]
    if isinstance(given, dict):
        for uuid, events in given.items():
            for event in leaves(events):
                yield from _event(event, _EVENT_BY_UUID, {"uuid": uuid})
        if not given:
            yield NotUnderstood.UNREAD
    elif isinstance(given, list):
        for event in leaves(given):
            yield from _event(event, _EVENT, {})
    else:
        yield from unexpected("events", given)


def _event(given: object, fields: FieldMap, known: Object) -> Iterator[Row]:
    values, rest = fields.split(given)
    event = row({**known, **values, "geometry": Geometry.EVENT.value}, rest)
    yield event
    if event.label is None and event.frame is None:
        yield NotUnderstood.UNREAD
