"""Run the pages on a port of this machine, in a separate thread, until they are stopped."""

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import uvicorn

from scalesync.errors import ConfigurationError
from scalesync.web.app import make_app
from scalesync.web.overview_cache import cache_of
from scalesync.web.safety import Access

if TYPE_CHECKING:
    from scalesync.mirror import Mirror

_STOP_SECONDS = 2
"""How long requests in hand, and counts, may take when the server stops."""


class PagesServer:
    """A server of pages; a context manager that serves from its beginning to its end."""

    def __init__(self, mirror: "Mirror", host: str, port: int, token: str | None) -> None:
        """Take where to listen (port 0: any free one), and the token, None for none."""
        self._mirror = mirror.keeping_open()
        self._listener = _listen(host, port)
        self._host, self.port = host, int(self._listener.getsockname()[1])
        access = Access(host, token, f"scalesync_{self.port}")
        config = uvicorn.Config(
            make_app(self._mirror, access),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="pages", daemon=True)

    @property
    def url(self) -> str:
        """The address of the pages, without a token."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/"

    def __enter__(self) -> Self:
        """Return once requests are answered."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to listen, end what is in hand, and close the database."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        # A count that goes on loses its connection with the process.
        cache_of(self._mirror).wait(_STOP_SECONDS)
        self._mirror.close()

    def _serve(self) -> None:
        # In a thread of its own, uvicorn leaves the signals to us.
        self._server.run(sockets=[self._listener])


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ConfigurationError if the port is taken or the host is not ours."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        msg = f"The pages cannot be at {host}: {error.strerror or error}."
        raise ConfigurationError(msg, advice="Choose another --host.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        listener.close()
        msg = f"The pages cannot be at port {port} of {host}: {error.strerror or error}."
        raise ConfigurationError(msg, advice="Choose another --port, or 0 for any free one.") from error
    return listener
