"""Inject faults into connections and responses."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from scalesync.sandbox.faults import Fault, FaultKind
from scalesync.sandbox.http import error_response

_HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>error</body></html>"


class TrackedProtocol(H11Protocol):
    """HTTP/1.1 whose requests have the connection, which ASGI hides, in their `state`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the connection for the requests that will come on it."""
        super().connection_made(transport)
        self.app_state["transport"] = transport


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request on its connection, and the application that answers it."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    retry_after: Callable[[float], str | None]
    """Turns seconds into the value of a Retry-After header; None: no header."""
    late_writes: set[asyncio.Task[None]]
    """The writes that are still to be applied: asyncio drops a task that nobody refers to."""

    @property
    def transport(self) -> asyncio.Transport:
        """The connection of the request."""
        transport: asyncio.Transport = self.scope["state"]["transport"]
        return transport

    async def answer(self, response: Response) -> None:
        """Send a response that the application did not make."""
        await response(self.scope, self.receive, self.send)

    async def whole_request(self) -> list[Message]:
        """Receive the whole request, and return the messages of its body."""
        messages = [await self.receive()]
        while messages[-1].get("more_body"):
            messages.append(await self.receive())
        return messages

    async def reset(self) -> None:
        """Reset the connection, and return when it is closed."""
        # A linger time of 0 makes close() send RST and drop what is unsent, where it would else send FIN.
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.closed()

    async def closed(self) -> None:
        """Return when the connection is closed."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def collect(self) -> tuple[Message, bytes]:
        """Run the application, and return the head and body of its response without sending them."""
        # The application runs to its end here, so a write is applied and saved before the fault begins.
        head: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                body.extend(message.get("body", b""))

        await self.app(self.scope, self.receive, keep)
        return head, bytes(body)


async def inject(fault: Fault, exchange: Exchange) -> None:
    """Inject a fault, other than latency, and return when the connection or the response has ended."""
    if not exchange.transport.is_closing():
        await _INJECTIONS[fault.kind](fault, exchange)


async def _status(fault: Fault, exchange: Exchange) -> None:
    if 520 <= fault.status <= 530:
        await exchange.answer(Response(_HTML, status_code=fault.status, media_type="text/html"))
        return
    wait = exchange.retry_after(fault.retry_after) if fault.status == 429 else None
    headers = {"retry-after": wait} if wait else None
    await exchange.answer(error_response(fault.status, "The sandbox was asked to fail.", headers))


async def _html(_fault: Fault, exchange: Exchange) -> None:
    await exchange.answer(Response(_HTML, media_type="text/html"))


async def _reset(_fault: Fault, exchange: Exchange) -> None:
    # Reset only then: a client that still sends would see a broken pipe and not a reset.
    await exchange.whole_request()
    await exchange.reset()


async def _truncate(_fault: Fault, exchange: Exchange) -> None:
    head, body = await exchange.collect()
    # The head announces the full content-length. `close` sends what is buffered first, unlike `abort`, so
    # that the client receives half of the body and then the end of the connection.
    await exchange.send(head)
    await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    exchange.transport.close()
    await exchange.closed()


async def _hang(fault: Fault, exchange: Exchange) -> None:
    # A client that gives up first frees the connection at once; stopping the server does so too.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(exchange.closed(), fault.seconds)
    exchange.transport.abort()
    await exchange.closed()


async def _trickle(fault: Fault, exchange: Exchange) -> None:
    head, body = await exchange.collect()
    await exchange.send(head)
    # Each byte restarts a client's read timeout: only a limit for the whole response ends this.
    for place in range(len(body)):
        if exchange.transport.is_closing():
            return
        await exchange.send(
            {"type": "http.response.body", "body": body[place : place + 1], "more_body": True}
        )
        await asyncio.sleep(fault.seconds)
    await exchange.send({"type": "http.response.body", "body": b""})


async def _applied_then_dropped(_fault: Fault, exchange: Exchange) -> None:
    # `collect` returns after the commit: the write counts, and the client cannot know.
    await exchange.collect()
    await exchange.reset()


async def _applied_then_500(_fault: Fault, exchange: Exchange) -> None:
    await exchange.collect()
    await exchange.answer(error_response(500, "The sandbox was asked to fail afterwards."))


async def _applied_late(fault: Fault, exchange: Exchange) -> None:
    # The body is read before the response: the connection may be reused or closed when it is replayed.
    messages = await exchange.whole_request()
    await exchange.answer(error_response(504, "The sandbox was asked to apply this later."))

    async def replay() -> Message:
        return messages.pop(0)

    async def apply() -> None:
        await asyncio.sleep(fault.seconds)
        # A client that looked in between found nothing: "not found" proves nothing until this has passed.
        await replace(exchange, receive=replay).collect()

    task = asyncio.create_task(apply())
    exchange.late_writes.add(task)
    task.add_done_callback(exchange.late_writes.discard)


_INJECTIONS: dict[FaultKind, Callable[[Fault, Exchange], Any]] = {
    FaultKind.STATUS: _status,
    FaultKind.HTML: _html,
    FaultKind.RESET: _reset,
    FaultKind.TRUNCATE: _truncate,
    FaultKind.HANG: _hang,
    FaultKind.TRICKLE: _trickle,
    FaultKind.APPLIED_THEN_DROPPED: _applied_then_dropped,
    FaultKind.APPLIED_THEN_500: _applied_then_500,
    FaultKind.APPLIED_LATE: _applied_late,
}
