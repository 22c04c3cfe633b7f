"""Answers as most are: a list of drawings with nothing unusual about any, typed in one go."""

from typing import Any

import msgspec

from scalesync.annotations.json_values import encoded
from scalesync.annotations.models import Annotation


class _Drawing(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An element with the fields that have a column, each of the kind that the column holds."""

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
    """Return the rows of a response that draws on an image, or None where it has to be looked at closely.

    They are those that `drawings.image` yields.
    """
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
