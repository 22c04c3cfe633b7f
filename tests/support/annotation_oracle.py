"""Derive an account's annotations from its documents without any code of scalesync."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

Doc = dict[str, Any]
Expected = tuple[object, ...]
"""task, uuid, label, geometry, frame, left, top, width, height, number of vertices, text."""

SILENT = {"chat"}
"""Types of which no annotations are expected: what they answer is of no known form."""

_SHAPES = {
    "annotation": "box",
    "polygonannotation": "polygon",
    "lineannotation": "line",
    "pointannotation": "point",
    "cuboidannotation": "cuboid",
}


def expected(documents: list[Doc], files: dict[str, Any]) -> Counter[Expected]:
    """Return how often each annotation should be there; `files` are the parsed result files by address."""
    return Counter(
        (task["task_id"], *each)
        for task in documents
        for each in _of(task["type"], task.get("response"), files)
    )


def _row(
    label: object = None,
    geometry: object = None,
    *,
    uuid: object = None,
    text: object = None,
    frame: object = None,
    shape: Doc | None = None,
) -> Expected:
    shape = shape or {}
    left, top = shape.get("left", shape.get("x")), shape.get("top", shape.get("y"))
    sizes = (left, top, shape.get("width"), shape.get("height"))
    return (uuid, label, geometry, frame, *sizes, len(shape.get("vertices", ())), text)


def _of(kind: str, response: Doc | None, files: dict[str, Any]) -> Iterator[Expected]:
    if response is not None and "error" not in response and kind not in SILENT:
        yield from _OF_TYPE[kind](response, files)


def _drawn(default: str | None) -> Callable[[Doc, object], Iterator[Expected]]:
    def rows(response: Doc, _files: object) -> Iterator[Expected]:
        for one in response["annotations"]:
            yield _row(one["label"], one.get("type", default), uuid=one.get("uuid"), shape=one)

    return rows


def _areas(response: Doc, _files: object) -> Iterator[Expected]:
    for label, urls in response["annotations"]["labeled"].items():
        for _ in [urls] if isinstance(urls, str) else urls or ():
            yield _row(label, "segmentation")


def _fields(response: Doc, _files: object) -> Iterator[Expected]:
    for part in (response["fields"], *filter(None, response.get("repeatable_fields", ()))):
        for name, text in part.items():
            yield _row(name, "field", text=text)


def _entities(response: Doc, _files: object) -> Iterator[Expected]:
    for one in response["annotations"]:
        yield _row(one["label"], "entity", uuid=one["id"], text=one["text"])


def _documents(response: Doc, _files: object) -> Iterator[Expected]:
    for one in response["annotations"]:
        about = {"uuid": one["uuid"], "text": one["text"], "frame": one["page"], "shape": one["location"]}
        yield _row(one["label"], one["location"]["type"], **about)


def _texts(response: Doc, _files: object) -> Iterator[Expected]:
    for name, answer in response.get("annotations", {}).items():
        yield _row(name, "field", text=answer["response"][0][0])
    for answers in response.get("responses", ()):
        for name, answer in answers.items():
            yield _row(name, "field", text=answer if isinstance(answer, str) else answer[0])


def _speech(response: Doc, _files: object) -> Iterator[Expected]:
    yield _row(None, "transcript", text=response["transcript"])
    for one in response["alignment"]:
        yield _row(None, "word", text=one["word"])


def _frames(response: Doc, files: dict[str, Any]) -> Iterator[Expected]:
    for number, frame in enumerate(files.get(response["annotations"]["url"], ())):
        for one in frame.get("annotations", ()):
            geometry = one.get("type", one.get("geometry"))
            yield _row(one["label"], geometry, uuid=one["uuid"], frame=number, shape=one)
        for one in frame.get("cuboids", ()):
            yield _row(one["label"], "cuboid", uuid=one["uuid"], frame=number)


def _points(response: Doc, files: dict[str, Any]) -> Iterator[Expected]:
    yield from _frames(response, files)
    for one in files.get(response["point_segmentations"]["url"], {}).get("objects", ()):
        yield _row(one["label"], "segmentation")


def _playback(response: Doc, files: dict[str, Any]) -> Iterator[Expected]:
    for uuid, one in files.get(response["annotations"]["url"], {}).items():
        for frame in one["frames"]:
            yield _row(one["label"], one["geometry"], uuid=uuid, frame=frame["key"], shape=frame)
    for event in files.get(response.get("events", {}).get("url"), ()):
        yield _row(event["label"], "event", uuid=event["uuid"], frame=event["start"])


_OF_TYPE: dict[str, Callable[[Doc, dict[str, Any]], Iterator[Expected]]] = {
    "imageannotation": _drawn(None),
    **{kind: _drawn(shape) for kind, shape in _SHAPES.items()},
    "segmentannotation": _areas,
    "categorization": lambda response, _: iter([_row(response["category"], "category")]),
    "comparison": lambda response, _: iter([_row(response["choice"], "choice")]),
    "datacollection": _fields,
    "transcription": _fields,
    "namedentityrecognition": _entities,
    "documenttranscription": _documents,
    "textcollection": _texts,
    "audiotranscription": _speech,
    "videoannotation": _frames,
    "lidarannotation": _frames,
    "sensorfusion": _frames,
    "lidarsegmentation": _points,
    "videoplaybackannotation": _playback,
}
