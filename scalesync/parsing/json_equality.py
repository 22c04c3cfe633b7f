"""What JSON texts say, however they are spelled: the one notion of equality of sync, history and `verify`.

Two texts are equal if they hold the same value: blanks, the order of names, escapes and the form of numbers
do not count, and every digit does. Of a name that an object has twice the last value counts. A number that
Postgres cannot hold is equal to the text of its digits, for as such it is kept there.
"""

import json
import re
from collections.abc import Collection, Mapping
from threading import Thread

import msgspec

from scalesync.annotations.urls import unsigned_digest

_BEFORE, _AFTER = 131_072, 16_383
"""Digits before and after the point that Postgres's `numeric` takes (documented, and tried)."""

_LARGEST_EXPONENT = 10**9
"""Beyond any that matters; Python refuses to read numbers of very many digits."""

_WITHOUT_POINT = "e+00"
"""Makes of a whole number one that is read digit by digit, whatever its length."""

_STRING_OR_LONG = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d{500,}(?![\d.eE])')

Text = str | bytes | msgspec.Raw


def same_value(one: Text, other: Text) -> bool:
    """Return whether two JSON texts hold the same value."""
    return _bytes(one) == _bytes(other) or canonical(one) == canonical(other)


def same_content(one: Text, other: Text) -> bool:
    """Return whether they do but for the signatures of links, which differ at every read."""
    if _bytes(one) == _bytes(other):
        return True
    ours, theirs = canonical(one), canonical(other)
    return ours == theirs or unsigned_digest(ours) == unsigned_digest(theirs)


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
    """Return JSON that is the same for every spelling of a value; what is not JSON comes back as it is."""
    given = _bytes(text)
    try:
        return _canonical(given)
    except RecursionError:
        return _in_a_stack_of_its_own(given)
    except msgspec.MsgspecError:
        return given


def repeated_names(text: Text, *, outermost: bool = False) -> int:
    """Return how many names of objects in a JSON text are followed by the same name in the same object.

    `outermost`: of the object that the text is. Nothing is counted in what is nested too deeply to be read.
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
    """Return whether Postgres refuses a number of these digits; only the exponent has a sign."""
    shift = _shift(exponent)
    if len(fraction) - shift > _AFTER:
        return True
    digits = (whole + fraction).lstrip("0")
    return bool(digits) and len(digits) - len(fraction) + shift > _BEFORE


def _canonical(text: bytes) -> bytes:
    try:
        return _encode(_decode(text))
    except msgspec.ValidationError:
        # A whole number of thousands of digits.
        return _encode(_decode(_STRING_OR_LONG.sub(_as_float, text)))


def _as_float(match: re.Match[bytes]) -> bytes:
    found = match.group()
    return found if found.startswith(b'"') else found + _WITHOUT_POINT.encode()


def _number(text: str) -> msgspec.Raw | str:
    """Return a number written with a point or an exponent as plain digits, or its text if it is beyond."""
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if is_beyond(whole, fraction, exponent):
        return text.removesuffix(_WITHOUT_POINT)
    if not (whole + fraction).strip("0"):
        return msgspec.Raw(b"0")
    if exponent:
        whole, fraction = _moved(whole + fraction, len(whole) + _shift(exponent))
    fraction = fraction.rstrip("0")
    sign = "-" if text.startswith("-") else ""
    return msgspec.Raw(f"{sign}{whole}{'.' if fraction else ''}{fraction}".encode())


def _moved(digits: str, point: int) -> tuple[str, str]:
    """Return the digits before and after a point that stands so far from their beginning."""
    if point <= 0:
        return "0", "0" * -point + digits
    padded = digits.ljust(point, "0")
    return padded[:point].lstrip("0") or "0", padded[point:]


def _shift(exponent: str) -> int:
    digits = exponent.lstrip("+-").lstrip("0")
    size = int(digits or 0) if len(digits) < len(str(_LARGEST_EXPONENT)) else _LARGEST_EXPONENT
    return -size if exponent.startswith("-") else size


def _may_repeat(text: bytes) -> bool:
    """Return whether any object in a text may have a name twice; quick, and mostly right."""
    try:
        return rb"\u0022" in text or text.count(b'":') != _encode_plain(_decode_plain(text)).count(b'":')
    except (RecursionError, msgspec.MsgspecError):
        return True


def _in_a_stack_of_its_own(text: bytes) -> bytes:
    """Return the canonical form of what is nested almost as deeply as Python reads at all."""
    found = [text]

    def work() -> None:
        try:
            found.append(_canonical(text))
        except (RecursionError, msgspec.MsgspecError):
            return

    thread = Thread(target=work)
    thread.start()
    thread.join()
    return found[-1]


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_decode_plain = msgspec.json.Decoder().decode
_encode_plain = msgspec.json.Encoder().encode
