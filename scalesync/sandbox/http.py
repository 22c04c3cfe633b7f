"""Authenticate and decode a request to the API, run its operation, and encode the response."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalesync.sandbox.account import Mode, SandboxAccount
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.filters import Params
from scalesync.sandbox.json_codec import Doc, as_object, as_strings, decode_body, encode
from scalesync.sandbox.media import insert_media_urls
from scalesync.sandbox.pagination import render_task
from scalesync.sandbox.result_files import insert_result_urls
from scalesync.sandbox.tasks import TaskRecord

ResponseBody = Doc | list[Doc] | TaskRecord | bytes
"""What an operation returns: an object or a list to encode, a task, or JSON text to send as it is."""


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """A request with a valid key and decoded parts."""

    backend: Backend
    method: str
    params: Params
    """The query without its empty values, which clients send for what they do not ask (recorded)."""
    body: object
    """The JSON value of the body, or the fields of a form; None for an empty body."""


Reader = Callable[[SandboxRequest], object]
"""Reads one argument of an operation from a request."""


def body(request: SandboxRequest) -> Doc:
    """Return the body, which must be a JSON object; raises HttpError 400 for anything else."""
    return as_object(request.body)


def query(request: SandboxRequest) -> Params:
    """Return the query of a request."""
    return request.params


def text(field: str) -> Reader:
    """Return a reader of a field of the body, as text."""
    return lambda request: str(body(request).get(field))


def strings(field: str) -> Reader:
    """Return a reader of the strings in a field of the body; it raises HttpError 400 for anything else."""
    return lambda request: as_strings(body(request).get(field))


def api_route(
    method: str, path: str, operation: Callable[..., ResponseBody], *readers: Reader, lists: str = ""
) -> Route:
    """Return the route of one operation under /v1; `lists` names the kind that a list operation returns.

    The operation is called with the account, the named parts of the path, and what each reader returns.
    """

    async def endpoint(request: Request) -> Response:
        backend: Backend = request.app.state.backend
        account = backend.account(
            authenticate(request.headers.get("authorization", ""), backend.options.keys)
        )
        params = parse_qs(request.scope["query_string"].decode("ascii"))
        call = SandboxRequest(backend, method, params, await _body(request))
        if lists and account is backend.live:
            # Before the lock: a test's own hook runs here, and may lock the backend itself.
            backend.prepare_list(lists, params)
        # Decoded only after the path was matched, so that `%2F` in a name is a slash.
        names = [unquote(part) for part in request.path_params.values()]
        # Encoded under the lock too: another request must not change a document in the middle.
        with backend.locked():
            returned = operation(account, *names, *(read(call) for read in readers))
            text = _encoded(returned, account, backend.results_url)
            return json_response(insert_media_urls(text, backend.media_url))

    return Route(f"/v1{path}", endpoint, methods=[method])


def json_response(content: object) -> Response:
    """Return a 200 with `content` as JSON; bytes are sent as they are."""
    text = content if isinstance(content, bytes) else encode(content)
    return Response(text, media_type="application/json")


def _encoded(content: ResponseBody, account: SandboxAccount, results_url: str) -> bytes:
    """Return a response's text with the real addresses of its files; a switch has them signed."""
    signed = account.switches.presigned_urls == "always"
    if isinstance(content, TaskRecord):
        content = render_task(content, account.read_rng, signed=signed)
    text = content if isinstance(content, bytes) else encode(content)
    return insert_result_urls(text, results_url, account.read_rng if signed else None)


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as the API writes it: `{"status_code": ..., "error": ...}` (recorded)."""
    content = encode({"status_code": status, "error": message})
    return Response(content, status_code=status, headers=headers, media_type="application/json")


def authenticate(header: str, keys: frozenset[str] | None) -> Mode:
    """Return the mode of the key in an Authorization header, and raise HttpError 401 for any other key.

    The header is Basic with the key as user name, or Bearer. A key that names no mode is refused too.
    """
    key = _key_of(header)
    if key and (keys is None or key in keys):
        if key.startswith("test_") or key.endswith("|test"):
            return "test"
        if key.startswith("live_"):
            return "live"
    raise HttpError(401, "Please provide a valid API key.")


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


async def _body(request: Request) -> object:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return decode_body(await request.body())
    async with request.form() as form:
        fields: Doc = {}
        for name, value in form.items():
            if isinstance(value, str):
                fields[name] = value
            else:
                digest = sha256(await value.read()).hexdigest()
                described = {"name": value.filename, "size": value.size, "type": value.content_type}
                fields[name] = {**described, "sha256": digest}
        return fields
