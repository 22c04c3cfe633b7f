"""Pictures for tests: PNGs with filled rectangles, and the pixels of such a file."""

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

Color = tuple[int, int, int]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Rectangle(NamedTuple):
    """A filled rectangle: its corner, its size and its color."""

    left: int
    top: int
    width: int
    height: int
    color: Color


def draw(path: Path, width: int, height: int, *rectangles: Rectangle) -> None:
    """Write a black PNG with these rectangles."""
    rows = [bytearray(3 * width) for _ in range(height)]
    for left, top, wide, high, color in rectangles:
        for row in rows[top : top + high]:
            row[3 * left : 3 * (left + wide)] = bytes(color) * wide
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def pixels(path: Path) -> list[list[Color]]:
    """Return the rows of pixels of a PNG that `draw` wrote."""
    content = path.read_bytes()
    assert content.startswith(_SIGNATURE)
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT")
    (length,) = struct.unpack(">I", content[start - 4 : start])
    raw = zlib.decompress(content[start + 4 : start + 4 + length])
    rows = [raw[y * (3 * width + 1) + 1 : (y + 1) * (3 * width + 1)] for y in range(height)]
    return [[(row[x], row[x + 1], row[x + 2]) for x in range(0, 3 * width, 3)] for row in rows]


def extent(path: Path, color: Color) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the pixels of a color; right and bottom are behind the last."""
    found = [(x, y) for y, row in enumerate(pixels(path)) for x, each in enumerate(row) if each == color]
    xs, ys = zip(*found, strict=True)
    assert len(found) == (max(xs) - min(xs) + 1) * (max(ys) - min(ys) + 1)
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1
