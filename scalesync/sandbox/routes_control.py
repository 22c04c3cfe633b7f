"""Control a running sandbox over HTTP, below /_sandbox and without a key."""

from collections.abc import Callable
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalesync.sandbox.backend import Backend
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.http import error_response, json_response
from scalesync.sandbox.json_codec import Doc, as_object, as_strings, decode_body

Control = Callable[[Backend, Request, object], object]
"""Does one thing, and returns the JSON to answer with."""


def _control(method: str, path: str, control: Control) -> Route:
    async def endpoint(request: Request) -> Response:
        body = decode_body(await request.body())
        try:
            return json_response(control(request.app.state.backend, request, body))
        except (KeyError, ValueError, TypeError) as error:
            return error_response(400, f"{type(error).__name__}: {error}")

    return Route(f"/_sandbox{path}", endpoint, methods=[method])


def _health(backend: Backend, _request: Request, _body: object) -> Doc:
    return {"tasks": len(backend.live.tasks), "seed": backend.options.seed}


def _effects(backend: Backend, request: Request, _body: object) -> object:
    with backend.locked():
        account = backend.test if request.query_params.get("mode") == "test" else backend.live
        return account.applied.as_dict()


def _requests(backend: Backend, _request: Request, _body: object) -> object:
    counts = dict(backend.requests)
    return {
        "total": sum(counts.values()),
        "list_pages": backend.list_pages(),
        "routes": counts,
        "faults": dict(backend.faults.injected),
    }


def _faults(backend: Backend, _request: Request, body: object) -> object:
    backend.faults.replace(as_strings(body))
    return {"faults": body}


def _churn(backend: Backend, _request: Request, body: object) -> object:
    return {"landed": backend.churn(int(as_object(body).get("changes", 1)))}


def _change_status(backend: Backend, request: Request, _body: object) -> object:
    change = {"complete": backend.complete, "recall": backend.recall, "fix": backend.fix}[
        request.path_params["step"]
    ]
    change(request.path_params["id"])
    return {}


def _remove(backend: Backend, request: Request, _body: object) -> object:
    backend.remove(_kind(request), unquote(request.path_params["name"]))
    return {}


def _documents(backend: Backend, request: Request, _body: object) -> bytes:
    return b"[" + b",".join(backend.documents(_kind(request))) + b"]"


def _kind(request: Request) -> str:
    kind: str = request.path_params["kind"]
    if kind not in {"tasks", "batches", "projects"}:
        raise HttpError(404, "There is no such list.")
    return kind


ROUTES = [
    _control("GET", "", _health),
    _control("GET", "/effects", _effects),
    _control("GET", "/requests", _requests),
    _control("POST", "/faults", _faults),
    _control("POST", "/churn", _churn),
    _control("POST", "/tasks/{id}/{step}", _change_status),
    _control("DELETE", "/{kind}/{name}", _remove),
    _control("GET", "/documents/{kind}", _documents),
]
