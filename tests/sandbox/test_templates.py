"""The templates from which the sandbox draws its documents."""

import random
from typing import Any

import pytest

from scalesync.sandbox.seed import PLANS
from scalesync.sandbox.templates import TEMPLATES, fill
from scalesync.sandbox.validation import RAPID_TYPES, TASK_TYPES

NAMES: dict[str, Any] = {
    "shape": "box",
    "shapes": ["polygon", "cuboid"],
    "labels": ["car", "sky"],
    "several_labels": None,
    "choices": ["yes"],
    "fields": ["title"],
    "questions": ["a", "b"],
    "repeatable_fields": True,
    "tracks": [{"uuid": "u1", "label": "car"}],
    "type": "chat",
    "number": 7,
    "task_id": "t",
    "created_at": "2019",
    "completed_at": "2019",
}


@pytest.mark.parametrize(
    "path",
    [
        f"{section}/{name}"
        for section in ("task", "params", "parts", "shapes", "responses", "files")
        for name in TEMPLATES[section]
    ],
)
def test_every_template_can_be_filled_and_is_the_same_for_a_seed(path: str) -> None:
    """Nothing of the template language is left over, whatever is drawn, and equal seeds fill equally."""
    for seed in range(30):
        filled = fill(path, random.Random(seed), dict(NAMES))
        assert filled == fill(path, random.Random(seed), dict(NAMES))
        assert not [
            text for text in texts(filled) if text[:1] in {"$", "@", "?"} or "{" in text or "..." in text
        ]


def texts(value: Any) -> list[str]:
    """Return every key and every text inside a value."""
    if isinstance(value, dict):
        return [*value, *(text for part in value.values() for text in texts(part))]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []


def test_points_lie_in_the_picture() -> None:
    """Coordinates are between 0 and the 1920 by 1080 pixels of every picture, about half of them whole."""
    points = [fill("shapes/point", random.Random(seed)) for seed in range(400)]
    assert all(0 <= point["x"] < 1920 and 0 <= point["y"] < 1080 for point in points)
    assert 150 < sum(isinstance(point["x"], int) for point in points) < 250


def test_every_type_that_is_seeded_or_answered_is_a_task_type() -> None:
    """Projects, params, responses and defaults are for types that a client can create too."""
    types = TEMPLATES["types"]
    seeded = {task_type for plan in PLANS for task_type in plan.types}
    assert seeded | RAPID_TYPES | set(TEMPLATES["responses"]) | set(types["defaults"]) <= TASK_TYPES
    assert seeded <= set(TEMPLATES["params"])
    assert sum(plan.share for plan in PLANS) == 100


def test_an_unknown_template_is_an_error() -> None:
    """A template that does not exist is a KeyError that names it."""
    with pytest.raises(KeyError, match="dodecahedron"):
        fill("shapes/dodecahedron", random.Random(1))
