"""Decodes JSON of responses and files, damaged or not, into storable values; encodes values."""

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from scalesync.json_sanitizing import BYTE_ORDER_MARKS, is_utf8, sanitize

Object = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_MARK_BEGINNINGS = (b"\xef\xbb", b"\xff\xfe", b"\xfe\xff", b"\0\0")
_MAX_DIGITS = 4_300
"""Digits of a whole number; Python reads no more."""
_NOT_READ = "This is not JSON that can be read."


class UnreadableError(ValueError):
    """A text is not JSON, or is nested beyond the stack."""


def decoded(text: str | bytes) -> Any:
    """Return the value of a JSON text, with strings that databases can store. Raises UnreadableError.

    U+0000, lone surrogates and invalid UTF-8 become U+FFFD. In bytes, a byte order mark and trailing NULs are
    ignored. The literals NaN, Infinity and -Infinity, which are not JSON but written by Python and others,
    become texts. So do numbers that no double can hold and whole numbers of thousands of digits.
    """
    try:
        try:
            if _is_plain(text):
                return _decode(text)
        except UnicodeError:
            pass
        return _decode(_storable(text))
    except msgspec.DecodeError as error:
        # msgspec raises ValidationError for a number that is too large: the text itself is good JSON.
        if isinstance(error, msgspec.ValidationError) or _has_literals(text):
            return _decoded_with_literals(_storable(text))
        raise UnreadableError(_NOT_READ) from error
    except RecursionError as error:
        raise UnreadableError(_NOT_READ) from error


def unmarked(content: bytes) -> bytes:
    """Return the text of a file in UTF-8, without byte order mark and trailing NULs."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            content = content.removeprefix(mark)
            if encoding != "utf-8":
                content = content.decode(encoding, errors="replace").encode()
            break
    return content.rstrip(b"\0")


def is_text(content: bytes) -> bool:
    """Return whether a file is valid text, in UTF-8 or in the encoding of its byte order mark."""
    plain = (b"", "utf-8")
    mark, encoding = next((each for each in BYTE_ORDER_MARKS if content.startswith(each[0])), plain)
    if encoding == "utf-8":
        return is_utf8(content)
    try:
        content.removeprefix(mark).decode(encoding)
    except UnicodeError:
        return False
    return True


def is_no_double(value: object) -> bool:
    """Return whether a value is a number that no double can hold, or the text in place of one."""
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
    """Yield the elements of a value, nested lists flattened, in order and without nulls."""
    # A stack instead of recursion: lists may be nested beyond Python's limit.
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
    return b"\\" not in text and not text.endswith(b"\0") and not text.startswith(_MARK_BEGINNINGS)


def _storable(text: str | bytes) -> bytes:
    given = text.encode(errors="surrogatepass") if isinstance(text, str) else unmarked(text)
    return sanitize(given)[0]


def _has_literals(text: str | bytes) -> bool:
    given = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    # In UTF-16 there are NULs between the letters.
    return given.startswith(_MARK_BEGINNINGS) or b"NaN" in given or b"Infinity" in given


def _decoded_with_literals(text: bytes) -> Any:
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(_NOT_READ) from error


def _finite(digits: str) -> float | str:
    """Return a number, or its digits as a text if no double can hold it."""
    number = float(digits)
    return number if math.isfinite(number) else digits


def _whole(digits: str) -> int | str:
    """Return a whole number, or its digits as a text if there are too many."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits
