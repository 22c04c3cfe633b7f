"""Generate the files that responses name, with the same content for the same name each time."""

import random
import re
from collections.abc import Callable

from scalesync.sandbox.json_codec import Doc, encode
from scalesync.sandbox.media import png
from scalesync.sandbox.templates import TEMPLATES, fill, new_uuid

RESULTS = "https://results.sandbox.example"
"""Stands in stored documents for the address of the files, as a sandbox's port differs from run to run."""

RESULTS_PATH = "/results"
"""Where the server offers the files."""

_FRAMES = 8
"""Of a video, as `parts/frames` in templates.json has them."""

_LINK = re.compile(re.escape(RESULTS.encode()) + rb'([^"\\]*)')


def insert_result_urls(text: bytes, url: str, rng: random.Random | None = None) -> bytes:
    """Return JSON text with its result files at `url`; `rng` signs each link for this read only."""
    if rng is None:
        return text.replace(RESULTS.encode(), url.encode())

    def signed(match: re.Match[bytes]) -> bytes:
        signature = f"?X-Amz-Expires=43200&X-Amz-Signature={rng.getrandbits(256):064x}"
        return url.encode() + match[1] + signature.encode()

    return _LINK.sub(signed, text)


def content(kind: str, name: str) -> bytes | None:
    """Return a file, None for an unknown kind. One in four ends in NUL bytes, as some real ones do."""
    # Seeded by the name: nothing is stored, and a restarted sandbox serves the same bytes.
    rng = random.Random(f"{kind}/{name}")  # noqa: S311 - repeatable data, not secrets
    if kind in TEMPLATES["files"]:
        made = encode(fill(f"files/{kind}", rng)["file"])
    elif kind in _MAKERS:
        made = _MAKERS[kind](rng)
    else:
        return None
    return made + bytes(rng.randint(1, 600)) if rng.random() < 0.25 else made


def _playback(rng: random.Random) -> bytes:
    """Return the tracks of a video by uuid, each with its key frames."""
    tracks: Doc = {}
    for track in fill("parts/tracks", rng):
        keys = sorted(rng.sample(range(_FRAMES), rng.randint(1, 4)))
        frames = [
            {"key": key, **fill("shapes/box", rng), "attributes": {}, "timestamp": key * 40} for key in keys
        ]
        tracks[track["uuid"]] = {"label": track["label"], "geometry": "box", "frames": frames}
    return encode(tracks)


def _events(rng: random.Random) -> bytes:
    """Return the events of a video (their form is assumed)."""
    starts = sorted(rng.sample(range(_FRAMES), 2))
    events = [
        {"uuid": new_uuid(rng), "label": label, "start": start, "end": rng.randint(start, _FRAMES - 1)}
        for label, start in zip(("braking", "turning"), starts, strict=True)
    ]
    return encode(events)


def _linked(rng: random.Random) -> bytes:
    """Return the boxes that cuboids have in the pictures of two cameras, frame by frame."""
    tracks = fill("parts/tracks", rng)
    frames = range(rng.randint(1, 3))
    return encode([{"camera_responses": [_camera(rng, tracks, n) for n in (0, 1)]} for _ in frames])


def _camera(rng: random.Random, tracks: list[Doc], camera: int) -> Doc:
    boxes: list[Doc] = fill("parts/camera_boxes", rng, {"tracks": tracks})
    if rng.random() < 0.3:
        boxes.append({**boxes[-1], "cuboid_uuid": new_uuid(rng), "not_in_lidar": True})
    return {"camera_used": camera, "annotations": boxes}


def _image(rng: random.Random) -> bytes:
    """Return a PNG of one pixel."""
    return png(1, b"\0\0", rng.randbytes(3), 1)


_MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    "playback": _playback,
    "events": _events,
    "linked": _linked,
    "images": _image,
}
