"""Made-up tasks for each rule of findings: ten that it finds wrong, and ten that it does not."""

from typing import Any

from tests.support.view_oracle import Doc

Cases = dict[str, tuple[list[Doc], list[Doc]]]
ROBOT = "\U0001f916"
TAXONOMY: Doc = {
    "geometries": {
        "box": {
            "objects_to_annotate": ["car", {"choice": "Zweirad", "subchoices": ["Fahrrad", 'Mofa "50"']}]
        },
        "polygon": {"objects_to_annotate": ["road"]},
        "line": {},
    },
    "annotation_attributes": {
        "parked": {"type": "category", "choices": ["yes", "no"]},
        "colors": {
            "type": "category",
            "allow_multiple": True,
            "choices": ["red", {"choice": "gray", "subchoices": ["dark"]}],
        },
        "count": {"type": "number"},
    },
}


def image(*shapes: Any, **fields: Any) -> Doc:
    """Return a completed image task."""
    return {
        "type": "imageannotation",
        "status": "completed",
        "response": {"annotations": list(shapes)},
    } | fields


def box(left: float = 10, top: float = 10, width: float = 40, height: float = 30, **more: Any) -> Doc:
    """Return a box."""
    return {"type": "box", "left": left, "top": top, "width": width, "height": height, **more}


def shape(*corners: Any, kind: str = "polygon", **more: Any) -> Doc:
    """Return a shape with vertices, given as pairs or as anything else."""
    vertices = [dict(zip("xy", each, strict=True)) if isinstance(each, tuple) else each for each in corners]
    return {"type": kind, "vertices": vertices, **more}


SQUARE = ((0, 0), (20, 0), (20, 20), (0, 20))


def sized(*shapes: Doc, width: Any = 100, height: Any = 80) -> Doc:
    """Return an image task whose picture has a size."""
    return image(*shapes, params={"width": width, "height": height})


def asked(*shapes: Doc, **params: Any) -> Doc:
    """Return an image task with a taxonomy."""
    return image(*shapes, params=params or TAXONOMY)


def entity(whole: Any, start: Any, end: Any, text: Any, **more: Any) -> Doc:
    """Return a task with one piece of its text."""
    found = {"id": "e", "start": start, "end": end, "text": text, "label": "name"}
    return {
        "type": "namedentityrecognition",
        "status": "completed",
        "params": {"text": whole},
        "response": {"annotations": [found]},
    } | more


FACE = {
    "face-topleft": (10, 10),
    "face-topright": (30, 10),
    "face-bottomright": (30, 25),
    "face-bottomleft": (10, 25),
    "side-topcorner": (40, 12),
    "side-bottomcorner": (40, 22),
}


def cuboid(**moved: Any) -> Doc:
    """Return a cuboid on an image, with some corners elsewhere; None: without that one."""
    places = FACE | {name.replace("_", "-"): place for name, place in moved.items()}
    vertices = [
        {"x": place[0], "y": place[1], "type": "vertex", "description": name}
        for name, place in places.items()
        if place
    ]
    return {"type": "cuboid", "vertices": vertices}


def turned(*degrees_of_180: int) -> Doc:
    """Return a cuboid that stands on its head, as a camera may see it."""
    assert not degrees_of_180
    return cuboid(**{name.replace("-", "_"): (100 - x, 100 - y) for name, (x, y) in FACE.items()})


