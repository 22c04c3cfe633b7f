"""Videos and lidar sequences: annotations per frame, mostly in a file behind a URL."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalesync.flatten.addresses import lasting
from scalesync.flatten.columns import (
    Columns,
    Row,
    Unread,
    instead,
    integer_in,
    json_in,
    row,
    split,
    stray,
    text_in,
    word_in,
)
from scalesync.flatten.content import Object, UnreadableError, decoded, leaves
from scalesync.flatten.drawings import SHAPE, drawing, shaped
from scalesync.flatten.rows import Annotation, Geometry

_TRACK: Columns = {
    **SHAPE,
    "label": word_in("label"),
    "type": text_in("geometry"),
    "attributes": json_in("attributes"),
}
_MOMENT: Columns = {**SHAPE, "key": integer_in("frame"), "attributes": json_in("attributes")}
_NUMBER = integer_in("frame")
_EVENT: Columns = {"uuid": word_in("uuid"), "label": word_in("label"), "attributes": json_in("attributes")}
_EVENT_INSTEAD: Columns = {
    "type": word_in("label"),
    "name": word_in("label"),
    "frame": integer_in("frame"),
    "start": integer_in("frame"),
    "id": word_in("uuid"),
}


def sequence(response: Object, files: Mapping[str, bytes]) -> Iterator[Row]:
    """Yield the annotations of every frame, then the events, from files that are here or inline."""
    yield from _read("annotations", response, files)
    yield from _read("events", response, files)


def address(place: object) -> str | None:
    """Return the http address at `place.url`, None where there is none."""
    url = place.get("url") if isinstance(place, dict) else None
    return url if isinstance(url, str) and url.lower().startswith(("http://", "https://")) else None


def _read(place: str, response: Object, files: Mapping[str, bytes]) -> Iterator[Row]:
    given = response.get(place)
    if isinstance(given, dict) and isinstance(given.get("url"), str):
        url = address(given)
        if url is None:
            yield Unread.UNREAD
            return
        content = files.get(lasting(url))
        if content is None:
            return
        try:
            given = decoded(content)
        except UnreadableError:
            yield Unread.UNREAD
            return
    yield from _events(given) if place == "events" else _annotations(given)


def _annotations(given: object) -> Iterator[Row]:
    """Yield the rows of a file by its form: a list of frames, or tracks by uuid."""
    if isinstance(given, dict) and isinstance(given.get("frames"), list):
        given = given["frames"]
    if isinstance(given, list):
        for index, frame in enumerate(given):
            yield from _frame(frame, index)
    elif isinstance(given, dict):
        if _is_frame(given):
            yield from _frame(given, None)
        else:
            for uuid, track in given.items():
                yield from _track(uuid, track)
    else:
        yield from stray("annotations", given)


def _is_frame(given: Object) -> bool:
    return "annotations" in given or "cuboids" in given


def _frame(given: Any, index: int | None) -> Iterator[Row]:
    """Yield what a frame holds. An object that is no frame is an annotation itself."""
    if isinstance(given, list):
        given = {"annotations": given}
    if not isinstance(given, dict):
        if given is not None:
            yield drawing(given, frame=index)
        return
    if not _is_frame(given):
        if given:
            yield drawing(given)
        return
    numbers = (_NUMBER.of(given.get(name)) for name in ("frame", "key"))
    number = next((number for number in numbers if isinstance(number, int)), index)
    yield from _elements("annotations", given, number)
    yield from _elements("cuboids", given, number)


def _elements(place: str, frame: Object, number: int | None) -> Iterator[Row]:
    elements = frame.get(place)
    if not isinstance(elements, list):
        yield from stray(place, elements)
        return
    for element in elements:
        if element is not None:
            yield drawing(_cuboid(element) if place == "cuboids" else element, frame=number)


def _cuboid(element: object) -> object:
    """Return an element of `cuboids` with its geometry, which goes without saying there."""
    if not isinstance(element, dict) or "type" in element or "geometry" in element:
        return element
    return {**element, "type": Geometry.CUBOID.value}


def _track(uuid: str, given: object) -> Iterator[Row]:
    """Yield what is followed through a video: a row per frame, or one where it has none."""
    if not isinstance(given, dict):
        if given is not None:
            yield row({"uuid": uuid}, {"value": given})
        return
    about, rest = shaped(given, _TRACK)
    about["uuid"] = uuid
    frames = rest.get("frames")
    if not (isinstance(frames, list) and frames):
        yield row(about, rest)
        return
    del rest["frames"]
    for moment in frames:
        if moment is not None:
            yield _moment(moment, about, rest)


def _moment(given: object, about: Object, beside: Object) -> Annotation:
    """Return the row of a frame: what is known of its track, and over that its own."""
    if not isinstance(given, dict):
        return row(dict(about), {**beside, "value": given})
    values, rest = shaped(given, _MOMENT)
    if "geometry" in about and "geometry" not in given:
        values["geometry"] = about["geometry"]
    return row({**about, **values}, {**beside, **rest})


def _events(given: object) -> Iterator[Row]:
    """Yield a row per event of a list, or of an object by their names."""
    if isinstance(given, dict) and isinstance(given.get("events"), list):
        given = given["events"]
    if isinstance(given, dict):
        for uuid, named in given.items():
            for event in leaves(named):
                yield _event(event, {"uuid": uuid})
    elif isinstance(given, list):
        for event in leaves(given):
            yield _event(event, {})
    else:
        yield from stray("events", given)


def _event(given: object, known: Object) -> Annotation:
    values, rest = split(given, _EVENT) if isinstance(given, dict) else ({}, {"value": given})
    values = {**known, **values, "geometry": Geometry.EVENT.value}
    instead(values, rest, _EVENT_INSTEAD)
    return row(values, rest)
