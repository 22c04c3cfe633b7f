"""Make the responses of the corpus `mixed`: a function for each shape, and the share of each."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.templates import new_uuid, number

LARGE = 3_000
"""Annotations of a large response."""

_LABELS = ("car", "truck", "Fußgänger", "traffic light", "lane", "Straßenschild")
_NOTES = (
    'says "Zur alten Mühle" in white',
    "see C:\\scans\\größe\\17.png",
    "erste Zeile\nzweite Zeile\tnach einem Tab",
    'half hidden, "maybe" a van \\ a bus',
    "Łódź, 東京, 😀",
    "a control character: \x1f",
)
_WORDS = ("Rechnung", "total", "Zürich", "the", "driver", "O'Brien", "naïve", "invoice", "42", "Straße")
_FIELDS = ("sentiment", "summary", "language", "quality")


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of responses."""

    name: str
    task_type: str
    percent: int
    """Of all responses."""
    respond: Callable[[random.Random], Doc]


def _drawing(kind: str, rng: random.Random, **fields: object) -> Doc:
    return {"uuid": new_uuid(rng), "type": kind, "label": rng.choice(_LABELS), **fields}


def _point(rng: random.Random) -> Doc:
    return {"x": number(1920, rng), "y": number(1080, rng)}


def _points(low: int, high: int, rng: random.Random) -> list[Doc]:
    return [_point(rng) for _ in range(rng.randint(low, high))]


def _words(low: int, high: int, rng: random.Random) -> list[str]:
    return rng.choices(_WORDS, k=rng.randint(low, high))


def _rectangle(rng: random.Random) -> Doc:
    sides = {"left": 960, "top": 540, "width": 400, "height": 300}
    return {name: number(top, rng) for name, top in sides.items()}


def _noted_box(rng: random.Random) -> Doc:
    box = _drawing("box", rng, **_rectangle(rng), confidence=rng.random())
    box["attributes"] = {"occluded": rng.choice(("0%", "25%", "50%")), "moving": rng.choice(("yes", "no"))}
    if rng.random() < 0.4:
        box["annotator_note"] = rng.choice(_NOTES)
    return box


def _noted_boxes(rng: random.Random) -> Doc:
    boxes = [_noted_box(rng) for _ in range(rng.randint(3, 9))]
    return {"annotations": boxes, "global_attributes": {"weather": rng.choice(("sun", "Regen"))}}


def large_response(rng: random.Random) -> Doc:
    """Return a response with LARGE boxes."""
    return {"annotations": [_noted_box(rng) for _ in range(LARGE)], "global_attributes": {}}


def _polygon(rng: random.Random) -> Doc:
    metadata = {"tool": rng.choice(("pen", "magic wand")), "edits": rng.randint(0, 9)}
    return _drawing("polygon", rng, vertices=_points(4, 12, rng), metadata=metadata)


def _polygons(rng: random.Random) -> Doc:
    return {"annotations": [_polygon(rng) for _ in range(rng.randint(2, 7))], "global_attributes": {}}


def _lines(rng: random.Random) -> Doc:
    lines = [_drawing("line", rng, vertices=_points(2, 6, rng)) for _ in range(rng.randint(2, 7))]
    return {"annotations": lines}


def _cuboid(rng: random.Random) -> Doc:
    corners = ("face-topleft", "face-topright", "face-bottomright", "face-bottomleft", "side-topcorner")
    vertices = [{**_point(rng), "type": "vertex", "description": corner} for corner in corners]
    edges = [
        {"x1": one["x"], "y1": one["y"], "x2": two["x"], "y2": two["y"], "type": "edge"}
        for one, two in pairwise(vertices)
    ]
    return _drawing("cuboid", rng, vertices=vertices, edges=edges)


def _cuboids(rng: random.Random) -> Doc:
    return {"annotations": [_cuboid(rng) for _ in range(rng.randint(1, 4))]}


def _dots(rng: random.Random) -> Doc:
    return {"annotations": [_drawing("point", rng, **_point(rng)) for _ in range(rng.randint(3, 10))]}