CASES: Cases = {
    "sliver": (
        [
            image(box(width=400, height=20)),
            image(box(width=10, height=200)),
            image(box(width=1000.5, height=1)),
            image(box(width=2.5, height=50)),
            image(box(width=100, height=5, rotation=0.5)),
            image(box(width=1e6, height=3)),
            image(shape((0, 0), (100, 0), (100, 4), (0, 4))),
            image(shape((0, 0), (70, 70), (68, 72), (-2, 2))),
            image(shape((0, 0), (200, 0), (200, 5))),
            {
                "type": "annotation",
                "status": "pending",
                "response": {"annotations": [box(width=40, height=2)]},
            },
        ],
        [
            image(box(width=399, height=20)),
            image(box(width=20, height=20)),
            image(box(width=0, height=50)),
            image(box(width=-400, height=20)),
            image(shape(*SQUARE)),
            image(shape((0, 0), (100, 0), (100, 8), (0, 8))),
            image(shape((0, 0), (100, 100), kind="line")),
            image({"type": "box", "left": 1, "top": 1, "width": "400", "height": 2}),
            image(shape((0, 0), (200, "0"), (200, 2))),
            {
                "type": "documenttranscription",
                "response": {
                    "annotations": [{"page": 0, "text": "a line", "location": box(width=600, height=12)}]
                },
            },
        ],
    ),
    "tiny": (
        [
            image(box(width=1, height=30)),
            image(box(width=30, height=1.9)),
            image(box(width=3, height=5)),
            image(box(width=0, height=0)),
            image(box(width=-5, height=-8)),
            image(box(width=1e-9, height=1e-9)),
            image(box(width=3.9, height=4)),
            image(shape((0, 0), (1, 0), (1, 9), (0, 9))),
            image(shape((0, 0), (5, 0), (5, 5))),
            {"type": "annotation", "response": {"annotations": [box(width=2, height=1)]}},
        ],
        [
            image(box(width=4, height=4)),
            image(box(width=2, height=8)),
            image(box(width=1e300, height=1e300)),
            image(shape(*SQUARE)),
            image(shape((0, 0), (8, 0), (8, 4))),
            image({"type": "point", "x": 1, "y": 1}),
            image(shape((0, 0), (1, 1), kind="line")),
            image({"type": "box", "left": 1, "top": 1, "width": None, "height": 1}),
            image(shape((0, 0), (1, 0))),
            image(shape((0, 0), (1, 0), (1, None))),
        ],
    ),
    "outside_picture": (
        [
            sized(box(left=-1.5)),
            sized(box(left=70, width=31.5)),
            sized(box(top=60, height=22)),
            sized(box(left=1e200)),
            sized({"type": "point", "x": 102, "y": 3}),
            sized(shape((0, 0), (50, 0), (50, 90))),
            sized(shape((-9, 0), (50, 0), kind="line")),
            sized(shape((0, 0), (50, 0), (150, 9), (3, 3), kind="ellipse")),
            image(box(left=700), metadata={"width": 640, "height": 480.5}),
            {
                "type": "documenttranscription",
                "document_pages": [{"width": 900, "height": 900}, {"width": 100, "height": 100}],
                "response": {"annotations": [{"page": 1, "text": "x", "location": box(left=200)}]},
            },
        ],
        [
            sized(box(left=-1, top=-1, width=102, height=82)),
            sized(box()),
            image(box(left=-500)),
            sized(box(left=-500), width="100"),
            sized(box(left=-500), width=0),
            sized(box(left=-500), width=None),
            sized(cuboid(side_topcorner=(900, 12))),
            sized(shape((0, 0), (100, 0), (100, 80), (0, 80))),
            sized(box(left=95, width=20, height=3, rotation=1)),
            {
                "type": "documenttranscription",
                "document_pages": [{"width": 900, "height": 900}, {"width": 100, "height": 100}],
                "response": {
                    "annotations": [
                        {"page": 0, "text": "x", "location": box(left=200)},
                        {"page": 7, "text": "x", "location": box(left=2000)},
                        {"page": -1, "text": "x", "location": box(left=2000)},
                    ]
                },
            },
        ],
    ),
    "overlap": (
        [
            image(box(label="car"), box(label="car")),
            image(box(label="car"), box(label="bus"), box(label="car", left=11)),
            image(box(), box(left=10.5)),
            image(
                box(left=0.1, top=0.2, width=0.3, height=0.7), box(left=0.1, top=0.2, width=0.3, height=0.7)
            ),
            image(box(rotation=0.5), box(rotation=0.5)),
            image(*(box(label="line", top=20 * at) for at in range(20)), box(label="line", top=201)),
            image(box(width=100, height=100), box(left=500), box(width=97, height=96)),
            image(box(rotation=0), box()),
            {
                "type": "videoannotation",
                "response": {"annotations": [{"annotations": [box(label="a"), box(label="a", left=11)]}]},
            },
            image(*(box(label="stack", left=10 + at / 10) for at in range(5))),
        ],
        [
            image(box(label="car"), box(label="bus")),
            image(box(label="car"), box(label="car", left=30)),
            image(box(), box(left=13)),
            image(box(width=100, height=100), box(width=89, height=100)),
            image(box(rotation=0.5), box()),
            image(box(width=0), box(width=0)),
            image(box(width=-4), box(width=-4)),
            image(shape(*SQUARE, label="a"), box(left=0, top=0, width=20, height=20, label="a")),
            {
                "type": "videoannotation",
                "response": {
                    "annotations": [{"annotations": [box(label="a")]}, {"annotations": [box(label="a")]}]
                },
            },
            image(box(), {"type": "box", "left": None, "top": 10, "width": 40, "height": 30}),
        ],
    ),
    "unknown_label": (
        [
            asked(box(label="bus")),
            asked(box(label="road")),
            asked(shape(*SQUARE, label="car")),
            asked(box(label="Car")),
            asked(box(label="")),
            asked(box(label='car"')),
            asked(box(label="Fahrrad\n")),
            asked(box(label="objects"), objects_to_annotate=["car"]),
            asked(box(label="c"), geometries=[{"type": "box", "objects_to_annotate": ["a", "b"]}]),
            entity(
                "Ann",
                0,
                3,
                "Ann",
                params={"text": "Ann", "labels": [{"name": "person", "description": "name"}]},
            ),
        ],
        [
            asked(box(label="car")),
            asked(box(label="Zweirad")),
            asked(box(label='Mofa "50"')),
            asked(shape(*SQUARE, label="road")),
            asked(box(label=None)),
            asked(shape((1, 1), (2, 9), kind="line", label="anything")),
            asked(box(label="東京"), objects_to_annotate={"東京": {}}),
            asked(box(label="bus"), objects_to_annotate=[]),
            image(box(label="bus")),
            entity("Ann", 0, 3, "Ann", params={"text": "Ann", "labels": ["person", {"name": "name"}]}),
        ],
    ),
    "unknown_attribute": (
        [
            asked(box(label="car", attributes={"flying": "yes"})),
            asked(box(label="car", attributes={"parked": "maybe"})),
            asked(box(label="car", attributes={"parked": "yes", "colors": ["red", "blue"]})),
            asked(box(label="car", attributes={"Parked": "yes"})),
            asked(box(label="car", attributes={"parked": ""})),
            asked(box(label="car", attributes={"": "yes"})),
            asked(box(label="car", attributes={"parked": "yes\nno"})),
            asked(box(label="car", attributes={"ß": None, "parked": "no"})),
            asked(box(attributes={"b": 1}), annotation_attributes=[{"name": "a"}, "c"]),
            asked(box(attributes={'say "a"': "x"}), annotation_attributes={'say "a"': {"choices": ['"x"']}}),
        ],
        [
            asked(box(label="car", attributes={"parked": "yes"})),
            asked(box(label="car", attributes={"colors": ["red", "dark", "gray"]})),
            asked(box(label="car", attributes={"count": "many"})),
            asked(box(label="car", attributes={"parked": None})),
            asked(box(label="car", attributes={"parked": 5})),
            asked(box(label="car", attributes={"colors": []})),
            asked(box(label="car", attributes=["flying"])),
            asked(box(label="car", attributes={"flying": "yes"}), objects_to_annotate=["car"]),
            asked(box(attributes={"a": "x", "c": "y"}), annotation_attributes=[{"name": "a"}, "c"]),
            asked(
                box(attributes={'say "a"': '"x"'}), annotation_attributes={'say "a"': {"choices": ['"x"']}}
            ),
        ],
    ),
    "completed_empty": (
        [
            image(),
            image(response=None),
            image(response={}),
            image(response={"annotations": None}),
            image(params={"attachment": "x"}),
            image(type="annotation"),
            image(type="namedentityrecognition"),
            image(type="polygonannotation"),
            image(type="categorization", response={}),
            image(response={"links": []}),
        ],
        [
            image(status="pending"),
            image(status="canceled"),
            image(status="error"),
            image(status=None),
            image(box()),
            image(type="of no known type"),
            image("no object"),
            {"type": "categorization", "status": "completed", "response": {"category": "a"}},
            {
                "type": "videoannotation",
                "status": "completed",
                "response": {"annotations": {"url": "https://files.example/1.json"}},
            },
            {
                "type": "lidarannotation",
                "status": "completed",
                "response": {"annotations": {"url": "https://files.example/2.json"}},
            },
        ],
    ),
    "degenerate_polygon": (
        [
            image(shape()),
            image(shape((1, 1))),
            image(shape((1, 1), (9, 9))),
            image(shape((1, 1), (9, 9), (1, 1), (9, 9))),
            image(shape((0, 0), (5, 5), (10, 10))),
            image(shape((3, 3), (3, 3), (3, 3))),
            image(shape((0, 0), (10, 0), (10, 10), (10, 0))),
            image(shape((0, 0), (10, 10), (10, 0), (0, 10))),
            image(shape((0, 0), (30, 20), (30, 0), (0, 10))),
            image(shape((1e9, 1e9), (1e9, 2e9), (1e9, 3e9))),
        ],
        [
            image(shape(*SQUARE)),
            image(shape(*SQUARE, (0, 0))),
            image(shape((0, 0), (10, 0), (10, 10))),
            image(shape((0, 0), (20, 0), (5, 5), (0, 20))),
            image(shape((0, 0), (-20, 0), (-20, -20), (0, -20))),
            image(shape((1, 1), (9, 9), kind="line")),
            image(shape((1, 1), ("9", 9), (1, 9))),
            image(shape({"x": True, "y": 1}, (9, 9))),
            image(shape("no point", (9, 9))),
            image(shape({"x": 1}, (9, 9))),
        ],
    ),
    "duplicate_vertex": (
        [
            image(shape((0, 0), (0, 0), (20, 0), (20, 20))),
            image(shape((0, 0), (20, 0), (20, 20), (20, 20))),
            image(shape((0, 0), (20, 0), (20, 0), (20, 20), (20, 20), (0, 20))),
            image(shape((1, 1), (1, 1), kind="line")),
            image(shape((1.5, 1), (9, 9), (9, 9.0), kind="line")),
            image(shape((0, 0), (-0.0, 0), (5, 5), (9, 0))),
            image(shape({"y": 1, "x": 2, "z": [1]}, (2, 1), (20, 20), (0, 20))),
            image(shape((0.1, 0.2), (0.1, 0.2), (20, 20), (0, 20))),
            {
                "type": "polygonannotation",
                "response": {"annotations": [{"vertices": shape((5, 5), (5, 5), (9, 5))["vertices"]}]},
            },
            {"type": "videoannotation", "response": {"annotations": [[shape((5, 5), (5, 5), (9, 5))]]}},
        ],
        [
            image(shape(*SQUARE)),
            image(shape(*SQUARE, (0, 0))),
            image(shape((0, 0), (20, 0), (0, 0), (20, 20))),
            image(shape((1, 1), (2, 2), kind="line")),
            image(shape((0, 0), (0, 1e-9), (20, 0), (20, 20))),
            image(shape((0, 0), (0, 0), (5, 5), (5, 5), kind="ellipse")),
            image(shape((1, "a"), (1, "a"), (2, 2), (3, 9))),
            image(shape()),
            image(shape((1, 1))),
            image(shape(None, None, (2, 2), (3, 9))),
        ],
    ),
    "crossed_cuboid": (
        [
            image(cuboid(face_topleft=(30, 10), face_topright=(10, 10))),
            image(
                cuboid(
                    face_topleft=(30, 10),
                    face_topright=(10, 10),
                    face_bottomleft=(30, 25),
                    face_bottomright=(10, 25),
                )
            ),
            image(cuboid(face_topleft=(10, 25), face_bottomleft=(10, 10))),
            image(cuboid(face_bottomright=(12, 12))),
            image(cuboid(side_topcorner=(40, 22), side_bottomcorner=(40, 12))),
            image(cuboid(face_topright=(30, 40))),
            image(cuboid(face_topleft=(1e9, 10))),
            image(cuboid(face_bottomleft=(35, 25))),
            {
                "type": "cuboidannotation",
                "response": {"annotations": [cuboid(face_topleft=(30, 10), face_topright=(10, 10))]},
            },
            image(cuboid(face_topright=None, side_topcorner=(40, 22), side_bottomcorner=(40, 12))),
        ],
        [
            image(cuboid()),
            image(turned()),
            image(cuboid(side_topcorner=(2, 12), side_bottomcorner=(2, 22))),
            image(cuboid(face_topleft=None)),
            image(cuboid(side_topcorner=None)),
            image(cuboid(face_topleft=("30", 10), face_topright=("10", 10))),
            image({"type": "cuboid", "vertices": []}),
            image({"type": "cuboid", "vertices": ["a", 5, None]}),
            image(shape(*SQUARE, kind="cuboid")),
            {
                "type": "lidarannotation",
                "response": {"annotations": [{"cuboids": [{"position": {"x": 1}, "dimensions": {"x": 2}}]}]},
            },
        ],
    ),
    "misplaced_text": (
        [
            entity("Ann is in Oslo", 1, 4, "Ann"),
            entity("Ann is in Oslo", 0, 3, "ann"),
            entity("Ann is in Oslo", 10, 12, "Oslo"),
            entity("Ann is in Oslo", 10, 18, "Oslo"),
            entity("Ann is in Oslo", -4, 0, "Oslo"),
            entity("Ann is in Oslo", 3, 0, "Ann"),
            entity("Ann is in Oslo", 2**62, 2**62 + 4, "Oslo"),
            entity(f"{ROBOT}{ROBOT} Ann", 6, 9, "Ann"),
            entity("Straße", 4, 6, "ss"),
            entity("", 0, 1, "A"),
        ],
        [
            entity("Ann is in Oslo", 0, 3, "Ann"),
            entity("Ann is in Oslo", 0, 2, "Ann"),
            entity("Ann is in Oslo", 10, 14, "Oslo"),
            entity("Straße nach 東京", 12, 14, "東京"),
            entity(f"{ROBOT}{ROBOT} Ann", 3, 6, "Ann"),
            entity(f"{ROBOT}{ROBOT} Ann", 5, 8, "Ann"),
            entity(f"{ROBOT}a{ROBOT}b", 3, 6, f"{ROBOT}b"),
            entity(5, 0, 3, "Ann"),
            entity("Ann", "0", 3, "Ann"),
            entity("Ann is in Oslo", 9, 3, "Ann", type="documenttranscription"),
        ],
    ),
}
"""By rule: tasks with something that it finds, and tasks without."""
