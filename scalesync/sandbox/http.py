"""One request to the API: who asks, and what for."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalesync.sandbox.account import Account, Mode
from scalesync.sandbox.documents import Doc, as_object, decode_body, encode
from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.filters import Params
from scalesync.sandbox.state import World

Answer = Doc | list[Doc] | bytes
"""What a call answers: an object or a list to be encoded, or JSON text as it is."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its key checked and its parts decoded."""

    world: World
    account: Account
    method: str
    params: Params
    """The query, without empty values: the recorded requests send those for what they do not ask."""
    names: dict[str, str]
    """The named parts of the path, percent-decoded: `%2F` in a name is a slash."""
    body: object
    """The JSON value of the body, or the fields of a form; None for an empty body."""

    def object(self) -> Doc:
        """Return the body as an object. Raises RefusalError 400."""
        return as_object(self.body)


Handler = Callable[[Call], Answer]


def api_route(method: str, path: str, handler: Handler, lists: str = "") -> Route:
    """Return the route of one operation under /v1; `lists` names the kind of a list, for `World.arriving`."""

    async def endpoint(request: Request) -> Response:
        world: World = request.app.state.world
        try:
            mode = authenticate(request.headers.get("authorization", ""), world.options.keys)
            call = _call(request, world, mode, await _body(request))
            if lists and mode == "live":
                world.arriving(lists, call.params)
            with world.locked():
                answer = world.answered(_text(handler(call)), call.account)
        except RefusalError as refusal:
            return error_response(refusal.status, refusal.message)
        return json_response(answer)

    return Route(f"/v1{path}", endpoint, methods=[method])


def json_response(answer: object) -> Response:
    """Return a 200 with `answer` as JSON; bytes are sent as they are."""
    return Response(_text(answer), media_type="application/json")


def _text(answer: object) -> bytes:
    return answer if isinstance(answer, bytes) else encode(answer)


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as the API writes it: `{"status_code": ..., "error": ...}` (recorded)."""
    content = encode({"status_code": status, "error": message})
    return Response(content, status_code=status, headers=headers, media_type="application/json")


def authenticate(header: str, keys: frozenset[str] | None) -> Mode:
    """Return the mode of the key in an Authorization header: Basic with the key as user name, or Bearer.

    Raises RefusalError 401 for no key, an unknown one, or one of neither mode.
    """
    key = _key_of(header)
    if key and (keys is None or key in keys):
        if key.startswith("test_") or key.endswith("|test"):
            return "test"
        if key.startswith("live_"):
            return "live"
    raise RefusalError(401, "Please provide a valid API key.")


def _key_of(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _call(request: Request, world: World, mode: Mode, body: object) -> Call:
    params: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if value:
            params.setdefault(name, []).append(value)
    names = {name: unquote(part) for name, part in request.path_params.items()}
    return Call(world, world.account(mode), request.method, params, names, body)


async def _body(request: Request) -> object:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return decode_body(await request.body())
    async with request.form() as form:
        fields: Doc = {}
        for name, value in form.items():
            if isinstance(value, str):
                fields[name] = value
            else:
                fields[name] = {"name": value.filename, "size": value.size, "type": value.content_type}
        return fields
