"""Where a field goes follows from its name and its type, whichever objects were read before."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.annotations.columns import FieldMap, integer_in, json_in, list_in, number_in, text_in, word_in
from scalesync.annotations.flatten import flatten
from scalesync.annotations.models import Annotation

_COLUMNS = {
    "uuid": word_in("uuid"),
    "type": text_in("geometry"),
    "page": integer_in("frame"),
    "left": number_in("left"),
    "vertices": list_in("vertices"),
    "attributes": json_in("attributes"),
}
_OTHERS = {"x": number_in("left"), "geometry": text_in("geometry"), "id": word_in("uuid")}
_NAMES = (*_COLUMNS, *_OTHERS, "confidence")

_numbers = st.integers(-3, 3) | st.sampled_from([2**53 + 1, 2**63, -(2**63), 2**64, 10**400, -(10**400)])
_values: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | _numbers
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "car", "1e400", "é"])
    | st.lists(st.integers(0, 2), max_size=2)
    | st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=1)
)
_objects = st.dictionaries(st.sampled_from(_NAMES), _values, max_size=6)


def _expected(element: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the columns and the rest of an object, field by field."""
    columns: dict[str, Any] = {}
    rest = {}
    for name, value in element.items():
        column = _COLUMNS.get(name)
        if column is None or (value is not None and column.of(value) is None):
            rest[name] = value
        elif value is not None:
            columns[column.name] = column.of(value)
    for name, column in _OTHERS.items():
        if name in rest and column.name not in columns and column.of(rest[name]) is not None:
            columns[column.name] = column.of(rest.pop(name))
    return columns, rest


@settings(max_examples=300, deadline=None)
@given(st.lists(_objects, min_size=1, max_size=8))
def test_a_layout_seen_before_changes_nothing(elements: list[dict[str, Any]]) -> None:
    """Objects of the same names and types share a layout, and each value still goes where it fits."""
    fields = FieldMap(_COLUMNS, _OTHERS)

    for element in [*elements, *elements]:
        columns, rest = fields.split(element)

        assert (columns, rest) == _expected(element)
        assert [type(value) for value in columns.values()] == [
            type(columns[name]) for name in columns if name in Annotation._fields
        ]
        assert list(rest) == [name for name in element if name in rest]


def test_a_number_too_large_for_its_column_goes_to_extra_and_the_next_one_does_not() -> None:
    """The types of both objects are the same: the first one must not decide about the second."""
    elements = [{"type": "box", "left": 10**400, "uuid": "a"}, {"type": "box", "left": 7, "uuid": "b"}]

    for order in (elements, elements[::-1]):
        response = json.dumps({"annotations": order})
        rows = {row.uuid: row for row in flatten("imageannotation", response).annotations}

        assert (rows["b"].left, rows["b"].extra) == (7.0, None)
        assert rows["a"].left is None
        assert "left" in json.loads(rows["a"].extra or "{}")


def test_more_layouts_than_are_remembered_do_no_harm() -> None:
    """A document can have any number of layouts."""
    fields = FieldMap(_COLUMNS, _OTHERS)

    for number in range(2_500):
        assert fields.split({"x": 1, f"field {number}": number}) == (
            {"left": 1.0},
            {f"field {number}": number},
        )
