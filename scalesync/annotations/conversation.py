"""Flattens conversations: annotations of threads, turns, messages and parts of messages."""

from collections.abc import Iterator
from functools import partial

from scalesync.annotations.columns import (
    FieldMap,
    NotUnderstood,
    Row,
    json_in,
    row,
    rows_of_list,
    text_of,
    unexpected,
    word_in,
)
from scalesync.annotations.json_values import Object
from scalesync.annotations.models import Geometry

_ANNOTATION = FieldMap({"id": word_in("uuid"), "key": word_in("label"), "labels": json_in("attributes")})
_PARTS = (
    ("threads", "thread"),
    ("turns", "turn"),
    ("messages", "message"),
    ("chunks", "chunk"),
    ("rubrics", "rubric"),
    ("criteria_definitions", "criterion"),
    ("rubric_evaluations", "rubric_evaluation"),
    ("criteria_evaluations", "criterion_evaluation"),
)
"""Lists of parts, and the name in `extra` under which the position or id of a part is kept."""


def talk(response: Object) -> Iterator[Row]:
    """Yield a row per annotation in `threads`, at any level, or else per answer in `responses`."""
    if "threads" in response:
        yield from _parts({"threads": response["threads"]}, {})
    else:
        yield from rows_of_list("responses", response.get("responses"), _answer)


def _answer(given: object) -> Iterator[Row]:
    """Yield an answer of the older form: `type` is the label, `output` the text."""
    rest = dict(given) if isinstance(given, dict) else {"value": given}
    label, text = rest.get("type"), text_of(rest.get("output"))
    values: Object = {"geometry": Geometry.FIELD.value, "text": text}
    if isinstance(label, str):
        values["label"] = rest.pop("type")
    if text is not None:
        del rest["output"]
    yield row(values, rest)
    if not isinstance(label, str) or text is None:
        yield NotUnderstood.UNREAD


def _parts(given: Object, place: Object) -> Iterator[Row]:
    """Yield the annotations of a part of a conversation, then those of the parts inside it."""
    yield from rows_of_list("annotations", given.get("annotations"), partial(_annotation, place))
    content = given.get("content")
    if isinstance(content, dict):
        yield from _parts(content, place)
    for name, label in _PARTS:
        parts = given.get(name)
        if not isinstance(parts, list):
            yield from unexpected(name, parts)
            continue
        for position, part in enumerate(parts):
            if isinstance(part, dict):
                part_id = part.get("id")
                yield from _parts(part, {**place, label: position if part_id is None else part_id})
            elif part is not None:
                yield from unexpected(name, part)


def _annotation(place: Object, given: object) -> Iterator[Row]:
    values, rest = _ANNOTATION.split(given)
    text = text_of(rest.get("value"))
    if text is not None and isinstance(given, dict):
        values["text"] = text
        del rest["value"]
    yield row({**values, "geometry": Geometry.FIELD.value}, {**place, **rest})
    if not isinstance(given, dict) or "label" not in values:
        yield NotUnderstood.UNREAD
