"""The attachments of tasks: files that are the same for the same name, on which all that is drawn lies."""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import scalesync
from scalesync.sandbox import SandboxOptions, SandboxServer, routes_control
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.media import (
    GRID,
    MEDIA,
    MEDIA_PATH,
    PAGE,
    PICTURE,
    SECONDS,
    grid_color,
    media,
    square_of,
)
from tests.support.sandboxes import LIVE, StartSandbox

KINDS = {"pictures": "image/png", "frames": "image/png", "pages": "image/png", "sounds": "audio/wav"}


def pixels(content: bytes) -> tuple[int, int, list[bytes], list[tuple[int, ...]]]:
    """Return width, height, rows of places in the palette, and the palette of a PNG of the sandbox's form."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    parts, place = {}, 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        name, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", content, place + 8 + length) == (zlib.crc32(name + data),)
        parts[name], place = data, place + 12 + length
    width, height, depth, kind = struct.unpack(">IIBB3x", parts[b"IHDR"])
    assert (depth, kind, place) == (8, 3, len(content))
    raw = zlib.decompress(parts[b"IDAT"])
    rows = [raw[y * (width + 1) : (y + 1) * (width + 1)] for y in range(height)]
    assert {row[0] for row in rows} == {0}
    palette = [tuple(parts[b"PLTE"][each : each + 3]) for each in range(0, len(parts[b"PLTE"]), 3)]
    return width, height, [row[1:] for row in rows], palette


def linked(value: Any) -> Iterator[str]:
    """Yield every attachment in a document."""
    if isinstance(value, str):
        if "/media/" in value:
            yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from linked(each)


@pytest.mark.parametrize(("kind", "size"), [("pictures", PICTURE), ("frames", PICTURE), ("pages", PAGE)])
def test_a_picture_has_its_grid(kind: str, size: tuple[int, int]) -> None:
    """Columns and rows at each hundred, in colors of their own; between them the background."""
    found = media(kind, "0a1b2c.png")
    assert found is not None
    width, height, rows, palette = pixels(found[0])

    assert (width, height) == size
    for k in range(1, (width - 1) // GRID + 1):
        assert [palette[rows[50][GRID * k + each]] for each in (0, 1)] == [grid_color(k, column=True)] * 2
        assert rows[50][GRID * k - 1] == rows[50][GRID * k + 2] == 0
    for k in range(1, (height - 1) // GRID + 1):
        assert [palette[rows[GRID * k + each][50]] for each in (0, 1)] == [grid_color(k, column=False)] * 2
        assert rows[GRID * k - 1][50] == rows[GRID * k + 2][50] == 0
    assert len(set(palette)) == len(palette)


def test_frames_differ_by_their_square() -> None:
    """Dark, at the place of its number; the background is that of the video."""
    for number in (0, 1, 9):
        found = media("frames", f"0a1b2c-{number}.png")
        assert found is not None
        _, _, rows, palette = pixels(found[0])
        left, top = square_of(number)
        assert palette[rows[top + 5][left + 5]] == (40, 40, 60)
        assert rows[top - 5][left - 5] == 0
    assert media("frames", "0a1b2c-1.png") != media("frames", "0a1b2c-2.png")


def test_every_attachment_of_a_seeded_account_is_there(start_sandbox: StartSandbox) -> None:
    """Without a key, in the form that its type has, the same at every read; other names are 404."""
    server = start_sandbox(tasks=300)
    documents = [json.loads(raw) for raw in server.backend.documents("tasks")]
    links = {link for document in documents for link in linked(document["params"])}

    assert {link.split("/")[4] for link in links} == {*KINDS, "scenes"}
    assert all(link.startswith(f"{server.control_url}/media/") for link in links)
    assert not any("pictures.sandbox" in str(document) for document in documents)
    for kind, content_type in (KINDS | {"scenes": "application/json"}).items():
        link = next(each for each in sorted(links) if f"/media/{kind}/" in each)
        answer = requests.get(link, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
        assert answer.content == requests.get(link, timeout=10).content
        assert requests.head(link, timeout=10).headers["Content-Length"] == str(len(answer.content))
    for wrong in ("pictures/x.jpg", "nothing/x.png", "pictures/.png", "sounds/x.png"):
        assert requests.get(f"{server.control_url}/media/{wrong}", timeout=10).status_code == 404


def test_everything_drawn_lies_on_its_picture() -> None:
    """Corners of all shapes of a seeded account."""
    backend = Backend(SandboxOptions(tasks=600))
    corners = 0
    for raw in backend.documents("tasks"):
        document = json.loads(raw)
        response = document.get("response")
        drawn = response.get("annotations") if isinstance(response, dict) else None
        for shape in drawn if isinstance(drawn, list) else []:
            page = document["type"] == "documenttranscription"
            width, height = PAGE if page else PICTURE
            for x, y in _corners(shape.get("location", shape)):
                corners += 1
                assert 0 <= x <= width, shape
                assert 0 <= y <= height, shape
    assert corners > 2_000


def _corners(shape: dict[str, Any]) -> Iterator[tuple[float, float]]:
    yield from ((each["x"], each["y"]) for each in shape.get("vertices", ()))
    if "left" in shape:
        yield shape["left"], shape["top"]
        yield shape["left"] + shape["width"], shape["top"] + shape["height"]
    if "x" in shape:
        yield shape["x"], shape["y"]


def test_a_recording_is_a_tone_of_ten_seconds(sandbox: SandboxServer) -> None:
    """A WAV file of one channel, whose head agrees with its data."""
    answer = requests.get(f"{sandbox.control_url}/media/sounds/a.wav", timeout=10)

    riff, size, wave = struct.unpack_from("<4sI4s", answer.content)
    _, _, form, channels, rate, per_second, block, bits = struct.unpack_from("<4sIHHIIHH", answer.content, 12)
    name, data = struct.unpack_from("<4sI", answer.content, 36)
    assert (riff, wave, size + 8) == (b"RIFF", b"WAVE", len(answer.content))
    assert (form, channels, per_second, block, bits) == (1, 1, rate, 1, 8)
    assert (name, data, data / rate) == (b"data", len(answer.content) - 44, SECONDS)
    assert len(set(answer.content[44:])) > 50


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=100-", 100, -1), ("bytes=-7", -7, -1), ("bytes=5-99999999", 5, -1)],
)
def test_parts_of_a_file(sandbox: SandboxServer, wanted: str, first: int, last: int) -> None:
    """From a byte to another, to the end, and the last ones; never compressed on the way."""
    url = f"{sandbox.control_url}/media/sounds/a.wav"
    whole = requests.get(url, timeout=10).content
    answer = requests.get(url, headers={"Range": wanted}, timeout=10)
    start, end = first % len(whole), last % len(whole)

    assert (answer.status_code, answer.content) == (206, whole[start : end + 1])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{len(whole)}"
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "wanted", ["", "bytes=", "bytes=-", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b", "bytes=\u0663-"]
)
def test_what_is_no_part_is_answered_with_the_whole(sandbox: SandboxServer, wanted: str) -> None:
    """As servers may."""
    url = f"{sandbox.control_url}/media/pictures/a.png"
    answer = requests.get(url, headers={"Range": wanted.encode()}, timeout=10)

    assert (answer.status_code, answer.headers["Accept-Ranges"]) == (200, "bytes")
    assert pixels(answer.content)[:2] == PICTURE


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=9-3", "bytes=-0"])
def test_a_part_that_there_is_not(sandbox: SandboxServer, wanted: str) -> None:
    """416, with the size of the file."""
    answer = requests.get(
        f"{sandbox.control_url}/media/pictures/a.png", headers={"Range": wanted}, timeout=10
    )

    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"].startswith("bytes */")


def test_attachments_are_counted_and_struck_by_faults(start_sandbox: StartSandbox) -> None:
    """As every file is."""
    server = start_sandbox()
    server.backend.faults.replace(["503:100%@GET /media/*"])

    assert requests.get(f"{server.control_url}/media/pictures/a.png", timeout=10).status_code == 503
    assert server.backend.requests["GET /media/{kind}/{name}"] == 1


def test_every_control_and_every_kind_of_attachment_is_documented() -> None:
    """With its method and path, in the page of the sandbox."""
    page = (Path(scalesync.__file__).parent / "docs" / "sandbox.md").read_text()
    for route in routes_control.ROUTES:
        method = next(iter((route.methods or set()) - {"HEAD"}))
        start = route.path.partition("{")[0].rstrip("/")
        assert f"`{method} {start}" in page, route.path
    assert all(f"`{MEDIA_PATH}/{kind}/NAME" in page for kind in (*KINDS, "scenes"))


def test_stored_documents_name_no_port(start_sandbox: StartSandbox) -> None:
    """So that a sandbox with a state may listen elsewhere; what a client sent stays as it is."""
    server = start_sandbox()
    body = {"attachment": f"{server.control_url}/media/pictures/mine.png"}
    made = requests.post(f"{server.url}/task/imageannotation", json=body, auth=LIVE, timeout=10).json()

    assert made["params"]["attachment"] == body["attachment"]
    assert any(MEDIA in record.raw.decode() for record in Backend(SandboxOptions(tasks=20)).live.tasks)
