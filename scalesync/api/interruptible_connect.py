"""From a host's name to a connection, in steps that another thread can end."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.util.connection import allowed_gai_family

LOOK = 0.1
"""Seconds between two looks whether a request whose host's name is being resolved is still wanted."""

_Addresses = list[tuple[Any, Any, int, str, Any]]


@dataclass(eq=False)
class SendTracker:
    """Where the request in hand stands: whether it has left, and the socket by which it can be cut off."""

    sent: bool = False
    """Set with the connection made and before the first byte."""
    late: str = ""
    """Why it was cut off, if it was: it is not sent any more."""
    sock: socket.socket | None = None
    """The request's: the connection itself lets go of it when the answer says that it closes."""
    connecting: socket.socket | None = None
    """A second handle of the connection that is being made: TLS takes the first one away."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Note that another request is in hand, of which nothing has left."""
        with self.lock:
            self.sent, self.late, self.sock = False, "", None

    def connect_over(self, sock: socket.socket) -> None:
        """Note what is to become the connection. Raises TimeoutError if the request was cut off."""
        with self.lock:
            self.check()
            self._forget_connecting()
            self.connecting = sock.dup()

    def connected(self) -> None:
        """Note that the connection is made, or will not be."""
        with self.lock:
            self._forget_connecting()

    def mark_sent(self, connection: HTTPConnection) -> None:
        """Note that the request leaves now over `connection`. Raises TimeoutError if it was cut off."""
        with self.lock:
            self.check()
            self.sent, self.sock = True, connection.sock

    def abort(self, why: str) -> None:
        """End the request in hand, wherever it stands: its thread finds the connection broken."""
        with self.lock:
            self.late = self.late or why
            for sock in (self.connecting, self.sock):
                if sock is not None:
                    with contextlib.suppress(OSError):
                        # Not close: that would free the number while the other thread still reads from it.
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise TimeoutError if the request was cut off."""
        if self.late:
            raise TimeoutError(self.late)

    def _forget_connecting(self) -> None:
        if self.connecting is not None:
            self.connecting.close()
            self.connecting = None


def tracked(kind: type[HTTPConnection], tracker: SendTracker) -> type[HTTPConnection]:
    """Return `kind` with a `request` that connects (proxy tunnel and TLS included), sets `mark`, and sends.

    Exceptions cannot tell this: a reset during the TLS handshake and one after the request look the same.
    """
    direct = kind._new_conn is HTTPConnection._new_conn  # noqa: SLF001 - a SOCKS proxy has its own

    class Marking(kind):  # type: ignore[valid-type, misc]
        def _new_conn(self) -> socket.socket:
            return _open(self, tracker) if direct else super()._new_conn()

        def connect(self) -> None:
            try:
                super().connect()
            finally:
                tracker.connected()

        def _tunnel(self) -> None:
            super()._tunnel()
            # An end in the middle of the proxy's headers looks like their end.
            tracker.check()

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.is_closed:
                self.connect()
            tracker.mark_sent(self)
            super().request(*args, **kwargs)

    return Marking


def _open(connection: HTTPConnection, tracker: SendTracker) -> socket.socket:
    """Return a socket connected to the host of `connection`, at the first of its addresses that answers.

    Raises OSError. Each address has the connection's time-out; cutting the mark off ends them all.
    """
    failure: OSError = OSError("its name stands for no address")
    host = connection._dns_host.strip("[]")  # noqa: SLF001 - with the dot at its end, as only DNS needs it
    for family, kind, protocol, _, address in resolve(host, connection.port, tracker):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(connection.timeout)
            tracker.connect_over(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def resolve(host: str, port: int, tracker: SendTracker) -> _Addresses:
    """Return the addresses that a host's name stands for. Raises OSError, or UnicodeError for no name.

    Nothing can end a resolver that hangs, so that a thread of its own waits for it, and is left to itself
    where the mark is cut off.
    """
    family = allowed_gai_family()
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    found: SimpleQueue[_Addresses | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    while True:
        with contextlib.suppress(Empty):
            answer = found.get(timeout=LOOK)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if tracker.late:
            raise TimeoutError(tracker.late)
