"""What segmentation paints: an area per label, or one per instance of it, each an image behind a URL."""

from collections.abc import Iterator

from scalesync.flatten.columns import Columns, Row, json_in, row, split, stray, word_in
from scalesync.flatten.content import Object, leaves
from scalesync.flatten.rows import Annotation, Geometry

_INSTANCE: Columns = {"uuid": word_in("uuid"), "attributes": json_in("attributes")}


def segmentation(response: Object) -> Iterator[Row]:
    """Yield a row for each image of each label in `annotations.labeled`, with what `labelMapping` says of it.

    `combined` and `unlabeled` are about the whole image: no rows.
    """
    given = response.get("annotations")
    if not isinstance(given, dict):
        yield from stray("annotations", given)
        return
    labeled = given.get("labeled")
    if not isinstance(labeled, dict):
        yield from stray("labeled", labeled)
        return
    mapping = response.get("labelMapping")
    for label, areas in labeled.items():
        meaning = _meaning(mapping.get(label) if isinstance(mapping, dict) else mapping)
        for area in leaves(areas):
            yield _area(label, area, meaning)


def _area(label: str, area: object, meaning: Object) -> Annotation:
    values: Object = {}
    own: Object = {"value": area}
    if isinstance(area, str):
        own = {"url": area}
    elif isinstance(area, dict):
        values, own = split(area, _INSTANCE)
    return row({**values, "geometry": Geometry.SEGMENTATION.value, "label": label}, {**meaning, **own})


def _meaning(given: object) -> Object:
    """Return what `labelMapping` says of a label (its colour, its index), without nulls."""
    if isinstance(given, dict):
        return {name: value for name, value in given.items() if value is not None}
    return {} if given is None else {"labelMapping": given}
