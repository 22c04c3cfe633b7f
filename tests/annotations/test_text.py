"""What was said of texts, documents and recordings, and answers, as rows."""

from typing import Any

import pytest

from scalesync.annotations.models import Annotation, Link
from tests.support.flattening import extras, flat


def test_entities_have_their_place_in_the_text() -> None:
    """An entity has offsets, text and label; relationships are links between entities."""
    response = {
        "annotations": [
            {"id": "e0", "start": 0, "end": 4, "text": "Anna", "label": "person", "attributes": {"a": 1}},
            {"id": 1, "start": "9", "end": 2**63, "label": None, "score": 0.5},
        ],
        "relationships": [
            {"id": "r", "source_ref": "e0", "target_ref": 1, "name": "owns"},
            {"source_ref": "e0", "weight": 2},
        ],
    }

    came = flat("namedentityrecognition", response)

    assert came.annotations == (
        Annotation(
            uuid="e0",
            label="person",
            geometry="entity",
            text_start=0,
            text_end=4,
            text="Anna",
            attributes='{"a":1}',
        ),
        Annotation(uuid="1", geometry="entity", extra='{"start":"9","end":9223372036854775808,"score":0.5}'),
    )
    assert came.links == (
        Link(kind="relationship", uuid="r", source="e0", target="1", label="owns"),
        Link(kind="relationship", source="e0", extra='{"weight":2}'),
    )


def _field(label: str, text: str | None, extra: str | None = None) -> Annotation:
    return Annotation(geometry="field", label=label, text=text, extra=extra)


@pytest.mark.parametrize(
    ("response", "rows"),
    [
        (
            {"annotations": {"mood": {"type": "category", "field_id": "mood", "response": [["good", "so"]]}}},
            [_field("mood", "good", '{"type":"category"}'), _field("mood", "so", '{"type":"category"}')],
        ),
        ({"annotations": {"a": {"field_id": "b", "response": "x"}}}, [_field("a", "x", '{"field_id":"b"}')]),
        ({"annotations": {"a": "x", "b": ["y", 5, True, None, 1.5]}},
         [_field("a", "x"), _field("b", "y"), _field("b", "5"), _field("b", "true"), _field("b", "1.5")]),
        ({"responses": [{"a": "x", "b": ["y", ["z"]]}, {"a": "w"}]},
         [_field("a", "x", '{"respondent":0}'), _field("b", "y", '{"respondent":0}'),
          _field("b", "z", '{"respondent":0}'), _field("a", "w", '{"respondent":1}')]),
        ({"responses": [{"a": "x"}]}, [_field("a", "x")]),
        ({"responses": {"a": "x"}}, [_field("a", "x")]),
        ({"annotations": {"a": None, "b": {"response": []}}}, []),
    ],
)  # fmt: skip
def test_text_collection_has_a_row_per_field_and_answer(
    response: dict[str, Any], rows: list[Annotation]
) -> None:
    """Every shape gives a row per field and answer, lists in lists unfolded; respondents stay apart."""
    came = flat("textcollection", response)

    assert list(came.annotations) == rows
    assert came.read


@pytest.mark.parametrize(
    ("response", "row"),
    [
        ({"responses": [{"a": {"b": 1}}]}, _field("a", None, '{"value":{"b":1}}')),
        (
            {"annotations": {"a": {"type": "t", "response": [{"b": 1}]}}},
            _field("a", None, '{"type":"t","value":{"b":1}}'),
        ),
    ],
)
def test_an_answer_of_no_documented_encoding_is_kept_and_counted(
    response: dict[str, Any], row: Annotation
) -> None:
    """An object as the answer stands whole in `extra`, and the response counts as not read."""
    came = flat("textcollection", response)

    assert list(came.annotations) == [row]
    assert not came.read


@pytest.mark.parametrize("task_type", ["datacollection", "transcription"])
def test_fields_have_a_row_per_value(task_type: str) -> None:
    """Fields come first, then each repetition with its number; a null is no row."""
    response = {
        "fields": {"title": "T", "tags": ["a", 1], "none": None, "odd": {"b": 1}},
        "repeatable_fields": [None, {"user": "u", "age": 5}, "odd"],
        "time_spent_in_seconds": 15,
    }

    came = flat(task_type, response)

    assert list(came.annotations) == [
        _field("title", "T"),
        _field("tags", "a"),
        _field("tags", "1"),
        _field("odd", None, '{"value":{"b":1}}'),
        _field("user", "u", '{"repeat":1}'),
        _field("age", "5", '{"repeat":1}'),
        Annotation(extra='{"repeat":2,"value":"odd"}'),
    ]
    assert came.read


