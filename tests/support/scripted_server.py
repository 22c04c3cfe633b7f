"""Serve exactly the answers that a test scripts, over real sockets, and record the requests."""

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Self

from scalesync.clock import Clock

DATE = "Tue, 03 Nov 2026 10:00:00 GMT"
"""What every scripted answer says of the time, unless it says otherwise."""

Step = Callable[[socket.socket], bool]
"""Answers one request on a connection; returns whether the connection stays open."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    at: float
    """The monotonic instant of its arrival."""


def say(
    body: object = b'{"task_id": "t"}', status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Step:
    """Answer with `body` (bytes as they are, anything else as JSON) and keep the connection."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Date": DATE, "Content-Length": str(len(content)), **(headers or {})}
    head = f"HTTP/1.1 {status} Any\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v) + "\r\n"
    return raw(head.encode() + content, keep=True)


def zipped(body: object) -> Step:
    """Answer with `body` as JSON, compressed."""
    return say(gzip.compress(json.dumps(body).encode()), headers={"Content-Encoding": "gzip"})


def raw(data: bytes, *, keep: bool = False) -> Step:
    """Answer with these very bytes, then keep or close the connection."""

    def step(peer: socket.socket) -> bool:
        peer.sendall(data)
        return keep

    return step


def truncated(body: bytes = b'{"docs": [') -> Step:
    """Promise more than comes."""
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + body)


def cut_chunk() -> Step:
    """Break off in the middle of a chunk."""
    return raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"docs": [')


def reset(peer: socket.socket) -> bool:
    """Break the connection with a RST instead of an answer."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang_up(_: socket.socket) -> bool:
    """Close the connection instead of answering."""
    return False


def hang(peer: socket.socket) -> bool:
    """Say nothing until the client leaves."""
    peer.recv(1)
    return False


def trickle(peer: socket.socket) -> bool:
    """Begin an answer and send a byte every 20 ms until the client leaves."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        peer.sendall(b" ")
        time.sleep(0.02)


def trickle_closing(peer: socket.socket) -> bool:
    """Announce an answer that ends with its connection, and send a byte of it every 20 ms."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        peer.sendall(b" ")
        time.sleep(0.02)


def trickle_zipped(peer: socket.socket) -> bool:
    """Begin a compressed answer that sends its own file name, a byte every 20 ms: nothing to unpack in it."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n")
    peer.sendall(b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03")
    while True:
        peer.sendall(b"n")
        time.sleep(0.02)


def trickle_head(peer: socket.socket) -> bool:
    """Begin a header that never ends, a byte every 20 ms until the client leaves."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        peer.sendall(b"n")
        time.sleep(0.02)


@dataclass
class ScriptedServer:
    """A server on 127.0.0.1 that goes through `steps` and repeats the last one, whoever asks."""

    steps: Sequence[Step]
    tls: ssl.SSLContext | None = None
    at_once: Step | None = None
    """Done with every connection before a request is read, and then it ends."""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def accepted(self, least: int) -> int:
        """Return how many connections there were: a client may be gone before its own is taken note of."""
        until = time.monotonic() + 5
        while self.connections < least and time.monotonic() < until:
            time.sleep(0.005)
        return self.connections

    def __exit__(self, *_: object) -> None:
        """Close every socket and wait for every thread."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for peer in self.open:
                with suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        """The address to hand to the client."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> list[str]:
        """Method and target of every request, in order."""
        return [f"{seen.method} {seen.target}" for seen in self.seen]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with self._lock:
                    self.connections += 1
                    self.open.append(peer)
                    thread = threading.Thread(target=self._serve, args=(peer, self.connections))
                    self._threads.append(thread)
                thread.start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        with suppress(OSError), peer:
            if self.at_once:
                peer.recv(1)
                self.at_once(peer)
                return
            stream = self.tls.wrap_socket(peer, server_side=True) if self.tls else peer
            with stream, stream.makefile("rb") as lines:
                while (step := self._next(lines, number)) and step(stream):
                    pass
                if step and step is not reset:
                    with suppress(OSError):
                        stream.shutdown(socket.SHUT_WR)

    def _next(self, lines: IO[bytes], number: int) -> Step | None:
        """Read one request and return the step that answers it; None if none comes."""
        first = lines.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        arrived = time.monotonic()
        headers = {}
        while line := lines.readline().strip().decode("latin-1"):
            name, _, value = line.partition(": ")
            headers[name] = value
        body = lines.read(int(headers.get("Content-Length", 0)))
        with self._lock:
            self.seen.append(Seen(first[0], first[1], headers, body, number, arrived))
            return self.steps[min(len(self.seen), len(self.steps)) - 1]


@dataclass(frozen=True)
class SteppingClock(Clock):
    """A clock that stands still but for its sleeps, which cost no time."""

    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        """Note the wait and be done with it."""
        if not self.stopping.is_set():
            self.slept.append(seconds)


@dataclass(frozen=True)
class SkippingClock(Clock):
    """A clock that goes on by itself and jumps to the end of every sleep."""

    skipped: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the time of day, later by all that was slept."""
        return super().now() + timedelta(seconds=sum(self.skipped))

    def monotonic(self) -> float:
        """Return the seconds of the machine's clock and all that were slept."""
        return super().monotonic() + sum(self.skipped)

    def sleep(self, seconds: float) -> None:
        """Return at once."""
        self.skipped.append(max(0.0, seconds))
