"""Shapes drawn on images, as annotations carry them."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

from scalesync.sandbox.documents import Doc

WIDTH, HEIGHT = 1920, 1080
"""The size in pixels of every picture in the sandbox."""

CORNERS = (
    "face-topleft",
    "face-bottomleft",
    "face-topright",
    "face-bottomright",
    "side-topcorner",
    "side-bottomcorner",
)
"""What the six vertices of a cuboid are called (recorded)."""


def new_uuid(rng: random.Random) -> str:
    """Return a random version 4 UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def number(rng: random.Random, top: float) -> float:
    """Return a coordinate below `top`: half of them whole, half of them long floats (recorded)."""
    value = rng.random() * top
    return int(value) if value % 1 < 0.5 else value


def vertex(rng: random.Random) -> Doc:
    """Return a point of the picture."""
    return {"x": number(rng, WIDTH), "y": number(rng, HEIGHT)}


def box(rng: random.Random) -> Doc:
    """Return a box; one in eight is rotated and carries its corners too."""
    left, top = number(rng, WIDTH / 2), number(rng, HEIGHT / 2)
    shape: Doc = {"left": left, "top": top, "width": number(rng, 400), "height": number(rng, 300)}
    if rng.random() < 0.125:
        shape["rotation"] = rng.uniform(-3.14, 3.14)
        shape["vertices"] = [vertex(rng) for _ in range(4)]
    return shape


def polygon(rng: random.Random) -> Doc:
    """Return a polygon of three to eight vertices, in drawn order."""
    return {"vertices": [vertex(rng) for _ in range(rng.randint(3, 8))]}


def line(rng: random.Random) -> Doc:
    """Return a line of two to five vertices, in drawn order."""
    return {"vertices": [vertex(rng) for _ in range(rng.randint(2, 5))]}


def ellipse(rng: random.Random) -> Doc:
    """Return an ellipse by its four vertices."""
    return {"vertices": [vertex(rng) for _ in range(4)]}


def cuboid(rng: random.Random) -> Doc:
    """Return a cuboid drawn on a picture: named vertices and edges between them."""
    vertices = [{**vertex(rng), "type": "vertex", "description": corner} for corner in CORNERS]
    edges = [
        {"x1": one["x"], "y1": one["y"], "x2": two["x"], "y2": two["y"], "type": "edge"}
        for one, two in pairwise(vertices)
    ]
    return {"vertices": vertices, "edges": edges}


SHAPES: dict[str, Callable[[random.Random], Doc]] = {
    "box": box,
    "polygon": polygon,
    "line": line,
    "point": vertex,
    "ellipse": ellipse,
    "cuboid": cuboid,
}
"""Every geometry by the name that annotations and params give it."""


def attributes(rng: random.Random, other: str) -> Doc:
    """Return values of every kind seen: text, list, number, the uuid of another annotation."""
    values: Doc = {"occluded": rng.choice(("0%", "25%", "50%"))}
    if rng.random() < 0.3:
        values["colors"] = rng.sample(("red", "blue", "grün", "黒"), 2)
        values["confidence"] = rng.random()
    if other and rng.random() < 0.2:
        values["attached_to"] = other
    return values


def drawn(rng: random.Random, kind: str, labels: Sequence[str], other: str = "") -> Doc:
    """Return an annotation of `imageannotation`: `{uuid, type, label, attributes, geometry}` (recorded)."""
    return {
        "uuid": new_uuid(rng),
        "type": kind,
        "label": rng.choice(labels),
        "attributes": attributes(rng, other),
        **SHAPES[kind](rng),
    }
