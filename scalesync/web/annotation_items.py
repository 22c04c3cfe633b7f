"""Turn rows of `annotations` into what a page says of each: its words, its values, where it leads."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from scalesync.annotations.models import Geometry
from scalesync.web.addresses import web_link
from scalesync.web.pages import as_text
from scalesync.web.shapes import Outline, Row, number, object_in, outline_of, value_in

TONES = 12
"""Colours of labels in the style sheet."""
_MAX_FIELDS = 50
_DRAWN_BY = ("edges", "points_2d", "points_3d")
"""Fields of `extra` that an outline shows better than text."""


class AnnotationField(NamedTuple):
    """A name and a value beside an annotation."""

    name: str
    text: str
    target: int | None
    """The number of the annotation that the value names."""
    link: str | None


class Item(NamedTuple):
    """What is shown of one annotation."""

    ordinal: int
    label: str
    tone: int
    """The colour of its label."""
    geometry: str
    frame: int | None
    text: str
    fields: Sequence[AnnotationField]
    outline: Outline | None
    layer: str | None
    """The address of the picture of a segmented area."""
    start: float | None
    """Where it begins in a recording, in seconds."""

    @property
    def title(self) -> str:
        """A short name for tools that point at it."""
        named = self.label or self.text[:80] or "no label"
        return f"{self.ordinal}: {named} ({self.geometry or 'unknown'})"


def items_of(rows: Iterable[Row]) -> list[Item]:
    """Return the items of a task's rows, in their order."""
    given = list(rows)
    # Of several annotations with one uuid, as of a track, the first is where a reference leads.
    numbers: dict[str, int] = {}
    for row in given:
        if row["uuid"]:
            numbers.setdefault(row["uuid"], row["ordinal"])
    return [_item(row, numbers) for row in given]


def tone_of(label: str | None) -> int:
    """Return the colour of a label, the same on every page and in every process."""
    return zlib.crc32((label or "").encode(errors="replace")) % TONES


def _item(row: Row, numbers: Mapping[str, int]) -> Item:
    extra, outline = object_in(row["extra"]), outline_of(row)
    area = extra.get("url") if row["geometry"] == Geometry.SEGMENTATION else None
    return Item(
        row["ordinal"],
        row["label"] or "",
        tone_of(row["label"]),
        row["geometry"] or "",
        row["frame"],
        as_text(row["text"]),
        list(_fields(row, extra, numbers, drawn=outline is not None)),
        outline,
        web_link(area),
        number(extra.get("start") if row["geometry"] == Geometry.WORD else extra.get("timestamp")),
    )


def _fields(
    row: Row, extra: Mapping[str, Any], numbers: Mapping[str, int], *, drawn: bool
) -> Iterator[AnnotationField]:
    """Yield the values of an annotation: its place where it is not drawn, attributes, and all else."""
    if row["uuid"]:
        yield AnnotationField("uuid", as_text(row["uuid"]), None, None)
    if row["text_start"] is not None or row["text_end"] is not None:
        yield AnnotationField("at", f"{as_text(row['text_start'])} to {as_text(row['text_end'])}", None, None)
    if not drawn:
        for name in ("left", "top", "width", "height", "rotation", "vertices"):
            if row[name] is not None:
                yield AnnotationField(name, as_text(row[name]), None, None)
    attributes = value_in(row["attributes"])
    named = attributes if isinstance(attributes, dict) else {"attributes": attributes}
    whole = {} if isinstance(value_in(row["extra"]), dict | None) else {"extra": row["extra"]}
    rest = {name: value for name, value in extra.items() if not (drawn and name in _DRAWN_BY)}
    for name, value in [*named.items(), *rest.items(), *whole.items()][:_MAX_FIELDS]:
        if value is not None:
            target = numbers.get(value) if isinstance(value, str) else None
            yield AnnotationField(as_text(name), as_text(value), target, web_link(value))


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose JSON texts are JSON; those that are damaged stay texts."""
    return {
        name: _raw(value) if name in ("vertices", "attributes", "extra", "response") else value
        for name, value in row.items()
    }


def _raw(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.Raw(msgspec.json.format(value, indent=-1).encode())
    except (msgspec.DecodeError, RecursionError):
        return value
