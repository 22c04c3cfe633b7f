"""Make pictures of every form by hand, and answers of servers that send them, well or badly."""

import re
import struct
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler


def png(width: int, height: int, *, exif: bytes = b"", pixels: int = 0) -> bytes:
    """Return a PNG that says it has this size, with `pixels` bytes of noise where its own would be."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    turned = _chunk(b"eXIf", exif) if exif else b""
    return b"\x89PNG\r\n\x1a\n" + head + turned + _chunk(b"IDAT", bytes(pixels)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif(orientation: int, order: str = ">") -> bytes:
    """Return Exif data with an orientation, as the first of two entries."""
    mark = b"MM\0*" if order == ">" else b"II*\0"
    entries = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(f"{order}HHII", 0x011A, 4, 1, 72)
    return mark + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)


def jpeg(width: int, height: int, *, orientation: int = 0, segments: int = 0) -> bytes:
    """Return a JPEG, perhaps turned, with so many full segments of a camera's data before its size."""
    turned = _segment(0xE1, b"Exif\0\0" + exif(orientation)) if orientation else b""
    data = b"".join(_segment(0xE2, bytes(65_533 - 2)) for _ in range(segments))
    size = _segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))
    return b"\xff\xd8" + turned + data + size + _segment(0xDA, bytes(10)) + b"\0\xff\xd9"


def _segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def gif(width: int, height: int) -> bytes:
    """Return the head of a GIF."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b";"


def bmp(width: int, height: int) -> bytes:
    """Return the head of a bitmap of Windows; a negative height is one from the top down."""
    return b"BM" + struct.pack("<IHHIIiiHH", 58, 0, 0, 54, 40, width, height, 1, 24) + bytes(28)


def os2_bmp(width: int, height: int) -> bytes:
    """Return the head of a bitmap of OS/2."""
    return b"BM" + struct.pack("<IHHIIHHHH", 30, 0, 0, 26, 12, width, height, 1, 24) + bytes(60)


def webp(width: int, height: int, kind: bytes) -> bytes:
    """Return the head of a WebP of one of its three kinds."""
    body = {
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height | 0x8000),
        b"VP8L": b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14),
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }[kind]
    body += bytes(40)
    inner = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(inner) + 4) + b"WEBP" + inner


def tiff(width: int, height: int, *, order: str = "<", pixels: int = 0, orientation: int = 1) -> bytes:
    """Return a TIFF whose list of fields follows its pixels, as many programs write it."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    fields = ((256, width), (257, height), (274, orientation))
    entries = b"".join(struct.pack(f"{order}HHIHH", name, 3, 1, value, 0) for name, value in fields)
    tail = struct.pack(f"{order}H", len(fields)) + entries + bytes(4)
    return mark + struct.pack(f"{order}I", 8 + pixels) + bytes(pixels) + tail


def netpbm(width: int, height: int, kind: str = "P6") -> bytes:
    """Return a picture of the simplest kind, with a comment in its head."""
    return f"{kind}\n# made by hand\n{width} {height}\n255\n".encode() + bytes(30)


def ranged(body: bytes, content_type: str = "image/png") -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer that knows parts of a file, as object stores do."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        if found is None:
            respond(handler, body, content_type)
            return
        first, last = int(found[1]), min(int(found[2]), len(body) - 1)
        if first >= len(body):
            respond(handler, b"", content_type, 416, {"Content-Range": f"bytes */{len(body)}"})
            return
        place = {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
        respond(handler, body[first : last + 1], content_type, 206, place)

    return answer


def respond(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    content_type: str = "image/png",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> None:
    """Answer with a body and headers; of the length, too, which `headers` may make a lie."""
    handler.send_response(status)
    usual = {"Content-Type": content_type, "Content-Length": str(len(body))}
    for name, value in (usual | (headers or {})).items():
        if value:
            handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
