"""JSON text that came from elsewhere, as values; and values as the JSON text that a column takes."""

import codecs
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from scalesync.json_sanitizing import is_utf8, sanitize

Object = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, and what they say of the bytes that follow. The longer ones begin like shorter ones."""
_FIRST_OF_MARKS = (b"\xef\xbb", b"\xff\xfe", b"\xfe\xff", b"\0\0")
_MOST_DIGITS = 4_300
"""Of a whole number that is read as one: Python reads no more."""
_NOT_READ = "This is not JSON that can be read."


class UnreadableError(ValueError):
    """A text is not JSON, or is nested beyond the stack."""


def decoded(text: str | bytes) -> Any:
    """Return the value of a JSON text, every string in it such that databases hold it.

    U+0000, lone surrogates and bytes that are not UTF-8 are U+FFFD in it. Of bytes, a byte order mark and
    trailing NULs are ignored. The literals NaN, Infinity and -Infinity, which Python and others write and
    JSON does not have, are those words as texts; so are, digit by digit, numbers with a point or an exponent
    that no double holds, and whole ones of thousands of digits. Raises UnreadableError.
    """
    try:
        if _is_plain(text):
            with suppress(UnicodeError):
                return _decode(text)
        return _decode(_storable(text))
    except msgspec.DecodeError as error:
        # A number that is too large is no error of the text, and msgspec tells it by another exception.
        if isinstance(error, msgspec.ValidationError) or _has_literals(text):
            return _decoded_with_words(_storable(text))
        raise UnreadableError(_NOT_READ) from error
    except RecursionError as error:
        raise UnreadableError(_NOT_READ) from error


def unmarked(content: bytes) -> bytes:
    """Return the text of a file in UTF-8, without a byte order mark and without the NULs after its end."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            content = content.removeprefix(mark)
            if encoding:
                content = content.decode(encoding, errors="replace").encode()
            break
    return content.rstrip(b"\0")


def is_text(content: bytes) -> bool:
    """Return whether every byte of a file belongs to a character, in UTF-8 or as its byte order mark says."""
    mark, encoding = next((each for each in _MARKS if content.startswith(each[0])), (b"", ""))
    if not encoding:
        return is_utf8(content)
    try:
        content.removeprefix(mark).decode(encoding)
    except UnicodeError:
        return False
    return True


def is_no_double(value: object) -> bool:
    """Return whether a value is a number that no double holds, or the text that stands for one."""
    try:
        return isinstance(value, str | int | float) and not math.isfinite(float(value))
    except OverflowError:
        return True
    except ValueError:
        return False


def encoded(value: object) -> str:
    """Return a value as compact JSON text."""
    return _encode(value).decode()


def leaves(value: object) -> Iterator[object]:
    """Yield what a value holds, nested lists unfolded, in order and without nulls."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif item is not None:
            yield item


def _is_plain(text: str | bytes) -> bool:
    if isinstance(text, str):
        return "\\" not in text
    return b"\\" not in text and not text.endswith(b"\0") and not text.startswith(_FIRST_OF_MARKS)


def _storable(text: str | bytes) -> bytes:
    given = text.encode(errors="surrogatepass") if isinstance(text, str) else unmarked(text)
    return sanitize(given)[0]


def _has_literals(text: str | bytes) -> bool:
    given = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    # In UTF-16 there are NULs between the letters.
    return given.startswith(_FIRST_OF_MARKS) or b"NaN" in given or b"Infinity" in given


def _decoded_with_words(text: bytes) -> Any:
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(_NOT_READ) from error


def _finite(digits: str) -> float | str:
    """Return a number, its digits as a text where a double cannot hold it."""
    number = float(digits)
    return number if math.isfinite(number) else digits


def _whole(digits: str) -> int | str:
    """Return a whole number, its digits as a text where there are more than are read."""
    return int(digits) if len(digits) <= _MOST_DIGITS else digits
