"""Cut the text of a task where its entities begin and end, so that each piece shows which it belongs to."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from scalesync.annotations.models import Geometry
from scalesync.web.annotation_items import tone_of
from scalesync.web.shapes import Row

_LONGEST = 200_000
"""Characters of a text that are shown."""
_MOST_SPANS = 5_000


class TextSegment(NamedTuple):
    """A piece of the text that lies within the same entities as a whole."""

    text: str
    ordinals: str
    """The numbers of its entities, with blanks between; empty if there are none."""
    tone: int
    title: str


class _Span(NamedTuple):
    start: int
    end: int
    ordinal: int
    label: str


def segments_of(task: Mapping[str, Any], rows: Sequence[Row]) -> list[TextSegment]:
    """Return the pieces of a task's text in their order; none if it has no text."""
    text = _text_of(task)
    spans = [span for row in rows if (span := _span(row, text))][:_MOST_SPANS]
    if text is None or not (spans or task.get("type") == "namedentityrecognition"):
        return []
    return _cut(text, spans)


def _text_of(task: Mapping[str, Any]) -> str | None:
    params = task.get("params")
    given = params if isinstance(params, dict) else {}
    text = given.get("text")
    if not isinstance(text, str) and given.get("attachment_type") == "text":
        text = given.get("attachment")
    return text[:_LONGEST] if isinstance(text, str) else None


def _span(row: Row, text: str | None) -> _Span | None:
    """Return where an entity lies, None if it is none or lies outside."""
    start, end = row["text_start"], row["text_end"]
    if text is None or row["geometry"] != Geometry.ENTITY or start is None or end is None:
        return None
    # Whether the end is the last character or the one behind it is not documented: its own text decides.
    if row["text"] is not None and text[max(0, start) : end + 1] == row["text"] != text[max(0, start) : end]:
        end += 1
    start, end = max(0, start), min(end, len(text))
    return _Span(start, end, row["ordinal"], row["label"] or "") if start < end else None


def _cut(text: str, spans: Sequence[_Span]) -> list[TextSegment]:
    starts: dict[int, list[_Span]] = {}
    ends: dict[int, list[_Span]] = {}
    for span in spans:
        starts.setdefault(span.start, []).append(span)
        ends.setdefault(span.end, []).append(span)
    cuts = sorted({0, len(text), *starts, *ends})
    within: dict[int, _Span] = {}
    found = []
    for start, end in pairwise(cuts):
        for span in ends.get(start, ()):
            within.pop(span.ordinal, None)
        within |= {span.ordinal: span for span in starts.get(start, ())}
        found.append(_segment(text[start:end], sorted(within.values(), key=lambda span: span.ordinal)))
    return found


def _segment(text: str, spans: Sequence[_Span]) -> TextSegment:
    # Coloured as the shortest, which lies innermost.
    inner = min(spans, key=lambda span: span.end - span.start, default=None)
    names = " ".join(str(span.ordinal) for span in spans[:20])
    title = ", ".join(span.label for span in spans[:20])
    return TextSegment(text, names, tone_of(inner.label) if inner else 0, title)
