"""Hand out the files of attachments that `fetch-attachments` kept, and no others."""

from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse

from scalesync.annotations.urls import unsigned_url
from scalesync.web.pages import NoSuchPageError, Query

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

_SHOWN = ("image/", "audio/", "video/")
"""Types that a browser shows without running anything; others it can only save."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A picture may be an SVG of strangers, which somebody opens by itself: it runs and loads nothing."""
_NAME_LENGTH = 40
_GONE = "The file is not here any more; `scalesync fetch-attachments` fetches it again."


def kept_file(mirror: "Mirror", query: Query) -> FileResponse:
    """Return the file of the attachment that `url` names. Raises NoSuchPageError if it was not kept."""
    url = next((value for name, value in query if name == "url"), "")
    row = mirror.kept_attachments([url]).get(unsigned_url(url)) if url else None
    if row is None or not row["path"]:
        raise NoSuchPageError("No file was kept for this attachment.")
    path = _checked(row)
    # The suffix was chosen by what is in the file; its server may call it anything.
    content_type = guess_type(path.name)[0] or str(row["content_type"] or "")
    shown = content_type.startswith(_SHOWN)
    return FileResponse(
        path,
        media_type=content_type if shown else "application/octet-stream",
        headers={"content-security-policy": _POLICY, "cache-control": "private, max-age=3600"},
        content_disposition_type="inline" if shown else "attachment",
        filename=None if shown else path.name,
    )


def _checked(row: dict[str, Any]) -> Path:
    """Return the path in a row. Raises NoSuchPageError if it is not what was kept for its address."""
    # The database may be shared, and must not choose files of this machine: their name says whose they are.
    path = Path(row["path"])
    name = sha256(row["url"].encode(errors="surrogatepass")).hexdigest()[:_NAME_LENGTH]
    try:
        same = path.name.partition(".")[0] == name and path.is_file() and path.stat().st_size == row["bytes"]
    except (OSError, ValueError):
        same = False
    if not same:
        raise NoSuchPageError(_GONE)
    return path
