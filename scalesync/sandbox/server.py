"""The sandbox as a server on this machine's loopback."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from scalesync.sandbox.annotator import Annotator
from scalesync.sandbox.app import SandboxApp
from scalesync.sandbox.fault_injection import Transports, protocol_for
from scalesync.sandbox.options import SandboxOptions
from scalesync.sandbox.routes_results import PREFIX
from scalesync.sandbox.state import World
from scalesync.sandbox.timestamps import Clock, system_clock

HOST = "127.0.0.1"

_KEEP_ALIVE = 75
"""Seconds for which an idle connection is kept."""


class SandboxServer:
    """A running sandbox; use it as a context manager, or call `start` and `stop`.

    Serves from a thread of its own, so that the world can be looked at and changed meanwhile.
    """

    def __init__(self, options: SandboxOptions | None = None, clock: Clock = system_clock) -> None:
        self.options = options or SandboxOptions()
        self.world = World(self.options, clock)
        self.port = 0
        self._annotator = Annotator(self.world, self.options.annotate)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """The address of the API, with /v1."""
        return f"{self.control_url}/v1"

    @property
    def control_url(self) -> str:
        """The address of the sandbox's own controls is this plus /_sandbox."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Listen; on return requests are answered. Raises OSError when the port is taken."""
        # Named TCP, or asyncio leaves Nagle on and an answer waits 40 ms for the client's acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self.options.port))
            listener.listen(2048)
        except OSError:
            listener.close()
            self.world.close()
            raise
        self.port = listener.getsockname()[1]
        self.world.results_url = f"{self.control_url}{PREFIX}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._serve, args=(self._loop, listener), name="sandbox", daemon=True
        )
        self._thread.start()
        self._annotator.start()
        return self

    def stop(self) -> None:
        """Close every connection at once and save. Stopping twice does nothing."""
        if self._thread is None or self._loop is None:
            return
        self._annotator.stop()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None
        self.world.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(self._serve_until_stopped(listener))

    async def _serve_until_stopped(self, listener: socket.socket) -> None:
        transports: Transports = {}
        protocol = protocol_for(transports)
        config = uvicorn.Config(
            SandboxApp(self.world, transports),
            lifespan="off",
            log_config=None,
            log_level="critical",
            timeout_keep_alive=_KEEP_ALIVE,
            access_log=False,
        )
        config.load()
        state = ServerState()

        def connect() -> H11Protocol:
            return protocol(config, state, {})

        loop = asyncio.get_running_loop()
        server = await loop.create_server(connect, sock=listener)
        await self._stopping.wait()
        loop.remove_reader(listener)  # a server closed while it accepts forgets that connection's socket
        await _turn()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await _turn()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _turn()


async def _turn() -> None:
    """Let the event loop finish what it has begun: accepting or closing a connection takes a few rounds."""
    for _ in range(6):
        await asyncio.sleep(0)


def serve(
    options: SandboxOptions,
    on_ready: Callable[[SandboxServer], None],
    stopping: threading.Event | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM, calling `on_ready` once it answers.

    With `stopping` the caller handles the signals and sets the event. Raises OSError when the port is taken.
    """
    with contextlib.ExitStack() as stack:
        if stopping is None:
            stopping = stack.enter_context(_stop_on_signals())
        on_ready(stack.enter_context(SandboxServer(options)))
        stopping.wait()


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
