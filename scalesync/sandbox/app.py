"""The sandbox as an ASGI application: routes, dates, compression, counting, faults."""

import asyncio
import logging
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from scalesync.sandbox import routes_batches, routes_control, routes_results, routes_tasks, routes_team
from scalesync.sandbox.fault_injection import Exchange, Transports, strike
from scalesync.sandbox.faults import Fault, FaultKind
from scalesync.sandbox.http import error_response
from scalesync.sandbox.state import World
from scalesync.sandbox.timestamps import http_date

_log = logging.getLogger(__name__)

_API = [*routes_tasks.ROUTES, *routes_batches.ROUTES, *routes_team.ROUTES, *routes_results.ROUTES]
"""What is counted, and struck by faults."""


class SandboxApp:
    """Answers every request from a world, unless a fault strikes it."""

    def __init__(self, world: World, transports: Transports) -> None:
        self._world = world
        self._transports = transports
        self._later: set[asyncio.Task[None]] = set()
        app = Starlette(routes=[*_API, *routes_control.ROUTES], exception_handlers=_HANDLERS)
        app.state.world = world
        self._app = GZipMiddleware(app, minimum_size=500, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Names keep their `%2F`: the path is routed as it was sent."""
        path = scope["raw_path"].decode("ascii")
        scope = {**scope, "path": path}
        send = self._dated(send)
        if not path.startswith(("/v1/", f"{routes_results.PREFIX}/")):
            await self._app(scope, receive, send)
            return
        self._world.requests[f"{scope['method']} {_template(scope)}"] += 1
        for fault in self._world.faults.draw(scope["method"], path.removeprefix("/v1")):
            if fault.kind is not FaultKind.LATENCY:
                await self._strike(fault, scope, receive, send)
                return
            await asyncio.sleep(fault.seconds)
        await self._app(scope, receive, send)

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._transports.get(scope["client"])
        if transport is None:
            return  # the client has gone meanwhile
        exchange = Exchange(
            app=self._app,
            scope=scope,
            receive=receive,
            send=send,
            transport=transport,
            retry_after=self._retry_after,
            later=self._later,
        )
        await strike(fault, exchange)

    def _retry_after(self, seconds: float) -> str | None:
        form = self._world.options.switches.retry_after
        if form == "none":
            return None
        if form == "date":
            return http_date(self._world.now() + round(seconds * 1000) + 999)
        return f"{seconds:g}"

    def _dated(self, send: Send) -> Send:
        """Return a `send` that gives every answer the date of the API's own clock."""

        async def send_with_date(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = http_date(self._world.now()).encode()
                message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        return send_with_date


async def _not_found(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return error_response(status, "Not found." if status == 404 else "Method not allowed.")


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed in the sandbox itself", request.method, request.url.path, exc_info=error)
    return error_response(500, "The sandbox itself failed; see its log.")


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it: the client was killed in the middle of a request


_HANDLERS: dict[Any, Any] = {HTTPException: _not_found, ClientDisconnect: _gone, Exception: _broken}


def _template(scope: Scope) -> str:
    """Return the path with its names left out: `/task/{id}/cancel`."""
    for route in _API:
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            return route.path.removeprefix("/v1")
    return "(unknown)"