def _entities(rng: random.Random) -> Doc:
    found: list[Doc] = []
    at = 0
    for place in range(rng.randint(3, 9)):
        text = " ".join(_words(1, 3, rng))
        label = rng.choice(("person", "Ort", "amount"))
        found.append({"id": f"e{place}", "start": at, "end": at + len(text), "text": text, "label": label})
        at += len(text) + rng.randint(1, 40)
    tie = {"id": "r0", "source_ref": "e0", "target_ref": found[-1]["id"], "name": "owns"}
    return {"annotations": found, "relationships": [tie]}


def _text_collection(rng: random.Random) -> Doc:
    answers = {
        name: {"type": "text", "field_id": name, "response": [" ".join(_words(1, 8, rng))]}
        for name in _FIELDS[: rng.randint(2, 4)]
    }
    return {"annotations": answers}


def _data_collection(rng: random.Random) -> Doc:
    fields = {name: " ".join(_words(1, 4, rng)) for name in _FIELDS[: rng.randint(2, 4)]}
    repeated = [None, {"username": rng.choice(_WORDS)}]
    return {"fields": fields, "repeatable_fields": repeated, "time_spent_in_seconds": rng.randint(5, 900)}


def _audio_transcription(rng: random.Random) -> Doc:
    spoken = _words(6, 16, rng)
    alignment = [
        {"word": word, "start": place * 0.37, "end": place * 0.37 + 0.3, "confidence": rng.random()}
        for place, word in enumerate(spoken)
    ]
    return {"transcript": " ".join(spoken), "duration": len(spoken) * 0.37, "alignment": alignment}


def _document_transcription(rng: random.Random) -> Doc:
    pieces: list[Doc] = []
    for _ in range(rng.randint(3, 9)):
        piece: Doc = {
            "uuid": new_uuid(rng),
            "page": rng.randint(0, 3),
            "label": rng.choice(("total", "Datum")),
        }
        piece |= {"text": " ".join(_words(1, 4, rng)), "location": {"type": "box", **_rectangle(rng)}}
        piece["refs"] = [pieces[-1]["uuid"]] if pieces and rng.random() < 0.3 else []
        pieces.append(piece)
    return {"annotations": pieces}


def _categorization(rng: random.Random) -> Doc:
    chosen = rng.sample(("public", "private", "unklar", "advert"), 2)
    taxonomies = {"color": rng.choice(("red", "grün")), "material": rng.sample(("steel", "wood", "glass"), 2)}
    return {"category": chosen, "category_id": [name[:3] for name in chosen], "taxonomies": taxonomies}


def _file(folder: str) -> Callable[[random.Random], Doc]:
    """Return a function that makes a response with a signed URL; a sync fetches none of these."""

    def respond(rng: random.Random) -> Doc:
        signature = f"X-Amz-Expires=43200&X-Amz-Signature={rng.getrandbits(256):064x}"
        return {"annotations": {"url": f"https://results.example/{folder}/{new_uuid(rng)}.json?{signature}"}}

    return respond


SHAPES: Sequence[Shape] = (
    Shape("boxes with unknown fields", "imageannotation", 28, _noted_boxes),
    Shape("polygons with metadata", "imageannotation", 14, _polygons),
    Shape("lines", "imageannotation", 6, _lines),
    Shape("cuboids with edges", "imageannotation", 5, _cuboids),
    Shape("points", "imageannotation", 4, _dots),
    Shape("entities", "namedentityrecognition", 8, _entities),
    Shape("text collection", "textcollection", 6, _text_collection),
    Shape("data collection", "datacollection", 4, _data_collection),
    Shape("audio transcription", "audiotranscription", 4, _audio_transcription),
    Shape("document transcription", "documenttranscription", 7, _document_transcription),
    Shape("categorization with taxonomies", "categorization", 5, _categorization),
    Shape("frames of a video in a file", "videoannotation", 5, _file("frames")),
    Shape("cuboids of a lidar sequence in a file", "lidarannotation", 4, _file("cuboids")),
)
