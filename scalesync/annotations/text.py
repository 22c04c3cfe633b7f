"""Flattens annotations of texts, documents and recordings, and answers to forms."""

from collections.abc import Iterator

from scalesync.annotations.columns import (
    LINK_ENDS,
    FieldMap,
    NotUnderstood,
    Row,
    integer_in,
    json_in,
    links,
    row,
    rows_of_list,
    text_in,
    text_of,
    unexpected,
    word_in,
)
from scalesync.annotations.image import ALTERNATIVES, SHAPE, shaped
from scalesync.annotations.json_values import Object, encoded, leaves
from scalesync.annotations.models import Annotation, Geometry, Link

_ENTITY = FieldMap(
    {
        "id": word_in("uuid"),
        "start": integer_in("text_start"),
        "end": integer_in("text_end"),
        "text": word_in("text"),
        "label": word_in("label"),
        "attributes": json_in("attributes"),
    }
)
_RELATIONSHIP = FieldMap(
    {
        "id": word_in("uuid"),
        "source_ref": word_in("source"),
        "target_ref": word_in("target"),
        "name": word_in("label"),
    },
    LINK_ENDS,
    row_type=Link,
)
_PIECE = FieldMap(
    {
        "uuid": word_in("uuid"),
        "page": integer_in("frame"),
        "label": word_in("label"),
        "text": word_in("text"),
        "attributes": json_in("attributes"),
    }
)
_LOCATION = FieldMap({**SHAPE, "type": text_in("geometry")}, ALTERNATIVES)
_WORD = FieldMap({"word": word_in("text")})


def entities(response: Object) -> Iterator[Row]:
    """Yield the entities of `annotations` and the links of `relationships`."""
    given = response.get("annotations")
    yield from rows_of_list("annotations", given, lambda each: (_plain(each, _ENTITY, Geometry.ENTITY),))
    yield from links(
        "relationship", _RELATIONSHIP, place="relationships", value=response.get("relationships")
    )


def document(response: Object) -> Iterator[Row]:
    """Yield the annotations of a document, with page and location, and their `refs` as links."""
    yield from rows_of_list("annotations", response.get("annotations"), _piece)


def speech(response: Object) -> Iterator[Row]:
    """Yield the transcript as one row, then every word of `alignment`."""
    transcript = response.get("transcript")
    duration = response.get("duration")
    if transcript is not None:
        beside = {} if duration is None else {"duration": duration}
        yield _answer(transcript, Geometry.TRANSCRIPT, beside)
    alignment = response.get("alignment")
    yield from rows_of_list("alignment", alignment, lambda each: (_plain(each, _WORD, Geometry.WORD),))


def categories(response: Object) -> Iterator[Row]:
    """Yield a row per chosen category, with its `category_id` in `extra` if there is one."""
    given, ids = response.get("category"), list(leaves(response.get("category_id")))
    chosen = list(leaves(given)) or [None] * bool(ids)
    # Ids that cannot be told apart by position go to every category, all of them.
    all_ids = ids if len(ids) != len(chosen) else None
    for position, item in enumerate(chosen):
        beside: Object = {} if not ids else {"category_id": all_ids or ids[position]}
        yield _chosen(item, Geometry.CATEGORY, beside)


def choice(response: Object) -> Iterator[Row]:
    """Yield a row per choice, then the fields."""
    for item in leaves(response.get("choice")):
        yield _chosen(item, Geometry.CHOICE, {})
    yield from fields(response)


def call(response: Object) -> Iterator[Row]:
    """Yield the outcome of a call as a field, then choices and fields."""
    for item in leaves(response.get("outcome")):
        yield _answer(item, Geometry.FIELD, {}, label="outcome")
    yield from choice(response)


def collection(response: Object) -> Iterator[Row]:
    """Yield a row per field and answer, of `annotations` and of each respondent in `responses`.

    With several respondents `extra` has their number.
    """
    # The form of answers other than texts, numbers and booleans is not documented: they count as unread.
    for answer in _collected(response):
        yield answer
        if type(answer) is Annotation and answer.geometry == Geometry.FIELD and answer.text is None:
            yield NotUnderstood.UNREAD


def _collected(response: Object) -> Iterator[Row]:
    yield from _by_field("annotations", response.get("annotations"))
    responses = response.get("responses")
    several = isinstance(responses, list) and len(responses) > 1
    for number, answers in enumerate(responses if isinstance(responses, list) else [responses]):
        yield from _by_field("responses", answers, **({"respondent": number} if several else {}))


def fields(response: Object) -> Iterator[Row]:
    """Yield a row per field and value of `fields`, then of each object of `repeatable_fields`."""
    yield from _by_field("fields", response.get("fields"))
    repeated = response.get("repeatable_fields")
    if not isinstance(repeated, list):
        yield from unexpected("repeatable_fields", repeated)
        return
    for repeat, element in enumerate(repeated):
        if isinstance(element, dict):
            yield from _by_field("repeatable_fields", element, repeat=repeat)
        elif element is not None:
            yield row({}, {"repeat": repeat, "value": element})


def _plain(element: object, fields: FieldMap, geometry: Geometry) -> Annotation:
    values, rest = fields.split(element)
    values["geometry"] = geometry.value
    return row(values, rest)


def _piece(element: object) -> Iterator[Row]:
    if not isinstance(element, dict):
        yield row({}, {"value": element})
        return
    values, rest = _PIECE.split(element)
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


def _by_field(place: str, answers: object, **beside: object) -> Iterator[Row]:
    """Yield a row per field and answer; the answer of an object with a `response` is that."""
    if not isinstance(answers, dict):
        yield from unexpected(place, answers)
        return
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
    text = text_of(given)
    values = {"geometry": geometry.value, "label": label, "text": text}
    return row(values, beside if text is not None else {**beside, "value": given})
