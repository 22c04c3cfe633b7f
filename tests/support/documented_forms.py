"""List one small result of every documented form with the rows that it must come to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scalesync.annotations.flatten import TYPE_READERS
from tests.support.flattening import A_FILE, EVENTS_FILE

Cells = tuple[object, ...]

POINTS_FILE = "https://results.example/p"
ANNOTATIONS, EVENTS = {"url": A_FILE}, {"url": EVENTS_FILE}
BOX = {"left": 4, "top": 6, "width": 20.5, "height": 9}
POLYGON = {"vertices": [{"x": 1, "y": 2.5}, {"x": 9, "y": 1}, {"x": 5, "y": 7}]}
EDGE = {"x1": 11, "y1": 12, "x2": 13, "y2": 14, "type": "edge", "description": "face-left"}
CUBOID = {"vertices": [{"x": 31, "y": 32, "type": "vertex", "description": "face-topleft"}], "edges": [EDGE]}
SOLID = {"position": {"x": 9, "y": -2, "z": 1}, "dimensions": {"x": 2.5, "y": 11, "z": 3}, "yaw": 0.1}
EVENT = {"label": "brake", "type": "range", "start": 2, "startTime": 0.2, "end": 5, "endTime": 0.5}
KEYS = [
    {"key": 0, "timestamp": 0, **BOX, "attributes": {"asleep": "yes"}},
    {"key": 6, "timestamp": 0.2, **BOX},
]
TRACKS = {"u1": {"label": "cat", "geometry": "box", "frames": KEYS}}
FOLLOWED: list[Cells] = [(0, "box", "cat", "u1"), (6, "box", "cat", "u1")]


CHUNK = {"type": "text", "text": "4", "annotations": [{"key": "style", "value": "dry"}]}
EVALUATION = {
    "annotations": [],
    "total_score": 3,
    "criteria_evaluations": [
        {"criterion_definition_id": "c", "score": 2, "annotations": [{"key": "fair", "value": "so-so"}]}
    ],
}
ANSWER = {
    "role": "assistant",
    "source_id": "m",
    "annotations": [{"key": "correct", "value": 1}],
    "content": {"text": "4", "chunks": [CHUNK]},
    "rubric_evaluations": [EVALUATION],
}
CRITERION = {"id": "c", "criterion": "brief", "annotations": [{"key": "weight", "value": 5}]}
TURN = {
    "id": "n0",
    "annotations": [{"id": "a1", "key": "best", "type": "ranked_choices", "value": ["b", "a"]}],
    "messages": [
        {"role": "user", "content": {"text": "2+2?"}, "source_id": "s", "annotations": []},
        ANSWER,
    ],
    "rubrics": [{"criteria_definitions": [CRITERION]}],
}
THREAD = {"id": "t0", "annotations": [{"key": "safe", "value": True}], "turns": [TURN]}


@dataclass(frozen=True)
class Form:
    """A documented result."""

    name: str
    types: str
    """Of tasks that have it, blanks between them."""
    response: Any
    rows: Sequence[Cells]
    """frame, geometry, label and uuid of each."""
    files: dict[str, Any] = field(default_factory=dict)
    links: Sequence[Cells] = field(default_factory=list)
    """kind, source, target, label."""
    kept: frozenset[str] = frozenset()
    """Values that stay in the response, or in the file, alone."""
    read: bool = True


def _shapes(*types: str) -> list[Cells]:
    return [(None, kind, "van", f"u{number}") for number, kind in enumerate(types)]


FORMS = (
    Form(
        "drawings of every geometry",
        "imageannotation",
        {
            "annotations": [
                {"uuid": "u0", "type": "box", "label": "van", **BOX, "attributes": {"hue": ["red", "blue"]}},
                {"uuid": "u1", "type": "box", "label": "van", **BOX, "rotation": 0.5, **POLYGON},
                {"uuid": "u2", "type": "polygon", "label": "van", **POLYGON},
                {"uuid": "u3", "geometry": "line", "label": "van", **POLYGON},
                {"uuid": "u4", "type": "point", "label": "van", "x": 3.5, "y": 8},
                {"uuid": "u5", "type": "ellipse", "label": "van", **POLYGON},
                {
                    "uuid": "u6", "type": "cuboid", "label": "van", **CUBOID,
                    "points_2d": [{"x": 41, "y": 42}], "points_3d": [{"x": 51, "y": 52, "z": 53}],
                },
                {"key": "u7", "type": "line", "label": "van", **POLYGON},
            ],
            "links": [{"from_id": "u0", "to_id": "u1", "label": "tows", "is_bidirectional": False}],
            "global_attributes": {"weather": "rain"}, "is_customer_fix": False, "inlineComments": [],
        },
        _shapes("box", "box", "polygon", "line", "point", "ellipse", "cuboid", "line"),
        links=[("link", "u0", "u1", "tows")],
        kept=frozenset({"rain"}),
    ),
    Form("old boxes", "annotation", {"annotations": [{**BOX, "label": "cow"}]}, [(None, "box", "cow", None)]),
    Form(
        "old lines", "lineannotation laneannotation", {"annotations": [{**POLYGON, "label": "cow"}]},
        [(None, "line", "cow", None)],
    ),
    Form("old polygons", "polygonannotation", {"annotations": [POLYGON]}, [(None, "polygon", None, None)]),
    Form("old points", "pointannotation", {"annotations": [{"x": 1, "y": 2}]}, [(None, "point", None, None)]),
    Form(
        "old cuboids", "cuboidannotation", {"annotations": [{**CUBOID, "label": "cow"}]},
        [(None, "cuboid", "cow", None)],
    ),
    Form(
        "an area for each label, or for each instance of it",
        "segmentannotation",
        {
            "annotations": {
                "combined": {"image": "i", "indexedImage": "x", "extendedIndexedImage": "e"},
                "labeled": {"road": "r", "cart": ["c2", "c3"], "sky": None}, "unlabeled": "n",
            },
            "labelMapping": {
                "road": {"index": 1, "color": "#101010", "numPixels": 900, "attributes": None},
                "cart": [
                    {"index": 2, "color": "#202020", "numPixels": 40, "attributes": {"empty": "no"}},
                    {"index": 3, "color": "#303030", "numPixels": 50},
                ],
            },
            "instances": {},
        },
        [(None, "segmentation", label, None) for label in ("road", "cart", "cart")],
        kept=frozenset("ixen"),
    ),
    Form(
        "labels without their areas",
        "segmentannotation",
        {"annotations": {"combined": {"indexedImage": "x"}}, "labelMapping": {"road": {"index": 1}}},
        [(None, "segmentation", "road", None)],
        kept=frozenset("x"),
    ),
    Form(
        "frames of a video, and events in an object",
        "videoannotation videoboxannotation videocuboidannotation federal2dvideoannotation",
        {"annotations": ANNOTATIONS, "events": EVENTS},
        [(0, "box", "bike", "k1"), (0, "field", "night", None), (2, "cuboid", "bus", "k2"),
         (2, "event", "brake", None)],
        files={
            A_FILE: [
                {"annotations": [{"uuid": "k1", "type": "box", "label": "bike", **BOX}],
                 "global_attributes": {"night": "no"}},
                {"annotations": []},
                [{"uuid": "k2", "type": "cuboid", "label": "bus", **CUBOID}],
            ],
            EVENTS_FILE: {"events": [EVENT]},
        },
    ),
    Form(
        "events beside the address of the annotations",
        "videoannotation",
        {"annotations": {**ANNOTATIONS, "events": EVENTS}},
        [(2, "event", "brake", None)],
        files={A_FILE: [], EVENTS_FILE: [EVENT]},
    ),
    *(
        Form(
            f"tracks of a video, {name}, and events in a list", "videoplaybackannotation",
            {"annotations": ANNOTATIONS, "events": EVENTS}, [*FOLLOWED, (2, "event", "brake", None)],
            files={A_FILE: content, EVENTS_FILE: [EVENT]},
        )
        for name, content in {
            "in a list": [{"annotations": TRACKS}], "bare": TRACKS, "in an object": {"annotations": TRACKS}
        }.items()
    ),
    Form(
        "cuboids of a lidar sequence",
        "lidarannotation",
        {"annotations": ANNOTATIONS},
        [(0, "cuboid", "bus", "C1")],
        files={
            A_FILE: [
                {"cuboids": [
                    {"uuid": "C1", "label": "bus", **SOLID, "pitch": 0.3, "camera_used": 0,
                     "stationary": False, "attributes": {"doors": "open"}, "distance_to_device": 7.5,
                     "numberOfPoints": 55}
                ]},
                {"cuboids": []},
            ]
        },
    ),
    *(
        Form(
            f"labels of points, by the name of {objects}, tied to cuboids", "lidarsegmentation",
            {"point_segmentations": {"url": POINTS_FILE}, "annotations": ANNOTATIONS},
            [(0, "cuboid", "bus", "C1"), (None, "segmentation", "road", None),
             (None, "segmentation", "cart", None)],
            files={
                A_FILE: [{"cuboids": [{"uuid": "C1", "label": "bus", **SOLID}]}],
                POINTS_FILE: {
                    objects: [{"label": "road", "index": 1}, {"label": "cart", "index": 2, "instance": True}],
                    points: [[0, 1, 1, 2], [1, 2]],
                },
            },
            kept=frozenset({"0"}),
        )
        for objects, points in (("objects", "point_objects"), ("labels", "point_labels"))
    ),
    Form(
        "what the cameras of a lidar sequence saw",
        "lidarlinking",
        {"annotations": ANNOTATIONS},
        [(0, "box", "bus", "C1"), (0, "box", "sign", "n7"), (1, "cuboid", "bus", "C1")],
        files={
            A_FILE: [
                {"camera_responses": [
                    {"camera_used": 1, "annotations": [
                        {"cuboid_uuid": "C1", "label": "bus", "type": "box", **BOX,
                         "attributes": {"doors": "open"}}
                    ]},
                    {"camera_used": 2, "annotations": [
                        {"cuboid_uuid": "n7", "label": "sign", "type": "box", **BOX, "not_in_lidar": True}
                    ]},
                ]},
                {"camera_responses": [
                    {"camera_used": 1, "annotations": [
                        {"cuboid_uuid": "C1", "label": "bus", "type": "cuboid", **CUBOID,
                         "points_2d": [{"x": 41, "y": 42}], "points_3d": [{"x": 51, "y": 52, "z": 53}]}
                    ]},
                ]},
            ]
        },
    ),
    Form(
        "entities and their relationships",
        "namedentityrecognition",
        {
            "annotations": [
                {"id": "e1", "start": 0, "end": 3, "text": "Ann", "label": "person",
                 "attributes": {"sure": "yes"}},
                {"id": "e2", "start": 10, "end": 14, "text": "Oslo", "label": "place"},
            ],
            "relationships": [{"id": "r1", "source_ref": "e1", "target_ref": "e2", "name": "lives_in"}],
        },
        [(None, "entity", "person", "e1"), (None, "entity", "place", "e2")],
        links=[("relationship", "e1", "e2", "lives_in")],
    ),
    *(
        Form(f"answers, {name}", "textcollection", response, rows)
        for name, response, rows in (
            ("a list for each field", {"annotations": {"mood": ["happy", "calm"], "why": ["sun"]}},
             [(None, "field", label, None) for label in ("mood", "mood", "why")]),
            ("an object for each field",
             {"annotations": {
                 "mood": {"type": "category", "field_id": "mood", "response": [["happy"]]},
                 "why": {"type": "text", "field_id": "why", "response": ["sun"]},
             }},
             [(None, "field", "mood", None), (None, "field", "why", None)]),
            ("of several people", {"responses": [{"mood": ["2"], "why": "sun"}, {"mood": ["3"]}]},
             [(None, "field", label, None) for label in ("mood", "why", "mood")]),
            ("as numbers", {"annotations": {"mood": [2, 3, 2]}}, [(None, "field", "mood", None)] * 3),
        )
    ),
    Form(
        "an answer whose encoding is not documented",
        "textcollection",
        {"annotations": {"when": {"type": "timerange", "field_id": "when", "response": [{"start": 1}]}}},
        [(None, "field", "when", None)],
        read=False,
    ),
    Form(
        "pieces of a document, with their places",
        "documenttranscription documentmodel",
        {
            "annotations": [
                {"uuid": "d1", "page": 0, "label": "total", "text": "9.50", "refs": ["d2"],
                 "location": {"type": "box", **BOX}, "money": {"amount": "9.50", "parsed": 950}},
                {"uuid": "d2", "page": 1, "label": "key", "text": "Sum",
                 "location": {"type": "polygon", **POLYGON}},
            ]
        },
        [(0, "box", "total", "d1"), (1, "polygon", "key", "d2")],
        links=[("ref", "d1", "d2", None)],
    ),
    Form(
        "fields, and repeated ones with nulls",
        "transcription",
        {"fields": {"title": "T", "none": None}, "repeatable_fields": [None, {"user": "u", "age": None}]},
        [(None, "field", "title", None), (None, "field", "user", None)],
    ),
    Form(
        "speech, word by word, and what went wrong",
        "audiotranscription",
        {"transcript": "hi all", "duration": 1.2, "error": "noise",
         "alignment": [{"word": "hi", "start": 0.1, "end": 0.3, "confidence": 0.9}]},
        [(None, "transcript", None, None), (None, "word", None, None)],
        kept=frozenset({"noise"}),
    ),
    Form("one category", "categorization", {"category": "a"}, [(None, "category", "a", None)]),
    Form(
        "categories with their ids", "categorization", {"category": ["a", "b"], "category_id": ["1", "2"]},
        [(None, "category", "a", None), (None, "category", "b", None)],
    ),
    Form(
        "categories of a taxonomy, whose form is not documented", "categorization",
        {"taxonomies": {"color": "red"}}, [], kept=frozenset({"red"}), read=False,
    ),
    Form(
        "a choice and fields", "comparison", {"choice": "left", "fields": {"why": "sharper"}},
        [(None, "choice", "left", None), (None, "field", "why", None)],
    ),
    Form("fields alone", "comparison", {"fields": {"why": "sharper"}}, [(None, "field", "why", None)]),
    Form(
        "collected data", "datacollection", {"fields": {"name": "N"}, "time_spent_in_seconds": 15},
        [(None, "field", "name", None)], kept=frozenset({"15"}),
    ),
    Form(
        "a call", "phonecall", {"outcome": "success", "choice": "yes", "fields": {"who": "Ann"}},
        [(None, "field", "outcome", None), (None, "choice", "yes", None), (None, "field", "who", None)],
    ),
    Form(
        "answers of an older conversation", "chat",
        {"responses": [{"type": "PromptInput", "output": "Name a river"}]},
        [(None, "field", "PromptInput", None)],
    ),
    Form(
        "annotations of a conversation on every level",
        "chat chatlite chatv2 multichat",
        {"threads": [THREAD]},
        [(None, "field", label, uuid) for label, uuid in (
            ("safe", None), ("best", "a1"), ("correct", None), ("style", None), ("fair", None),
            ("weight", None),
        )],
        kept=frozenset({"user", "2+2?", "s", "assistant", "m", "4", "text", "3", "2", "brief"}),
    ),
    Form("messages of a conversation, whose form is not documented", "chat",
         {"messages": [{"role": "user"}]}, [], kept=frozenset({"user"}), read=False),
    *(
        Form(f"an attachment that was not fetched, among {place}", " ".join(TYPE_READERS) + " holography",
             {"error": "cannot fetch", place: [{"statusCode": 404, "url": "u"}]}, [],
             kept=frozenset({"cannot fetch", "404", "u"}))
        for place in ("attachments", "frames")
    ),
)  # fmt: skip
