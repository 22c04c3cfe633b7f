"""Replaces what parsers or databases reject in JSON text: bad UTF-8, U+0000, lone surrogates."""

import codecs
import json
import re
from typing import Any

import msgspec

REPLACEMENT = b"\\ufffd"
"""U+FFFD as a JSON escape, for a character that cannot be stored."""

_ESCAPE = re.compile(
    rb"""\\(?:
        \\                                                              # a backslash: no escape follows
      | u0000
      | u[dD][89abAB][0-9a-fA-F]{2} (?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?  # high, with its low one or alone
      | u[dD][c-fC-F][0-9a-fA-F]{2}                                     # low, alone
    )""",
    re.VERBOSE,
)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD])")
"""Quick test: most answers have no such escape."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Encodings by the byte order mark before a text. JSON needs none (RFC 8259); some servers send one."""
_MAX_DIGITS = 4_000
"""Digits of a whole number; Python reads about 4,300."""
_CHUNK = 4 << 20
"""Bytes checked together."""
_PAIR_LENGTH = len(rb"\ud83d\ude00")


def read_json(text: bytes | str) -> Any:
    """Return the value of a JSON text; a number beyond every float is infinite."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        # Valid JSON all the same: a number such as 1e400, or one of thousands of digits.
        return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def sanitize(body: bytes) -> tuple[bytes, int]:
    """Return JSON text with what cannot be stored replaced by U+FFFD, and the number of replacements.

    The result is valid UTF-8 without escapes of U+0000 (Postgres rejects them) and of unpaired surrogates
    (msgspec and Postgres reject them). Everything else stays, pairs of surrogates and escaped backslashes
    included. A byte order mark is removed, and the text decoded as it says.
    """
    body, replaced = _as_utf8(body)
    if b"\\" not in body or not _SUSPECT.search(body):
        return body, replaced

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal replaced
        escape = match.group()
        # A pair of surrogates is one valid character; an escaped backslash only looks like a beginning.
        if len(escape) == _PAIR_LENGTH or escape == b"\\\\":
            return escape
        replaced += 1
        return REPLACEMENT

    return _ESCAPE.sub(mend, body), replaced


def format_json(text: bytes, *, indent: int = -1) -> bytes:
    """Return JSON text indented by `indent` blanks a level, or with -1 compact in one line.

    Text that is nested too deeply, or is not JSON, is returned unchanged but in one line.
    """
    try:
        return msgspec.json.format(text, indent=indent)
    except (msgspec.DecodeError, RecursionError):
        # Safe: within a JSON string line ends are always escaped.
        return text.replace(b"\n", b" ").replace(b"\r", b" ")


def _as_utf8(body: bytes) -> tuple[bytes, int]:
    """Return `body` as valid UTF-8, and how many U+FFFD were inserted."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            text = body[len(mark) :].decode(encoding, errors="replace")
            return text.encode(), text.count("\ufffd") - body.count("\ufffd".encode(encoding))
    try:
        _check_utf8(body)
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
        return text.encode(), text.count("\ufffd") - body.count("\ufffd".encode())
    return body, 0


def is_utf8(body: bytes) -> bool:
    """Return whether a text is valid UTF-8."""
    try:
        _check_utf8(body)
    except UnicodeDecodeError:
        return False
    return True


def _check_utf8(body: bytes) -> None:
    """Raise UnicodeDecodeError for what is not UTF-8, in little memory for any size."""
    if len(body) <= _CHUNK:
        body.decode()
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(body), _CHUNK):
        decoder.decode(body[at : at + _CHUNK], final=at + _CHUNK >= len(body))
