"""Generate the attachments of tasks: pictures, frames, pages, recordings and point clouds, from their names.

Every picture has a grid: the columns 100 k and 100 k + 1, and the rows likewise, have a color of their own
for each k from 1, which `grid_color` returns.
"""

import math
import random
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache, lru_cache

from scalesync.sandbox.json_codec import encode
from scalesync.sandbox.templates import number

MEDIA = "https://media.sandbox.example"
"""Stands in stored documents for the address of attachments, as a sandbox's port differs from run to run."""

MEDIA_PATH = "/media"
"""Where the server offers them."""

PICTURE, PAGE = (1920, 1080), (900, 1200)
"""Width and height; what annotators draw lies within."""
SECONDS = 10
"""Of a recording; nobody speaks for longer."""
GRID = 100
"""Pixels between two lines."""

_RATE = 8000
_BACKGROUNDS = ((236, 240, 244), (240, 236, 228), (230, 240, 232), (242, 232, 236))
_SQUARE = 60
"""Pixels of the side of the square by which frames and pages differ."""
_NUMBER = re.compile(r"-(\d{1,4})$", re.ASCII)
_Color = tuple[int, int, int]


def insert_media_urls(text: bytes, url: str) -> bytes:
    """Return JSON text with its attachments at `url`."""
    return text.replace(MEDIA.encode(), url.encode())


def media(kind: str, name: str) -> tuple[bytes, str] | None:
    """Return an attachment and its Content-Type, None for an unknown one."""
    stem, _, suffix = name.rpartition(".")
    if kind not in _KINDS or _KINDS[kind][0] != suffix or not stem:
        return None
    _, content_type, make = _KINDS[kind]
    return make(stem), content_type


def grid_color(k: int, *, column: bool) -> _Color:
    """Return the color of a line of the grid, k from 1: red columns, blue rows, the greener the further."""
    return (200, 10 * k, 40) if column else (40, 10 * k, 200)


def square_of(number: int) -> tuple[int, int]:
    """Return left and top of the dark square in the frame or on the page of this number, counted from 0."""
    return GRID * (number % 8) + 20, GRID * (number // 8 % 8) + 20


def png(width: int, rows: bytes, palette: bytes, height: int) -> bytes:
    """Return a PNG of a byte a pixel, which is a place in the palette; each row begins with a 0."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


@lru_cache(maxsize=64)
def _picture(size: tuple[int, int], background: _Color, square: tuple[int, int] | None) -> bytes:
    width, height = size
    columns, rows = (width - 1) // GRID, (height - 1) // GRID
    colors = [background, (40, 40, 60)]
    colors += [grid_color(k, column=True) for k in range(1, columns + 1)]
    colors += [grid_color(k, column=False) for k in range(1, rows + 1)]
    lines = []
    for y in range(height):
        k = y // GRID if y >= GRID and y % GRID < 2 else 0
        row = bytearray([1 + columns + k if k else 0]) * width
        for column in range(1, columns + 1):
            row[column * GRID : column * GRID + 2] = bytes((1 + column, 1 + column))
        if square is not None and square[1] <= y < square[1] + _SQUARE:
            row[square[0] : square[0] + _SQUARE] = bytes([1]) * _SQUARE
        lines.append(b"\0" + row)
    return png(width, b"".join(lines), bytes(value for color in colors for value in color), height)


def _drawn(size: tuple[int, int]) -> Callable[[str], bytes]:
    """Return what makes pictures of a size by name; one that ends in a number has its square."""

    def make(stem: str) -> bytes:
        found = _NUMBER.search(stem)
        of = stem[: found.start()] if found else stem
        background = _BACKGROUNDS[zlib.crc32(of.encode()) % len(_BACKGROUNDS)]
        return _picture(size, background, square_of(int(found[1])) if found else None)

    return make


def _sound(stem: str) -> bytes:
    """Return a WAV file with a tone of a height of its own."""
    return _tone(220 + zlib.crc32(stem.encode()) % 8 * 55)


@cache
def _tone(hertz: int) -> bytes:
    second = bytes(round(128 + 60 * math.sin(2 * math.pi * hertz * each / _RATE)) for each in range(_RATE))
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE, 1, 8)
    data = struct.pack("<4sI", b"data", _RATE * SECONDS) + second * SECONDS
    return struct.pack("<4sI4s", b"RIFF", 4 + len(head) + len(data), b"WAVE") + head + data


def _scene(stem: str) -> bytes:
    """Return a frame of a point cloud in JSON."""
    rng = random.Random(f"scenes/{stem}")  # noqa: S311 - repeatable data, not secrets
    points = [{axis: number(100, rng) for axis in "xyz"} for _ in range(200)]
    return encode({"device_position": {"x": 0, "y": 0, "z": 0}, "points": points, "images": []})


_KINDS: dict[str, tuple[str, str, Callable[[str], bytes]]] = {
    "pictures": ("png", "image/png", _drawn(PICTURE)),
    "frames": ("png", "image/png", _drawn(PICTURE)),
    "pages": ("png", "image/png", _drawn(PAGE)),
    "sounds": ("wav", "audio/wav", _sound),
    "scenes": ("json", "application/json", _scene),
}
"""By the first part of a path: suffix, Content-Type, and what makes the file."""
