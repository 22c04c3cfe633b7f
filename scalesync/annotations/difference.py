"""Compares the annotations of two responses of a task, one by one. No database.

Annotations that have a `uuid` in both responses are paired by it, within a frame. The others are paired,
within a frame and a geometry, with the nearest one, of the same label if there is one: areas by how
much their boxes overlap, points and lines by their distance, ranges of text by what they share. What is left
was added or removed.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from itertools import product
from math import hypot
from typing import NamedTuple

import msgspec

from scalesync.annotations.flatten import flatten, result_urls
from scalesync.annotations.models import Annotation, Geometry
from scalesync.annotations.overlap import Extent, box_iou, extent_of, iou, text_iou
from scalesync.models.changes import DifferenceKind


class AnnotationDifference(NamedTuple):
    """One difference between two responses."""

    kind: DifferenceKind
    before_ordinal: int | None = None
    """Number of the annotation in the earlier response."""
    after_ordinal: int | None = None
    uuid: str | None = None
    geometry: str | None = None
    frame: int | None = None
    label_before: str | None = None
    label_after: str | None = None
    iou: float | None = None
    """Intersection over union of what moved; None for what has no area."""


class StoredResponse(NamedTuple):
    """A response that a task has or had."""

    digest: str
    first_seen_at: datetime
    response: str
    """JSON."""


class ResponseDiff(NamedTuple):
    """What differs between two responses of a task."""

    task_id: str
    before: StoredResponse | None
    """None: the task had no other response before `after` since it is here."""
    after: StoredResponse | None
    """None: the task had no response at all."""
    differences: list[AnnotationDifference]

    @property
    def complete(self) -> bool:
        """Whether all annotations of both were compared."""
        return all(each.kind is not DifferenceKind.NOT_COMPARED for each in self.differences)


class _Numbered(NamedTuple):
    """An annotation with its number and its place."""

    ordinal: int
    row: Annotation
    extent: Extent | None


_Pair = tuple[_Numbered, _Numbered]

_PLACE = tuple(
    map(
        Annotation._fields.index,
        ("left", "top", "width", "height", "rotation", "vertices", "text_start", "text_end"),
    )
)
_CONTENT = tuple(map(Annotation._fields.index, ("geometry", "text", "attributes", "extra")))
_INTERCHANGEABLE = {Geometry.CATEGORY, Geometry.CHOICE, Geometry.SEGMENTATION}
"""Geometries without a place whose label may change; that of others, such as fields, is their name."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


def compare_responses(task_type: str | None, before: str, after: str) -> list[AnnotationDifference]:
    """Return what differs between two responses, JSON texts; NOT_COMPARED if that may not be everything."""
    # Files are fetched long after the response, and those of the earlier one may be gone by then.
    if result_urls(task_type, before) or result_urls(task_type, after):
        return [AnnotationDifference(DifferenceKind.NOT_COMPARED)]
    one, other = flatten(task_type, before), flatten(task_type, after)
    found = differences(one.annotations, other.annotations)
    return found if one.read and other.read else [*found, AnnotationDifference(DifferenceKind.NOT_COMPARED)]


def differences(before: Sequence[Annotation], after: Sequence[Annotation]) -> list[AnnotationDifference]:
    """Return what differs, in the order of the later response; what was removed comes last."""
    pairs, removed, added = _pairs(_numbered(before), _numbered(after))
    found = [(there.ordinal, each) for here, there in pairs for each in _compare(here, there)]
    found += [(each.ordinal, _difference(DifferenceKind.ADDED, None, each)) for each in added]
    found.sort(key=lambda each: each[0])
    gone = [_difference(DifferenceKind.REMOVED, each, None) for each in removed]
    return [difference for _, difference in found] + gone


def _numbered(rows: Sequence[Annotation]) -> list[_Numbered]:
    return [_Numbered(ordinal, _canonical(row), extent_of(row)) for ordinal, row in enumerate(rows)]


def _canonical(row: Annotation) -> Annotation:
    """Return an annotation with the names of its JSON objects in one order; Postgres returns another one."""
    vertices, attributes, extra = (
        text and _encode(_decode(text)).decode() for text in (row.vertices, row.attributes, row.extra)
    )
    return row._replace(vertices=vertices, attributes=attributes, extra=extra)


