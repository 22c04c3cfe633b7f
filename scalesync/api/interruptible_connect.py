"""Connect to a host so that another thread can abort it, and track whether a request was sent.

Hazard: `SendTracker.sent` decides whether a failed write may be sent again; it must be set before the first
byte leaves.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.util.connection import allowed_gai_family

POLL_SECONDS = 0.1
"""Between two checks for an abort while a host name is being resolved."""

_Addresses = list[tuple[Any, Any, int, str, Any]]


@dataclass(eq=False)
class SendTracker:
    """The progress of one thread's request: whether it was sent, and the socket to abort it by."""

    sent: bool = False
    """Set after the connection is made and before the first byte."""
    late: str = ""
    """Why it was aborted; empty: it was not."""
    sock: socket.socket | None = None
    """The socket of the request; urllib3 drops its own reference when the answer says `close`."""
    connecting: socket.socket | None = None
    """A duplicate of the socket that is connecting, because TLS detaches the original."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Start tracking another request, of which nothing was sent."""
        with self.lock:
            self.sent, self.late, self.sock = False, "", None

    def begin_connect(self, sock: socket.socket) -> None:
        """Record the socket that is connecting. Raises TimeoutError if the request was aborted."""
        with self.lock:
            self.check()
            self._close_handle()
            self.connecting = sock.dup()

    def end_connect(self) -> None:
        """Record that connecting succeeded or failed."""
        with self.lock:
            self._close_handle()

    def mark_sent(self, connection: HTTPConnection) -> None:
        """Record that the request is sent now. Raises TimeoutError if it was aborted."""
        with self.lock:
            self.check()
            self.sent, self.sock = True, connection.sock

    def abort(self, why: str) -> None:
        """Abort the request in any phase: its thread gets an error from the socket."""
        with self.lock:
            self.late = self.late or why
            for sock in (self.connecting, self.sock):
                if sock is not None:
                    with contextlib.suppress(OSError):
                        # Not close(): the descriptor could be reused while the other thread still reads it.
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise TimeoutError if the request was aborted."""
        if self.late:
            raise TimeoutError(self.late)

    def _close_handle(self) -> None:
        if self.connecting is not None:
            self.connecting.close()
            self.connecting = None


def tracked(kind: type[HTTPConnection], tracker: SendTracker) -> type[HTTPConnection]:
    """Return a subclass of `kind` that connects (proxy tunnel and TLS included), calls `mark_sent`, sends."""
    # Exceptions do not show whether a request was sent: a reset during the TLS handshake and one after the
    # request look the same. So connecting and sending are separate steps here.
    direct = kind._new_conn is HTTPConnection._new_conn  # noqa: SLF001 - a SOCKS proxy has its own

    class TrackedConnection(kind):  # type: ignore[valid-type, misc]
        def _new_conn(self) -> socket.socket:
            return _open(self, tracker) if direct else super()._new_conn()

        def connect(self) -> None:
            try:
                super().connect()
            finally:
                tracker.end_connect()

        def _tunnel(self) -> None:
            super()._tunnel()
            # A connection that is cut off within the proxy's headers looks like their end.
            tracker.check()

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.is_closed:
                self.connect()
            tracker.mark_sent(self)
            super().request(*args, **kwargs)

    return TrackedConnection


def _open(connection: HTTPConnection, tracker: SendTracker) -> socket.socket:
    """Connect to the first address of the host that answers. Raises OSError.

    Each address has the connection's timeout; an abort ends all of them.
    """
    failure: OSError = OSError("its name has no address")
    host = connection._dns_host.strip("[]")  # noqa: SLF001 - with the dot at its end, as only DNS needs it
    for family, kind, protocol, _, address in resolve(host, connection.port, tracker):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(connection.timeout)
            tracker.begin_connect(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def resolve(host: str, port: int, tracker: SendTracker) -> _Addresses:
    """Return the addresses of a host. Raises OSError, or UnicodeError for an invalid name."""
    # A hanging resolver cannot be interrupted: a daemon thread waits for it, and is abandoned on an abort.
    family = allowed_gai_family()
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    found: SimpleQueue[_Addresses | Exception] = SimpleQueue()

    def resolve_name() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=resolve_name, name="resolver", daemon=True).start()
    while True:
        with contextlib.suppress(Empty):
            answer = found.get(timeout=POLL_SECONDS)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if tracker.late:
            raise TimeoutError(tracker.late)
