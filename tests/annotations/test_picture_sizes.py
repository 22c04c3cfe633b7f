"""Width and height of pictures, from their own bytes and nothing else."""

import random
import time
from collections.abc import Callable

import pytest

from scalesync.parsing.picture_sizes import ReadAt, UnreadablePictureError, picture_format, size_of
from tests.support.pictures import bmp, exif, gif, jpeg, netpbm, os2_bmp, png, tiff, webp

FORMS: dict[str, Callable[[int, int], bytes]] = {
    "png": png,
    "gif": gif,
    "jpg": jpeg,
    "bmp": bmp,
    "tif": tiff,
    "ppm": netpbm,
    "tif big end first": lambda width, height: tiff(width, height, order=">"),
    "bmp of OS/2": os2_bmp,
    "webp lossy": lambda width, height: webp(width, height, b"VP8 "),
    "webp lossless": lambda width, height: webp(width, height, b"VP8L"),
    "webp extended": lambda width, height: webp(width, height, b"VP8X"),
}


def reading(content: bytes) -> ReadAt:
    """Return what reads a file of this content."""
    return lambda offset, size: content[offset : offset + size]


def found(content: bytes) -> tuple[int, int] | None:
    """Return the size that is found in a file."""
    return size_of(reading(content), len(content))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_its_size(form: str) -> None:
    """Also where width and height are of unlike length in bytes."""
    for size in ((640, 480), (1, 300), (16_000, 2)):
        assert found(FORMS[form](*size)) == size
        assert picture_format(FORMS[form](*size)[:1024]) == form.split(maxsplit=1)[0]


def test_sizes_that_are_read_as_negative_elsewhere() -> None:
    """A GIF of more than 32,767 pixels, and a bitmap from the top down."""
    assert found(gif(40_000, 50)) == (40_000, 50)
    assert found(bmp(64, -48)) == (64, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_picture_as_it_is_shown(orientation: int) -> None:
    """Turned by a quarter from an orientation of 5 on, as browsers do with JPEG and PNG."""
    shown = (480, 640) if orientation >= 5 else (640, 480)

    assert found(jpeg(640, 480, orientation=orientation)) == shown
    assert found(png(640, 480, exif=exif(orientation))) == shown
    assert found(png(640, 480, exif=exif(orientation, "<"))) == shown


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('<svg width="10" height="20px"/>', (10, 20)),
        ("<svg  height='1in' width = '2.54cm'>", (96, 96)),
        ('<svg viewBox="0 0 1e2 50.4"></svg>', (100, 50)),
        ('<svg viewBox="-5,-5 100 50" width="100%" height="100%"/>', (100, 50)),
        ('<svg viewBox="0 0 100 50" width="10pc"/>', (160, 80)),
        ('<svg stroke-width="9" data-height="9" viewBox="0 0 3 4"/>', (3, 4)),
        ('<s:svg xmlns:s="http://www.w3.org/2000/svg" width="4" height="5">', (4, 5)),
        (
            '\ufeff<?xml version="1.0"?>\n<!-- <svg width="1" height="2"> -->\n<svg width="7" height="8"/>',
            (7, 8),
        ),
        ('<!DOCTYPE svg PUBLIC "-" "x" [ <!ENTITY a "b>c"> ]>\n<svg a="x>y" width="7" height="8">', (7, 8)),
    ],
)
def test_drawings_have_width_and_height_or_a_view_box(text: str, size: tuple[int, int]) -> None:
    """Of the first element only, in any unit that has a length of its own; in UTF-16 as well."""
    assert found(text.encode()) == size
    assert found(text.removeprefix("\ufeff").encode("utf-16")) == size


@pytest.mark.parametrize(
    "content",
    [
        png(0, 480),
        png(10**9, 10**9),
        png(31_623, 31_623),
        png(640, 480)[:20],
        jpeg(640, 480)[:8],
        b"\xff\xd8\xff\xe0\0\x04" + bytes(30_000_000),
        tiff(640, 480)[:30],
        gif(640, 480)[:8],
        b"\x89PNG\r\n\x1a\n" + b"not a header at all",
        b"RIFF\0\0\0\0WEBPVP9 " + bytes(50),
        b"P6 12 what",
        b"<svg/>",
        b'<svg width="10" height="0"/>',
        b'<svg width="1e99" height="1e99"/>',
        b"<svg width='" + b"1" * 200_000,
        b"\0\0\0\x18ftypavif" + bytes(60),
    ],
    ids=range(16),
)
def test_a_damaged_head_is_a_sentence(content: bytes) -> None:
    """Cut short, of no pixels, of more than there are: never another error, and never for long."""
    began = time.monotonic()
    with pytest.raises(UnreadablePictureError, match=r"\.$"):
        found(content)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        b'{"points": []}',
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"\0\0\0\x18ftypmp42" + bytes(40),
        b"<!DOCTYPE html><html><body><svg width='1' height='1'/>",
        b"<html><svg width='1' height='1'/></html>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    ],
)
def test_other_files_are_no_pictures(content: bytes) -> None:
    """Recordings, documents, videos and pages have no size that is read here."""
    assert found(content) is None


def test_no_bytes_make_anything_but_a_size_or_a_sentence() -> None:
    """Heads of all forms with some bytes changed, or cut short."""
    rng = random.Random(1)
    heads = [form(640, 480) for form in FORMS.values()] + [
        jpeg(64, 48, orientation=6),
        png(4, 5, exif=exif(6)),
    ]
    for _ in range(4_000):
        content = bytearray(rng.choice(heads))
        for _ in range(rng.randint(1, 10)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        content = content[: rng.randint(1, len(content))]
        try:
            size = size_of(reading(bytes(content)), rng.choice((None, len(content), 10**12)))
        except UnreadablePictureError:
            continue
        assert size is None or min(size) > 0
