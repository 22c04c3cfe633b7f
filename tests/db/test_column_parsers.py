"""Decoding a document at once gives the same columns as parsing its fields one by one."""

import json
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.db.mirror.documents import TASKS
from scalesync.parsing.column_parsers import ColumnParser, ColumnsParser, parse_column

_BASE = "2024-02-29T23:59:59.999Z"
_TIMES = (
    _BASE,
    "2023-02-29T23:59:59.999Z",
    "2024-02-29T24:00:00.000Z",
    "2024-W09-1T00:00:00.000Z",
    "0999-02-28T00:00:00.000Z",
    "2024-02-29 23:59:59.999Z",
    "2024-02-29T23:59:59,999Z",
    "2024-02-29T23:59:59.999z",
    "2024-02-29T23:59:59.99+1",
    "2024-02-29",
    "20240229T235959.999Z",
    "\uff12024-02-29T23:59:59.999Z",
    "",
)
_signs = st.sampled_from("0123456789-:T.Z W+,\u0660 t")


@st.composite
def _times(draw: st.DrawFn) -> str:
    """Return a time with some signs replaced by others."""
    signs = list(draw(st.sampled_from(_TIMES)) or _BASE)
    for place in draw(st.lists(st.integers(0, len(signs) - 1), max_size=3)):
        signs[place] = draw(_signs)
    return "".join(signs)


_values: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 1.0, 1e20, -0.0])
    | st.sampled_from(
        ["", "a", "\U0001f600" * 200, "x" * 82, "x" * 83, "x" * 998, "x" * 999, '"\\/\n', "é" * 500]
    )
    | _times()
    | st.lists(st.integers(0, 2), max_size=2)
    | st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=1)
)
_names = st.sampled_from([*(name for name, _ in TASKS.spec.columns), "urgency", "x"])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _is_exact(parser: ColumnParser, value: object, given: bytes) -> bool:
    """Return whether a column's value alone gives the field back as it came."""
    if value is None:
        return False
    if parser is ColumnParser.JSON:
        return value == given.decode()
    return type(value) is type(json.loads(given)) and json.loads(given) == value


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(_names, _values, max_size=8), st.booleans())
def test_at_once_is_as_field_by_field(document: dict[str, Any], ascii_only: bool) -> None:
    """The same values, and the same fields are left for `extra`."""
    text = json.dumps(document, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    left = _fields(text)

    values = ColumnsParser(TASKS.spec.columns).parse(text, left)

    given_fields, exact = _fields(text), set()
    for (name, parser), value in zip(TASKS.spec.columns, values, strict=True):
        raw = given_fields.get(name)
        assert value == (None if raw is None else parse_column(parser, raw)), name
        if raw is not None and _is_exact(parser, value, bytes(raw)):
            exact.add(name)
        if parser is ColumnParser.INSTANT and value is not None:
            datetime.fromisoformat(str(value))
    assert list(left) == [name for name in document if name not in exact]
