"""What was said of a conversation: annotations of its threads, turns, messages and parts of messages."""

from collections.abc import Iterator

from scalesync.annotations.columns import (
    Columns,
    NotUnderstood,
    Row,
    json_in,
    row,
    split,
    text_of,
    unexpected,
    word_in,
)
from scalesync.annotations.json_values import Object
from scalesync.annotations.models import Geometry

_SAID: Columns = {
    "id": word_in("uuid"),
    "key": word_in("label"),
    "labels": json_in("attributes"),
}
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
"""Lists of parts, and what a part of each is called in `extra`, which holds its position or its id."""


def talk(response: Object) -> Iterator[Row]:
    """Yield a row per annotation of `threads`, on whatever level, or per answer in `responses`."""
    if "threads" in response:
        yield from _parts({"threads": response["threads"]}, {})
        return
    answers = response.get("responses")
    if not isinstance(answers, list):
        yield from unexpected("responses", answers)
        return
    for answer in answers:
        if answer is not None:
            yield from _answered(answer)


def _answered(given: object) -> Iterator[Row]:
    """Yield an answer of the older form: its type is the label, what came out its text."""
    about = dict(given) if isinstance(given, dict) else {"value": given}
    label, text = about.get("type"), text_of(about.get("output"))
    values: Object = {"geometry": Geometry.FIELD.value, "text": text}
    if isinstance(label, str):
        values["label"] = about.pop("type")
    if text is not None:
        del about["output"]
    yield row(values, about)
    if not isinstance(label, str) or text is None:
        yield NotUnderstood.UNREAD


def _parts(given: Object, place: Object) -> Iterator[Row]:
    """Yield the annotations of a part of a conversation, then those of the parts in it."""
    yield from _annotations(given.get("annotations"), place)
    content = given.get("content")
    if isinstance(content, dict):
        yield from _parts(content, place)
    for name, called in _PARTS:
        parts = given.get(name)
        if not isinstance(parts, list):
            yield from unexpected(name, parts)
            continue
        for position, part in enumerate(parts):
            if isinstance(part, dict):
                known = part.get("id")
                yield from _parts(part, {**place, called: position if known is None else known})
            elif part is not None:
                yield from unexpected(name, part)


def _annotations(given: object, place: Object) -> Iterator[Row]:
    if not isinstance(given, list):
        yield from unexpected("annotations", given)
        return
    for element in given:
        if element is None:
            continue
        values, rest = split(element, _SAID) if isinstance(element, dict) else ({}, {"value": element})
        text = text_of(rest.get("value"))
        if text is not None and isinstance(element, dict):
            values["text"] = text
            del rest["value"]
        yield row({**values, "geometry": Geometry.FIELD.value}, {**place, **rest})
        if not isinstance(element, dict) or "label" not in values:
            yield NotUnderstood.UNREAD
