"""What was said of a text, a document or a recording, and answers to what was asked."""

from collections.abc import Iterator

from scalesync.flatten.columns import (
    Columns,
    Row,
    integer_in,
    json_in,
    row,
    split,
    stray,
    text_in,
    ties,
    word,
    word_in,
)
from scalesync.flatten.content import Object, encoded, leaves
from scalesync.flatten.drawings import SHAPE, shaped
from scalesync.flatten.rows import Annotation, Geometry, Link

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
        yield from stray("annotations", given)
    yield from ties("relationship", _RELATIONSHIP, place="relationships", value=response.get("relationships"))


def document(response: Object) -> Iterator[Row]:
    """Yield the pieces of a document in `annotations`, with page and place, and their `refs` as links."""
    given = response.get("annotations")
    if not isinstance(given, list):
        yield from stray("annotations", given)
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
        yield from stray("alignment", alignment)
        return
    for element in alignment:
        if element is not None:
            yield _plain(element, _WORD, Geometry.WORD)


def categories(response: Object) -> Iterator[Row]:
    """Yield a row for each category that was chosen."""
    return _chosen(response.get("category"), Geometry.CATEGORY)


def choice(response: Object) -> Iterator[Row]:
    """Yield what was chosen."""
    return _chosen(response.get("choice"), Geometry.CHOICE)


def collection(response: Object) -> Iterator[Row]:
    """Yield a row per field and answer, from `annotations` by field and from the list `responses`."""
    given = response.get("annotations")
    if isinstance(given, dict):
        yield from _by_field(given)
    else:
        yield from stray("annotations", given)
    answered = response.get("responses")
    for answers in answered if isinstance(answered, list) else [answered]:
        if isinstance(answers, dict):
            yield from _by_field(answers)
        else:
            yield from stray("responses", answers)


def fields(response: Object) -> Iterator[Row]:
    """Yield a row per field and value of `fields`, then of each object of `repeatable_fields`."""
    given = response.get("fields")
    if isinstance(given, dict):
        yield from _by_field(given)
    else:
        yield from stray("fields", given)
    repeated = response.get("repeatable_fields")
    if not isinstance(repeated, list):
        yield from stray("repeatable_fields", repeated)
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
        target = word(ref)
        extra = encoded({"value": ref}) if target is None else None
        yield Link(kind="ref", source=values.get("uuid"), target=target, extra=extra)


def _chosen(given: object, geometry: Geometry) -> Iterator[Row]:
    for item in leaves(given):
        label = word(item)
        yield row({"geometry": geometry.value, "label": label}, {} if label is not None else {"value": item})


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
    said = word(given)
    values = {"geometry": geometry.value, "label": label, "text": said}
    return row(values, beside if said is not None else {**beside, "value": given})
