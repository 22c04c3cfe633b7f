"""Make the tasks of the corpus `mixed`: all types and statuses of an account, some in unanticipated forms."""

import json
import random

from scalesync.sandbox.json_codec import Doc, encode
from scalesync.sandbox.timestamps import format_millis, parse_millis
from tests.benchmark.documents import (
    HOUR,
    PROJECTS,
    START,
    YEAR,
    Task,
    as_task,
    batch_name,
    new_id,
    project_id,
)
from tests.benchmark.mixed_responses import SHAPES, Shape, large_response
from tests.benchmark.unanticipated import Unanticipated

UNANTICIPATED = 0.3
"""Share of the responses whose form nobody anticipated."""
LARGE_EVERY = 20_000
"""Number of tasks of which one has a large response."""
STATUSES = {"completed": 0.86, "pending": 0.09, "canceled": 0.03, "error": 0.02}
"""Share of each; pending and canceled tasks have no response."""

_PARAMS: dict[str, Doc] = {
    "imageannotation": {
        "attachment_type": "image",
        "geometries": {
            "box": {"objects_to_annotate": ["car", "truck", "Fußgänger"], "min_height": 10, "min_width": 10},
            "polygon": {"objects_to_annotate": ["Straßenschild"]},
        },
        "annotation_attributes": {"occluded": {"type": "category", "choices": ["0%", "25%", "50%"]}},
    },
    "namedentityrecognition": {"labels": [{"name": "person"}, {"name": "Ort", "description": "a place"}]},
    "textcollection": {"fields": [{"field_id": "sentiment", "type": "category"}, {"field_id": "summary"}]},
    "datacollection": {"fields": {"sentiment": "How it sounds"}, "repeatable_fields": {"username": "Who"}},
    "audiotranscription": {"attachment_type": "audio", "verbatim": False},
    "documenttranscription": {
        "features": [{"type": "block", "label": "total"}],
        "labels": ["total", "Datum"],
    },
    "categorization": {"categories": ["public", "private", "unklar", "advert"], "allow_multiple": True},
    "videoannotation": {"attachment_type": "video", "frame_rate": 2},
    "lidarannotation": {"labels": ["car", "cyclist"], "meters_per_unit": 1.0, "max_distance_meters": 30},
}
_INSTRUCTION = 'Bitte alles markieren, auch was „verdeckt“ ist;\nsee C:\\guides\\v2 for what is "hidden".'


def make_mixed_tasks(count: int, seed: int) -> list[Task]:
    """Return `count` tasks of all shapes, oldest first, created within one past year."""
    rng, unanticipated = random.Random(f"{seed}:mixed"), Unanticipated(seed)
    created = sorted(START + rng.randrange(YEAR) for _ in range(count))
    shapes = rng.choices(SHAPES, [shape.percent for shape in SHAPES], k=count)
    statuses = rng.choices(list(STATUSES), list(STATUSES.values()), k=count)
    large = range(LARGE_EVERY // 2, count, LARGE_EVERY)
    for place in large:
        shapes[place], statuses[place] = SHAPES[0], "completed"
    tasks: list[Task] = []
    for place, (at, shape, status) in enumerate(zip(created, shapes, statuses, strict=True)):
        doc = _envelope(place, at, shape, status, rng)
        if status == "error":
            doc["response"] = _failure(rng)
        elif status == "completed":
            doc["response"] = large_response(rng) if place in large else shape.respond(rng)
        if "response" in doc and rng.random() < UNANTICIPATED:
            unanticipated.change(doc["response"])
        tasks.append(_encoded(doc, at, rng))
    return sorted(tasks, key=lambda task: task.key)


def _envelope(place: int, created: int, shape: Shape, status: str, rng: random.Random) -> Doc:
    """Return a task without its response."""
    project = PROJECTS[place % len(PROJECTS)]
    doc: Doc = {
        "task_id": new_id(created, rng),
        "created_at": format_millis(created),
        "updated_at": format_millis(created),
        "type": shape.task_type,
        "status": status,
        "instruction": _INSTRUCTION,
        "params": {
            "attachment": f"https://pictures.example/{rng.getrandbits(40):010x}",
            **_PARAMS[shape.task_type],
        },
        "is_test": False,
        "urgency": "standard",
        "metadata": {"row": place, "source": rng.choice(("kamera-1", "ünïcode", 'scan "2"'))},
        "project": project,
        "projectId": project_id(project),
        "batch": batch_name(place),
        "processed_attachments": [],
    }
    if rng.random() < 0.6:
        doc["unique_id"] = f"object-{place:07d}"
    if rng.random() < 0.4:
        doc["tags"] = rng.sample(("night", "Regen", "city", "highway"), 2)
    if status in {"completed", "canceled"}:
        doc["completed_at"] = doc["updated_at"] = format_millis(created + rng.randrange(HOUR, 72 * HOUR))
    return doc


def _failure(rng: random.Random) -> Doc:
    url = f"https://pictures.example/{rng.getrandbits(40):010x}"
    return {"error": "An attachment could not be fetched.", "attachments": [{"statusCode": 404, "url": url}]}


def _encoded(doc: Doc, created: int, rng: random.Random) -> Task:
    """Return the task; half of them have letters beyond ASCII escaped, as some servers write them."""
    escaped = rng.random() < 0.5
    raw = json.dumps(doc, separators=(",", ":")).encode() if escaped else encode(doc)
    return as_task(doc, raw, created, parse_millis(doc["updated_at"]))
