"""Compute in plain Python which annotations look wrong: another way than the view's to the same findings."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from itertools import combinations, pairwise
from typing import Any

Row = Mapping[str, Any]
Found = tuple[str, str, int | None, str]
Point = tuple[float, float]

_LABELLED = {"box", "polygon", "line", "point", "ellipse", "cuboid", "segmentation", "entity", "category"}
_NAMES = ("choice", "name", "label", "value")


def findings(rows: Mapping[str, Sequence[Row]], iou: float = 0.9) -> Iterator[Found]:
    """Yield what is wrong with the tasks and annotations in the rows of some tables."""
    projects = {row["name"]: loaded(row["params"]) for row in rows["projects"]}
    sizes = {row["url"]: (row["width"], row["height"]) for row in rows["attachments"] if row["width"]}
    unread = {row["url"] for row in rows["result_files"] if row["read_at"] is None}
    waiting = {row["task_id"] for row in rows["task_files"] if row["url"] in unread}
    drawn: dict[str, list[Row]] = defaultdict(list)
    for row in rows["annotations"]:
        drawn[row["task_id"]].append(row)
    for task in rows["tasks"]:
        if task["missing_since"] is not None:
            continue
        mine = drawn[task["task_id"]]
        left_out = waiting | {row["task_id"] for row in rows["unread_responses"]}
        if task["status"] == "completed" and not mine and task["task_id"] not in left_out:
            yield "completed_empty", task["task_id"], None, "completed without an annotation"
        about = About(task, projects.get(task["project"]), sizes)
        for row in mine:
            for rule, detail in about.wrong(row):
                yield rule, row["task_id"], row["ordinal"], detail
        for ordinal, detail in _overlaps(mine, iou):
            yield "overlap", task["task_id"], ordinal, detail


def loaded(text: str | None) -> Any:
    """Return the value of a JSON column."""
    return None if text is None else json.loads(text)


_TAXONOMY = (
    "geometries", "objects_to_annotate", "labels", "categories", "features", "annotation_attributes",
)  # fmt: skip


class About:
    """What a task says of its annotations."""

    def __init__(self, task: Row, project: Any, sizes: Mapping[str, tuple[Any, Any]]) -> None:
        """Look up taxonomy, text and size of the picture."""
        self.type = task["type"]
        params, project = _object(loaded(task["params"])), _object(project)
        named = next(
            (each for each in (params, project) if any(each.get(name) is not None for name in _TAXONOMY)), {}
        )
        self.labels = dict(_offered(named))
        self.attributes = _attributes(named.get("annotation_attributes"))
        self.text = params.get("text") if isinstance(params.get("text"), str) else None
        address = params.get("attachment")
        known = sizes.get(address) or sizes.get(_unsigned(address)) if isinstance(address, str) else None
        self.size = known or tuple(
            next(
                (
                    value
                    for at in (params, _object(loaded(task["metadata"])))
                    if _is_number(value := at.get(side))
                ),
                None,
            )
            for side in ("width", "height")
        )
        extra = _object(loaded(task["extra"]))
        self.pages = extra.get("document_pages") if str(task["type"]).startswith("document") else None

    def wrong(self, row: Row) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with one annotation by itself."""
        if row["geometry"] == "box" and None not in (row["width"], row["height"]):
            yield from _box(row)
        yield from self._outside(row)
        yield from self._taxonomy(row)
        if row["geometry"] in ("polygon", "line"):
            yield from _outline(row)
        if row["geometry"] == "cuboid":
            yield from _cuboid(row)
        if row["geometry"] == "entity" and self.text is not None and self.type == "namedentityrecognition":
            yield from _entity(row, self.text)

    def _picture(self, frame: int | None) -> tuple[float, float] | None:
        size: Any = self.size
        if self.pages is not None:
            pages = self.pages if isinstance(self.pages, list) else []
            page = _object(pages[frame]) if frame is not None and 0 <= frame < len(pages) else {}
            size = page.get("width"), page.get("height")
        if not all(map(_is_number, size)) or min(size) < 1:
            return None
        return size[0], size[1]

    def _outside(self, row: Row) -> Iterator[tuple[str, str]]:
        picture = self._picture(row["frame"])
        turned = bool(row["rotation"])
        corners: list[Point] | None = None
        if row["geometry"] in ("box", "point") and not turned:
            if None not in (row["left"], row["top"]):
                wide, high = (row["width"] or 0, row["height"] or 0) if row["geometry"] == "box" else (0, 0)
                right, bottom = row["left"] + wide, row["top"] + high
                corners = [(row["left"], row["top"]), (right, bottom)]
        elif row["geometry"] in ("polygon", "line", "ellipse") or row["geometry"] == "box":
            corners = points(row)
        if picture and corners:
            (left, top), (right, bottom) = _extremes(corners)
            if row["geometry"] == "box" and not turned:
                (left, top), (right, bottom) = corners
            if left < -1 or top < -1 or right > picture[0] + 1 or bottom > picture[1] + 1:
                numbers = [decimal(each) for each in (left, top, right, bottom, *picture)]
                yield "outside_picture", "{}, {} to {}, {} of {} x {}".format(*numbers)

    def _taxonomy(self, row: Row) -> Iterator[tuple[str, str]]:
        label, geometry = row["label"], row["geometry"]
        offered = self.labels.get(geometry, set()) | self.labels.get("*", set())
        if label is not None and geometry in _LABELLED and offered and label not in offered:
            yield "unknown_label", label[:80]
        given = loaded(row["attributes"])
        if self.attributes and isinstance(given, dict):
            found = [
                each for name, value in given.items() if (each := self._unknown(name, value)) is not None
            ]
            if found:
                yield "unknown_attribute", min(found, key=str.encode)[:80]

    def _unknown(self, name: str, value: object) -> str | None:
        if name not in self.attributes:
            return name
        choices = self.attributes[name]
        values = value if isinstance(value, list) else [value]
        if choices:
            others = [each for each in values if isinstance(each, str) and each not in choices]
            if others:
                return f"{name} = {min(others, key=str.encode)}"
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unsigned(address: str) -> str:
    return address.partition("?")[0] if "sig" in address.lower() else address


