"""Make the tasks of the corpus `plain`, and the batches and projects of both, from a count and a seed."""

import random
from dataclasses import dataclass

from scalesync.sandbox.json_codec import Doc, encode
from scalesync.sandbox.templates import new_uuid, number
from scalesync.sandbox.timestamps import format_millis

PROJECTS = ("Street scenes", "Parking lots", "Highway at night", "Level crossings")
PER_BATCH = 500
BOXES = 5
"""Annotations of each task."""

WIDTH, HEIGHT = 1920, 1080
"""The size in pixels of every picture."""

START = 1_672_531_200_000
HOUR = 3_600_000
YEAR = 365 * 24 * HOUR
_LABELS = ("car", "truck", "cyclist", "pedestrian", "traffic light")
PARAMS: Doc = {
    "attachment_type": "image",
    "geometries": {"box": {"objects_to_annotate": list(_LABELS), "min_height": 10, "min_width": 10}},
    "annotation_attributes": {
        "occluded": {"type": "category", "choices": ["0%", "25%", "50%", "75%"]},
        "moving": {"type": "category", "choices": ["yes", "no"]},
    },
}
INSTRUCTION = "Draw a tight box around **every** vehicle, person and light;\nleave out reflections."


@dataclass(frozen=True, slots=True)
class Task:
    """A task as JSON text, with the values by which lists are filtered and sorted."""

    raw: bytes
    task_id: str
    created: int
    updated: int
    project: str | None
    batch: str | None
    status: str
    unique_id: str | None

    @property
    def key(self) -> tuple[int, str]:
        """Sort key of a list, oldest first."""
        return self.created, self.task_id


def make_tasks(count: int, seed: int) -> list[Task]:
    """Return `count` completed tasks with boxes, oldest first, created within one past year."""
    rng = random.Random(seed)
    created = sorted(START + rng.randrange(YEAR) for _ in range(count))
    return sorted((_make(place, at, rng) for place, at in enumerate(created)), key=lambda task: task.key)


def make_uneven_tasks(count: int, seed: int) -> list[Task]:
    """Return tasks of which the first project holds 90 %, created within one month of the year."""
    rng = random.Random(seed)
    busy = START + YEAR // 2
    made = []
    for place in range(count):
        large = place % 10 != 0
        at = busy + rng.randrange(YEAR // 12) if large else START + rng.randrange(YEAR)
        made.append(_make(place, at, rng, PROJECTS[0] if large else rng.choice(PROJECTS[1:])))
    return sorted(made, key=lambda task: task.key)


def _make(place: int, created: int, rng: random.Random, project: str | None = None) -> Task:
    project = project or PROJECTS[place % len(PROJECTS)]
    completed = created + rng.randrange(HOUR, 72 * HOUR)
    updated = completed + rng.randrange(HOUR, 48 * HOUR) if rng.random() < 0.3 else completed
    doc: Doc = {
        "task_id": new_id(created, rng),
        "created_at": format_millis(created),
        "updated_at": format_millis(updated),
        "completed_at": format_millis(completed),
        "type": "imageannotation",
        "status": "completed",
        "instruction": INSTRUCTION,
        "params": {"attachment": f"https://pictures.example/{rng.getrandbits(40):010x}.jpg", **PARAMS},
        "is_test": False,
        "urgency": "standard",
        "metadata": {"row": place, "camera": rng.choice(("front", "left", "rear")), "drive": place // 120},
        "project": project,
        "projectId": project_id(project),
        "project_param_version": 0,
        "batch": batch_name(place),
        "processed_attachments": [],
        "unique_id": f"frame-{place:07d}",
        "tags": rng.sample(("night", "rain", "city", "highway"), 2),
        "response": {"annotations": [_box(rng) for _ in range(BOXES)], "global_attributes": {}},
    }
    if updated > completed:
        doc["customer_review_status"] = "accepted"
    return as_task(doc, encode(doc), created, updated)


def as_task(doc: Doc, raw: bytes, created: int, updated: int) -> Task:
    """Return the task of a document and its JSON text."""
    return Task(
        raw,
        doc["task_id"],
        created,
        updated,
        doc["project"],
        doc["batch"],
        doc["status"],
        doc.get("unique_id"),
    )


def _box(rng: random.Random) -> Doc:
    return {
        "uuid": new_uuid(rng),
        "type": "box",
        "label": rng.choice(_LABELS),
        "attributes": {
            "occluded": rng.choice(("0%", "25%", "50%", "75%")),
            "moving": rng.choice(("yes", "no")),
        },
        "left": number(WIDTH / 2, rng),
        "top": number(HEIGHT / 2, rng),
        "width": number(400, rng),
        "height": number(300, rng),
    }


def batch_name(place: int) -> str:
    """Return the name of the batch with the task at `place` in order of creation; a batch has one project."""
    wave = place // (PER_BATCH * len(PROJECTS))
    return f"{PROJECTS[place % len(PROJECTS)]} {wave + 1:04d}"


def make_batches(count: int, seed: int) -> list[Doc]:
    """Return the completed batches of `count` tasks, newest first."""
    rng = random.Random(f"{seed}:batches")
    waves = -(-count // (PER_BATCH * len(PROJECTS)))
    batches: list[Doc] = []
    for place in range(min(count, waves * len(PROJECTS))):
        wave, project = divmod(place, len(PROJECTS))
        if wave * PER_BATCH * len(PROJECTS) + project >= count:
            break
        begin = START + wave * YEAR // waves
        batches.append(
            {
                "id": new_id(begin, rng),
                "project": PROJECTS[project],
                "name": f"{PROJECTS[project]} {wave + 1:04d}",
                "callback": "",
                "status": "completed",
                "created_at": format_millis(begin + project),
                "completed_at": format_millis(START + YEAR + 200 * HOUR),
                "metadata": {"wave": wave},
            }
        )
    return batches[::-1]


def make_projects() -> list[Doc]:
    """Return the projects, each with one version of its params."""
    at = format_millis(START)
    return [
        {
            "id": project_id(name),
            "type": "imageannotation",
            "name": name,
            "param_history": [{"version": 0, "created_at": at, "instruction": INSTRUCTION, **PARAMS}],
            "created_at": at,
        }
        for name in PROJECTS
    ]


def project_id(name: str) -> str:
    """Return the id of the project of that name."""
    return new_id(START, random.Random(name))


def new_id(instant: int, rng: random.Random) -> str:
    """Return a random id of an object created at an instant, in milliseconds since 1970."""
    return f"{instant // 1000:08x}{rng.getrandbits(64):016x}"
