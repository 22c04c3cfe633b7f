"""Where the pictures and recordings of a task come from, and how large they are."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from scalesync.annotations.urls import unsigned_url
from scalesync.web.addresses import web_link
from scalesync.web.shapes import Point, number

_KINDS = {
    "audio": re.compile(r"\.(mp3|wav|ogg|oga|m4a|aac|flac|opus)$", re.IGNORECASE),
    "video": re.compile(r"\.(mp4|webm|mov|m4v|ogv|mkv|avi)$", re.IGNORECASE),
}
"""By the end of an address without its query."""
_SIZES = (("width", "height"), ("image_width", "image_height"), ("imageWidth", "imageHeight"))
_MOST = 5_000
"""Attachments of a task that are looked at."""
_LARGEST_SIDE = 200_000

Size = tuple[float, float]


class Medium(NamedTuple):
    """A picture or a recording to be shown."""

    kind: str
    """`image`, `audio`, `video`; empty: nothing can be shown."""
    source: str
    """An address for the browser; empty if there is none."""
    size: Size | None
    """In pixels, if it is known."""
    reason: str
    """Why nothing can be shown, as a sentence."""


NO_PICTURE = Medium("", "", None, "The task names no attachment for this frame.")


def links_of(task: Mapping[str, Any]) -> list[str]:
    """Return the attachments of a task: one, or one for each frame or page, empty where there is none."""
    params = task.get("params")
    given = params if isinstance(params, dict) else {}
    several = given.get("attachments")
    # The number of a frame is the place of its picture: what is no address keeps its place.
    found = several[:_MOST] if isinstance(several, list) else []
    links = [each.strip() if isinstance(each, str) else "" for each in found or [given.get("attachment")]]
    return links if any(links) else []


def media_of(task: Mapping[str, Any], kept: Mapping[str, Mapping[str, Any]]) -> list[Medium]:
    """Return what can be shown of each attachment; `kept` has rows of `attachments` by unsigned address.

    First the file that `fetch-attachments` kept, then the address itself if it is one of the web.
    """
    known = _known_size(task)
    return [
        _medium(task, link, kept.get(unsigned_url(link), {}), known) if link else NO_PICTURE
        for link in links_of(task)
    ]


def _medium(task: Mapping[str, Any], link: str, row: Mapping[str, Any], known: Size | None) -> Medium:
    size = _size(row.get("width"), row.get("height")) or known
    kind = _kind(task, link, row)
    if kind and row.get("path"):
        return Medium(kind, f"/file?{urlencode({'url': unsigned_url(link)})}", size, "")
    if kind and web_link(link):
        return Medium(kind, link, size, "")
    return Medium("", "", size, _reason(link, kind, row))


def _kind(task: Mapping[str, Any], link: str, row: Mapping[str, Any]) -> str:
    """Return how a browser shows an attachment: as its server calls it, by its name, or by the task."""
    called = str(row.get("content_type") or "").partition("/")[0]
    if called in ("image", "audio", "video"):
        return called
    name = link.partition("?")[0].partition("#")[0]
    for kind, ends in _KINDS.items():
        if ends.search(name):
            return kind
    params = task.get("params")
    said = params.get("attachment_type") if isinstance(params, dict) else None
    if task.get("type") == "audiotranscription":
        return "audio"
    if said in ("audio", "video"):
        return str(said)
    return "" if said in ("text", "website", "json", "pdf") or name.endswith((".json", ".pdf")) else "image"


def _reason(link: str, kind: str, row: Mapping[str, Any]) -> str:
    """Return a sentence on why an attachment is not shown."""
    if row.get("error"):
        return f"The picture is not here: {row['error']}"
    if not kind:
        return "The attachment is no picture and no recording."
    scheme = link.partition(":")[0].lower()
    if ":" not in link or not re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme):
        return "The attachment is no address that a browser can open."
    return f"The attachment is at {scheme}:, which a browser cannot open."


def _known_size(task: Mapping[str, Any]) -> Size | None:
    """Return the size of a picture as the task's params, metadata or response give it."""
    return next(_sizes_in([task.get("params"), task.get("metadata"), task.get("response")]), None)


def _sizes_in(places: Sequence[object]) -> Iterator[Size]:
    for place in places:
        if isinstance(place, dict):
            for wide, high in _SIZES:
                if size := _size(place.get(wide), place.get(high)):
                    yield size


def page_sizes(task: Mapping[str, Any]) -> list[Size | None]:
    """Return the size of each page of a document, as the task gives it."""
    pages = task.get("document_pages")
    listed = pages[:_MOST] if isinstance(pages, list) else []
    return [
        _size(page.get("width"), page.get("height")) if isinstance(page, dict) else None for page in listed
    ]


def _size(width: object, height: object) -> Size | None:
    wide, high = number(width), number(height)
    if wide is None or high is None or not 0 < wide <= _LARGEST_SIDE or not 0 < high <= _LARGEST_SIDE:
        return None
    return wide, high


def reached(points: Sequence[Point], *, from_origin: bool) -> tuple[float, float, float, float]:
    """Return left, top, width and height of the area that points reach, with a margin.

    `from_origin`: it begins at the picture's corner, or further out if a point lies there.
    """
    across, down = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    left, top, right, bottom = min(across), min(down), max(across), max(down)
    margin = 0.02 * max(right - left, bottom - top, 1.0)
    right, bottom = right + margin, bottom + margin
    if from_origin:
        left, top = min(left, 0.0), min(top, 0.0)
    else:
        left, top = left - margin, top - margin
    return left, top, max(right - left, 1.0), max(bottom - top, 1.0)
