"""What is known of the pictures that tasks ask about: their size, and the file that was kept."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from scalesync.annotations.urls import unsigned_url
from scalesync.db.mirror.attachments import known
from scalesync.db.statements import chunks
from scalesync.parsing.attachments import attachments_of

MAX_PIXELS = 2**31
"""No picture is wider or higher, and areas of larger shapes would overflow a double."""


class Picture(NamedTuple):
    """The picture of a task."""

    url: str | None
    """Its address, as the task has it; None if it names none, or several."""
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
    conn: Connection, tasks: Iterable[tuple[str, str | None, str | None, str | None]]
) -> Iterator[tuple[str, Picture]]:
    """Yield the id and the picture of each task, given as (task_id, type, params, metadata), JSON as text.

    A size is the true one if it was read from the picture; else that in the params, else in the metadata.
    """
    for some in chunks(tasks):
        described = [
            (task_id, _url(kind, params), _read(params), _read(metadata))
            for task_id, kind, params, metadata in some
        ]
        found = known(conn, list({unsigned_url(url) for _, url, _, _ in described if url is not None}))
        for task_id, url, params, metadata in described:
            row = None if url is None else found.get(unsigned_url(url))
            read = _TaskDetails() if row is None else _TaskDetails(width=row.width, height=row.height)
            sizes = filter(None, map(_size, (read, params, metadata)))
            yield task_id, Picture(url, next(sizes, None), None if row is None else row.path)


def _url(kind: str | None, params: str | None) -> str | None:
    """Return the address of the picture that a task names; None if it names none, or several."""
    attachment = _read(params).attachment
    if isinstance(attachment, str):
        return attachment
    try:
        links = [each.link for each in attachments_of(kind, params)]
    except ValueError:
        return None
    return links[0] if len(links) == 1 else None


def _read(text: str | None) -> _TaskDetails:
    try:
        return _decode(text) if text else _TaskDetails()
    except msgspec.DecodeError:
        return _TaskDetails()


def _size(details: _TaskDetails) -> tuple[int, int] | None:
    width, height = details.width, details.height
    if not isinstance(width, int | float) or not isinstance(height, int | float):
        return None
    # Not a number fails every comparison.
    if min(width, height) > 0 and max(width, height) <= MAX_PIXELS:
        return math.ceil(width), math.ceil(height)
    return None
