"""Bodies that travel packed, unpacked a little at a time, so that whoever counts them can stop in time."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

_AT_ONCE = 256 * 1024
"""Bytes that are unpacked before they are handed on: a thousandth of them may have come."""
_GZIP = 31
"""What zlib calls the format."""
_GZIP_BEGINS = b"\x1f\x8b"
_AS_IT_IS = {"", "identity", "aws-chunked", "utf-8"}
"""Encodings that change no byte; the last two are no encodings, but buckets are known to say them."""


def unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Return a body unpacked, never much at once, whether or not its server says that it is packed.

    What is kept packed may be packed once more to be sent. The iterator raises zlib.error, EOFError or
    ValueError if it cannot.
    """
    named = {each.strip().lower() for each in encoding.split(",")} - _AS_IT_IS
    if named - {"gzip", "x-gzip"}:
        raise ValueError("an encoding that was not asked for")
    if named:
        chunks = _gunzipped(chunks)
    return _gunzipped_if_packed(iter(chunks))


def _gunzipped_if_packed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    start = b""
    while len(start) < len(_GZIP_BEGINS) and (chunk := next(chunks, b"")):
        start += chunk
    whole = chain([start], chunks)
    yield from _gunzipped(whole) if start.startswith(_GZIP_BEGINS) else whole


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        rest = chunk.lstrip(b"\0") if member.eof else chunk
        while rest:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            yield member.decompress(rest, _AT_ONCE)
            # Further members may follow, and padding.
            rest = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    if not member.eof:
        yield member.flush()
    if not member.eof:
        raise EOFError
