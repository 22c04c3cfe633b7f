"""The sandbox as an ASGI application that counts requests, injects faults and sets the date."""

import asyncio
import logging
import time
from collections import deque
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from scalesync.sandbox import routes, routes_control, routes_files
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.fault_injection import Exchange, inject
from scalesync.sandbox.faults import FaultKind
from scalesync.sandbox.http import error_response
from scalesync.sandbox.media import MEDIA_PATH
from scalesync.sandbox.result_files import RESULTS_PATH
from scalesync.sandbox.timestamps import http_date

_log = logging.getLogger(__name__)


_COUNTED_ROUTES = [
    *routes.ROUTES,
    *routes_files.ROUTES,
]
"""The routes whose requests are counted, and into which faults are injected."""


class SandboxApp:
    """Answers every request from a backend, unless a fault is injected into it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._late_writes: set[asyncio.Task[None]] = set()
        self._answered: deque[float] = deque()
        """When requests of the last second came."""
        app = Starlette(routes=[*_COUNTED_ROUTES, *routes_control.ROUTES], exception_handlers=_HANDLERS)
        app.state.backend = backend
        self._plain = app
        self._app = GZipMiddleware(app, minimum_size=500, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or inject the faults that are drawn for it."""
        # Routed by the path as it was sent: a decoded `%2F` would split a name into two path segments.
        path = scope["raw_path"].decode("ascii")
        scope = {**scope, "path": path}
        send = self._with_date(send)
        if not path.startswith(("/v1/", f"{RESULTS_PATH}/", f"{MEDIA_PATH}/")):
            await self._app(scope, receive, send)
            return
        # A part is one of the file as it is: compressed on the way, it would be one of something else.
        app = self._plain if path.startswith(f"{MEDIA_PATH}/") else self._app
        # Counted before a fault is drawn, so that requests lost to a fault count too.
        self._backend.requests[f"{scope['method']} {_route_path(scope)}"] += 1
        if self._over_the_rate_limit():
            headers = {"retry-after": wait} if (wait := self._retry_after(1.0)) else None
            await error_response(429, "Too many requests.", headers)(scope, receive, send)
            return
        for fault in self._backend.faults.draw(scope["method"], path.removeprefix("/v1")):
            if fault.kind is not FaultKind.LATENCY:
                late_writes = self._late_writes
                await inject(fault, Exchange(app, scope, receive, send, self._retry_after, late_writes))
                return
            await asyncio.sleep(fault.seconds)
        await app(scope, receive, send)

    def _over_the_rate_limit(self) -> bool:
        """Return whether this request exceeds the switch `rate_limit`; otherwise count it as answered."""
        limit, now = self._backend.options.switches.rate_limit, time.monotonic()
        if limit is None:
            return False
        while self._answered and self._answered[0] <= now - 1:
            self._answered.popleft()
        if len(self._answered) >= int(limit):
            self._backend.requests["(over rate_limit)"] += 1
            return True
        self._answered.append(now)
        return False

    def _retry_after(self, seconds: float) -> str | None:
        form = self._backend.options.switches.retry_after
        if form == "none":
            return None
        if form == "date":
            # The header has whole seconds: rounded up, so that nobody comes back too early.
            return http_date(self._backend.now() + round(seconds * 1000) + 999)
        return f"{seconds:g}"

    def _with_date(self, send: Send) -> Send:
        """Return a `send` that sets the Date header by the API's own clock."""

        async def send_with_date(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = http_date(self._backend.now()).encode()
                message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        return send_with_date


async def _refused(_request: Request, error: HttpError) -> Response:
    return error_response(error.status, error.message)


async def _not_found(_request: Request, error: HTTPException) -> Response:
    message = "Not found." if error.status_code == 404 else "Method not allowed."
    return error_response(error.status_code, message)


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed in the sandbox itself", request.method, request.url.path, exc_info=error)
    return error_response(500, "The sandbox itself failed; see its log.")


async def _disconnected(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)  # never received: the client died while it sent the request


_HANDLERS: dict[Any, Any] = {
    HttpError: _refused,
    HTTPException: _not_found,
    ClientDisconnect: _disconnected,
    Exception: _broken,
}


def _route_path(scope: Scope) -> str:
    """Return the path with placeholders for names, such as `/task/{id}/cancel`."""
    for route in _COUNTED_ROUTES:
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            return route.path.removeprefix("/v1")
    return "(unknown)"
