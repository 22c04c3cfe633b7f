"""What is known of the pictures that tasks ask about: their size, and the file that was kept."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from scalesync.annotations.urls import unsigned_url
from scalesync.db.schema.annotations_and_changes import attachments
from scalesync.db.statements import chunks

MAX_PIXELS = 2**31
"""No picture is wider or higher, and areas of larger shapes would overflow a double."""


class Picture(NamedTuple):
    """The picture of a task."""

    url: str | None
    """Its address, as the task has it; None if it names none."""
    size: tuple[int, int] | None
    """Width and height in pixels; None if nothing but its shapes shows them."""
    path: str | None
    """The file that was kept of it; None if there is none."""


class _TaskDetails(msgspec.Struct):
    """The fields of a task's params or metadata that describe its picture."""

    attachment: object = None
    width: object = None
    height: object = None


_decode = msgspec.json.Decoder(_TaskDetails).decode


def with_pictures(
    conn: Connection, tasks: Iterable[tuple[str, str | None, str | None]]
) -> Iterator[tuple[str, Picture]]:
    """Yield the id and the picture of each task, given as (task_id, params, metadata) in JSON.

    A size is the true one if it was read from the picture; else that in the params, else in the metadata.
    """
    for some in chunks(tasks):
        described = [(task_id, _read(params), _read(metadata)) for task_id, params, metadata in some]
        known = _known(conn, {_key(params) for _, params, _ in described} - {None})
        for task_id, params, metadata in described:
            width, height, path = known.get(_key(params), (None, None, None))
            read = _TaskDetails(width=width, height=height)
            sizes = filter(None, map(_size, (read, params, metadata)))
            url = params.attachment if isinstance(params.attachment, str) else None
            yield task_id, Picture(url, next(sizes, None), path)


def _known(conn: Connection, keys: set[str | None]) -> dict[str | None, tuple[Any, ...]]:
    columns = (attachments.c.url, attachments.c.width, attachments.c.height, attachments.c.path)
    found = conn.execute(select(*columns).where(attachments.c.url.in_(keys)))
    return {url: tuple(rest) for url, *rest in found}


def _read(text: str | None) -> _TaskDetails:
    try:
        return _decode(text) if text else _TaskDetails()
    except msgspec.DecodeError:
        return _TaskDetails()


def _key(params: _TaskDetails) -> str | None:
    """Return the key in `attachments` of the picture that a task's params name."""
    return unsigned_url(params.attachment) if isinstance(params.attachment, str) else None


def _size(details: _TaskDetails) -> tuple[int, int] | None:
    width, height = details.width, details.height
    if not isinstance(width, int | float) or not isinstance(height, int | float):
        return None
    # Not a number fails every comparison.
    if min(width, height) > 0 and max(width, height) <= MAX_PIXELS:
        return math.ceil(width), math.ceil(height)
    return None
