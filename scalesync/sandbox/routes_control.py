"""The sandbox's own controls, for tests that run it as a process of its own. They need no key."""

from collections.abc import Callable
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scalesync.sandbox.account import Mode
from scalesync.sandbox.documents import Doc, as_object, as_texts, decode_body
from scalesync.sandbox.errors import RefusalError
from scalesync.sandbox.http import error_response, json_response
from scalesync.sandbox.state import World

Control = Callable[[World, Request, object], object]
"""Does one thing and returns what to answer."""

_LISTS = ("tasks", "batches", "projects")


def _control(method: str, path: str, control: Control) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            body = decode_body(await request.body())
            return json_response(control(request.app.state.world, request, body))
        except RefusalError as refusal:
            return error_response(refusal.status, refusal.message)
        except (KeyError, ValueError, TypeError) as error:
            return error_response(400, f"{type(error).__name__}: {error}")

    return Route(f"/_sandbox{path}", endpoint, methods=[method])


def _effects(world: World, request: Request, _body: object) -> object:
    mode: Mode = "test" if request.query_params.get("mode") == "test" else "live"
    with world.locked():
        return world.account(mode).effects.as_dict()


def _requests(world: World, _request: Request, _body: object) -> object:
    counts = dict(world.requests)
    return {
        "total": sum(counts.values()),
        "list_pages": world.list_pages(),
        "routes": counts,
        "faults": dict(world.faults.struck),
    }


def _faults(world: World, _request: Request, body: object) -> object:
    world.faults.replace(as_texts(body))
    return {"faults": body}


def _churn(world: World, _request: Request, body: object) -> object:
    return {"landed": world.churn(int(as_object(body).get("changes", 1)))}


def _advance(world: World, request: Request, _body: object) -> object:
    {"complete": world.complete, "recall": world.recall}[request.path_params["step"]](
        request.path_params["id"]
    )
    return {}


def _remove(world: World, request: Request, _body: object) -> object:
    kind, name = request.path_params["kind"], unquote(request.path_params["name"])
    if kind not in _LISTS:
        raise RefusalError(404, "There is no such list.")
    world.remove(kind, name)
    return {}


def _documents(world: World, request: Request, _body: object) -> bytes:
    kind = request.path_params["kind"]
    if kind not in _LISTS:
        raise RefusalError(404, "There is no such list.")
    return b"[" + b",".join(world.documents(kind)) + b"]"


def _health(world: World, _request: Request, _body: object) -> Doc:
    return {"tasks": len(world.live.tasks), "seed": world.options.seed}


ROUTES = [
    _control("GET", "", _health),
    _control("GET", "/effects", _effects),
    _control("GET", "/requests", _requests),
    _control("POST", "/faults", _faults),
    _control("POST", "/churn", _churn),
    _control("POST", "/tasks/{id}/{step}", _advance),
    _control("DELETE", "/{kind}/{name}", _remove),
    _control("GET", "/documents/{kind}", _documents),
]