@pytest.mark.parametrize(
    ("task_type", "response", "labels", "kept"),
    [
        ("categorization", {"category": "public", "category_id": None}, ["public"], [None]),
        ("categorization", {"category": ["a", ["b", 3], None]}, ["a", "b", "3"], [None] * 3),
        ("categorization", {"category": {"a": 1}}, [None], [{"value": {"a": 1}}]),
        ("categorization", {"category": None}, [], []),
        (
            "categorization",
            {"category": ["a", "b"], "category_id": ["1", "2"]},
            ["a", "b"],
            [{"category_id": "1"}, {"category_id": "2"}],
        ),
        (
            "categorization",
            {"category": "a", "category_id": ["1", "2"]},
            ["a"],
            [{"category_id": ["1", "2"]}],
        ),
        ("categorization", {"category": None, "category_id": "1"}, [None], [{"category_id": "1"}]),
        ("comparison", {"choice": "yes"}, ["yes"], [None]),
        ("comparison", {"choice": [1, 2]}, ["1", "2"], [None] * 2),
    ],
)
def test_what_was_chosen_is_the_label(
    task_type: str, response: dict[str, Any], labels: list[str | None], kept: list[object]
) -> None:
    """Every category or choice is one row, and its label."""
    came = flat(task_type, response)

    geometry = "category" if task_type == "categorization" else "choice"
    assert [row.label for row in came.annotations] == labels
    assert extras(came) == kept
    assert {row.geometry for row in came.annotations} <= {geometry}
    assert came.read


def test_speech_is_the_transcript_and_then_its_words() -> None:
    """The first row has all that was heard, then each word has its seconds."""
    response = {
        "transcript": "It is",
        "duration": 2,
        "alignment": [{"word": "It", "start": 0.5, "end": 1, "confidence": 0.9}, None, {"word": "is"}, "odd"],
    }

    assert list(flat("audiotranscription", response).annotations) == [
        Annotation(geometry="transcript", text="It is", extra='{"duration":2}'),
        Annotation(geometry="word", text="It", extra='{"start":0.5,"end":1,"confidence":0.9}'),
        Annotation(geometry="word", text="is"),
        Annotation(geometry="word", extra='{"value":"odd"}'),
    ]


@pytest.mark.parametrize("task_type", ["documenttranscription", "documentmodel"])
def test_pieces_of_a_document_have_page_and_place(task_type: str) -> None:
    """A piece has its page as frame, its location in columns, and a link for each of its refs."""
    place = {"type": "box", "left": 1, "top": 2, "width": 3, "height": 4, "unit": "px"}
    response = {
        "annotations": [
            {"uuid": "p", "page": 2, "label": "total", "text": "9 EUR", "location": place, "refs": ["q", 5]},
            {"uuid": "q", "page": "two", "location": "top left", "refs": None, "confidence": 1},
            {"uuid": "o", "location": {"x": 1, "y": 2}, "refs": {"a": 1}},
            {"location": ""},
            5,
        ]
    }

    came = flat(task_type, response)

    assert list(came.annotations) == [
        Annotation(
            uuid="p",
            label="total",
            geometry="box",
            frame=2,
            left=1.0,
            top=2.0,
            width=3.0,
            height=4.0,
            text="9 EUR",
            extra='{"location":{"unit":"px"}}',
        ),
        Annotation(uuid="q", extra='{"page":"two","confidence":1,"location":"top left"}'),
        Annotation(uuid="o", geometry="point", left=1.0, top=2.0),
        Annotation(extra='{"location":""}'),
        Annotation(extra='{"value":5}'),
    ]
    assert came.links == (
        Link(kind="ref", source="p", target="q"),
        Link(kind="ref", source="p", target="5"),
        Link(kind="ref", source="o", extra='{"value":{"a":1}}'),
    )


@pytest.mark.parametrize(
    ("task_type", "place"),
    [
        ("namedentityrecognition", "annotations"),
        ("documenttranscription", "annotations"),
        ("textcollection", "annotations"),
        ("textcollection", "responses"),
        ("datacollection", "fields"),
        ("transcription", "repeatable_fields"),
        ("audiotranscription", "alignment"),
    ],
)
def test_another_kind_than_is_due_is_kept_and_reported(task_type: str, place: str) -> None:
    """A text where a list or an object is due is kept under its name, and the response counts as not read."""
    came = flat(task_type, {place: "odd"})

    assert extras(came) == [{place: "odd"}]
    assert not came.read
