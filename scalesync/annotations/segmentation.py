"""Flattens segmentations: an area per label, or one per instance of it, each an image behind a URL."""

from collections.abc import Iterator

from scalesync.annotations.columns import (
    FieldMap,
    NotUnderstood,
    Row,
    json_in,
    row,
    unexpected,
    word_in,
)
from scalesync.annotations.json_values import Object, leaves
from scalesync.annotations.models import Annotation, Geometry

_INSTANCE = FieldMap({"uuid": word_in("uuid"), "attributes": json_in("attributes")})
_MEANING = FieldMap({"attributes": json_in("attributes")})


def segmentation(response: Object) -> Iterator[Row]:
    """Yield a row per image of each label in `annotations.labeled`, with the label's `labelMapping`.

    `combined` and `unlabeled` concern the whole image: no rows. Without `labeled`, as in annotations that a
    task was created with, each label of `labelMapping` is a row.
    """
    given = response.get("annotations")
    if not isinstance(given, dict):
        yield from unexpected("annotations", given)
        return
    mapping = response.get("labelMapping")
    labeled = given.get("labeled")
    if labeled is None and isinstance(mapping, dict):
        labeled = {label: [{} for _ in leaves(meaning)] for label, meaning in mapping.items()}
    if not isinstance(labeled, dict):
        yield from unexpected("labeled", labeled)
        return
    for label, areas in labeled.items():
        meaning = mapping.get(label) if isinstance(mapping, dict) else mapping
        yield from _areas(label, list(leaves(areas)), meaning)


def _areas(label: str, areas: list[object], meaning: object) -> Iterator[Row]:
    """Yield the areas of a label, each with its entry of `labelMapping`, which may be one per instance."""
    meanings = list(leaves(meaning)) if isinstance(meaning, list) else [meaning] * len(areas)
    # Instances and their entries belong together by position: with different numbers nothing is known of
    # that.
    if areas and len(meanings) != len(areas):
        meanings = [meaning] * len(areas)
        yield NotUnderstood.UNREAD
    for area, own_meaning in zip(areas, meanings, strict=False):
        yield _area(label, area, _meaning(own_meaning))


def _area(label: str, area: object, meaning: Object) -> Annotation:
    values: Object = {}
    own: Object = {"value": area}
    if isinstance(area, str):
        own = {"url": area}
    elif isinstance(area, dict):
        values, own = _INSTANCE.split(area)
    shared, rest = _MEANING.split(meaning)
    return row({**shared, **values, "geometry": Geometry.SEGMENTATION.value, "label": label}, {**rest, **own})


def _meaning(given: object) -> Object:
    """Return a label's entry of `labelMapping` (colour, index) as an object without nulls."""
    if isinstance(given, dict):
        return {name: value for name, value in given.items() if value is not None}
    return {} if given is None else {"labelMapping": given}
