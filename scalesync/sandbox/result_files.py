"""The files that responses name: where they are, and what is in them, the same for the same name."""

import random
import re
import struct
import zlib
from collections.abc import Callable

from scalesync.sandbox.documents import Doc, encode
from scalesync.sandbox.geometry import attributes, box, new_uuid, number

RESULTS = "https://results.sandbox.example"
"""Stands in every document for the address that a sandbox serves its files at, which may differ each time."""

LABELS = ("car", "pedestrian", "Fahrrad", "犬")

_LINK = re.compile(re.escape(RESULTS.encode()) + rb'([^"\\]*)')


def link(kind: str, rng: random.Random) -> str:
    """Return the address of a new file of a kind that `content` knows."""
    return f"{RESULTS}/{kind}/{new_uuid(rng)}"


def addressed(text: bytes, url: str, rng: random.Random | None = None) -> bytes:
    """Return JSON text with its files at `url`; with `rng`, each link has a signature of this read only."""
    if rng is None:
        return text.replace(RESULTS.encode(), url.encode())

    def signed(match: re.Match[bytes]) -> bytes:
        signature = f"?X-Amz-Expires=43200&X-Amz-Signature={rng.getrandbits(256):064x}"
        return url.encode() + match[1] + signature.encode()

    return _LINK.sub(signed, text)


def content(kind: str, name: str) -> bytes | None:
    """Return a file, None for an unknown kind. One in four ends in NUL bytes, as some were seen to do."""
    make = _MAKERS.get(kind)
    if make is None:
        return None
    rng = random.Random(f"{kind}/{name}")  # noqa: S311 - repeatable data, not secrets
    made = make(rng)
    return made + bytes(rng.randint(1, 600)) if rng.random() < 0.25 else made


def _tracks(rng: random.Random) -> list[tuple[str, str]]:
    """Return what is followed from frame to frame, each with its uuid and label."""
    return [(new_uuid(rng), rng.choice(LABELS)) for _ in range(rng.randint(1, 3))]


def _frames(rng: random.Random) -> bytes:
    """Return the boxes of a video, frame by frame; some frames show nothing."""
    tracks = _tracks(rng)
    frames = [
        {
            "annotations": [
                {
                    "uuid": uuid,
                    "label": label,
                    "type": "box",
                    "attributes": attributes(rng, ""),
                    **box(rng),
                }
                for uuid, label in tracks
                if rng.random() < 0.8
            ]
        }
        for _ in range(rng.randint(2, 6))
    ]
    return encode(frames)


def _playback(rng: random.Random) -> bytes:
    """Return the tracks of a video by uuid, each with its key frames."""
    tracks: Doc = {}
    for uuid, label in _tracks(rng):
        keys = sorted(rng.sample(range(300), rng.randint(1, 4)))
        frames = [{"key": key, **box(rng), "attributes": {}, "timestamp": key * 40} for key in keys]
        tracks[uuid] = {"label": label, "geometry": "box", "frames": frames}
    return encode(tracks)


def _events(rng: random.Random) -> bytes:
    """Return what happens in a video (its form is assumed)."""
    starts = sorted(rng.sample(range(300), 2))
    events = [
        {"uuid": new_uuid(rng), "label": label, "start": start, "end": start + rng.randint(1, 60)}
        for label, start in zip(("braking", "turning"), starts, strict=True)
    ]
    return encode(events)


def _cuboids(rng: random.Random) -> bytes:
    """Return the cuboids of a lidar sequence, frame by frame."""
    tracks = _tracks(rng)
    frames = [{"cuboids": [_cuboid(rng, *track) for track in tracks]} for _ in range(rng.randint(1, 4))]
    return encode(frames)


def _cuboid(rng: random.Random, uuid: str, label: str) -> Doc:
    return {
        "uuid": uuid,
        "label": label,
        "position": {axis: number(rng, 100) for axis in "xyz"},
        "dimensions": {axis: number(rng, 6) for axis in "xyz"},
        "yaw": rng.uniform(-3.14, 3.14),
        "attributes": attributes(rng, ""),
    }


def _linked(rng: random.Random) -> bytes:
    """Return the boxes that cuboids have in the pictures of two cameras, frame by frame."""
    tracks = _tracks(rng)

    def seen(camera: int) -> Doc:
        boxes: list[Doc] = [
            {"cuboid_uuid": uuid, "label": label, "type": "box", **box(rng)} for uuid, label in tracks
        ]
        if rng.random() < 0.3:
            boxes.append({**boxes[-1], "cuboid_uuid": new_uuid(rng), "not_in_lidar": True})
        return {"camera_used": camera, "annotations": boxes}

    return encode([{"camera_responses": [seen(0), seen(1)]} for _ in range(rng.randint(1, 3))])


def _points(rng: random.Random) -> bytes:
    """Return what the points of a lidar sequence belong to: objects, and an index of these for each point."""
    objects: list[Doc] = [{"label": label, "index": index} for index, label in enumerate(LABELS, 1)]
    objects[0]["instance"] = True
    frames = [rng.choices(range(len(LABELS) + 1), k=20) for _ in range(rng.randint(1, 3))]
    return encode({"objects": objects, "point_objects": frames})


def _image(rng: random.Random) -> bytes:
    """Return a PNG of one pixel."""
    pixel = zlib.compress(b"\0" + rng.randbytes(3))
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)), (b"IDAT", pixel), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


_MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    "frames": _frames,
    "playback": _playback,
    "events": _events,
    "cuboids": _cuboids,
    "linked": _linked,
    "points": _points,
    "images": _image,
}
