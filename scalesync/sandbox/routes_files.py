"""Serve the files that responses and tasks name: results, pictures and other attachments, without a key."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalesync.sandbox.http import error_response
from scalesync.sandbox.media import MEDIA_PATH, media
from scalesync.sandbox.result_files import RESULTS_PATH, content

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_UNKNOWN = "There is no such file."


async def _result_file(request: Request) -> Response:
    """Return a file that a response names; any signature is valid."""
    kind, name = request.path_params["kind"], request.path_params["name"]
    file = content(kind, name)
    if file is None:
        return error_response(404, _UNKNOWN)
    return Response(file, media_type="image/png" if kind == "images" else "application/json")


async def _media_file(request: Request) -> Response:
    """Return an attachment of a task, or the part of it that is asked for."""
    found = media(request.path_params["kind"], request.path_params["name"])
    if found is None:
        return error_response(404, _UNKNOWN)
    return _whole_or_part(*found, request.headers.get("range", ""))


def _whole_or_part(file: bytes, content_type: str, wanted: str) -> Response:
    """Return a file, the one part of it that a Range header names, or 416 for one that it does not have."""
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "max-age=3600"}
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        # Several parts, or other units, may be answered with the whole.
        return Response(file, headers=headers, media_type=content_type)
    size = len(file)
    # Without a first byte it is the number of the last ones.
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(file[first : last + 1], 206, headers, content_type)


ROUTES = [
    Route(f"{RESULTS_PATH}/{{kind}}/{{name}}", _result_file, methods=["GET"]),
    Route(f"{MEDIA_PATH}/{{kind}}/{{name}}", _media_file, methods=["GET"]),
]
