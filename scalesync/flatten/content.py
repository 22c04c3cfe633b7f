"""JSON text that came from elsewhere, as values; and values as the JSON text that a column takes."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from scalesync.storable import storable

Object = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class UnreadableError(ValueError):
    """A text is not JSON, or holds what no value can: a number beyond a double, nesting beyond the stack."""


def decoded(text: str | bytes) -> Any:
    """Return the value of a JSON text, trailing NULs ignored, every string in it such that databases hold it.

    U+0000, lone surrogates and bytes that are not UTF-8 are U+FFFD in it. Raises UnreadableError.
    """
    try:
        if _is_plain(text):
            with suppress(UnicodeError):
                return _decode(text)
        given = text.encode(errors="surrogatepass") if isinstance(text, str) else text.rstrip(b"\0")
        return _decode(storable(given)[0])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError("This is not JSON that can be read.") from error


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
    return "\\" not in text if isinstance(text, str) else b"\\" not in text and not text.endswith(b"\0")
