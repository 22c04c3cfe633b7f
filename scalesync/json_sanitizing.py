"""Make the text of an answer such that every parser reads it and every database holds it."""

import codecs
import json
import re
from typing import Any

import msgspec

REPLACEMENT = b"\\ufffd"
"""What stands in place of a character that cannot be held, as a JSON escape."""

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
"""Most answers hold none. One pass, and cheaper than looking for each of these by itself."""
_MARKED = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""By the byte order mark before it, the encoding of a text. JSON needs none (RFC 8259), and some put one."""
_DIGITS = 4_000
"""Of a whole number; Python reads no longer ones."""
_AT_ONCE = 4 << 20
"""Bytes that are looked at together."""
_PAIR = len(rb"\ud83d\ude00")


def read_json(text: bytes) -> Any:
    """Return what a JSON text holds, for people and programs; a number beyond every float is infinite."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        # Valid JSON all the same: a number such as 1e400, or one of thousands of digits.
        return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def sanitize(body: bytes) -> tuple[bytes, int]:
    """Return the JSON text `body` with what cannot be stored replaced, and how many replacements that took.

    Afterwards the text is valid UTF-8 and holds no escape of U+0000 (Postgres refuses it) and no escape of an
    unpaired surrogate (msgspec and Postgres refuse those). Each became U+FFFD, as did every invalid UTF-8
    sequence. Everything else, pairs of surrogates and escaped backslashes included, is as it was, but for a
    byte order mark before the text: it goes, and the text is read in the encoding that it stands for.
    """
    body, replaced = _as_utf8(body)
    if b"\\" not in body or not _SUSPECT.search(body):
        return body, replaced

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal replaced
        escape = match.group()
        if len(escape) == _PAIR or escape == b"\\\\":
            return escape
        replaced += 1
        return REPLACEMENT

    return _ESCAPE.sub(mend, body), replaced


def format_json(text: bytes, *, indent: int = -1) -> bytes:
    """Return JSON text laid out with so many blanks a level; -1: compact, in one line.

    Where it is nested too deeply for that, or is not quite JSON, it comes in one line as it is.
    """
    try:
        return msgspec.json.format(text, indent=indent)
    except (msgspec.DecodeError, RecursionError):
        # Within a string of JSON a line end is always escaped.
        return text.replace(b"\n", b" ").replace(b"\r", b" ")


def _as_utf8(body: bytes) -> tuple[bytes, int]:
    """Return `body` as valid UTF-8, and how many U+FFFD came in that were not there before."""
    for mark, encoding in _MARKED:
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
    """Return whether every byte of a text belongs to a character in UTF-8."""
    try:
        _check_utf8(body)
    except UnicodeDecodeError:
        return False
    return True


def _check_utf8(body: bytes) -> None:
    """Raise UnicodeDecodeError for what is not UTF-8. Takes little memory, however much text there is."""
    if len(body) <= _AT_ONCE:
        body.decode()
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(body), _AT_ONCE):
        decoder.decode(body[at : at + _AT_ONCE], final=at + _AT_ONCE >= len(body))
