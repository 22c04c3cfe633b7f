"""The files that responses name. They need no key, and any signature is good."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalesync.sandbox.http import error_response
from scalesync.sandbox.result_files import content

PREFIX = "/results"


async def _file(request: Request) -> Response:
    kind, name = request.path_params["kind"], request.path_params["name"]
    found = content(kind, name)
    if found is None:
        return error_response(404, "There is no such file.")
    return Response(found, media_type="image/png" if kind == "images" else "application/json")


ROUTES = [Route(f"{PREFIX}/{{kind}}/{{name}}", _file, methods=["GET"])]
