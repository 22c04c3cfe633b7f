"""The contents of made-up tasks: what they ask for, and what became of them."""

import random
from typing import Any

from scalesync.sandbox.documents import Doc
from scalesync.sandbox.task_responses import respond
from scalesync.sandbox.timestamps import format_millis

PICTURES = "https://pictures.sandbox.example"

_MARCH_2019 = 1_552_193_712_058

_TEXTS = (
    "Anna flew from Łódź to 東京 with O'Brien & Söhne GmbH.",
    'He said "no" — then paid 30,50 € at the Café Zürich 😀.',
    "Line one\nline two\tafter a tab; a backslash \\ and a slash /.",
)


def instruction_of(task_type: str, rng: random.Random) -> str:
    """Return an instruction, some with Markdown and letters of other scripts."""
    return rng.choice(
        (
            f"Please work on this {task_type} task.",
            "Draw a tight shape around **every** car;\nleave out reflections.",
            "Bitte jedes Verkehrsschild markieren — auch verdeckte. 東京",
        )
    )


def params_of(task_type: str, rng: random.Random) -> Doc:
    """Return params such as customers send for the type."""
    params = dict(_BY_TYPE.get(task_type, {}))
    if task_type == "namedentityrecognition":
        params["text"] = rng.choice(_TEXTS)
    elif task_type.startswith("lidar") or task_type in {"comparison", "sensorfusion"}:
        params |= {"attachment_type": "json", "attachments": [_link(rng), _link(rng)]}
    elif task_type not in {"textcollection", "chat", "multistage"}:
        params |= {"attachment_type": "image", "attachment": _link(rng)}
    return params


def _link(rng: random.Random) -> str:
    return f"{PICTURES}/{rng.getrandbits(40):010x}.jpg"


_OBJECTS: Doc = {"objects_to_annotate": ["car", "traffic light"], "with_labels": True}

_BY_TYPE: dict[str, dict[str, Any]] = {
    "imageannotation": {
        "geometries": {
            "box": {"objects_to_annotate": ["car", "Fahrrad"], "min_height": 10, "min_width": 10},
            "polygon": {"objects_to_annotate": ["road"]},
            "point": {"objects_to_annotate": ["headlight"]},
            "line": {"objects_to_annotate": ["lane"]},
            "ellipse": {"objects_to_annotate": ["wheel"]},
            "cuboid": {"objects_to_annotate": ["truck"]},
        },
        "annotation_attributes": {"occluded": {"type": "category", "choices": ["0%", "25%", "50%"]}},
    },
    "annotation": {**_OBJECTS, "min_width": 0, "min_height": 0},
    "polygonannotation": _OBJECTS,
    "lineannotation": {**_OBJECTS, "splines": False},
    "pointannotation": _OBJECTS,
    "cuboidannotation": {**_OBJECTS, "min_annotations": 0, "max_annotations": 0},
    "segmentannotation": {"labels": ["road", "sky", "lane marking"], "allow_unlabeled": False},
    "namedentityrecognition": {"labels": [{"name": "person"}, {"name": "Ort", "description": "a place"}]},
    "textcollection": {
        "fields": [{"field_id": "sentiment", "type": "category"}, {"field_id": "summary", "type": "text"}]
    },
    "categorization": {"categories": ["public", "private", "unklar"], "allow_multiple": False},
    "comparison": {"choices": ["yes", "no"]},
    "datacollection": {"fields": {"hiring_page": "Hiring page URL"}},
    "transcription": {"fields": {"title": "Title"}, "repeatable_fields": {"username": "Submitter"}},
    "audiotranscription": {"verbatim": False, "skip_human_transcription": False},
    "documenttranscription": {
        "features": [{"type": "block", "label": "total"}],
        "labels": ["total", "Datum"],
    },
    "lidarannotation": {"labels": ["car", "cyclist"], "meters_per_unit": 1.0, "max_distance_meters": 30},
    "videoannotation": {"frame_rate": 2, "geometries": {"box": {"objects_to_annotate": ["car"]}}},
}


