"""What was said of a text, a document or a recording, and answers to what was asked."""

from collections.abc import Iterator

from scalesync.annotations.columns import (
    Columns,
    NotUnderstood,
    Row,
    integer_in,
    json_in,
    links,
    row,
    split,
    text_in,
    text_of,
    unexpected,
    word_in,
)
from scalesync.annotations.image import SHAPE, shaped
from scalesync.annotations.json_values import Object, encoded, leaves
from scalesync.annotations.models import Annotation, Geometry, Link

_ENTITY: Columns = {
    "id": word_in("uuid"),
    "start": integer_in("text_start"),
    "end": integer_in("text_end"),
    "text": word_in("text"),
    "label": word_in("label"),
    "attributes": json_in("attributes"),
}
_RELATIONSHIP: Columns = {
    "id": word_in("uuid"),
    "source_ref": word_in("source"),
    "target_ref": word_in("target"),
    "name": word_in("label"),
}
_PIECE: Columns = {
    "uuid": word_in("uuid"),
    "page": integer_in("frame"),
    "label": word_in("label"),
    "text": word_in("text"),
    "attributes": json_in("attributes"),
}
_LOCATION: Columns = {**SHAPE, "type": text_in("geometry")}
_WORD: Columns = {"word": word_in("text")}


def entities(response: Object) -> Iterator[Row]:
    """Yield the entities of `annotations` and the links of `relationships`."""
    given = response.get("annotations")
    if isinstance(given, list):
        for element in given:
            if element is not None:
                yield _plain(element, _ENTITY, Geometry.ENTITY)
    else:
        yield from unexpected("annotations", given)
    yield from links(
        "relationship", _RELATIONSHIP, place="relationships", value=response.get("relationships")
    )


def document(response: Object) -> Iterator[Row]:
    """Yield the pieces of a document in `annotations`, with page and place, and their `refs` as links."""
    given = response.get("annotations")
    if not isinstance(given, list):
        yield from unexpected("annotations", given)
        return
    for element in given:
        if isinstance(element, dict):
            yield from _piece(element)
        elif element is not None:
            yield row({}, {"value": element})


def speech(response: Object) -> Iterator[Row]:
    """Yield what was heard, in one row, then every word of `alignment`."""
    heard = response.get("transcript")
    duration = response.get("duration")
    if heard is not None:
        beside = {} if duration is None else {"duration": duration}
        yield _answer(heard, Geometry.TRANSCRIPT, beside)
    alignment = response.get("alignment")
    if not isinstance(alignment, list):
        yield from unexpected("alignment", alignment)
        return
    for element in alignment:
        if element is not None:
            yield _plain(element, _WORD, Geometry.WORD)


def categories(response: Object) -> Iterator[Row]:
    """Yield a row for each category that was chosen, with its `category_id` in `extra` if there is one."""
    given, ids = response.get("category"), list(leaves(response.get("category_id")))
    chosen = list(leaves(given)) or [None] * bool(ids)
    whole = ids if len(ids) != len(chosen) else None
    for position, item in enumerate(chosen):
        beside: Object = {} if not ids else {"category_id": whole or ids[position]}
        yield _chosen(item, Geometry.CATEGORY, beside)


def choice(response: Object) -> Iterator[Row]:
    """Yield what was chosen, then the fields."""
    for item in leaves(response.get("choice")):
        yield _chosen(item, Geometry.CHOICE, {})
    yield from fields(response)


def call(response: Object) -> Iterator[Row]:
    """Yield how a call ended, as a field, then what was chosen and the fields."""
    for item in leaves(response.get("outcome")):
        yield _answer(item, Geometry.FIELD, {}, label="outcome")
    yield from choice(response)


def collection(response: Object) -> Iterator[Row]:
    """Yield a row per field and answer, from `annotations` by field and from the list `responses`.

    That list has an element for each person who answered; where there are several, `extra` has the number.
    How answers other than texts, numbers and truths are written is not documented: these are unread.
    """
    for answer in _collected(response):
        yield answer
        if type(answer) is Annotation and answer.geometry == Geometry.FIELD and answer.text is None:
            yield NotUnderstood.UNREAD


def _collected(response: Object) -> Iterator[Row]:
    given = response.get("annotations")
    if isinstance(given, dict):
        yield from _by_field(given)
    else:
        yield from unexpected("annotations", given)
    answered = response.get("responses")
    several = isinstance(answered, list) and len(answered) > 1
    for number, answers in enumerate(answered if isinstance(answered, list) else [answered]):
        if isinstance(answers, dict):
            yield from _by_field(answers, **({"respondent": number} if several else {}))
        else:
            yield from unexpected("responses", answers)


def fields(response: Object) -> Iterator[Row]:
    """Yield a row per field and value of `fields`, then of each object of `repeatable_fields`."""
    given = response.get("fields")
    if isinstance(given, dict):
        yield from _by_field(given)
    else:
        yield from unexpected("fields", given)
    repeated = response.get("repeatable_fields")
    if not isinstance(repeated, list):
        yield from unexpected("repeatable_fields", repeated)
        return
    for repeat, element in enumerate(repeated):
        if isinstance(element, dict):
            yield from _by_field(element, repeat=repeat)
        elif element is not None:
            yield row({}, {"repeat": repeat, "value": element})


def _plain(element: object, columns: Columns, geometry: Geometry) -> Annotation:
    values, rest = split(element, columns) if isinstance(element, dict) else ({}, {"value": element})
    values["geometry"] = geometry.value
    return row(values, rest)


def _piece(element: Object) -> Iterator[Row]:
    values, rest = split(element, _PIECE)
    refs = rest.pop("refs", None)
    location = rest.pop("location", None)
    if isinstance(location, dict):
        place, location = shaped(location, _LOCATION)
        values |= place
    if location not in (None, {}):
        rest["location"] = location
    yield row(values, rest)
    for ref in leaves(refs):
        target = text_of(ref)
        extra = encoded({"value": ref}) if target is None else None
        yield Link(kind="ref", source=values.get("uuid"), target=target, extra=extra)


def _chosen(given: object, geometry: Geometry, beside: Object) -> Annotation:
    label = text_of(given)
    own = {"value": given} if given is not None and label is None else {}
    return row({"geometry": geometry.value, "label": label}, {**beside, **own})


def _by_field(answers: Object, **beside: object) -> Iterator[Row]:
    """Yield a row per field and answer; an object with a `response` answers with that."""
    for name, given in answers.items():
        answer, about = given, beside
        if isinstance(given, dict) and "response" in given:
            about = {**beside, **given}
            answer = about.pop("response")
            if about.get("field_id") == name:
                del about["field_id"]
        for item in leaves(answer):
            yield _answer(item, Geometry.FIELD, about, label=name)


def _answer(given: object, geometry: Geometry, beside: Object, label: str | None = None) -> Annotation:
    said = text_of(given)
    values = {"geometry": geometry.value, "label": label, "text": said}
    return row(values, beside if said is not None else {**beside, "value": given})
