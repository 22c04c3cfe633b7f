"""Read width and height of a picture from its file, of which only the parts that are needed are asked for.

Hazard: the files come from other people. What is read of one, and how often, is limited.
"""

import re
import struct
from collections.abc import Callable
from os import SEEK_CUR, SEEK_END, SEEK_SET
from typing import Literal

ReadAt = Callable[[int, int], bytes]
"""Takes an offset and a size; returns up to that number of bytes of a file, none at or behind its end."""

HEAD = 1024
"""Bytes by which the format of a file is known."""
MAX_PIXELS = 10**9
"""Pixels that a picture has fewer of: more are an invented header, and no browser shows them."""

_MAX_READS = 100_000
"""A damaged file is searched byte by byte, which would take minutes for a large one."""
_MAX_CHUNKS, _MAX_EXIF = 100, 64 * 1024
"""Parts of a PNG that are looked through for how it is turned, and bytes that are read of that."""
_SVG_HEAD = 256 * 1024
"""Bytes within which the first element of an SVG ends; a list of entities may precede it."""

_MAGICS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),
    (b"\0\0\0\x0cjP  ", "jp2"),
)
_NETPBM = re.compile(rb"P[1-6](?:\s|#)")
_NETPBM_SUFFIXES = {b"1": "pbm", b"4": "pbm", b"2": "pgm", b"5": "pgm", b"3": "ppm", b"6": "ppm"}
_HEIF_BRANDS = {
    b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"hevc": "heic", b"hevx": "heic",
    b"mif1": "heic", b"msf1": "heic",
}  # fmt: skip
_PAGE = re.compile(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)

_SVG = re.compile(r"<(?:[\w.-]+:)?svg\b|<!DOCTYPE\s+svg\b")
_SVG_TAG = re.compile(r"""<(?:[\w.-]+:)?svg((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*+)\s*/?>""")
_ATTRIBUTE = re.compile(r"""(?<!\S)(width|height|viewBox)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_NUMBER = r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:[eE]([+-]?\d{1,2}))?"
_LENGTH = re.compile(rf"\s*\+?{_NUMBER}(px|in|cm|mm|pt|pc|)\s*", re.ASCII)
_BLANK = re.compile(r"\s*")
_UNITS = {"px": 1.0, "": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}
"""Pixels of a unit of CSS."""


class UnreadablePictureError(Exception):
    """A file has the form of a picture, or should, and its size cannot be read; the message says why."""


def picture_format(head: bytes) -> str | None:
    """Return the usual suffix of a picture's format by its first bytes, None if it is no picture."""
    for magic, suffix in _MAGICS:
        if head.startswith(magic):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), 64), 4))]
        return next((_HEIF_BRANDS[brand] for brand in brands if brand in _HEIF_BRANDS), None)
    if _NETPBM.match(head):
        return _NETPBM_SUFFIXES[head[1:2]]
    text = _text(head).lstrip()
    is_svg = (
        text.startswith("<") and not is_page(head) and re.search(r"<(?:[\w.-]+:)?svg\b|<!DOCTYPE svg", text)
    )
    return "svg" if is_svg else None


def is_page(head: bytes) -> bool:
    """Return whether a file is a web page, by its first bytes."""
    return _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def size_of(read_at: ReadAt, length: int | None) -> tuple[int, int] | None:
    """Return width and height in pixels as browsers show the picture, None if the file is none.

    An orientation that a camera wrote into the file is followed. `length`: of the file, if it is known.
    Raises UnreadablePictureError, and what `read_at` raises.
    """
    head = read_at(0, HEAD)
    suffix = picture_format(head)
    if suffix is None:
        return None
    width, height = _svg_size(read_at) if suffix == "svg" else _raster_size(suffix, head, read_at, length)
    if width < 1 or height < 1:
        raise UnreadablePictureError("The picture says that it has no pixels.")
    if width * height >= MAX_PIXELS:
        raise UnreadablePictureError(
            f"The picture says that it is {width:,} by {height:,} pixels, too many to be true."
        )
    return width, height