def old_task(number: int, rng: random.Random) -> Doc:
    """Return a task as of 2019: no updated_at, project, batch or uuid (recorded)."""
    created = _MARCH_2019 + number * 61_000
    task_type = rng.choice(("annotation", "segmentannotation", "categorization", "pointannotation"))
    doc: Doc = {
        "task_id": f"{created // 1000:08x}{rng.getrandbits(64):016x}",
        "created_at": format_millis(created),
        "completed_at": format_millis(created + 53),
        "callback_url": "https://customer.example/callback",
        "type": task_type,
        "status": "completed",
        "instruction": instruction_of(task_type, rng),
        "params": params_of(task_type, rng),
        "is_test": False,
        "urgency": "day",
        "metadata": {},
        "processed_attachments": [],
    }
    response = respond(task_type, doc["params"], rng)
    return doc if response is None else {**doc, "response": response}


def finish(doc: Doc, rng: random.Random, *, created: int, end: int) -> None:
    """Give a task what its status brings with it: response, review, error, and the times up to `end`."""
    _FINISHERS[doc["status"]](doc, rng, created, end)


def _pending(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    if rng.random() < 0.15:
        doc["work_started"] = True
    if rng.random() < 0.05:
        doc["completed_at"] = None
    if rng.random() < 0.06:
        doc["prior_responses"] = [respond(doc["type"], doc["params"], rng)]
        doc["updated_at"] = _between(rng, created, end)


def _canceled(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    doc["updated_at"] = _between(rng, created, end)


def _error(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    doc["updated_at"] = doc["completed_at"] = _between(rng, created, end)
    doc["response"] = {"error": "One or more attachments could not be downloaded.", "error_code": 404}


def _completed(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    completed = created + int(rng.random() ** 3 * (end - created))
    doc["updated_at"] = doc["completed_at"] = format_millis(completed)
    if rng.random() < 0.005:
        doc["completed_at"] = doc["completed_at"][:19] + "Z"
    response = respond(doc["type"], doc["params"], rng)
    if response is not None and rng.random() > 0.01:
        doc["response"] = response
    if rng.random() < 0.3:
        _review(doc, rng, completed, end)


def _review(doc: Doc, rng: random.Random, completed: int, end: int) -> None:
    verdict = rng.choice(("accepted", "accepted", "fixed", "commented", "rejected", "pending"))
    doc["customer_review_status"] = verdict
    doc["customer_review_comments"] = None if verdict == "accepted" else "Bitte enger zeichnen — 请修改"
    if verdict == "pending":
        return
    doc["updated_at"] = _between(rng, completed, end)
    doc["audits"] = [{"audited_at": doc["updated_at"], "audit_result": verdict, "audit_source": "customer"}]
    if verdict == "fixed":
        doc["prior_responses"] = [doc.get("response")]


def _between(rng: random.Random, first: int, last: int) -> str:
    return format_millis(first + int(rng.random() * (last - first)))


_FINISHERS = {"pending": _pending, "canceled": _canceled, "error": _error, "completed": _completed}


def decorate(doc: Doc, number: int, rng: random.Random) -> None:
    """Give some tasks the fields that only some tasks have, documented and not (camelCase, recorded)."""
    for chance, fields in _EXTRAS:
        if rng.random() < chance:
            doc |= fields
    if rng.random() < 0.5:
        doc["unique_id"] = f"img-{number}"
    if rng.random() < 0.2:
        doc["tags"] = rng.sample(_TAGS, rng.randint(1, 3))


_TAGS = ("night", "priority customer", "Regen", "再", "")

_EXTRAS: tuple[tuple[float, Doc], ...] = (
    (0.4, {"callback_url": "https://customer.example/callback", "callback_succeeded": True}),
    (0.1, {"priority": 10}),
    (0.01, {"priority": 30.5}),
    (0.1, {"customerId": "5774cc78b01249ab09f089dd", "taxonomyVersion": None}),
    (
        0.05,
        {"isProcessed": True, "appsheetProjectId": None, "attempts": [{"attempt": 1, "durationSecs": 12.25}]},
    ),
    (0.05, {"reviewLevelCounts": {"0": 1, "-1": 0}, "hasLateEdits": False}),
    (0.03, {"document_pages": [], "postProcessingResults": {"lidarFixes": [], "score": 1e-7}}),
)
