"""What faults do to a connection."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from scalesync.sandbox.faults import Fault, FaultKind
from scalesync.sandbox.http import error_response

_HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>error</body></html>"

Transports = dict[tuple[str, int], asyncio.Transport]
"""The open connections of a server by the client's address, as ASGI names it."""


def protocol_for(transports: Transports) -> type[H11Protocol]:
    """Return uvicorn's HTTP protocol, made to note its connection, which ASGI hides, in `transports`."""

    class NotingProtocol(H11Protocol):
        """HTTP/1.1 on a connection that faults can reach."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client is not None:
                transports.pop(self.client, None)

    return NotingProtocol


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request on its connection, and the application that would answer it."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    transport: asyncio.Transport
    retry_after: Callable[[float], str | None]
    """Turns seconds into the value of a Retry-After header; None: no header."""
    later: set[asyncio.Task[None]]
    """Keeps what is still to be applied from being forgotten."""

    async def answer(self, response: Response) -> None:
        """Answer without asking the application."""
        await response(self.scope, self.receive, self.send)

    async def whole_request(self) -> list[Message]:
        """Return the body of the request, in the messages that it came in."""
        messages = [await self.receive()]
        while messages[-1].get("more_body"):
            messages.append(await self.receive())
        return messages

    async def reset(self) -> None:
        """Send the client a TCP reset."""
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.gone()

    async def gone(self) -> None:
        """Return when the connection is closed."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def collect(self) -> tuple[Message, bytes]:
        """Let the application do its work; return the head and the body of its answer, which is not sent."""
        head: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                body.extend(message.get("body", b""))

        await self.app(self.scope, self.receive, keep)
        return head, bytes(body)


async def strike(fault: Fault, exchange: Exchange) -> None:
    """Let a fault happen to an exchange; the answer, if there is to be one, has been sent afterwards."""
    await _STRIKES[fault.kind](fault, exchange)


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
    await exchange.whole_request()  # else the client may still be sending, and see a broken pipe
    await exchange.reset()


async def _truncate(_fault: Fault, exchange: Exchange) -> None:
    head, body = await exchange.collect()
    await exchange.send(head)
    await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    exchange.transport.close()
    await exchange.gone()


async def _hang(fault: Fault, exchange: Exchange) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(exchange.gone(), fault.seconds)
    exchange.transport.abort()
    await exchange.gone()


async def _trickle(fault: Fault, exchange: Exchange) -> None:
    head, body = await exchange.collect()
    await exchange.send(head)
    for place in range(len(body)):
        if exchange.transport.is_closing():
            return
        await exchange.send(
            {"type": "http.response.body", "body": body[place : place + 1], "more_body": True}
        )
        await asyncio.sleep(fault.seconds)
    await exchange.send({"type": "http.response.body", "body": b""})


async def _applied_then_dropped(_fault: Fault, exchange: Exchange) -> None:
    await exchange.collect()
    await exchange.reset()


async def _applied_then_500(_fault: Fault, exchange: Exchange) -> None:
    await exchange.collect()
    await exchange.answer(error_response(500, "The sandbox was asked to fail afterwards."))


async def _applied_late(fault: Fault, exchange: Exchange) -> None:
    messages = await exchange.whole_request()
    await exchange.answer(error_response(504, "The sandbox was asked to apply this later."))

    async def replay() -> Message:
        return messages.pop(0)

    async def ignore(_message: Message) -> None:
        pass

    async def apply() -> None:
        await asyncio.sleep(fault.seconds)
        await exchange.app(exchange.scope, replay, ignore)

    task = asyncio.create_task(apply())
    exchange.later.add(task)
    task.add_done_callback(exchange.later.discard)


_STRIKES: dict[FaultKind, Callable[[Fault, Exchange], Any]] = {
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
