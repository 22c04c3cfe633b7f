"""Decompress gzip bodies in small pieces, so that a caller that counts bytes can stop a zip bomb."""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

_MAX_OUTPUT = 256 * 1024
"""Bytes decompressed at a time; they may come from a thousandth as many compressed ones."""
_GZIP_WBITS = 31
"""zlib's code of the gzip format."""
_GZIP_MAGIC = b"\x1f\x8b"
_NO_ENCODING = {"", "identity", "aws-chunked", "utf-8"}
"""Encodings that change no byte; the last two are invalid, but object stores send them (observed)."""


def is_compressed(encoding: str) -> bool:
    """Return whether a Content-Encoding changes the bytes of a body."""
    return bool(_named(encoding))


def decompress(chunks: Iterable[bytes], encoding: str, *, by_magic: bool = True) -> Iterator[bytes]:
    """Yield a decompressed body in small pieces. Raises zlib.error, EOFError or ValueError if malformed.

    `by_magic`: a body that is gzip without saying so, or once more, is decompressed as well.
    """
    # A file that is stored compressed can be compressed once more for transport, and servers do not always
    # say that a body is compressed: the second look is at its magic bytes.
    named = _named(encoding)
    if named - {"gzip", "x-gzip"}:
        raise ValueError("an encoding that was not asked for")
    if named:
        chunks = _gunzip(chunks)
    return _gunzip_if_magic(iter(chunks)) if by_magic else iter(chunks)


def _named(encoding: str) -> set[str]:
    return {each.strip().lower() for each in encoding.split(",")} - _NO_ENCODING


def _gunzip_if_magic(chunks: Iterator[bytes]) -> Iterator[bytes]:
    start = b""
    while len(start) < len(_GZIP_MAGIC) and (chunk := next(chunks, b"")):
        start += chunk
    whole = chain([start], chunks)
    yield from _gunzip(whole) if start.startswith(_GZIP_MAGIC) else whole


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP_WBITS)
    for chunk in chunks:
        rest = chunk.lstrip(b"\0") if member.eof else chunk
        while rest:
            if member.eof:
                member = zlib.decompressobj(_GZIP_WBITS)
            # Never more than this at once: the caller counts what it was given and may stop here.
            yield member.decompress(rest, _MAX_OUTPUT)
            # Another gzip member may follow, or zero padding.
            rest = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    if not member.eof:
        yield member.flush()
    if not member.eof:
        raise EOFError
