"""Equality of JSON texts by value, as sync, history and `verify` use it.

Blanks, the order of names, escapes and the notation of numbers do not matter; every digit does. Of a repeated
name the last value counts. A number that Postgres cannot store equals the text of its digits,
because it is stored as that.
"""

import json
import re
from collections.abc import Collection, Mapping
from threading import Thread

import msgspec

from scalesync.annotations.urls import unsigned_digest

_BEFORE, _AFTER = 131_072, 16_383
"""Digits before and after the point that Postgres's `numeric` stores (documented and tested)."""

_LARGEST_EXPONENT = 10**9
"""Limit of exponents: more digits than matter, few enough for `int` to read."""

_WITHOUT_POINT = "e+00"
"""Appended to a long whole number, so that msgspec passes its digits to the float hook."""

_STRING_OR_LONG = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d{500,}(?![\d.eE])')

Text = str | bytes | msgspec.Raw


def same_value(one: Text, other: Text) -> bool:
    """Return whether two JSON texts have the same value."""
    return _bytes(one) == _bytes(other) or canonical(one) == canonical(other)


def same_content(one: Text, other: Text) -> bool:
    """Return whether two JSON texts have the same value if signatures of links are ignored."""
    if _bytes(one) == _bytes(other):
        return True
    first, second = canonical(one), canonical(other)
    return first == second or unsigned_digest(first) == unsigned_digest(second)


def differing_fields(
    one: Mapping[str, msgspec.Raw],
    other: Mapping[str, msgspec.Raw],
    ignored: Collection[str] = (),
    *,
    signed: bool = False,
) -> list[str]:
    """Return the sorted names whose values differ, or which only one of two objects has.

    Signatures of links count only if `signed`.
    """
    same = same_value if signed else same_content
    names = (name for name in one.keys() | other.keys() if name not in ignored)
    return sorted(
        name for name in names if name not in one or name not in other or not same(one[name], other[name])
    )


def canonical(text: Text) -> bytes:
    """Return the one JSON text of a value, for any spelling of it; what is not JSON is returned unchanged."""
    given = _bytes(text)
    try:
        return _canonical(given)
    except RecursionError:
        return _canonical_in_thread(given)
    except msgspec.MsgspecError:
        return given


def repeated_names(text: Text, *, outermost: bool = False) -> int:
    """Return the number of repeated names within objects of a JSON text; 0 if nested too deeply to read.

    With `outermost` only the names of the object that the text itself is.
    """
    given = _bytes(text)
    if not outermost and not _may_repeat(given):
        return 0
    counts: list[int] = []

    def count(pairs: list[tuple[str, object]]) -> None:
        counts.append(len(pairs) - len({name for name, _ in pairs}))

    try:
        json.loads(given, object_pairs_hook=count, parse_int=str, parse_float=str)
    except (RecursionError, ValueError):
        return 0
    return sum(counts[-1:] if outermost else counts)


def is_beyond(whole: str, fraction: str, exponent: str) -> bool:
    """Return whether Postgres rejects a number with these digits; only `exponent` has a sign."""
    shift = _exponent_value(exponent)
    if len(fraction) - shift > _AFTER:
        return True
    digits = (whole + fraction).lstrip("0")
    return bool(digits) and len(digits) - len(fraction) + shift > _BEFORE


def _canonical(text: bytes) -> bytes:
    try:
        return _encode(_decode(text))
    except msgspec.ValidationError:
        # A whole number too long for msgspec: written as a float, its digits go to the hook.
        return _encode(_decode(_STRING_OR_LONG.sub(_as_float, text)))


def _as_float(match: re.Match[bytes]) -> bytes:
    found = match.group()
    return found if found.startswith(b'"') else found + _WITHOUT_POINT.encode()


def _number(text: str) -> msgspec.Raw | str:
    """Return a number with a point or an exponent as plain digits, or as text if Postgres rejects it."""
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if is_beyond(whole, fraction, exponent):
        return text.removesuffix(_WITHOUT_POINT)
    if not (whole + fraction).strip("0"):
        return msgspec.Raw(b"0")
    if exponent:
        whole, fraction = _split_at(whole + fraction, len(whole) + _exponent_value(exponent))
    fraction = fraction.rstrip("0")
    sign = "-" if text.startswith("-") else ""
    return msgspec.Raw(f"{sign}{whole}{'.' if fraction else ''}{fraction}".encode())


def _split_at(digits: str, point: int) -> tuple[str, str]:
    """Return the digits before and after a point at this position, which may lie outside of them."""
    if point <= 0:
        return "0", "0" * -point + digits
    padded = digits.ljust(point, "0")
    return padded[:point].lstrip("0") or "0", padded[point:]


def _exponent_value(exponent: str) -> int:
    digits = exponent.lstrip("+-").lstrip("0")
    size = int(digits or 0) if len(digits) < len(str(_LARGEST_EXPONENT)) else _LARGEST_EXPONENT
    return -size if exponent.startswith("-") else size


def _may_repeat(text: bytes) -> bool:
    """Return whether an object in a text may repeat a name; quick, and rarely wrong."""
    # Decoding keeps one of equal names: fewer colons come back. An escaped quote would spoil the count.
    try:
        return rb"\u0022" in text or text.count(b'":') != _encode_plain(_decode_plain(text)).count(b'":')
    except (RecursionError, msgspec.MsgspecError):
        return True


def _canonical_in_thread(text: bytes) -> bytes:
    """Return the canonical form of deeply nested JSON, or the text itself if it is nested too deeply."""
    # A new thread begins with an empty stack, so that the result does not depend on the caller's depth.
    result = [text]

    def work() -> None:
        try:
            result.append(_canonical(text))
        except (RecursionError, msgspec.MsgspecError):
            return

    thread = Thread(target=work)
    thread.start()
    thread.join()
    return result[-1]


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_decode_plain = msgspec.json.Decoder().decode
_encode_plain = msgspec.json.Encoder().encode
