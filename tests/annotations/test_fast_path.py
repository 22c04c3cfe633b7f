"""What is read in one go comes to the same as what is looked at field by field."""

import pytest

from scalesync.annotations.fast_path import drawings
from scalesync.annotations.flatten import flatten

_NUMBERS = (
    "0",
    "-0",
    "1",
    "2.5",
    "-0.0",
    "1e3",
    "1E-7",
    "1.10",
    str(2**53 + 1),
    str(2**64),
    "9" * 40,
    "9" * 400,
    "1e400",
)
_TEXTS = ('"car"', '""', '"\\u00e9"', '"a\\u0000"', '"é\U0001f600"', "null", "true", "7", "[]", "{}", '["a"]')
_ODD = (*_NUMBERS, *_TEXTS, '{"a": 1.0, "b": [1e2, null]}', "[[1, 2.50]]", '[{"x": 1, "y": 2}]')
_USUAL = {
    "type": '"box"', "uuid": '"u"', "label": '"car"', "left": "1", "top": "2.5", "width": "3", "height": "4",
    "rotation": "0.5", "vertices": '[{"x": 1, "y": 2.0}]', "attributes": '{"colour": "red"}',
}  # fmt: skip


def _element(*fields: tuple[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields) + "}"


def _response(elements: list[str], beside: str = "") -> str:
    return f'{{"annotations": [{", ".join(elements)}], "global_attributes": {{}}{beside}}}'


@pytest.mark.parametrize("name", [*_USUAL, "geometry", "x", "frame", "key", "id"])
def test_it_makes_no_difference_how_it_is_read(name: str) -> None:
    """Whatever stands in a field, instead of or after the usual.

    A null among the elements is no annotation, and has them looked at one by one.
    """
    for odd in _ODD:
        others = [field for field in _USUAL.items() if field[0] != name]
        elements = [
            _element(*others, (name, odd)),
            _element(*_USUAL.items(), (name, odd)),
            _element((name, odd)),
        ]
        for element in elements:
            quick, close = (
                flatten("imageannotation", _response(given)) for given in ([element], [element, "null"])
            )
            assert repr(quick) == repr(close), element
    assert drawings(_response(["null"])) is None


@pytest.mark.parametrize("count", [0, 1, 5])
def test_usual_drawings_are_read_in_one_go(count: int) -> None:
    """So that the way round is for the others."""
    read = drawings(_response([_element(*_USUAL.items())] * count))
    assert read is not None
    assert len(read) == count


@pytest.mark.parametrize(
    "beside", [', "links": []', ', "links": [{"from": "a", "to": "b"}]', ', "links": {}']
)
def test_links_are_looked_at_closely(beside: str) -> None:
    """No link is lost."""
    assert drawings(_response([], beside)) is None
