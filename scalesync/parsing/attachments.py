"""Find the attachments that a task names: pictures, frames, recordings and other files to be looked at."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

_IMAGE_TYPES = frozenset({
    "imageannotation", "annotation", "polygonannotation", "lineannotation", "laneannotation",
    "pointannotation", "cuboidannotation", "segmentannotation",
})  # fmt: skip
"""Types of tasks whose attachment is a picture where they do not say what it is."""
_NO_FILES = ("text", "website")
"""Kinds of attachments that are no file: the text itself, and a page to be visited."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S")
_MAX_DEPTH = 10


class NamedAttachment(NamedTuple):
    """An attachment as a task names it."""

    link: str
    """Its address, perhaps with a signature."""
    is_picture: bool
    """Whether the task says that it is a picture, by its type or that of its attachments."""


class _Params(msgspec.Struct):
    """The fields of a task's params that name attachments."""

    attachment: object = None
    attachments: object = None
    attachment_type: object = None


_params = msgspec.json.Decoder(_Params).decode


def attachments_of(task_type: str | None, params: str | None) -> list[NamedAttachment]:
    """Return the attachments of a task in the order of its params, each link once.

    `params` is JSON text. Raises ValueError if it cannot be read.
    """
    given = _decoded(params or "null")
    if given is None or given.attachment_type in _NO_FILES:
        return []
    is_picture = given.attachment_type == "image" or (
        task_type in _IMAGE_TYPES and given.attachment_type in (None, "")
    )
    links = dict.fromkeys([*_links(given.attachment, 0), *_links(given.attachments, 0)])
    return [NamedAttachment(link, is_picture) for link in links]


def _decoded(params: str) -> _Params | None:
    """Return the fields of params, None if these are no object."""
    try:
        return _params(params)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError):
        # Numbers beyond a double are valid JSON, and have nothing to do with the attachments.
        try:
            found = json.loads(params)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    fields: dict[str, Any] = found if isinstance(found, dict) else {}
    return _Params(*(fields.get(name) for name in _Params.__struct_fields__))


def _links(given: object, depth: int) -> Iterator[str]:
    """Yield the links in an attachment, in a list of such, or in the fields of an object."""
    if isinstance(given, str):
        if given.strip():
            yield given
    elif depth < _MAX_DEPTH and isinstance(given, list):
        for each in given:
            yield from _links(each, depth + 1)
    elif depth < _MAX_DEPTH and isinstance(given, dict):
        # Of an object, such as {"type": "image", "content": ...}, not every text is a link.
        for each in given.values():
            yield from (link for link in _links(each, depth + 1) if _ADDRESS.match(link.strip()))
