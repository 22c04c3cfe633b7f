"""Completed tasks as the array that FiftyOne's importer of Scale's labels reads.

The facts are those of `fiftyone.utils.scale.import_from_scale`, as its source has them (2025). It reads
a file whose name ends in .json, finds samples by `task_id`, and stops at the first element that it cannot
read. Of a `response` it takes, for images, `annotations` (each with its `type` and the fields of its
geometry) and `global_attributes`; for segmentations `annotations.combined.indexedImage` and `labelMapping`;
for videos `annotations.url` and `events.url`, and the frames from `task.params`.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from scalesync.formats.tally import Tally, joined

_NEEDED: dict[str, tuple[str, ...]] = {
    "box": ("left", "top", "width", "height"),
    "polygon": ("vertices",),
    "line": ("vertices",),
    "point": ("x", "y"),
}
"""Fields without which the importer stops; other geometries it skips."""

_BY_URL = ("videoannotation", "videoplaybackannotation")

_Object = dict[str, Any]


class _Task(msgspec.Struct):
    type: object = None
    status: object = None
    response: object = None
    params: msgspec.Raw = msgspec.Raw(b"null")


_task = msgspec.json.Decoder(_Task).decode


def fiftyone_lines(documents: Iterable[bytes], tally: Tally, *, limit: int | None = None) -> Iterator[bytes]:
    """Yield the lines of one JSON array of at most `limit` documents, as the API sent them, in flat memory.

    Documents of videos have in `task` what the importer looks for there. Completed tasks that the importer
    cannot read are left out; those that are not completed are none of its business.
    """
    yield b"["
    yield from joined(tally.counting(islice(_elements(documents, tally), limit)))
    yield b"]"


def _elements(documents: Iterable[bytes], tally: Tally) -> Iterator[bytes]:
    for document in documents:
        try:
            task = _task(document)
        except (msgspec.DecodeError, RecursionError):
            # A number beyond a double, or nesting that the importer would not survive either.
            tally.left_out += 1
            continue
        if task.status != "completed":
            continue
        if not _is_read(task):
            tally.left_out += 1
        elif task.type in _BY_URL:
            yield document[:-1] + b',"task":{"params":' + bytes(task.params) + b"}}"
        else:
            yield document


def _is_read(task: _Task) -> bool:
    response = task.response
    if not isinstance(response, dict) or not isinstance(response.get("global_attributes", {}), dict):
        return False
    given = response.get("annotations")
    if task.type in _BY_URL:
        return _has_text(given, "url") and ("events" not in response or _has_text(response["events"], "url"))
    if isinstance(given, dict):
        return _has_text(given.get("combined"), "indexedImage")
    return isinstance(given, list) and all(map(_is_drawn, given))


def _has_text(given: object, name: str) -> bool:
    return isinstance(given, dict) and isinstance(given.get(name), str)


def _is_drawn(given: object) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        return False
    numbers: list[_Object] = given["vertices"] if isinstance(given.get("vertices"), list) else []
    return (
        isinstance(given.get("attributes", {}), dict)
        and all(given.get(name) is not None for name in _NEEDED.get(given["type"], ()))
        and all(isinstance(point, dict) and {"x", "y"} <= point.keys() for point in numbers)
    )