def _offered(taxonomy: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield geometries and their labels; `*` is every geometry."""
    everywhere: set[str] = set()
    for place in ("objects_to_annotate", "labels", "categories", "features"):
        given = taxonomy.get(place)
        if isinstance(given, dict) and place != "features":
            everywhere |= {
                *given,
                *_texts([each for each in given.values() if not isinstance(each, str)], None),
            }
        else:
            everywhere |= set(_texts(given, None))
    geometries = taxonomy.get("geometries")
    if isinstance(geometries, dict):
        for geometry, shape in geometries.items():
            if found := set(_texts(_object(shape).get("objects_to_annotate"), "objects_to_annotate")):
                yield geometry, found
    for shape in geometries if isinstance(geometries, list) else []:
        everywhere |= set(_texts(_object(shape).get("objects_to_annotate"), "objects_to_annotate"))
    if everywhere:
        yield "*", everywhere


def _texts(value: object, key: str | None) -> Iterator[str]:
    """Yield the texts in lists, and those under the names that lists of objects have for them."""
    if isinstance(value, str) and (key is None or key in _NAMES):
        yield value
    for each in value if isinstance(value, list) else []:
        yield from _texts(each, None)
    for name, each in value.items() if isinstance(value, dict) else []:
        yield from _texts(each, name)


def _attributes(given: object) -> dict[str, set[str]]:
    """Return the choices of each attribute; none: anything goes."""
    named: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
    for each in given if isinstance(given, list) else []:
        name = each if isinstance(each, str) else _object(each).get("name")
        if isinstance(name, str):
            named[name] = each
    return {name: set(_texts(_object(each).get("choices"), "choices")) for name, each in named.items()}


def decimal(value: float) -> str:
    """Return a number with one decimal, halves away from zero."""
    if abs(value) >= 1e12:
        return "huge"
    scaled = Decimal(value * 10).quantize(Decimal(1), ROUND_HALF_UP)
    return str((scaled / 10).quantize(Decimal("0.1")) + 0)


def points(row: Row) -> list[Point] | None:
    """Return the vertices; None if one of them is not two numbers."""
    given = loaded(row["vertices"])
    if not isinstance(given, list):
        return None
    found: list[Any] = [(_object(each).get("x"), _object(each).get("y")) for each in given]
    if not all(_is_number(x) and _is_number(y) and max(abs(x), abs(y)) < 1e15 for x, y in found):
        return None
    return [(float(x), float(y)) for x, y in found]


def _extremes(corners: Iterable[Point]) -> tuple[Point, Point]:
    xs, ys = zip(*corners, strict=True)
    return (min(xs), min(ys)), (max(xs), max(ys))


def _box(row: Row) -> Iterator[tuple[str, str]]:
    width, height = row["width"], row["height"]
    size = f"{decimal(width)} x {decimal(height)}"
    if row["text"] is None and min(width, height) > 1e-30 and max(width, height) >= 20 * min(width, height):
        yield "sliver", size
    if min(width, height) < 2 or width * height < 16:
        yield "tiny", size


def area(corners: Sequence[Point]) -> float:
    """Return the area of a polygon."""
    x, y = corners[0] if corners else (0.0, 0.0)
    moved = [(each[0] - x, each[1] - y) for each in corners]
    return abs(math.fsum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise([*moved, *moved[:1]]))) / 2


def _outline(row: Row) -> Iterator[tuple[str, str]]:
    corners = points(row)
    if corners is None:
        return
    repeated = sum(one == other for one, other in pairwise(corners))
    if repeated:
        yield "duplicate_vertex", f"{repeated} of {len(corners)} points"
    if row["geometry"] == "polygon":
        yield from _polygon(corners)


def _polygon(corners: Sequence[Point]) -> Iterator[tuple[str, str]]:
    if len(corners) < 3:
        yield "degenerate_polygon", f"{len(corners)} points"
        return
    (left, top), (right, bottom) = _extremes(corners)
    width, height = right - left, bottom - top
    diagonal = width**2 + height**2
    size, covered = f"{decimal(width)} x {decimal(height)}", area(corners)
    if covered <= 1e-9 * diagonal:
        yield "degenerate_polygon", f"{len(corners)} points without an area"
        return
    if len(corners) == 4 and any(crosses(*corners, start=start) for start in (0, 1)):
        yield "degenerate_polygon", "it crosses itself"
    if covered * 20.05 <= diagonal:
        yield "sliver", size
    if min(width, height) < 2 or covered < 16:
        yield "tiny", size


def crosses(*corners: Point, start: int) -> bool:
    """Tell whether one side of a polygon of four corners crosses the one across from it."""
    a, b, c, d = (corners[(start + step) % 4] for step in range(4))
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def side(a: Point, b: Point, c: Point) -> float:
    """Return above 0 if c lies to the right of the way from a to b, with y downwards."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _cuboid(row: Row) -> Iterator[tuple[str, str]]:
    places: dict[str, set[Point]] = defaultdict(set)
    for each in loaded(row["vertices"]) or []:
        x: Any = _object(each).get("x")
        y: Any = _object(each).get("y")
        if _is_number(x) and _is_number(y) and max(abs(x), abs(y)) < 1e15:
            places[str(_object(each).get("description"))].add((x, y))
    named = {name: found.pop() for name, found in places.items() if len(found) == 1}
    face = [named.get(f"face-{corner}") for corner in ("topleft", "topright", "bottomright", "bottomleft")]
    turns = [[face[(at + step) % 4] for step in range(3)] for at in range(4)]
    if any(side(*corners) < 0 for turn in turns if len(corners := [each for each in turn if each]) == 3):
        yield "crossed_cuboid", "face"
        return
    ends = [
        named.get(name) for name in ("side-topcorner", "side-bottomcorner", "face-topleft", "face-bottomleft")
    ]
    top, bottom, face_top, face_bottom = ends
    if top and bottom and face_top and face_bottom:
        down = [bottom[axis] - top[axis] for axis in (0, 1)]
        if sum(down[axis] * (face_bottom[axis] - face_top[axis]) for axis in (0, 1)) < 0:
            yield "crossed_cuboid", "side"


def _entity(row: Row, whole: str) -> Iterator[tuple[str, str]]:
    start, end, text = row["text_start"], row["text_end"], row["text"]
    if None in (start, end, text):
        return
    units, piece = whole.encode("utf-16-le"), text.encode("utf-16-le")
    fits = (
        whole[start : start + len(text)] == text and end - start in (len(text), len(text) - 1),
        units[2 * start : 2 * start + len(piece)] == piece
        and end - start in (len(piece) // 2, len(piece) // 2 - 1),
    )
    if start < 0 or not any(fits):
        yield "misplaced_text", f"{start} to {end} is not {text[:40]}"


def _overlaps(rows: Sequence[Row], least: float) -> Iterator[tuple[int, str]]:
    boxes = [
        row
        for row in rows
        if row["geometry"] == "box"
        and None not in (row["left"], row["top"], row["width"], row["height"])
        and 1e-30 < row["width"] < 1e9
        and 1e-30 < row["height"] < 1e9
        and max(abs(row["left"]), abs(row["top"])) < 1e9
    ]
    said: set[int] = set()
    for one, other in combinations(sorted(boxes, key=lambda row: row["ordinal"]), 2):
        alike = all(one[name] == other[name] for name in ("label", "frame"))
        if alike and (one["rotation"] or 0) == (other["rotation"] or 0) and other["ordinal"] not in said:
            share = _share(one, other)
            if share >= least - 1e-9:
                said.add(other["ordinal"])
                cut = Decimal(share + 1e-8).quantize(Decimal("0.01"), ROUND_DOWN)
                yield other["ordinal"], f"IoU {cut} with annotation {one['ordinal']}"


def _share(one: Row, other: Row) -> float:
    sides = []
    for start, length in (("left", "width"), ("top", "height")):
        begin = max(one[start], other[start])
        sides.append(max(0.0, min(one[start] + one[length], other[start] + other[length]) - begin))
    both: float = sides[0] * sides[1]
    areas: float = one["width"] * one["height"] + other["width"] * other["height"]
    return both / (areas - both)
