"""Fast path for most image responses: a list of plain drawings, decoded straight into typed rows."""

from typing import Any

import msgspec

from scalesync.annotations.json_values import encoded
from scalesync.annotations.models import Annotation


class _Drawing(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An annotation whose fields all have a column, each of the column's type."""

    type: str
    uuid: str | None = None
    label: str | None = None
    left: float | None = None
    top: float | None = None
    width: float | None = None
    height: float | None = None
    rotation: float | None = None
    vertices: list[Any] | None = None
    attributes: Any = None


class _Response(msgspec.Struct, gc=False):
    annotations: list[_Drawing]
    links: None = None


_decode = msgspec.json.Decoder(_Response).decode


def drawings(response: str | bytes) -> tuple[Annotation, ...] | None:
    """Return the rows of an image response, or None if anything in it is unusual.

    The rows equal those of the general flattener, `image`.
    """
    # An escape may stand for a character that cannot be stored: the general flattener looks at those.
    if not isinstance(response, str) or "\\" in response:
        return None
    try:
        given = _decode(response)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return tuple(
        Annotation(
            uuid=each.uuid,
            label=each.label,
            geometry=each.type,
            left=each.left,
            top=each.top,
            width=each.width,
            height=each.height,
            rotation=each.rotation,
            vertices=None if each.vertices is None else encoded(each.vertices),
            attributes=None if each.attributes is None else encoded(each.attributes),
        )
        for each in given.annotations
    )