def _raster_size(suffix: str, head: bytes, read_at: ReadAt, length: int | None) -> tuple[int, int]:
    """Return the size of a picture made of pixels; raises UnreadablePictureError."""
    import imagesize

    try:
        if suffix == "gif":
            # Read here as well: imagesize takes sizes from 32,768 on for negative ones,
            return struct.unpack_from("<HH", head, 6)
        if suffix == "webp" and head[12:16] == b"VP8 ":
            # and the bits of a scale for those of the size.
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        if suffix == "bmp" and head[14:18] == b"\x0c\0\0\0":
            # A bitmap of OS/2 has shorter numbers.
            return struct.unpack_from("<HH", head, 18)
        found = imagesize.get_info(_File(read_at, length), dpi=False, colors=False, channels=False)
    except (ValueError, struct.error, LookupError, TypeError, ArithmeticError) as error:
        raise UnreadablePictureError("The picture's header is damaged, or cut short.") from error
    if found.width < 0 or found.height < 0:
        raise UnreadablePictureError("The picture's header is damaged, or of a form that is not known.")
    width, height = int(found.width), int(found.height)
    # Browsers follow it in PNG as well, which imagesize does not know.
    return (height, width) if suffix == "png" and _is_turned_png(read_at) else (width, height)


def _is_turned_png(read_at: ReadAt) -> bool:
    """Return whether a PNG says before its pixels that it is shown turned by a quarter."""
    place = 8
    for _ in range(_MAX_CHUNKS):
        start = read_at(place, 8)
        if len(start) < 8 or start[4:] in (b"IDAT", b"IEND"):
            return False
        length = int.from_bytes(start[:4], "big")
        if start[4:] == b"eXIf":
            return _orientation(read_at(place + 8, min(length, _MAX_EXIF))) >= 5
        place += 12 + length
    return False


def _orientation(exif: bytes) -> int:
    """Return the orientation in Exif data: 1 to 8, from 5 on turned by a quarter; 1 if there is none."""
    order: Literal["big", "little"] = "big" if exif.startswith(b"MM") else "little"
    first = int.from_bytes(exif[4:8], order)
    for number in range(int.from_bytes(exif[first : first + 2], order)):
        entry = exif[first + 2 + 12 * number :][:12]
        if len(entry) < 12:
            break
        if int.from_bytes(entry[:2], order) == 0x0112:
            return min(int.from_bytes(entry[8:10], order), 8)
    return 1


class _File:
    """A file for a reader that wants to read and seek, of limited patience."""

    def __init__(self, read_at: ReadAt, length: int | None) -> None:
        self._read_at, self._length = read_at, length
        self._position = self._reads = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; the size has to be given. Raises UnreadablePictureError."""
        self._reads += 1
        if size < 0 or self._reads > _MAX_READS:
            raise UnreadablePictureError("The picture's size is not found where it should be.")
        found = self._read_at(self._position, size)
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Move to an offset, and return it. Raises ValueError for one that there is not."""
        if whence == SEEK_END and self._length is None:
            raise UnreadablePictureError("The picture's server does not say how long it is.")
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._length or 0}[whence]
        if base + offset < 0:
            raise ValueError("negative position")
        self._position = base + offset
        return self._position


def _svg_size(read_at: ReadAt) -> tuple[int, int]:
    """Return the size of an SVG: its width and height, else those of its viewBox, rounded."""
    tag = _first_tag(_text(read_at(0, _SVG_HEAD)))
    given = {} if tag is None else {name: one or two for name, one, two in _ATTRIBUTE.findall(tag)}
    width, height = _pixels(given.get("width")), _pixels(given.get("height"))
    if width is None or height is None:
        box = [_pixels(each) for each in re.split(r"[\s,]+", given.get("viewBox", "").strip())][2:]
        wide, high = box if len(box) == 2 else (None, None)
        if not wide or not high:
            raise UnreadablePictureError("The SVG has neither width and height nor a viewBox.")
        # One of the two alone gives the other by the proportions of the viewBox.
        if width is not None:
            height = width * high / wide
        elif height is not None:
            width = height * wide / high
        else:
            width, height = wide, high
    return round(width), round(height or 0)


def _first_tag(text: str) -> str | None:
    """Return the attributes of the first element if that is `svg`; None if it is not, or does not end."""
    # Step by step: one expression for all that may precede an element would try every division of it.
    place = 0
    while True:
        place = _BLANK.match(text, place).end()  # type: ignore[union-attr] # it matches anywhere
        for begin, end in (("<?", "?>"), ("<!--", "-->"), ("<!", ">")):
            if text.startswith(begin, place):
                mark = "]" if begin == "<!" and "[" in text[place : text.find(">", place)] else begin
                found = text.find(end, text.find(mark, place))
                break
        else:
            tag = _SVG_TAG.match(text, place)
            return None if tag is None else tag[1]
        if found < 0:
            return None
        place = found + len(end)


def _pixels(length: str | None) -> float | None:
    """Return a length of CSS in pixels, None for one that is relative, or no length at all."""
    found = _LENGTH.fullmatch(length or "")
    return None if found is None else float(found[1]) * 10.0 ** int(found[2] or 0) * _UNITS[found[3]]


def _text(content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, errors="replace")
