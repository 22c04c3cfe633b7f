"""What a completed task answers, in every shape that scale_api.md lists, drawn from a task's own params."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from scalesync.sandbox.documents import Doc
from scalesync.sandbox.geometry import SHAPES, drawn, new_uuid, number
from scalesync.sandbox.result_files import link

Maker = Callable[[Doc, random.Random], Doc]

WORDS = (
    "Straße",
    "invoice",
    "東京",
    "driver",
    "ünïcode",
    "😀",
    "total",
    "Łódź",
    "receipt",
    "O'Brien",
    "signal",
    "42",
)
LABELS = ("car", "pedestrian", "traffic light", "Fahrrad", "犬")


def respond(task_type: str, params: Doc, rng: random.Random) -> Doc | None:
    """Return a response of the type's shape; None where a completed task has none.

    A completed pointannotation without a response was recorded; here it is one in four.
    """
    if task_type == "pointannotation" and rng.random() < 0.25:
        return None
    return _MAKERS.get(task_type, _nothing)(params, rng)


def labels_of(params: Doc) -> Sequence[str]:
    """Return the labels that a task's params offer, or some of our own."""
    found = params.get("objects_to_annotate") or params.get("labels") or params.get("categories")
    if not found and isinstance(params.get("geometries"), dict):
        boxes: Any = next(iter(params["geometries"].values()), {})
        found = boxes.get("objects_to_annotate") if isinstance(boxes, dict) else None
    if not isinstance(found, list):
        return LABELS
    names = [item.get("name") if isinstance(item, dict) else item for item in found]
    return [name for name in names if isinstance(name, str)] or LABELS


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _count(rng: random.Random) -> int:
    return rng.randint(1, 8)


def _nothing(_params: Doc, _rng: random.Random) -> Doc:
    return {"annotations": []}


def _image(params: Doc, rng: random.Random) -> Doc:
    labels = labels_of(params)
    geometries = params.get("geometries")
    kinds = [kind for kind in geometries if kind in SHAPES] if isinstance(geometries, dict) else []
    annotations: list[Doc] = []
    for _ in range(_count(rng)):
        other = annotations[-1]["uuid"] if annotations else ""
        annotations.append(drawn(rng, rng.choice(kinds or tuple(SHAPES)), labels, other))
    response: Doc = {
        "annotations": annotations,
        "global_attributes": {"weather": rng.choice(("sun", "rain"))},
    }
    if len(annotations) > 1:
        response["links"] = [
            {"from": annotations[0]["uuid"], "to": annotations[1]["uuid"], "label": "follows"}
        ]
    return response


def _legacy(kind: str) -> Maker:
    def make(params: Doc, rng: random.Random) -> Doc:
        """Draw as in 2019, without uuid and type; later some carry `geometry` for `type` (recorded)."""
        labels, newer = labels_of(params), rng.random() < 0.3
        drawings: list[Doc] = []
        for _ in range(_count(rng)):
            drawing = {**SHAPES[kind](rng), "label": rng.choice(labels)}
            if newer:
                drawing |= {"uuid": new_uuid(rng), "geometry": kind}
            drawings.append(drawing)
        return {"annotations": drawings}

    return make


def _segmentation(params: Doc, rng: random.Random) -> Doc:
    labels = labels_of(params)
    areas: list[str | list[str] | None] = [
        link("images", rng),
        [link("images", rng), link("images", rng)],
        None,
    ]
    return {
        "annotations": {
            "unlabeled": link("images", rng),
            "labeled": {label: areas[0] if n == 0 else rng.choice(areas) for n, label in enumerate(labels)},
            "combined": {"image": link("images", rng), "indexedImage": link("images", rng)},
        },
        "labelMapping": {
            label: {"index": n + 1, "color": f"#{rng.getrandbits(24):06x}", "attributes": None}
            for n, label in enumerate(labels)
        },
    }


def _behind_link(place: str, kind: str) -> Maker:
    def make(_params: Doc, rng: random.Random) -> Doc:
        return {place: {"url": link(kind, rng)}}

    return make


def _playback(_params: Doc, rng: random.Random) -> Doc:
    return {"annotations": {"url": link("playback", rng)}, "events": {"url": link("events", rng)}}


def _segmented_points(_params: Doc, rng: random.Random) -> Doc:
    """Name the file of the points and, beside it, that of the cuboids which the task is tied to."""
    points = link("points", rng)
    return {
        "point_segmentations": {"url": points},
        "annotations": {"url": points.replace("/points/", "/cuboids/")},
    }