def _pairs(
    before: list[_Numbered], after: list[_Numbered]
) -> tuple[list[_Pair], list[_Numbered], list[_Numbered]]:
    """Return which annotations are the same, and those of each side that are left, in their order."""
    # Where one response has no uuid at all, as those of 2019, nothing is identified by it.
    identified = any(each.row.uuid for each in before) and any(each.row.uuid for each in after)
    pairs = _in_turn(before, after, lambda row: row.uuid and (row.uuid, row.frame)) if identified else []
    rest_before = [each for each in before if not (identified and each.row.uuid)]
    rest_after = [each for each in after if not (identified and each.row.uuid)]
    # Most annotations of a response are as they were: these are found without measuring.
    alike = _in_turn(rest_before, rest_after, lambda row: row[1:])
    pairs += alike + _nearest(_without(rest_before, alike, 0), _without(rest_after, alike, 1))
    return pairs, _without(before, pairs, 0), _without(after, pairs, 1)


def _without(numbered: Sequence[_Numbered], pairs: Sequence[_Pair], side: int) -> list[_Numbered]:
    paired = {pair[side].ordinal for pair in pairs}
    return [each for each in numbered if each.ordinal not in paired]


def _in_turn(
    before: Sequence[_Numbered], after: Sequence[_Numbered], key: Callable[[Annotation], Hashable]
) -> list[_Pair]:
    """Return pairs with equal keys, the first with the first; a falsy key is none."""
    waiting: defaultdict[Hashable, deque[_Numbered]] = defaultdict(deque)
    for each in after:
        waiting[key(each.row)].append(each)
    return [(each, same.popleft()) for each in before if (of := key(each.row)) and (same := waiting.get(of))]


def _nearest(before: Sequence[_Numbered], after: Sequence[_Numbered]) -> list[_Pair]:
    groups: defaultdict[Hashable, tuple[list[_Numbered], list[_Numbered]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((before, after)):
        for each in rows:
            groups[each.row.geometry, each.row.frame][side].append(each)
    return [pair for group in groups.values() for pair in _nearest_of_group(*group)]


def _nearest_of_group(before: Sequence[_Numbered], after: Sequence[_Numbered]) -> Iterator[_Pair]:
    """Yield pairs, those of the same label before others, and the nearest before those further apart."""
    measured = (
        (here.row.label != there.row.label, -near, here, there)
        for here, there in product(before, after)
        if (near := _closeness(here, there)) > 0
    )
    taken: set[tuple[int, int]] = set()
    for _, _, here, there in sorted(measured, key=lambda each: each[:2]):
        if (0, here.ordinal) not in taken and (1, there.ordinal) not in taken:
            taken |= {(0, here.ordinal), (1, there.ordinal)}
            yield here, there


def _closeness(one: _Numbered, other: _Numbered) -> float:
    """Return how near two annotations of one geometry are, at most 1; 0 if they cannot be the same."""
    if one.extent and other.extent:
        if one.extent.outline or other.extent.outline:
            return box_iou(one.extent, other.extent)
        (x, y), (other_x, other_y) = one.extent.center, other.extent.center
        near = 1 / (1 + hypot(x - other_x, y - other_y))
    elif one.row.text_start is not None or other.row.text_start is not None:
        return text_iou(one.row, other.row)
    else:
        near = 1.0
        if one.row.geometry in _INTERCHANGEABLE:
            return near
    return near if one.row.label == other.row.label else 0.0


def _compare(before: _Numbered, after: _Numbered) -> Iterator[AnnotationDifference]:
    """Yield what differs between two annotations that are the same one."""
    here, there = before.row, after.row
    if here.label != there.label:
        yield _difference(DifferenceKind.RELABELLED, before, after)
    if any(here[at] != there[at] for at in _PLACE):
        share = iou(before.extent, after.extent) if before.extent and after.extent else None
        if here.text_start is not None and there.text_start is not None:
            share = text_iou(here, there)
        yield _difference(DifferenceKind.MOVED, before, after)._replace(iou=share)
    if any(here[at] != there[at] for at in _CONTENT):
        yield _difference(DifferenceKind.CHANGED, before, after)


def _difference(
    kind: DifferenceKind, before: _Numbered | None, after: _Numbered | None
) -> AnnotationDifference:
    """Return a difference of an annotation that at least one of the responses has."""
    rows = [each.row for each in (after, before) if each]
    return AnnotationDifference(
        kind,
        before and before.ordinal,
        after and after.ordinal,
        next((row.uuid for row in rows if row.uuid), None),
        rows[0].geometry,
        rows[0].frame,
        before and before.row.label,
        after and after.row.label,
    )
