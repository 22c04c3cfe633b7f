"""What the tests with the official client order."""

from typing import Any

import scaleapi
from scaleapi.tasks import TaskType

IMAGE: dict[str, Any] = {
    "instruction": "Draw a box around each kitten.",
    "attachment": "https://pictures.example/kitten.jpg",
    "geometries": {"box": {"objects_to_annotate": ["kitten"]}},
}

NAME = "a b/c & 100% für 東京"
"""A name with everything that a path has to escape."""


def make_project(client: scaleapi.ScaleClient, name: str = NAME, **options: Any) -> Any:
    """Create a project for image annotation."""
    return client.create_project(name, TaskType.ImageAnnotation, params={"instruction": "Look."}, **options)
