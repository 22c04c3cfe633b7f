"""Replacing what cannot be stored, held against Python's own JSON reader."""

import json
import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.json_sanitizing import read_json, sanitize

PIECES = [
    "a",
    "\\u0000",
    "\\ud800",
    "\\uDBFF",
    "\\udc00",
    "\\uDFff",
    "\\ud83d\\ude00",
    "\\\\",
    "\\\\u0000",
    "\\\\ud800",
    "\\n",
    '\\"',
    "\\/",
    "\\u00e9",
    "\\ue000",
    "\\ud7ff",
    "é",
    "\U0001f600",
    "\ufffd",
    "u0000",
]
BAD = re.compile("[\x00\ud800-\udfff]")


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_escapes(pieces: list[str]) -> None:
    """NUL and unpaired surrogates become U+FFFD and are counted; every other character stays."""
    body = ('["' + "".join(pieces) + '"]').encode()
    plain: str = json.loads(body)[0]

    mended, replaced = sanitize(body)

    assert json.loads(mended)[0] == BAD.sub("\ufffd", plain)
    assert replaced == len(BAD.findall(plain))
    assert msgspec.json.decode(mended) == json.loads(mended)


@given(st.recursive(st.none() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=20))
def test_ordinary_documents_stay(value: object) -> None:
    """A document without such characters stays byte for byte, escaped or not."""
    if BAD.search(json.dumps(value, ensure_ascii=False)) or "\\u0000" in json.dumps(value):
        return
    for ascii_only in (True, False):
        body = json.dumps(value, ensure_ascii=ascii_only).encode()

        assert sanitize(body) == (body, 0)


@given(
    st.lists(
        st.sampled_from([b"a", b"\xff", b"\xc3", b"\xe2\x82", b"\xef\xbf\xbd", b"\xed\xa0\x80", "é".encode()])
    )
)
def test_invalid_utf8(pieces: list[bytes]) -> None:
    """Bytes that are no UTF-8 become U+FFFD and are counted; a U+FFFD that the API sent is not."""
    body = b'["' + b"".join(pieces) + b'"]'

    mended, replaced = sanitize(body)

    assert mended.decode() == body.decode(errors="replace")
    assert replaced == mended.count("\ufffd".encode()) - body.count("\ufffd".encode())
    assert (replaced == 0) == (mended == body)


@pytest.mark.parametrize(
    ("encoding", "broken"),
    [
        ("utf-8-sig", b"\xff"),
        ("utf-16", b"\x00\xd8a\x00"),
        ("utf-32", b"\x00\x00\x11\x00"),
        ("utf-16-be", b"\xd8\x00\x00a"),
        ("utf-32-be", b"\x00\x11\x00\x00"),
    ],
)
def test_a_byte_order_mark(encoding: str, broken: bytes) -> None:
    """A mark says how the text is encoded and goes; what is no text is still replaced and counted."""
    mark = "\ufeff" if encoding.endswith("-be") else ""
    text = '{"a": "é\U0001f600\ufffd\\\\", "b": 1}'

    assert sanitize((mark + text).encode(encoding)) == (text.encode(), 0)
    cut = (mark + '["').encode(encoding) + broken
    assert sanitize(cut)[0].decode().startswith('["\ufffd')
    assert sanitize(cut)[1] == 1


@pytest.mark.parametrize(
    ("body", "mended", "replaced"),
    [
        (rb'"\\u0000"', rb'"\\u0000"', 0),
        (rb'"\\\u0000"', rb'"\\\ufffd"', 1),
        (rb'"\ud800\ud83d\ude00\ude00"', rb'"\ufffd\ud83d\ude00\ufffd"', 2),
        (rb'"\\ud83d\ude00"', rb'"\\ud83d\ufffd"', 1),
        (rb'{"\u0000": 1}', rb'{"\ufffd": 1}', 1),
    ],
)
def test_examples(body: bytes, mended: bytes, replaced: int) -> None:
    """Escaped backslashes are text, pairs stay together, names of fields are treated alike."""
    assert sanitize(body) == (mended, replaced)


def test_numbers_beyond_every_float_are_read() -> None:
    """They are valid JSON; one of more digits than Python reads is a float."""
    digits = "9" * 5_000
    assert read_json(b'{"a": [1e400, -1e400, 12]}') == {"a": [math.inf, -math.inf, 12]}
    assert read_json(f'{{"a": {digits}}}'.encode()) == {"a": math.inf}
    assert read_json(b"[123456789012345678901234567890]") == [123456789012345678901234567890]