def _entities(params: Doc, rng: random.Random) -> Doc:
    text = str(params.get("text") or _sentence(rng, 12))
    annotations: list[Doc] = []
    for n in range(_count(rng)):
        start = rng.randrange(max(1, len(text) - 1))
        end = min(len(text), start + rng.randint(1, 9))
        annotations.append(
            {
                "id": f"e{n}",
                "start": start,
                "end": end,
                "text": text[start:end],
                "label": rng.choice(labels_of(params)),
            }
        )
    if rng.random() < 0.3:
        annotations[0]["attributes"] = {"certainty": "high"}
    links = [{"id": "r0", "source_ref": "e0", "target_ref": annotations[-1]["id"], "name": "owns"}]
    return {"annotations": annotations, "relationships": links if len(annotations) > 1 else []}


def _texts(params: Doc, rng: random.Random) -> Doc:
    """Answer in one of the two shapes seen: `annotations` by field, or a list of `responses`."""
    fields = params.get("fields")
    names = (
        [str(field.get("field_id", "field")) for field in fields if isinstance(field, dict)]
        if isinstance(fields, list)
        else []
    )
    names = names or ["sentiment", "summary"]
    if rng.random() < 0.5:
        answers = {
            name: {"type": "category", "field_id": name, "response": [[_sentence(rng, 1)]]} for name in names
        }
        return {"annotations": answers}
    return {
        "responses": [{name: [_sentence(rng, 2)] if n else _sentence(rng, 4) for n, name in enumerate(names)}]
    }


def _category(params: Doc, rng: random.Random) -> Doc:
    names = list(labels_of(params))
    if params.get("allow_multiple"):
        return {"category": names[:2], "category_id": None}
    return {"category": rng.choice(names), "category_id": None}


def _choice(params: Doc, rng: random.Random) -> Doc:
    choices = params.get("choices")
    return {"choice": rng.choice(choices) if isinstance(choices, list) and choices else "yes"}


def _fields(params: Doc, rng: random.Random) -> Doc:
    asked = params.get("fields")
    names = list(asked) if isinstance(asked, dict) else ["value"]
    response: Doc = {
        "fields": {name: _sentence(rng, 2) for name in names},
        "time_spent_in_seconds": rng.randint(5, 900),
    }
    if "repeatable_fields" in params:
        response["repeatable_fields"] = [None, {"username": _sentence(rng, 1)}]
    return response


def _speech(_params: Doc, rng: random.Random) -> Doc:
    words = rng.choices(WORDS, k=rng.randint(3, 9))
    alignment = [
        {"word": word, "start": n * 0.37, "end": n * 0.37 + 0.3, "confidence": rng.choice((0.3, 0.9, 1))}
        for n, word in enumerate(words)
    ]
    return {"transcript": " ".join(words), "duration": len(words), "alignment": alignment}


def _document(params: Doc, rng: random.Random) -> Doc:
    pieces: list[Doc] = []
    for _ in range(_count(rng)):
        place = {"type": "box", "left": number(rng, 800), "top": number(rng, 1100), "width": 80, "height": 14}
        pieces.append(
            {
                "uuid": new_uuid(rng),
                "page": rng.randint(0, 3),
                "label": rng.choice(labels_of(params)),
                "text": _sentence(rng, 3),
                "location": place,
                "refs": [pieces[-1]["uuid"]] if pieces else [],
            }
        )
    return {"annotations": pieces}


def _talk(_params: Doc, rng: random.Random) -> Doc:
    turns = [{"role": role, "content": _sentence(rng, 6)} for role in ("user", "assistant")]
    return {"messages": turns, "annotations": [{"key": "rating", "value": rng.randint(1, 7)}]}


_MAKERS: dict[str, Maker] = {
    "imageannotation": _image,
    "annotation": _legacy("box"),
    "polygonannotation": _legacy("polygon"),
    "lineannotation": _legacy("line"),
    "laneannotation": _legacy("line"),
    "pointannotation": _legacy("point"),
    "cuboidannotation": _legacy("cuboid"),
    "segmentannotation": _segmentation,
    "videoannotation": _behind_link("annotations", "frames"),
    "videoboxannotation": _behind_link("annotations", "frames"),
    "videocuboidannotation": _behind_link("annotations", "frames"),
    "videoplaybackannotation": _playback,
    "lidarannotation": _behind_link("annotations", "cuboids"),
    "lidarlinking": _behind_link("annotations", "linked"),
    "lidartopdown": _behind_link("annotations", "cuboids"),
    "sensorfusion": _behind_link("annotations", "cuboids"),
    "lidarsegmentation": _segmented_points,
    "namedentityrecognition": _entities,
    "textcollection": _texts,
    "categorization": _category,
    "comparison": _choice,
    "datacollection": _fields,
    "transcription": _fields,
    "audiotranscription": _speech,
    "documenttranscription": _document,
    "documentmodel": _document,
    "chat": _talk,
    "chatlite": _talk,
    "multichat": _talk,
}
